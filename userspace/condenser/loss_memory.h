// What the kernel lost outlives the daemon: its counters are in pinned maps. How much of them has
// been said in records is kept in the store, so that nothing is said twice or never.
#pragma once

#include "userspace/bpf/event_reader.h"
#include "userspace/flow/pipeline.h"
#include "userspace/store/settings.h"

namespace raind::condenser {

Result<flow::KernelSaid> load_said(store::SettingStore& settings);
// Shows the kernel's counters to the pipeline and keeps what it has said. Every two seconds.
Status tell_losses(const bpf::EventReader& reader, flow::Pipeline& pipeline,
                   store::SettingStore& settings);

}  // namespace raind::condenser

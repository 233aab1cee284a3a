#include "userspace/condenser/loss_memory.h"

#include <algorithm>

#include "userspace/common/json.h"

namespace raind::condenser {
namespace {

constexpr const char* kKey = "kernel_losses_said";

}  // namespace

Result<flow::KernelSaid> load_said(store::SettingStore& settings) {
    flow::KernelSaid said{};
    RAIND_TRY(const auto text, settings.get(kKey));
    if (!text)
        return said;
    RAIND_TRY(const Json json, parse_json(*text));
    if (!json.is_array() || json.size() != said.size())
        return said;
    std::ranges::transform(json, said.begin(), [](const Json& value) {
        return value.is_number_unsigned() ? value.get<std::uint64_t>() : 0;
    });
    return said;
}

Status tell_losses(const bpf::EventReader& reader, flow::Pipeline& pipeline,
                   store::SettingStore& settings) {
    RAIND_TRY(const auto counters, reader.lost());
    const flow::KernelSaid before = pipeline.losses().said();
    pipeline.losses().kernel_counters(counters);
    const flow::KernelSaid now = pipeline.losses().said();
    if (now == before)
        return {};
    return settings.set(kKey, dump_json(Json(now)));
}

}  // namespace raind::condenser

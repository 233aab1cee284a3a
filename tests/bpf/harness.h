// Harness: runs steps of the case table through the loaded programs. Makes its own network and
// mount namespace for the process, with veths for the ports and a BPF file system of its own, so
// that nothing is left behind. One thread, one per process.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "raind/result.h"

#include "tests/bpf/cases.h"
#include "userspace/bpf/committer.h"
#include "userspace/bpf/datapath.h"
#include "userspace/bpf/endpoint_maps.h"
#include "userspace/bpf/event_reader.h"
#include "userspace/bpf/sweeper.h"
#include "userspace/common/fs.h"

namespace raind::testing {

struct Observed {
    Outcome outcome = Outcome::Drop;
    std::uint32_t reason = 0;
    bool passed = false;              // counted as passed
    std::uint32_t stamp = 0;          // bits of the mark afterwards
    std::vector<raind_event> events;  // of this step, in order
    bool flow = false;
    Bytes packet;  // afterwards
};

class Harness {
  public:
    static constexpr std::size_t kPorts = 4;

    static Result<std::unique_ptr<Harness>> make();
    ~Harness();
    Harness(const Harness&) = delete;
    Harness& operator=(const Harness&) = delete;

    // An empty datapath with this world in it.
    Status reset(const World& world);
    Result<Observed> run(const Step& step);
    // As run(), but reads no records: they stay in their ring.
    Result<Observed> run_unread(const Step& step);

    const bpf::Datapath& datapath() const { return *datapath_; }
    const bpf::Sweeper& sweeper() const { return *sweeper_; }
    bpf::Committer& committer() { return *committer_; }
    std::uint32_t ifindex(std::size_t port) const { return ifindexes_.at(port); }
    const std::filesystem::path& bpffs() const { return bpffs_; }
    std::vector<raind_event> events();

  private:
    Harness() = default;
    Status load(std::uint32_t flow_entries, std::uint32_t ring_bytes);
    Status clear_maps();
    Status clear_counters();
    Status prepare(const Step& step);
    Status age(std::uint64_t milliseconds);
    Status fill(std::uint64_t entries);
    Status publish(std::size_t index);
    Result<std::vector<std::uint64_t>> counters() const;
    Result<bool> has_flow(const Bytes& packet) const;

    std::unique_ptr<TempDir> directory_;
    std::filesystem::path bpffs_;
    std::vector<std::uint32_t> ifindexes_;
    World world_;
    std::uint32_t flow_entries_ = 0, ring_bytes_ = 0;
    std::unique_ptr<bpf::Datapath> datapath_;
    std::unique_ptr<bpf::Sweeper> sweeper_;
    std::unique_ptr<bpf::EndpointMaps> endpoints_;
    std::unique_ptr<bpf::Committer> committer_;
    std::unique_ptr<bpf::EventReader> reader_;
    std::vector<raind_event> events_;
};

}  // namespace raind::testing

// The table of packets: what each frame must come to. Judged by the BPF programs (tests/bpf) and by
// the evaluator of userspace/core (tests/unit/core): plain data only.
//
// A case is a world (ports, addresses, rules) and steps in order; state made by one step (flows) is
// there for the next, nothing passes from case to case.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "raind/abi/names.h"

#include "tests/bpf/packet_builder.h"
#include "userspace/core/backend.h"
#include "userspace/core/compiled_set.h"

namespace raind::testing {

enum class Direction {
    FromContainer,  // the container sends (raind_from)
    ToContainer,    // the host or the outside sends to the container (raind_to)
};

enum class Outcome {
    Drop,
    Pass,     // goes on: ToContainer permitted, or ARP and NDP between host and container
    ToHost,   // permitted, by the slow path through the host's IP
    Deliver,  // permitted, by the fast path to the other container
    Answer,   // rewritten and handed back to the sender: ARP or NDP answer, TCP reset
};

struct WorldEndpoint {
    core::EndpointSpec spec;
    std::uint32_t flags = 0;  // RAIND_EP_* beside FAST
};

struct World {
    std::vector<WorldEndpoint> endpoints;
    std::vector<core::HostAddress> host;
    std::vector<Cidr> pools;
    std::vector<core::PublishedPort> published;
    std::vector<core::CompiledSet> sets;  // the first is in force at the start, if there is one
    std::uint32_t flow_table = 4096;      // entries
    std::uint32_t ring_bytes = 1U << 20;  // of each ring of records
};

// Done to the world before the step's packet. The evaluator skips cases with what it has not.
enum class Before {
    Nothing,
    Commit,       // sets[number] becomes the policy, without rejudging sweep
    CommitSweep,  // the same, with it
    Age,          // all flows become `number` milliseconds older
    Restart,      // endpoints[number] gets a new ep_id
    Withdraw,     // endpoints[number] is gone, its flows with it
    Sweep,        // the periodic sweep
    Fill,         // the flow table gets `number` foreign entries
    Unpublish,    // no port is published any more
};

struct Expected {
    Outcome outcome = Outcome::Drop;
    std::uint32_t reason = RAIND_R_NONE;  // raind_reason
    std::uint32_t event = 0;              // raind_event_type of the record for this packet; 0: none
    std::uint32_t rule = 0;               // with NEW, AUDIT, and DENY by policy or default
    std::uint32_t stamp = 0;              // with ToHost; 0: the one of the destination's address
    bool flow = false;                    // an entry for the packet's tuple exists afterwards
};

struct Step {
    std::string name;
    Direction direction = Direction::FromContainer;
    std::size_t port = 0;  // index into endpoints: whose veth
    Bytes packet;
    Expected expected;
    std::uint32_t mark = 0;  // ToContainer: stamp bits
    bool forwarded = false;  // ToContainer: came in by another interface, not made by the host
    Before before = Before::Nothing;
    std::uint64_t number = 0;
};

struct Case {
    std::string group;
    std::string name;
    World world;
    std::vector<Step> steps;
};

// Every case of every group; defined in cases_*.cpp, library raind_bpf_cases.
std::vector<Case> all_cases();

}  // namespace raind::testing

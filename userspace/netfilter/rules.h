// The text of the guard table: what netfilter does beside the programs, and masquerade. Pure.
//
// The programs on the ports stamp each packet that they pass to the host with bits of its mark. The
// table drops what comes from one of our bridges without a stamp (a program is missing), lets only
// packets stamped for the host itself reach the host, keeps foreign packets from carrying a stamp
// or an address of ours, and masquerades what containers send to the outside, never to each other.
//
// All in one table of the family inet, `raind_guard` or `raind_guard_<instance>`, replaced in one
// transaction. Two instances in one network namespace need stamps that do not overlap: each clears
// its bits on every interface that is not a bridge of its own.
//
// Published ports are here too (rules_ports.h): destination translation for what comes from
// outside, from the host and, where a program has stamped it, from containers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "raind/abi/base.h"
#include "raind/result.h"

#include "userspace/common/addr.h"
#include "userspace/core/backend.h"

namespace raind::netfilter {

// Bits of the packet mark, set by the programs.
struct Stamp {
    std::uint32_t from_port =
        RAIND_STAMP_FROM_PORT;  // passed to the host for the outside or another network
    std::uint32_t published = RAIND_STAMP_PUBLISHED;  // through a published port
    std::uint32_t dns = RAIND_STAMP_DNS;              // redirected to the DNS proxy
    std::uint32_t to_host = RAIND_STAMP_TO_HOST;      // permitted to the host itself
    std::uint32_t mask() const { return from_port | published | dns | to_host; }
    bool operator==(const Stamp&) const = default;
};

// What happens to packets that neither enter nor leave by one of our bridges.
enum class ForeignForwarding {
    Untouched,
    Dropped,  // for a host whose forwarding was switched on for our sake
};

struct GuardSpec {
    std::string instance;              // empty, or lower-case letters and digits
    std::vector<std::string> bridges;  // ours
    std::vector<Cidr> pools;           // ours, both families
    Stamp stamp;
    ForeignForwarding foreign = ForeignForwarding::Untouched;
    std::vector<core::PublishedPort> ports;
    bool operator==(const GuardSpec&) const = default;
};

struct GuardCounter {
    std::string name;
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
};

Status check_guard(const GuardSpec& spec);
std::string table_name(std::string_view instance);
// The names of the counters, in the order of the rules.
std::vector<std::string> counter_names();
// One transaction that replaces the table, whether it is there or not. Counters begin at the values
// given (those of the table that is replaced).
Result<std::string> replace_commands(const GuardSpec& spec,
                                     const std::vector<GuardCounter>& counters);
// One transaction that removes the table, whether it is there or not.
std::string remove_commands(std::string_view instance);

}  // namespace raind::netfilter

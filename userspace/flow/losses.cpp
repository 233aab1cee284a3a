#include "userspace/flow/losses.h"

#include <algorithm>

#include "raind/abi/names.h"

namespace raind::flow {

namespace {

// Kinds under which the kernel says lost records; the other counters mean map entries.
constexpr std::array kRecordKinds = {RAIND_LOST_FLOW_RING, RAIND_LOST_DENY_RING, RAIND_LOST_TOKENS};

// An endpoint's losses have two counters and one event.
std::uint32_t kind_said(std::uint32_t kind) {
    return kind == RAIND_LOST_DENY_SHARE ? std::uint32_t{RAIND_LOST_TOKENS} : kind;
}

KernelSaid by_kind_said(std::span<const std::uint64_t> counters) {
    KernelSaid out{};
    for (std::uint32_t kind = 0; kind < counters.size() && kind <= RAIND_LOST_DENY_SHARE; ++kind)
        out[kind_said(kind)] += counters[kind];
    return out;
}

std::string kernel_place(std::uint32_t kind) {
    const std::string_view name = abi::lost_name(kind);
    return "kernel." + (name.empty() ? std::to_string(kind) : std::string(name));
}

}  // namespace

void Losses::add_locked(const std::string& where, std::uint64_t count, std::uint32_t ep_id) {
    if (count != 0)
        waiting_[{where, ep_id}] += count;
}

void Losses::add(const std::string& where, std::uint64_t count, std::uint32_t ep_id) {
    const std::lock_guard lock(mutex_);
    add_locked(where, count, ep_id);
}

void Losses::add_event(const raind_event& event) {
    const std::lock_guard lock(mutex_);
    std::uint64_t count = event.count;
    if (const std::uint32_t kind = kind_said(event.lost_kind); kind < said_.size()) {
        // Said already, when the counter ran ahead of the event.
        const std::uint64_t twice = std::min(ahead_[kind], count);
        ahead_[kind] -= twice;
        count -= twice;
        said_[kind] += count;
    }
    const std::uint32_t ep_id = event.src_ep != 0 ? event.src_ep : event.dst_ep;
    add_locked(kernel_place(event.lost_kind), count, ep_id);
}

void Losses::kernel_counters(std::span<const std::uint64_t> counters) {
    const std::lock_guard lock(mutex_);
    const KernelSaid now = by_kind_said(counters);
    for (const std::uint32_t kind : kRecordKinds) {
        // New maps: they begin at zero.
        if (now[kind] < seen_.back()[kind]) {
            said_[kind] = ahead_[kind] = 0;
            for (KernelSaid& round : seen_)
                round[kind] = 0;
        }
        // An event for what was counted since then may be on its way.
        const std::uint64_t settled = seen_.front()[kind];
        if (settled > said_[kind]) {
            const std::uint64_t missing = settled - said_[kind];
            add_locked(kernel_place(kind), missing, 0);
            said_[kind] += missing;
            ahead_[kind] += missing;
        }
    }
    std::rotate(seen_.begin(), seen_.begin() + 1, seen_.end());
    seen_.back() = now;
}

std::vector<Loss> Losses::take() {
    const std::lock_guard lock(mutex_);
    std::vector<Loss> out;
    out.reserve(waiting_.size());
    for (const auto& [key, count] : waiting_)
        out.push_back({key.first, count, key.second});
    waiting_.clear();
    return out;
}

bool Losses::empty() const {
    const std::lock_guard lock(mutex_);
    return waiting_.empty();
}

KernelSaid Losses::said() const {
    const std::lock_guard lock(mutex_);
    return said_;
}

}  // namespace raind::flow

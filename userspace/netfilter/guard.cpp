#include "userspace/netfilter/guard.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "userspace/netfilter/nft.h"

namespace raind::netfilter {
namespace {

// The objects of one kind in an answer of nft, {"nftables": [{KIND: {...}}, ...]}.
Result<std::vector<nlohmann::json>> objects(const std::string& answer, const char* kind) {
    const auto root = nlohmann::json::parse(answer, nullptr, false);
    if (!root.is_object() || !root.contains("nftables") || !root["nftables"].is_array())
        return Error(Errc::Internal, "netfilter: not an answer in JSON");
    std::vector<nlohmann::json> found;
    for (const auto& item : root["nftables"])
        if (item.is_object() && item.contains(kind))
            found.push_back(item[kind]);
    return found;
}

}  // namespace

Result<std::unique_ptr<Guard>> Guard::open(const NetnsRef& netns) {
    RAIND_TRY(auto own, netns.duplicate());
    return std::unique_ptr<Guard>(new Guard(std::move(own)));
}

Result<std::string> Guard::listing(std::string_view instance) {
    return run_nft(netns_, fmt::format("list table inet {}", table_name(instance)),
                   NftOutput::Stateless);
}

Result<GuardState> Guard::verify_locked() {
    if (!spec_)
        return GuardState::Changed;
    auto now = listing(spec_->instance);
    if (!now && now.error().code() == Errc::NotFound)
        return GuardState::Absent;
    if (!now)
        return std::move(now.error());
    return *now == listing_ ? GuardState::Intact : GuardState::Changed;
}

Result<GuardState> Guard::verify() {
    const std::lock_guard lock(mutex_);
    return verify_locked();
}

Status Guard::ensure(const GuardSpec& spec) {
    const std::lock_guard lock(mutex_);
    if (spec_ == spec) {
        RAIND_TRY(const auto state, verify_locked());
        if (state == GuardState::Intact)
            return {};
    }
    // What cannot be read of the old table (somebody made another of that name) begins at zero.
    std::vector<GuardCounter> former;
    if (auto counted = counters(spec.instance))
        former = std::move(*counted);
    RAIND_TRY(const auto commands, replace_commands(spec, former));
    RAIND_CHECK(run_nft(netns_, commands).context("guard table"));
    RAIND_TRY(listing_, listing(spec.instance));
    spec_ = spec;
    return {};
}

Status Guard::remove(std::string_view instance) {
    const std::lock_guard lock(mutex_);
    RAIND_CHECK(run_nft(netns_, remove_commands(instance)).context("remove the guard table"));
    spec_.reset();
    return {};
}

Result<std::vector<GuardCounter>> Guard::counters(std::string_view instance) {
    auto answer = run_nft(netns_, fmt::format("list counters table inet {}", table_name(instance)),
                          NftOutput::Json);
    if (!answer && answer.error().code() == Errc::NotFound)
        return std::vector<GuardCounter>{};
    if (!answer)
        return std::move(answer.error());
    RAIND_TRY(const auto listed, objects(*answer, "counter"));
    std::vector<GuardCounter> found;
    for (const auto& name : counter_names())
        for (const auto& item : listed)
            if (item.value("name", "") == name)
                found.push_back({name, item.value("packets", std::uint64_t{0}),
                                 item.value("bytes", std::uint64_t{0})});
    return found;
}

Result<std::vector<std::string>> Guard::other_tables(std::string_view instance) {
    RAIND_TRY(const auto answer, run_nft(netns_, "list tables inet", NftOutput::Json));
    RAIND_TRY(const auto listed, objects(answer, "table"));
    std::vector<std::string> found;
    for (const auto& item : listed) {
        const auto name = item.value("name", "");
        if (name.starts_with("raind_guard") && name != table_name(instance))
            found.push_back(name);
    }
    return found;
}

}  // namespace raind::netfilter

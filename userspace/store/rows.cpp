#include "userspace/store/rows.h"

#include <array>
#include <limits>
#include <optional>
#include <utility>

#include "userspace/common/json.h"

namespace raind::store {

namespace {

using core::ContainerState;
using core::NsMode;
using core::PolicyChain;
using core::PolicyStatus;
using core::VolumeState;

template <typename E, std::size_t N>
using Names = std::array<std::pair<E, std::string_view>, N>;

constexpr Names<ContainerState, 4> kStates = {{{ContainerState::Creating, "creating"},
                                               {ContainerState::Created, "created"},
                                               {ContainerState::Running, "running"},
                                               {ContainerState::Stopped, "stopped"}}};
constexpr Names<PolicyChain, 3> kChains = {
    {{PolicyChain::EastWest, "east_west"},
     {PolicyChain::NorthSouthObserve, "north_south_observe"},
     {PolicyChain::NorthSouthEnforce, "north_south_enforce"}}};
constexpr Names<PolicyStatus, 4> kStatuses = {
    {{PolicyStatus::BeforeCommit, "before_commit"},
     {PolicyStatus::Applied, "applied"},
     {PolicyStatus::RemoveNextCommit, "remove_next_commit"},
     {PolicyStatus::Unresolved, "unresolved"}}};
constexpr Names<NsMode, 2> kModes = {{{NsMode::Observe, "observe"}, {NsMode::Enforce, "enforce"}}};

constexpr Names<VolumeState, 4> kVolumeStates = {{{VolumeState::Empty, "empty"},
                                                  {VolumeState::Filling, "filling"},
                                                  {VolumeState::Ready, "ready"},
                                                  {VolumeState::Removing, "removing"}}};

template <typename E, std::size_t N>
std::string_view name_in(const Names<E, N>& names, E value) {
    for (const auto& [known, text] : names)
        if (known == value)
            return text;
    return {};
}

template <typename E, std::size_t N>
Result<E> value_in(const Names<E, N>& names, std::string_view text) {
    for (const auto& [value, known] : names)
        if (known == text)
            return value;
    return Error(Errc::Internal, "unknown value \"" + std::string(text) + "\"");
}

template <typename T>
Json json_of(const std::optional<T>& value) {
    return value ? Json(*value) : Json(nullptr);
}

template <typename T>
Result<std::optional<T>> optional_number(const JsonReader& reader, std::string_view key) {
    if (!reader.has(key))
        return std::optional<T>();
    RAIND_TRY(const std::int64_t value, reader.integer(key, 0, std::numeric_limits<T>::max()));
    return std::optional<T>(static_cast<T>(value));
}

// Our own text, written by json_of: the limit only bounds what a damaged row can cost.
constexpr JsonLimits kOwnJson{.bytes = 16U << 20, .depth = 8};

Json to_json(const std::vector<core::MountRecord>& mounts) {
    Json out = Json::array();
    for (const core::MountRecord& mount : mounts)
        out.push_back({{"kind", mount.kind == core::MountKind::Bind ? "bind" : "volume"},
                       {"source", mount.source},
                       {"target", mount.target},
                       {"read_only", mount.read_only},
                       {"copy", mount.copy}});
    return out;
}

Result<core::MountRecord> mount_of(const Json& json) {
    const JsonReader reader(json, "options.mounts");
    RAIND_CHECK(reader.expect_object());
    core::MountRecord mount;
    RAIND_TRY(const std::string kind, reader.string("kind"));
    if (kind != "bind" && kind != "volume")
        return Error(Errc::Internal, "options.mounts: unknown kind \"" + kind + "\"");
    mount.kind = kind == "bind" ? core::MountKind::Bind : core::MountKind::Volume;
    RAIND_TRY(mount.source, reader.string("source"));
    RAIND_TRY(mount.target, reader.string("target"));
    RAIND_TRY(mount.read_only, reader.boolean("read_only", true));
    RAIND_TRY(mount.copy, reader.boolean("copy", false));
    return mount;
}

Result<std::vector<core::MountRecord>> mounts_of(const Json* list) {
    std::vector<core::MountRecord> out;
    if (list == nullptr)  // written before there were mounts
        return out;
    if (!list->is_array())
        return Error(Errc::Internal, "options.mounts: not a list");
    for (const Json& item : *list) {
        RAIND_TRY(core::MountRecord mount, mount_of(item));
        out.push_back(std::move(mount));
    }
    return out;
}

Result<std::map<std::string, std::string>> map_of(const Json& object) {
    if (!object.is_object())
        return Error(Errc::Internal, "not an object");
    std::map<std::string, std::string> out;
    for (const auto& [key, value] : object.items()) {
        if (!value.is_string())
            return Error(Errc::Internal, key + ": not a text");
        out[key] = value.get_ref<const std::string&>();
    }
    return out;
}

}  // namespace

std::string_view text_of(ContainerState state) {
    return name_in(kStates, state);
}
std::string_view text_of(PolicyChain chain) {
    return name_in(kChains, chain);
}
std::string_view text_of(PolicyStatus status) {
    return name_in(kStatuses, status);
}
std::string_view text_of(NsMode mode) {
    return name_in(kModes, mode);
}
std::string_view text_of(VolumeState state) {
    return name_in(kVolumeStates, state);
}
Result<ContainerState> container_state(std::string_view text) {
    return value_in(kStates, text);
}
Result<PolicyChain> policy_chain(std::string_view text) {
    return value_in(kChains, text);
}
Result<PolicyStatus> policy_status(std::string_view text) {
    return value_in(kStatuses, text);
}
Result<NsMode> ns_mode(std::string_view text) {
    return value_in(kModes, text);
}

Result<VolumeState> volume_state(std::string_view text) {
    return value_in(kVolumeStates, text);
}

std::string text_of(const IpAddress& address) {
    return address.is_zero() ? std::string() : address.to_string();
}

std::string text_of(const Cidr& prefix) {
    return prefix == Cidr() ? std::string() : prefix.to_string();
}

std::string text_of(const MacAddress& mac) {
    return mac == MacAddress() ? std::string() : mac.to_string();
}

Result<IpAddress> ip_address(const std::string& text) {
    if (text.empty())
        return IpAddress();
    return IpAddress::parse(text);
}

Result<Cidr> cidr(const std::string& text) {
    if (text.empty())
        return Cidr();
    return Cidr::parse(text);
}

Result<MacAddress> mac_address(const std::string& text) {
    if (text.empty())
        return MacAddress();
    return MacAddress::parse(text);
}

std::string json_of(const std::vector<std::string>& list) {
    return dump_json(Json(list));
}

namespace {

std::vector<std::string> port_texts(const std::vector<PortMapping>& ports) {
    std::vector<std::string> out;
    for (const PortMapping& port : ports)
        out.push_back(port.to_string());
    return out;
}

}  // namespace

std::string json_of(const std::map<std::string, std::string>& map) {
    return dump_json(Json(map));
}

std::string json_of(const core::ContainerOptions& options) {
    return dump_json(Json{{"command", options.command},
                          {"entrypoint", options.entrypoint},
                          {"env", options.env},
                          {"user", options.user},
                          {"working_dir", options.working_dir},
                          {"hostname", options.hostname},
                          {"read_only", options.read_only},
                          {"cap_add", options.cap_add},
                          {"cap_drop", options.cap_drop},
                          {"labels", options.labels},
                          {"auto_remove", options.auto_remove},
                          {"memory", json_of(options.limits.memory)},
                          {"nano_cpus", json_of(options.limits.nano_cpus)},
                          {"pids", json_of(options.limits.pids)},
                          {"stop_signal", options.stop_signal},
                          {"stop_timeout", json_of(options.stop_timeout)},
                          {"ports", port_texts(options.ports)},
                          {"mounts", to_json(options.mounts)}});
}

Result<std::vector<std::string>> string_list(const std::string& json) {
    RAIND_TRY(const Json list, parse_json(json, kOwnJson));
    if (!list.is_array())
        return Error(Errc::Internal, "not a list");
    std::vector<std::string> out;
    for (const Json& item : list) {
        if (!item.is_string())
            return Error(Errc::Internal, "not a list of texts");
        out.push_back(item.get_ref<const std::string&>());
    }
    return out;
}

Result<std::map<std::string, std::string>> string_map(const std::string& json) {
    RAIND_TRY(const Json object, parse_json(json, kOwnJson));
    return map_of(object);
}

Result<core::ContainerOptions> container_options(const std::string& json) {
    RAIND_TRY(const Json object, parse_json(json, kOwnJson));
    const JsonReader reader(object, "options");
    RAIND_CHECK(reader.expect_object());
    core::ContainerOptions out;
    RAIND_TRY(out.command, reader.strings("command"));
    RAIND_TRY(out.entrypoint, reader.strings("entrypoint"));
    RAIND_TRY(out.env, reader.strings("env"));
    RAIND_TRY(out.user, reader.string("user", ""));
    RAIND_TRY(out.working_dir, reader.string("working_dir", ""));
    RAIND_TRY(out.hostname, reader.string("hostname", ""));
    RAIND_TRY(out.read_only, reader.boolean("read_only", false));
    RAIND_TRY(out.cap_add, reader.strings("cap_add"));
    RAIND_TRY(out.cap_drop, reader.strings("cap_drop"));
    RAIND_TRY(out.auto_remove, reader.boolean("auto_remove", false));
    RAIND_TRY(out.limits.memory, optional_number<std::int64_t>(reader, "memory"));
    RAIND_TRY(out.limits.nano_cpus, optional_number<std::int64_t>(reader, "nano_cpus"));
    RAIND_TRY(out.limits.pids, optional_number<std::int64_t>(reader, "pids"));
    RAIND_TRY(out.stop_signal, reader.string("stop_signal", ""));
    RAIND_TRY(out.stop_timeout, optional_number<int>(reader, "stop_timeout"));
    RAIND_TRY(const auto ports, reader.strings("ports"));
    for (const std::string& text : ports) {
        RAIND_TRY(const PortMapping port, PortMapping::parse(text));
        out.ports.push_back(port);
    }
    if (const Json* labels = reader.child("labels")) {
        RAIND_TRY(out.labels, map_of(*labels).context("options.labels"));
    }
    RAIND_TRY(out.mounts, mounts_of(reader.child("mounts")));
    return out;
}

}  // namespace raind::store

// JSON form of the types in raind/api/types.h, for the daemon and the CLI. encode(x) gives the
// object; decode<T>(json) reads one. Requests refuse unknown fields (an option that is not
// understood must not be dropped silently); answers ignore them, so that an older CLI reads a newer
// daemon. Absent and null mean the default. Include in .cpp files only.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "raind/api/types.h"
#include "raind/result.h"

#include "userspace/common/json.h"

namespace raind::api {

namespace detail {

inline constexpr std::int64_t kMaxInt = std::numeric_limits<int>::max();
inline constexpr std::int64_t kMaxU32 = std::numeric_limits<std::uint32_t>::max();
inline constexpr std::int64_t kMaxI64 = std::numeric_limits<std::int64_t>::max();

inline Result<std::map<std::string, std::string>> string_map(const JsonReader& reader,
                                                             std::string_view key) {
    std::map<std::string, std::string> out;
    const Json* child = reader.child(key);
    if (child == nullptr)
        return out;
    if (!child->is_object())
        return Error(Errc::InvalidArgument, reader.path_of(key) + ": expected an object");
    for (const auto& [name, value] : child->items()) {
        if (!value.is_string())
            return Error(Errc::InvalidArgument,
                         reader.path_of(key) + "." + name + ": expected a string");
        out.emplace(name, value.get_ref<const std::string&>());
    }
    return out;
}

inline Result<std::optional<std::int64_t>> optional_integer(const JsonReader& reader,
                                                            std::string_view key) {
    if (!reader.has(key))
        return std::optional<std::int64_t>();
    RAIND_TRY(const std::int64_t value, reader.integer(key, -1, kMaxI64));
    return std::optional<std::int64_t>(value);
}

inline void put(Json& object, const char* key, const std::optional<std::int64_t>& value) {
    if (value)
        object[key] = *value;
}

inline Json or_null(const std::optional<std::int64_t>& value) {
    return value ? Json(*value) : Json(nullptr);
}

inline Json list_or_null(const std::vector<std::string>& list) {
    return list.empty() ? Json(nullptr) : Json(list);
}

}  // namespace detail

template <typename T>
Result<T> decode(const Json& json);

template <typename T>
Result<std::vector<T>> decode_list(const Json& json) {
    std::vector<T> out;
    if (json.is_null())
        return out;
    if (!json.is_array())
        return Error(Errc::InvalidArgument, "expected a list");
    for (const Json& item : json) {
        RAIND_TRY(T value, decode<T>(item));
        out.push_back(std::move(value));
    }
    return out;
}

template <typename T>
Json encode_list(const std::vector<T>& list) {
    Json out = Json::array();
    for (const T& item : list)
        out.push_back(encode(item));
    return out;
}

// ---- containers

inline Json encode(const CreateContainerRequest& r) {
    Json j{{"image", r.image}, {"command", r.command}, {"port", r.port}, {"mount", r.mount},
           {"env", r.env},     {"network", r.network}, {"tty", r.tty},   {"name", r.name}};
    if (!r.entrypoint.empty())
        j["entrypoint"] = r.entrypoint;
    if (!r.user.empty())
        j["user"] = r.user;
    if (!r.working_dir.empty())
        j["workingDir"] = r.working_dir;
    if (!r.hostname.empty())
        j["hostname"] = r.hostname;
    if (r.read_only)
        j["readOnly"] = true;
    if (!r.cap_add.empty())
        j["capAdd"] = r.cap_add;
    if (!r.cap_drop.empty())
        j["capDrop"] = r.cap_drop;
    if (!r.labels.empty())
        j["labels"] = r.labels;
    if (r.auto_remove)
        j["autoRemove"] = true;
    detail::put(j, "memory", r.memory);
    detail::put(j, "nanoCpus", r.nano_cpus);
    detail::put(j, "pidsLimit", r.pids_limit);
    if (!r.stop_signal.empty())
        j["stopSignal"] = r.stop_signal;
    detail::put(j, "stopTimeout", r.stop_timeout);
    return j;
}

template <>
inline Result<CreateContainerRequest> decode(const Json& json) {
    const JsonReader reader(json, "");
    RAIND_CHECK(reader.expect_object());
    RAIND_CHECK(
        reader.only({"image",    "command",  "port",      "mount",      "env",        "network",
                     "tty",      "name",     "podId",     "entrypoint", "user",       "workingDir",
                     "hostname", "readOnly", "capAdd",    "capDrop",    "labels",     "autoRemove",
                     "memory",   "nanoCpus", "pidsLimit", "stopSignal", "stopTimeout"}));
    CreateContainerRequest r;
    RAIND_TRY(const std::string pod, reader.string("podId", ""));
    if (!pod.empty())
        return Error(Errc::Unsupported, "podId: pods are not supported yet");
    RAIND_TRY(r.image, reader.string("image", ""));
    RAIND_TRY(r.command, reader.strings("command"));
    RAIND_TRY(r.port, reader.strings("port"));
    RAIND_TRY(r.mount, reader.strings("mount"));
    RAIND_TRY(r.env, reader.strings("env"));
    RAIND_TRY(r.network, reader.string("network", ""));
    RAIND_TRY(r.tty, reader.boolean("tty", false));
    RAIND_TRY(r.name, reader.string("name", ""));
    RAIND_TRY(r.entrypoint, reader.strings("entrypoint"));
    RAIND_TRY(r.user, reader.string("user", ""));
    RAIND_TRY(r.working_dir, reader.string("workingDir", ""));
    RAIND_TRY(r.hostname, reader.string("hostname", ""));
    RAIND_TRY(r.read_only, reader.boolean("readOnly", false));
    RAIND_TRY(r.cap_add, reader.strings("capAdd"));
    RAIND_TRY(r.cap_drop, reader.strings("capDrop"));
    RAIND_TRY(r.labels, detail::string_map(reader, "labels"));
    RAIND_TRY(r.auto_remove, reader.boolean("autoRemove", false));
    RAIND_TRY(r.memory, detail::optional_integer(reader, "memory"));
    RAIND_TRY(r.nano_cpus, detail::optional_integer(reader, "nanoCpus"));
    RAIND_TRY(r.pids_limit, detail::optional_integer(reader, "pidsLimit"));
    RAIND_TRY(r.stop_signal, reader.string("stopSignal", ""));
    RAIND_TRY(r.stop_timeout, detail::optional_integer(reader, "stopTimeout"));
    return r;
}

inline Json encode(const PortForward& f) {
    Json j{{"source", f.source}, {"destination", f.destination}, {"protocol", f.protocol}};
    if (!f.address.empty())
        j["address"] = f.address;
    return j;
}

template <>
inline Result<PortForward> decode(const Json& json) {
    const JsonReader reader(json, "forwards");
    RAIND_CHECK(reader.expect_object());
    PortForward f;
    RAIND_TRY(const std::int64_t source, reader.integer("source", 0, 65535, 0));
    RAIND_TRY(const std::int64_t destination, reader.integer("destination", 0, 65535, 0));
    f.source = static_cast<std::uint16_t>(source);
    f.destination = static_cast<std::uint16_t>(destination);
    RAIND_TRY(f.protocol, reader.string("protocol", "tcp"));
    RAIND_TRY(f.address, reader.string("address", ""));
    return f;
}

inline Json encode(const MountInfo& m) {
    return Json{{"type", m.type},
                {"name", m.name},
                {"source", m.source},
                {"destination", m.destination},
                {"readOnly", m.read_only}};
}

inline Json encode(const ContainerInfo& c) {
    Json mounts = Json::array();
    for (const MountInfo& mount : c.mounts)
        mounts.push_back(encode(mount));
    return Json{{"containerId", c.container_id},
                {"name", c.name},
                {"state", c.state},
                {"pid", c.pid},
                {"imageRepository", c.image_repository},
                {"imageReference", c.image_reference},
                {"command", c.command},
                {"address", c.address},
                {"forwards", c.forwards.empty() ? Json(nullptr) : encode_list(c.forwards)},
                {"creatingAt", c.creating_at},
                {"createdAt", c.created_at},
                {"statedAt", c.started_at},
                {"stoppedAt", c.stopped_at},
                {"uid", c.uid},
                {"address6", c.address6},
                {"mac", c.mac},
                {"network", c.network},
                {"hostInterface", c.host_interface},
                {"spiffeId", c.spiffe_id},
                {"identity", c.identity},
                {"endpoint", c.endpoint},
                {"exitCode", c.exit_code},
                {"reason", c.reason},
                {"message", c.message},
                {"userns", {{"first", c.id_first}, {"count", c.id_count}}},
                {"labels", c.labels},
                {"warnings", detail::list_or_null(c.warnings)},
                {"user", c.user},
                {"stopSignal", c.stop_signal},
                {"apparmor", c.apparmor},
                {"limits",
                 {{"memory", detail::or_null(c.memory)},
                  {"nanoCpus", detail::or_null(c.nano_cpus)},
                  {"pids", detail::or_null(c.pids)}}},
                {"mounts", std::move(mounts)}};
}

template <>
inline Result<ContainerInfo> decode(const Json& json) {
    const JsonReader reader(json, "");
    RAIND_CHECK(reader.expect_object());
    const auto u32 = [&reader](std::string_view key) {
        return reader.integer(key, 0, detail::kMaxU32, 0).transform([](std::int64_t v) {
            return static_cast<std::uint32_t>(v);
        });
    };
    ContainerInfo c;
    RAIND_TRY(c.container_id, reader.string("containerId"));
    RAIND_TRY(c.name, reader.string("name", ""));
    RAIND_TRY(c.state, reader.string("state", ""));
    RAIND_TRY(const std::int64_t pid, reader.integer("pid", 0, detail::kMaxInt, 0));
    c.pid = static_cast<int>(pid);
    RAIND_TRY(c.image_repository, reader.string("imageRepository", ""));
    RAIND_TRY(c.image_reference, reader.string("imageReference", ""));
    RAIND_TRY(c.command, reader.strings("command"));
    RAIND_TRY(c.address, reader.string("address", ""));
    if (const Json* forwards = reader.child("forwards"); forwards != nullptr) {
        RAIND_TRY(c.forwards, decode_list<PortForward>(*forwards));
    }
    RAIND_TRY(c.creating_at, reader.string("creatingAt", ""));
    RAIND_TRY(c.created_at, reader.string("createdAt", ""));
    RAIND_TRY(c.started_at, reader.string("statedAt", ""));
    RAIND_TRY(c.stopped_at, reader.string("stoppedAt", ""));
    RAIND_TRY(c.uid, reader.string("uid", ""));
    RAIND_TRY(c.address6, reader.string("address6", ""));
    RAIND_TRY(c.mac, reader.string("mac", ""));
    RAIND_TRY(c.network, reader.string("network", ""));
    RAIND_TRY(c.host_interface, reader.string("hostInterface", ""));
    RAIND_TRY(c.spiffe_id, reader.string("spiffeId", ""));
    RAIND_TRY(c.identity, u32("identity"));
    RAIND_TRY(c.endpoint, u32("endpoint"));
    RAIND_TRY(const std::int64_t code, reader.integer("exitCode", -255, detail::kMaxInt, 0));
    c.exit_code = static_cast<int>(code);
    RAIND_TRY(c.reason, reader.string("reason", ""));
    RAIND_TRY(c.message, reader.string("message", ""));
    if (const Json* range = reader.child("userns"); range != nullptr) {
        const JsonReader ids(*range, "userns");
        RAIND_CHECK(ids.expect_object());
        RAIND_TRY(const std::int64_t first, ids.integer("first", 0, detail::kMaxU32, 0));
        RAIND_TRY(const std::int64_t count, ids.integer("count", 0, detail::kMaxU32, 0));
        c.id_first = static_cast<std::uint32_t>(first);
        c.id_count = static_cast<std::uint32_t>(count);
    }
    RAIND_TRY(c.labels, detail::string_map(reader, "labels"));
    RAIND_TRY(c.warnings, reader.strings("warnings"));
    RAIND_TRY(c.user, reader.string("user", ""));
    RAIND_TRY(c.stop_signal, reader.string("stopSignal", ""));
    RAIND_TRY(c.apparmor, reader.string("apparmor", ""));
    if (const Json* limits = reader.child("limits"); limits != nullptr) {
        const JsonReader values(*limits, "limits");
        RAIND_CHECK(values.expect_object());
        RAIND_TRY(c.memory, detail::optional_integer(values, "memory"));
        RAIND_TRY(c.nano_cpus, detail::optional_integer(values, "nanoCpus"));
        RAIND_TRY(c.pids, detail::optional_integer(values, "pids"));
    }
    return c;
}

inline Json encode(const ExecRequest& r) {
    Json j{{"command", r.command}, {"tty", r.tty}};
    if (r.detach)
        j["detach"] = true;
    if (!r.env.empty())
        j["env"] = r.env;
    if (!r.user.empty())
        j["user"] = r.user;
    if (!r.working_dir.empty())
        j["workingDir"] = r.working_dir;
    return j;
}

template <>
inline Result<ExecRequest> decode(const Json& json) {
    const JsonReader reader(json, "");
    RAIND_CHECK(reader.expect_object());
    RAIND_CHECK(reader.only({"command", "tty", "detach", "env", "user", "workingDir"}));
    ExecRequest r;
    RAIND_TRY(r.command, reader.strings("command"));
    RAIND_TRY(r.tty, reader.boolean("tty", false));
    RAIND_TRY(r.detach, reader.boolean("detach", false));
    RAIND_TRY(r.env, reader.strings("env"));
    RAIND_TRY(r.user, reader.string("user", ""));
    RAIND_TRY(r.working_dir, reader.string("workingDir", ""));
    return r;
}

inline Json encode(const ExecCreated& e) {
    return Json{{"id", e.id}, {"exec_id", e.exec_id}};
}

template <>
inline Result<ExecCreated> decode(const Json& json) {
    const JsonReader reader(json, "");
    RAIND_CHECK(reader.expect_object());
    ExecCreated e;
    RAIND_TRY(e.id, reader.string("id", ""));
    RAIND_TRY(e.exec_id, reader.string("exec_id", ""));
    return e;
}

inline Json encode(const KillRequest& r) {
    return Json{{"signal", r.signal}};
}

template <>
inline Result<KillRequest> decode(const Json& json) {
    const JsonReader reader(json, "");
    RAIND_CHECK(reader.expect_object());
    RAIND_CHECK(reader.only({"signal"}));
    KillRequest r;
    RAIND_TRY(r.signal, reader.string("signal", ""));
    return r;
}

inline Json encode(const WaitResult& r) {
    return Json{{"exit_code", r.exit_code}, {"reason", r.reason}};
}

template <>
inline Result<WaitResult> decode(const Json& json) {
    const JsonReader reader(json, "");
    RAIND_CHECK(reader.expect_object());
    WaitResult r;
    RAIND_TRY(const std::int64_t code, reader.integer("exit_code", -255, detail::kMaxInt));
    r.exit_code = static_cast<int>(code);
    RAIND_TRY(r.reason, reader.string("reason", ""));
    return r;
}

// ---- images

inline Json encode(const ImageRequest& r) {
    Json j{{"image", r.image}};
    if (!r.os.empty())
        j["os"] = r.os;
    if (!r.arch.empty())
        j["arch"] = r.arch;
    return j;
}

template <>
inline Result<ImageRequest> decode(const Json& json) {
    const JsonReader reader(json, "");
    RAIND_CHECK(reader.expect_object());
    RAIND_CHECK(reader.only({"image", "os", "arch"}));
    ImageRequest r;
    RAIND_TRY(r.image, reader.string("image", ""));
    RAIND_TRY(r.os, reader.string("os", ""));
    RAIND_TRY(r.arch, reader.string("arch", ""));
    return r;
}

inline Json encode(const ImageInfo& i) {
    Json json{{"repository", i.repository},
              {"reference", i.reference},
              {"createdAt", i.created_at},
              {"digest", i.digest},
              {"sizeBytes", i.size_bytes}};
    if (i.id.empty())
        return json;
    json["id"] = i.id;
    json["repoTags"] = i.repo_tags.empty() ? Json(nullptr) : Json(i.repo_tags);
    json["repoDigests"] = i.repo_digests;
    json["user"] = i.user;
    return json;
}

template <>
inline Result<ImageInfo> decode(const Json& json) {
    const JsonReader reader(json, "");
    RAIND_CHECK(reader.expect_object());
    ImageInfo i;
    RAIND_TRY(i.repository, reader.string("repository", ""));
    RAIND_TRY(i.reference, reader.string("reference", ""));
    RAIND_TRY(i.created_at, reader.string("createdAt", ""));
    RAIND_TRY(i.digest, reader.string("digest", ""));
    RAIND_TRY(const std::int64_t size, reader.integer("sizeBytes", 0, detail::kMaxI64, 0));
    i.size_bytes = static_cast<std::uint64_t>(size);
    RAIND_TRY(i.id, reader.string("id", ""));
    if (reader.has("repoTags")) {
        RAIND_TRY(i.repo_tags, reader.strings("repoTags"));
    }
    if (reader.has("repoDigests")) {
        RAIND_TRY(i.repo_digests, reader.strings("repoDigests"));
    }
    RAIND_TRY(i.user, reader.string("user", ""));
    return i;
}

// ---- policies

inline Json encode(const AddPolicyRequest& r) {
    return Json{{"chain", r.chain},       {"source", r.source}, {"dest", r.dest},
                {"protocol", r.protocol}, {"dport", r.dport},   {"comment", r.comment}};
}

template <>
inline Result<AddPolicyRequest> decode(const Json& json) {
    const JsonReader reader(json, "");
    RAIND_CHECK(reader.expect_object());
    RAIND_CHECK(reader.only({"chain", "source", "dest", "protocol", "dport", "comment"}));
    AddPolicyRequest r;
    RAIND_TRY(r.chain, reader.string("chain", ""));
    RAIND_TRY(r.source, reader.string("source", ""));
    RAIND_TRY(r.dest, reader.string("dest", ""));
    RAIND_TRY(r.protocol, reader.string("protocol", ""));
    // Whether the number is a port is the policy's rule, with its own text.
    RAIND_TRY(r.dport, reader.integer("dport", -detail::kMaxI64, detail::kMaxI64, 0));
    RAIND_TRY(r.comment, reader.string("comment", ""));
    return r;
}

inline Json encode(const PolicyInfo& p) {
    const auto end = [](const std::string& name, const std::string& address) {
        Json j = Json::object();
        if (!name.empty())
            j["container_name"] = name;
        if (!address.empty())
            j["address"] = address;
        return j;
    };
    Json j{{"id", p.id},
           {"status", p.status},
           {"source", end(p.source_name, "")},
           {"destination", end(p.destination_name, p.destination_address)}};
    if (!p.reason.empty())
        j["reason"] = p.reason;
    if (!p.protocol.empty())
        j["protocol"] = p.protocol;
    if (p.dport != 0)
        j["dport"] = p.dport;
    if (!p.comment.empty())
        j["comment"] = p.comment;
    return j;
}

template <>
inline Result<PolicyInfo> decode(const Json& json) {
    const JsonReader reader(json, "");
    RAIND_CHECK(reader.expect_object());
    PolicyInfo p;
    RAIND_TRY(p.id, reader.string("id"));
    RAIND_TRY(p.status, reader.string("status", ""));
    RAIND_TRY(p.reason, reader.string("reason", ""));
    if (const Json* source = reader.child("source"); source != nullptr) {
        const JsonReader end(*source, "source");
        RAIND_CHECK(end.expect_object());
        RAIND_TRY(p.source_name, end.string("container_name", ""));
    }
    if (const Json* destination = reader.child("destination"); destination != nullptr) {
        const JsonReader end(*destination, "destination");
        RAIND_CHECK(end.expect_object());
        RAIND_TRY(p.destination_name, end.string("container_name", ""));
        RAIND_TRY(p.destination_address, end.string("address", ""));
    }
    RAIND_TRY(p.protocol, reader.string("protocol", ""));
    RAIND_TRY(const std::int64_t dport, reader.integer("dport", 0, 65535, 0));
    p.dport = static_cast<std::uint16_t>(dport);
    RAIND_TRY(p.comment, reader.string("comment", ""));
    return p;
}

inline Json encode(const PolicyList& l) {
    return Json{{"mode", l.mode},
                {"policies_total", l.policies.size()},
                {"policies", encode_list(l.policies)}};
}

template <>
inline Result<PolicyList> decode(const Json& json) {
    const JsonReader reader(json, "");
    RAIND_CHECK(reader.expect_object());
    PolicyList l;
    RAIND_TRY(l.mode, reader.string("mode", ""));
    if (const Json* list = reader.child("policies"); list != nullptr) {
        RAIND_TRY(l.policies, decode_list<PolicyInfo>(*list));
    }
    return l;
}

inline Json encode(const CommitResult& r) {
    return Json{{"revision", r.revision}, {"flows_kept", r.flows_kept}, {"flows_cut", r.flows_cut}};
}

template <>
inline Result<CommitResult> decode(const Json& json) {
    const JsonReader reader(json, "");
    RAIND_CHECK(reader.expect_object());
    const auto u64 = [&reader](std::string_view key) {
        return reader.integer(key, 0, detail::kMaxI64, 0).transform([](std::int64_t v) {
            return static_cast<std::uint64_t>(v);
        });
    };
    CommitResult r;
    RAIND_TRY(r.revision, u64("revision"));
    RAIND_TRY(r.flows_kept, u64("flows_kept"));
    RAIND_TRY(r.flows_cut, u64("flows_cut"));
    return r;
}

// ---- system

inline Json encode(const SystemCheck& c) {
    return Json{{"name", c.name}, {"status", c.status}, {"detail", c.detail}};
}

template <>
inline Result<SystemCheck> decode(const Json& json) {
    const JsonReader reader(json, "");
    RAIND_CHECK(reader.expect_object());
    SystemCheck c;
    RAIND_TRY(c.name, reader.string("name", ""));
    RAIND_TRY(c.status, reader.string("status", ""));
    RAIND_TRY(c.detail, reader.string("detail", ""));
    return c;
}

inline Json encode(const SystemInfo& s) {
    return Json{{"version", s.version},
                {"node", s.node},
                {"kernel", s.kernel},
                {"backend", s.backend},
                {"policy_revision", s.policy_revision},
                {"containers", s.containers},
                {"containers_running", s.containers_running},
                {"management", s.management},
                {"started_at", s.started_at}};
}

template <>
inline Result<SystemInfo> decode(const Json& json) {
    const JsonReader reader(json, "");
    RAIND_CHECK(reader.expect_object());
    const auto u64 = [&reader](std::string_view key) {
        return reader.integer(key, 0, detail::kMaxI64, 0).transform([](std::int64_t v) {
            return static_cast<std::uint64_t>(v);
        });
    };
    SystemInfo s;
    RAIND_TRY(s.version, reader.string("version", ""));
    RAIND_TRY(s.node, reader.string("node", ""));
    RAIND_TRY(s.kernel, reader.string("kernel", ""));
    RAIND_TRY(s.backend, reader.string("backend", ""));
    RAIND_TRY(s.policy_revision, u64("policy_revision"));
    RAIND_TRY(s.containers, u64("containers"));
    RAIND_TRY(s.containers_running, u64("containers_running"));
    RAIND_TRY(s.management, reader.string("management", ""));
    RAIND_TRY(s.started_at, reader.string("started_at", ""));
    return s;
}

}  // namespace raind::api

#include <doctest/doctest.h>

#include "raind/api/codec.h"

using namespace raind;
using namespace raind::api;

namespace {

// What encode() wrote is read back to the same JSON.
template <typename T>
void round_trip(const T& value) {
    const Json json = encode(value);
    const auto parsed = parse_json(dump_json(json));
    REQUIRE(parsed.has_value());
    const auto back = decode<T>(*parsed);
    REQUIRE_MESSAGE(back.has_value(), (back ? "" : back.error().message()));
    CHECK(dump_json(encode(*back)) == dump_json(json));
}

}  // namespace

TEST_CASE("every type survives its JSON form") {
    CreateContainerRequest create;
    create.image = "busybox";
    create.command = {"sh", "-c", "true"};
    create.env = {"A=1"};
    create.entrypoint = {"/x"};
    create.user = "1:1";
    create.working_dir = "/w";
    create.hostname = "h";
    create.read_only = true;
    create.cap_add = {"NET_ADMIN"};
    create.cap_drop = {"ALL"};
    create.labels = {{"a", "b"}};
    create.auto_remove = true;
    create.memory = std::int64_t{1} << 40;
    create.nano_cpus = 0;
    create.pids_limit = -1;
    create.stop_signal = "QUIT";
    create.stop_timeout = 0;
    round_trip(create);
    round_trip(CreateContainerRequest{});
    ContainerInfo info;
    info.container_id = "01kx4m2r7vqa";
    info.identity = 0xffffffff;
    info.id_first = 100000;
    info.id_count = 65536;
    info.exit_code = 137;
    info.started_at = "2026-01-01T00:00:00Z";
    info.warnings = {"w"};
    info.user = "app";
    info.stop_signal = "QUIT";
    info.apparmor = "raind-default";
    info.memory = 1;
    info.pids = 2;
    round_trip(info);
    round_trip(ExecRequest{{"ls"}, false, true, {"A=1"}, "0", "/"});
    round_trip(ExecCreated{"web", "e1"});
    round_trip(KillRequest{"TERM"});
    round_trip(WaitResult{143, "signal"});
    round_trip(ImageRequest{"busybox:1", "linux", "amd64"});
    round_trip(ImageInfo{"library/busybox", "1", "2026-01-01T00:00:00Z", "sha256:00", 12});
    round_trip(ImageInfo{.repository = "library/busybox",
                         .reference = "1",
                         .created_at = "2026-01-01T00:00:00Z",
                         .digest = "sha256:00",
                         .size_bytes = 12,
                         .id = "sha256:11",
                         .repo_tags = {"library/busybox:1"},
                         .repo_digests = {"library/busybox@sha256:00"},
                         .user = "app"});
    round_trip(AddPolicyRequest{"RAIND-EW", "web", "db", "tcp", 70000, "c"});
    round_trip(CommitResult{7, 2, 1});
    round_trip(SystemCheck{"n", "ok", "d"});
    round_trip(SystemInfo{"0.1.0", "n", "6.1", "ebpf", 3, 2, 1, "127.0.0.1:7755", "t"});
    PolicyList list{"deny_by_default", {PolicyInfo{}, PolicyInfo{}}};
    list.policies[0].id = "a";
    list.policies[0].destination_name = "db";
    list.policies[0].dport = 8080;
    list.policies[1].id = "b";
    list.policies[1].destination_address = "192.0.2.1/32";
    list.policies[1].reason = "r";
    round_trip(list);
}

TEST_CASE("published key spellings") {
    ContainerInfo info;
    info.started_at = "t";
    const Json json = encode(info);
    CHECK(json.at("statedAt") == "t");
    CHECK(json.contains("containerId"));
    CHECK_FALSE(json.contains("startedAt"));
    PolicyInfo policy;
    policy.id = "a";
    policy.source_name = "web";
    policy.destination_address = "192.0.2.1";
    CHECK(
        dump_json(encode(policy)) ==
        R"({"destination":{"address":"192.0.2.1"},"id":"a","source":{"container_name":"web"},"status":""})");
}

TEST_CASE("requests refuse unknown fields and wrong types, answers ignore unknown fields") {
    const auto create = [](std::string_view text) {
        return decode<CreateContainerRequest>(*parse_json(text));
    };
    CHECK(create(R"({"image":"a","name":null})").has_value());
    const auto unknown = create(R"({"image":"a","privileged":true})");
    REQUIRE_FALSE(unknown.has_value());
    CHECK(unknown.error().message().find(R"(unknown field "privileged")") != std::string::npos);
    CHECK_FALSE(create(R"({"image":1})").has_value());
    CHECK_FALSE(create(R"({"command":"ls"})").has_value());
    CHECK_FALSE(create(R"({"tty":1})").has_value());
    CHECK_FALSE(create(R"({"labels":{"a":1}})").has_value());
    CHECK_FALSE(create(R"([])").has_value());
    CHECK_FALSE(create(R"({"podId":"p"})").has_value());
    CHECK_FALSE(decode<AddPolicyRequest>(*parse_json(R"({"dport":3.9})")).has_value());
    CHECK_FALSE(decode<AddPolicyRequest>(*parse_json(R"({"dport":true})")).has_value());
    CHECK(decode<ExecCreated>(*parse_json(R"({"id":"a","exec_id":"b","new":1})")).has_value());
    CHECK(decode_list<ImageInfo>(Json(nullptr))->empty());
}

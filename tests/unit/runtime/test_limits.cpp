#include <doctest/doctest.h>

#include "userspace/common/json.h"
#include "userspace/runtime/limits.h"

using namespace raind;
using namespace raind::runtime;

namespace {

constexpr CgroupLimits kAll{.memory = true, .cpu = true, .pids = true, .swap = true};

api::CreateContainerRequest asking(std::optional<std::int64_t> memory,
                                   std::optional<std::int64_t> cpus,
                                   std::optional<std::int64_t> pids) {
    api::CreateContainerRequest request;
    request.memory = memory;
    request.nano_cpus = cpus;
    request.pids_limit = pids;
    return request;
}

}  // namespace

TEST_CASE("limits that make no sense are refused, each with what may stand there") {
    for (const std::int64_t memory :
         {std::int64_t{1}, std::int64_t{6 * 1024 * 1024 - 1}, std::int64_t{-2}, INT64_MAX})
        CHECK(checked_limits(asking(memory, {}, {}), 2).error().code() == Errc::InvalidArgument);
    for (const std::int64_t cpus :
         {std::int64_t{1}, std::int64_t{9'999'999}, std::int64_t{2'000'000'001}, std::int64_t{-5}})
        CHECK(checked_limits(asking({}, cpus, {}), 2).error().message().find("0.01 to 2") !=
              std::string::npos);
    for (const std::int64_t pids : {std::int64_t{-2}, std::int64_t{4'194'305}})
        CHECK_FALSE(checked_limits(asking({}, {}, pids), 2).has_value());
    CHECK(checked_limits(asking(6 << 20, 2'000'000'000, 1), 2).has_value());
    CHECK(*checked_limits(asking(-1, -1, -1), 2) ==
          core::ResourceLimits{.memory = 0, .nano_cpus = 0, .pids = 0});
    CHECK(*checked_limits({}, 2) == core::ResourceLimits{});
}

TEST_CASE("a limit that was asked for needs its controller, a default does not") {
    const core::ResourceLimits asked{.memory = 1 << 30};
    CHECK(check_controllers(asked, kAll).has_value());
    CHECK(check_controllers(asked, {.cpu = true, .pids = true}).error().code() ==
          Errc::Unsupported);
    CHECK(check_controllers({.nano_cpus = 1}, {.memory = true}).error().message().find("CPU") !=
          std::string::npos);
    CHECK_FALSE(check_controllers({.pids = 1}, {}).has_value());
    CHECK(check_controllers({}, {}).has_value());
    CHECK(check_controllers({.memory = 0, .nano_cpus = 0, .pids = 0}, {}).has_value());
}

TEST_CASE("the resources of the bundle: defaults, requests, none") {
    const Json usual = make_resources({}, kAll);
    CHECK(usual.at("memory") == Json{{"limit", 1 << 30}, {"swap", 1 << 30}});
    CHECK(usual.at("cpu") == Json{{"quota", 80000}, {"period", 100000}});
    CHECK(usual.at("pids").at("limit") == 512);
    CHECK(make_resources({}, {.memory = true}).at("memory") == Json{{"limit", 1 << 30}});
    CHECK(make_resources({}, {}).size() == 1);
    const Json asked =
        make_resources({.memory = 50 << 20, .nano_cpus = 250'000'000, .pids = 20}, kAll);
    CHECK(asked.at("memory").at("limit") == 50 << 20);
    CHECK(asked.at("memory").at("swap") == 50 << 20);
    CHECK(asked.at("cpu").at("quota") == 25000);
    CHECK(asked.at("pids").at("limit") == 20);
    const Json none = make_resources({.memory = 0, .nano_cpus = 0, .pids = 0}, kAll);
    CHECK(none.size() == 1);
    CHECK(none.at("devices")[0].at("allow") == false);
}

TEST_CASE("what inspect says comes from the bundle") {
    api::ContainerInfo info;
    describe_bundle(
        Json{{"linux", {{"resources", make_resources({.nano_cpus = 70'000'000}, kAll)}}},
             {"process", {{"apparmorProfile", "raind-default"}}}},
        info);
    CHECK(info.memory == 1 << 30);
    CHECK(info.nano_cpus == 70'000'000);
    CHECK(info.pids == 512);
    CHECK(info.apparmor == "raind-default");
    api::ContainerInfo nothing;
    for (const Json& odd : {Json(), Json(1), Json{{"linux", nullptr}}, Json{{"process", {1, 2}}}})
        describe_bundle(odd, nothing);
    CHECK_FALSE(nothing.memory.has_value());
    CHECK(nothing.apparmor.empty());
}

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "userspace/image/config.h"

using namespace raind::image;

namespace {

const std::string kRootfs =
    R"("rootfs":{"type":"layers","diff_ids":["sha256:)" + std::string(64, 'c') + R"("]})";

std::string with_config(const std::string& config) {
    return R"({"os":"linux","architecture":"amd64",)" + kRootfs + R"(,"config":)" + config + "}";
}

}  // namespace

TEST_CASE("configuration: everything") {
    const auto config = parse_config(with_config(
        R"({"Env":["A=1","EMPTY=","B=x=y"],"Cmd":["sh","-c","echo $A"],"Entrypoint":["/init"],
            "User":"app:www","WorkingDir":"/srv","StopSignal":"SIGWINCH","Labels":{"a":"b"},
            "ExposedPorts":{"80/tcp":{}},"Volumes":{"/data":{}},"Unknown":[1]})"));
    REQUIRE(config.has_value());
    CHECK(config->platform.str() == "linux/amd64");
    CHECK(config->env == std::vector<std::string>{"A=1", "EMPTY=", "B=x=y"});
    CHECK(config->cmd == std::vector<std::string>{"sh", "-c", "echo $A"});
    CHECK(config->entrypoint == std::vector<std::string>{"/init"});
    CHECK(config->user == "app:www");
    CHECK(config->working_dir == "/srv");
    CHECK(config->stop_signal == "SIGWINCH");
    CHECK(config->labels.at("a") == "b");
    CHECK(config->exposed_ports == std::vector<std::string>{"80/tcp"});
    CHECK(config->volumes == std::vector<std::string>{"/data"});
    CHECK(config->diff_ids.size() == 1);
}

TEST_CASE("configuration: nothing but the file system") {
    const auto config = parse_config("{" + kRootfs + "}");
    REQUIRE(config.has_value());
    CHECK(config->env.empty());
    CHECK(config->user.empty());
    CHECK(parse_config(with_config("null")).has_value());
    CHECK(parse_config(with_config(R"({"Env":null,"Cmd":null,"Labels":null})")).has_value());
}

TEST_CASE("configuration: wrong values are named") {
    const auto message = [](const std::string& text) {
        const auto config = parse_config(text);
        REQUIRE_FALSE(config.has_value());
        return config.error().message();
    };
    const auto has = [](const std::string& text, std::string_view part) {
        return text.find(part) != std::string::npos;
    };
    CHECK(has(message("{}"), "rootfs"));
    CHECK(has(message("not json"), "not valid JSON"));
    CHECK(has(message(R"({"rootfs":{"type":"tree","diff_ids":[]}})"), "layers"));
    CHECK(has(message(R"({"rootfs":{"type":"layers","diff_ids":["md5:1"]}})"), "md5"));
    CHECK(has(message(with_config(R"({"Env":"A=1"})")), "config.Env"));
    CHECK(has(message(with_config(R"({"Env":["A"]})")), "NAME=VALUE"));
    CHECK(has(message(with_config(R"({"Env":["=x"]})")), "NAME=VALUE"));
    CHECK(has(message(with_config(R"({"Env":["A=a\u0000b"]})")), "zero byte"));
    CHECK(has(message(with_config(R"({"Cmd":[1]})")), "config.Cmd"));
    CHECK(has(message(with_config(R"({"User":7})")), "config.User"));
    CHECK(has(message(with_config(R"({"Labels":{"a":1}})")), "Labels"));
    CHECK(has(message(with_config("[]")), "config"));
    CHECK(has(message(with_config(R"({"User":")" + std::string(200'000, 'x') + "\"}")),
              "longer than"));
}

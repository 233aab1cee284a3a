#include <doctest/doctest.h>

#include "cli/container_view.h"
#include "userspace/common/json.h"

using namespace raind::cli;  // NOLINT: one module under test

TEST_CASE("familiar names of images") {
    CHECK(familiar_repository("library/nginx") == "nginx");
    CHECK(familiar_repository("docker.io/library/nginx") == "nginx");
    CHECK(familiar_repository("team/frontend") == "team/frontend");
    CHECK(familiar_repository("127.0.0.1:5000/library/x") == "127.0.0.1:5000/library/x");
    CHECK(familiar_image("library/nginx", "latest") == "nginx:latest");
    CHECK(familiar_image("a/b", "sha256:00") == "a/b@sha256:00");
}

TEST_CASE("the command is cut at 20 characters") {
    CHECK(command_cell({"sleep", "600"}, true) == "\"sleep 600\"");
    CHECK(command_cell({"1234567890123456789"}, true) == "\"1234567890123456789\"");
    CHECK(command_cell({"12345678901234567890"}, true) == "\"12345678901234567890…\"");
    CHECK(command_cell({"docker-entrypoint.sh", "postgres"}, true) == "\"docker-entrypoint.sh…\"");
    CHECK(command_cell({"docker-entrypoint.sh", "postgres"}, false) ==
          "\"docker-entrypoint.sh postgres\"");
    CHECK(command_cell({"äöüäöüäöüäöüäöüäöüäöü"}, true) == "\"äöüäöüäöüäöüäöüäöüäö…\"");
    CHECK(command_cell({}, true) == "\"\"");
    CHECK(command_cell({"\x1b"}, true) == "\"\\x1b\"");
}

TEST_CASE("ports") {
    const auto ports = [](const char* text) { return ports_cell(*raind::parse_json(text)); };
    CHECK(ports(R"({"forwards":null})").empty());
    CHECK(ports(R"({})").empty());
    CHECK(ports(R"({"forwards":[{"source":8080,"destination":80,"protocol":"tcp"},)"
                R"({"source":53,"destination":53,"protocol":"udp"}]})") ==
          "0.0.0.0:8080->80/tcp,0.0.0.0:53->53/udp");
    CHECK(ports(R"({"forwards":[{"source":1,"destination":2,"protocol":"tcp","address":"::"},)"
                R"({"source":3,"destination":4,"protocol":"udp","address":"127.0.0.1"}]})") ==
          "[::]:1->2/tcp,127.0.0.1:3->4/udp");
    CHECK(ports(R"({"forwards":[7,{"source":70000}]})").empty());
}

TEST_CASE("created, else creating, else nothing") {
    raind::api::ContainerInfo info;
    CHECK(created_cell(info, 1000).empty());
    info.creating_at = "1970-01-01T00:00:00Z";
    info.created_at = "0001-01-01T00:00:00Z";
    CHECK(created_cell(info, 120) == "2 minutes ago");
    info.created_at = "1970-01-01T00:01:00Z";
    CHECK(created_cell(info, 120) == "1 minutes ago");
}

#include <doctest/doctest.h>

#include "cli/api_client.h"

using namespace raind::cli;  // NOLINT: one module under test

namespace {

CliError error(int status, const std::string& body) {
    HttpAnswer answer;
    answer.status = status;
    answer.body = body;
    answer.request_id = "head";
    return answer_error(answer, "start container \"web\"");
}

}  // namespace

TEST_CASE("prefixes of the daemon's parts are not shown") {
    CHECK(strip_prefixes("service failed: pull failed: x") == "x");
    CHECK(strip_prefixes("invalid json: json: unknown field \"x\"") == "json: unknown field \"x\"");
    CHECK(strip_prefixes("x service failed: y") == "x service failed: y");
    CHECK(strip_prefixes("") == "");
}

TEST_CASE("what an error answer says") {
    const CliError plain =
        error(404, R"({"status":"fail","message":"service failed: container: web not found"})");
    CHECK(plain.exit_code == kExitFailed);
    CHECK(plain.message == "cannot start container \"web\": container: web not found");
    CHECK(plain.hint == "raind container ls shows the containers");
    CHECK(plain.headline.empty());
    CHECK(plain.request_id == "head");
    CHECK(error(500, R"({"status":"fail","message":"x","request_id":"r1"})").request_id == "r1");
    CHECK(error(500, R"({"status":"fail"})").message ==
          "cannot start container \"web\": status 500");
    CHECK(error(500, R"({"message":7})").message == "cannot start container \"web\": status 500");
    CHECK(error(502, "").message == "cannot start container \"web\": status 502: no explanation");
    CHECK(error(502, "\x1b[1m").message == "cannot start container \"web\": status 502: \\x1b[1m");
}

TEST_CASE("codes that have an exit code of their own") {
    CHECK(error(500, R"({"code":"command_not_found","message":"x"})").exit_code == 127);
    CHECK(error(500, R"({"code":"command_not_executable","message":"x"})").exit_code == 126);
    CHECK(error(500, R"({"code":"internal","message":"x"})").exit_code == 1);
    // As the runtime words it.
    const auto launch = [](const std::string& text) {
        return error(404, R"({"code":"not_found","message":"service failed: exec: \"a\": )" + text +
                              R"("})")
            .exit_code;
    };
    CHECK(launch("executable file not found in $PATH (a: not found in PATH)") == 127);
    CHECK(launch("/a: No such file or directory") == 127);
    CHECK(launch("/a: Permission denied") == 126);
    CHECK(launch("/a: Exec format error") == 126);
    CHECK(launch("container: a not found") == 1);
    CHECK(error(404, R"({"code":"not_found","message":"layer: No such file or directory"})")
              .exit_code == 1);
}

TEST_CASE("a refused identity is trouble with the connection, a refused request is not") {
    CHECK(error(403, "forbidden").headline ==
          "Cannot connect to the Raind daemon. Is the raind daemon running?");
    CHECK(error(401, "client certificate required").headline.starts_with("Cannot connect"));
    CHECK(error(403, R"({"status":"fail","message":"role viewer"})").headline.empty());
}

#include <algorithm>
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <set>

#include "userspace/api/audit.h"
#include "userspace/api/envelope.h"
#include "userspace/api/openapi.h"
#include "userspace/api/routes.h"

using namespace raind;
using namespace raind::api;

TEST_CASE("severities and results") {
    CHECK(raised(Severity::Information) == Severity::Low);
    CHECK(raised(Severity::High) == Severity::Critical);
    CHECK(raised(Severity::Critical) == Severity::Critical);
    for (const int code : {101, 200, 201, 302})
        CHECK(audit_status(code) == "allow");
    for (const int code : {0, 401, 403})
        CHECK(audit_status(code) == "deny");
    for (const int code : {400, 404, 408, 413, 499, 500, 503})
        CHECK(audit_status(code) == "error");
}

TEST_CASE("a record is one line of valid UTF-8 in the published form") {
    const auto dir = TempDir::make(stdfs::temp_directory_path(), "raind-audit");
    const stdfs::path path = dir->path() / "raind_audit.jsonl";
    auto log = AuditLog::open(path, "node1");
    REQUIRE(log.has_value());
    AuditEntry entry;
    entry.begun = wall_now();
    entry.correlation_id = (*log)->next_correlation_id();
    entry.severity = Severity::Medium;
    entry.spiffe_id = "spiffe://raind/cli/admin";
    entry.action = "container.create";
    entry.path = "/v1/\xff\n" + std::string(10000, 'a');
    entry.code = 404;
    entry.reason = "line\nbreak";
    (*log)->write(entry, nlohmann::json{{"command", {"\x80\x1b[31m"}}});
    const std::string text = *read_file(path);
    CHECK(std::ranges::count(text, '\n') == 1);
    CHECK(text.find('\x1b') == std::string::npos);
    const auto record = nlohmann::json::parse(text);
    CHECK(record["severity"] == "high");
    CHECK(record["result"]["reason"] == "line\nbreak");
    CHECK_FALSE(record["result"].contains("bytes"));
    CHECK_FALSE(record["result"].contains("latence_ms"));
    CHECK(record["request"]["path"].get<std::string>().size() < 5000);
    CHECK(text.starts_with("{\"generated_ts\":\""));
    std::set<std::string> keys;
    for (const auto& [key, value] : record.items())
        keys.insert(key);
    CHECK(keys == std::set<std::string>{"generated_ts", "event_id", "correlation_id", "severity",
                                        "actor", "action", "target", "request", "result",
                                        "runtime"});
    CHECK((*log)->ready().has_value());
    stdfs::remove_all(dir->path());
    CHECK_FALSE((*log)->ready().has_value());
}

TEST_CASE("the envelope leaves out what is empty") {
    CHECK(success("m").body == "{\"status\":\"success\",\"message\":\"m\"}\n");
    CHECK(success("", nlohmann::json::array()).body == "{\"status\":\"success\"}\n");
    const auto failed = failure("p: ", Error(Errc::Conflict, "\xff x"));
    CHECK(failed.status == 409);
    CHECK(nlohmann::json::parse(failed.body)["message"] == "p: \xef\xbf\xbd x");
}

TEST_CASE("the route table") {
    std::set<std::string> seen;
    for (const Route* route : all_routes()) {
        CHECK(seen.insert(std::string(route->method) + " " + std::string(route->pattern)).second);
        CHECK((route->function == nullptr) == (route->kind == http::CallKind::Upgrade));
        CHECK((route->effect == Effect::Changes) ==
              (route->method != "GET" || route->kind == http::CallKind::Upgrade));
        CHECK(find_route(route->method, route->pattern == "/v1/policies/{chain}"
                                            ? "/v1/policies/RAIND-EW"
                                            : route->pattern)
                  .route == route);
    }
    CHECK(find_route("GET", "/v1/containers/a%2Fb").param == "a/b");
    CHECK(find_route("GET", "/v1/containers/a/b").route == nullptr);
    CHECK(find_route("POST", "/v1/policies/commit").route->action == "policy.commit");
    CHECK(find_route("DELETE", "/v1/policies/commit").route->action == "policy.delete");
}

TEST_CASE("the description names every route") {
    const auto document = nlohmann::json::parse(openapi_text());
    std::size_t operations = 0;
    for (const auto& [path, item] : document["paths"].items())
        operations += item.size();
    CHECK(operations == all_routes().size());
    CHECK(document["paths"]["/v1/containers/{c}"]["get"]["parameters"][0]["name"] == "c");
    CHECK(document["paths"]["/v1/containers/{c}/exec/attach"]["get"]["responses"].contains("101"));
}

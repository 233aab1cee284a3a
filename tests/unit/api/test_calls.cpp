#include <algorithm>
#include <doctest/doctest.h>
#include <iterator>

#include "tests/unit/api/api_fixture.h"

using namespace raind;
using namespace raind::test;
using std::chrono::milliseconds;

namespace {

struct PublishedCall {
    const char* method;
    const char* target;
    const char* body;
    int status;
    const char* expected;  // the body, or its beginning
};

constexpr PublishedCall kPublished[] = {
    {"POST", "/v1/containers", R"({"image":"busybox"})", 200,
     R"({"status":"success","message":"cotainer created","data":{"id":"01kx4m2r7vqa"}})"},
    {"POST", "/v1/containers", R"({"image":"b","name":"taken"})", 409,
     R"({"status":"fail","code":"already_exists","message":"service failed: name: taken already used by other container")"},
    {"GET", "/v1/containers/web", "", 200,
     R"({"status":"success","message":"retrieve container info success","data":{)"},
    {"GET", "/v1/containers/none", "", 404,
     R"({"status":"fail","code":"not_found","message":"container: none not found")"},
    {"POST", "/v1/containers/web/actions/start", R"({"tty":false})", 200,
     R"({"status":"success","message":"container started","data":{"id":"web"}})"},
    {"POST", "/v1/containers/none/actions/start", "", 404,
     R"({"status":"fail","code":"not_found","message":"service failed: container: none not found")"},
    {"POST", "/v1/containers/web/actions/stop", "", 200,
     R"({"status":"success","message":"container stopped","data":{"id":"web"}})"},
    {"POST", "/v1/containers/web/actions/kill", R"({"signal":"TERM"})", 200,
     R"({"status":"success","message":"container killed")"},
    {"POST", "/v1/containers/web/actions/exec", R"({"command":["ls"],"tty":false})", 200,
     R"({"status":"success","message":"container executed","data":{"exec_id":"e1","id":"web"}})"},
    {"DELETE", "/v1/containers/web/actions/delete", "", 200,
     R"({"status":"success","message":"container deleted","data":{"id":"web"}})"},
    {"GET", "/v1/containers/quick/wait", "", 200,
     R"({"status":"success","message":"container ended","data":{"exit_code":143,"reason":"signal"}})"},
    {"GET", "/v1/containers/web/log?tail_lines=2", "", 200, "first line\nsecond line\n"},
    {"GET", "/v1/containers/web/log?tail_lines=x", "", 400,
     R"({"status":"fail","code":"invalid_argument","message":"invalid tail_lines")"},
    {"GET", "/v1/containers/web/log?tail_lines=5001", "", 400,
     R"({"status":"fail","code":"invalid_argument","message":"tail failed: invalid tail lines: max=5000")"},
    {"GET", "/v1/containers/none/log?tail_lines=1", "", 404,
     R"({"status":"fail","code":"not_found","message":"tail failed: container: none not found")"},
    {"GET", "/v1/containers/web/logpath", "", 200,
     R"({"status":"success","message":"log path","data":"/x/web"})"},
    {"GET", "/v1/images", "", 200,
     R"({"status":"success","message":"retrieve image list success"})"},
    {"POST", "/v1/images", R"({"image":"busybox"})", 200,
     R"({"status":"success","message":"pull completed","data":{"image":"busybox"}})"},
    {"POST", "/v1/images", R"({"image":"gone"})", 502,
     R"({"status":"fail","code":"unavailable","message":"pull failed: registry does not answer")"},
    {"DELETE", "/v1/images", R"({"image":"busybox"})", 200,
     R"({"status":"success","message":"remove completed")"},
    {"GET", "/v1/images/status?image=busybox%3A1", "", 200,
     R"({"status":"success","message":"retrieve image status success")"},
    {"GET", "/v1/images/status", "", 400,
     R"({"status":"fail","code":"invalid_argument","message":"missing image query")"},
    {"POST", "/v1/registries", R"({"registry":"R.test","username":"u","password":"right"})", 200,
     R"({"status":"success","message":"login completed","data":{"registry":"r.test","username":"u"}})"},
    {"POST", "/v1/registries", R"({"registry":"r.test","username":"u","password":"hunter2"})", 403,
     R"({"status":"fail","code":"forbidden","message":"login failed: registry r.test: wrong")"},
    {"POST", "/v1/registries", R"({"username":"u","password":hunter2})", 400,
     R"({"status":"fail","code":"invalid_argument","message":"invalid json: the body is not valid JSON")"},
    {"POST", "/v1/registries", R"({"username":"u"})", 400,
     R"({"status":"fail","code":"invalid_argument","message":"invalid json: password: expected a string")"},
    {"DELETE", "/v1/registries/r.test%3A5000", "", 200,
     R"({"status":"success","message":"logout completed","data":{"registry":"r.test:5000","removed":true}})"},
    {"GET", "/v1/volumes", "", 200,
     R"({"status":"success","message":"retrieve volume list success","data":[{"createdAt":"","labels":{},"mountpoint":"","name":"db","state":"ready","users":["web"]}]})"},
    {"POST", "/v1/volumes", R"({"name":"db","labels":{"a":"b"}})", 200,
     R"({"status":"success","message":"volume created","data":{"createdAt":"","labels":{"a":"b"},"mountpoint":"","name":"db","state":"empty","users":[]}})"},
    {"POST", "/v1/volumes", R"({"name":"db","driver":"nfs"})", 400,
     R"({"status":"fail","code":"invalid_argument","message":"invalid json: json: unknown field \"driver\"")"},
    {"GET", "/v1/volumes/db", "", 200,
     R"({"status":"success","message":"retrieve volume info success","data":{)"},
    {"GET", "/v1/volumes/..%2Fx", "", 404,
     R"({"status":"fail","code":"not_found","message":"service failed: volume: ../x not found")"},
    {"DELETE", "/v1/volumes/other", "", 200,
     R"({"status":"success","message":"volume deleted","data":{"name":"other"}})"},
    {"DELETE", "/v1/volumes/db", "", 409,
     R"({"status":"fail","code":"conflict","message":"service failed: volume: db is used by container web")"},
    {"GET", "/v1/policies/RAIND-EW", "", 200,
     R"({"status":"success","data":{"mode":"deny_by_default","policies":[],"policies_total":0}})"},
    {"GET", "/v1/policies/NONE", "", 400,
     R"({"status":"fail","code":"invalid_argument","message":"service failed: Chain: NONE is invalid")"},
    {"POST", "/v1/policies",
     R"({"chain":"RAIND-EW","source":"web","dest":"db","protocol":"tcp","dport":8080,"comment":""})",
     200,
     R"({"status":"success","message":"policy created","data":{"id":"01kx5b6g2h7j8k9m0n1p2q3r4s"}})"},
    {"POST", "/v1/policies", R"({"chain":"RAIND-EW","dport":70000})", 400,
     R"({"status":"fail","code":"invalid_argument","message":"service failed: dport: not a port","data":{)"},
    {"DELETE", "/v1/policies/01kx", "", 200,
     R"({"status":"success","message":"request accept. remove next commit"})"},
    {"POST", "/v1/policies/commit", "", 200,
     R"({"status":"success","message":"policy committed","data":{"flows_cut":1,"flows_kept":2,"revision":7}})"},
    {"POST", "/v1/policies/revert", "", 200, R"({"status":"success","message":"policy reverted"})"},
    {"POST", "/v1/policies/ns/mode", R"({"mode":"enforce"})", 200,
     R"({"status":"success","message":"North-South Mode changed","data":{"mode":"enforce"}})"},
    {"GET", "/v1/logs/netflow?tail_lines=3", "", 200, "{\"n\":3}\n"},
    {"GET", "/v1/logs/netflow?tail_lines=-1", "", 400,
     R"({"status":"fail","code":"invalid_argument","message":"invalid  tail_lines")"},
    {"GET", "/v1/system/info", "", 200, R"({"status":"success","message":"system info","data":{)"},
    {"GET", "/v1/system/check", "", 200,
     R"({"status":"success","message":"system check","data":[{"detail":"","name":"tcx","status":"ok"}]})"},
};

}  // namespace

TEST_CASE("the routes answer in the published form") {
    ApiFixture api;
    TlsClient client(api.client());
    const auto ask = [&client](const char* method, const char* target, const char* body = "") {
        const auto answer = client.request(method, target, body);
        REQUIRE(answer.has_value());
        return *answer;
    };
    for (const PublishedCall& c : kPublished) {
        CAPTURE(c.target);
        const Answer answer = ask(c.method, c.target, c.body);
        CHECK(answer.status == c.status);
        CHECK(answer.body.substr(0, std::string_view(c.expected).size()) == c.expected);
        CHECK(answer.headers.contains("x-request-id"));
    }
    CHECK(api.fake.containers.last_signal == "TERM");
    // Without a number of lines the published answer is empty.
    CHECK(ask("GET", "/v1/logs/netflow").body.empty());
    CHECK(ask("GET", "/v1/containers/web/log").body.empty());
    // The whole conversation ran over one connection.
    CHECK(api.audit().size() == std::size(kPublished) + 2);
}

TEST_CASE("one audit record for each call") {
    ApiFixture api;
    TlsClient client(api.client());
    client.request("POST", "/v1/containers/web/actions/exec?x=y",
                   R"({"command":["sh","-c","\u0007"]})");
    client.request("POST", "/v1/policies",
                   R"({"chain":"RAIND-EW","source":"web","dest":"db","dport":80})");
    client.request("GET", "/v1/containers");
    const auto audit = api.audit_of(3);
    const auto& exec = audit[0];
    CHECK(exec["action"] == "container.exec");
    CHECK(exec["severity"] == "high");
    CHECK(exec["actor"]["spiffe_id"] == "spiffe://raind/cli/admin");
    CHECK(exec["actor"]["certt_fingerprint"] ==
          pki::Certificate::from_pem(api.client().certificate_pem)->fingerprint());
    CHECK(exec["actor"]["peer_ip"] == "127.0.0.1");
    CHECK(exec["target"]["container_id"] == "01kx0000web");
    CHECK(exec["target"]["container_name"] == "web");
    CHECK(exec["target"]["command"] == nlohmann::json{"sh", "-c", "\a"});
    CHECK(exec["request"] == nlohmann::json{{"method", "POST"},
                                            {"path", "/v1/containers/web/actions/exec"},
                                            {"host", "localhost"}});
    CHECK(exec["result"]["status"] == "allow");
    CHECK(exec["result"]["code"] == 200);
    CHECK(exec["result"]["bytes"].get<int>() > 0);
    CHECK(exec["runtime"] == nlohmann::json{{"component", "condenser"}, {"node", "node1"}});
    CHECK(exec["event_id"].get<std::string>().size() == 36);
    CHECK(exec["correlation_id"].get<std::string>().starts_with("node1/"));
    CHECK(exec["generated_ts"].get<std::string>().ends_with("Z"));
    CHECK(audit[1]["action"] == "policy.add");
    CHECK(audit[1]["target"]["policy_id"] == "01kx5b6g2h7j8k9m0n1p2q3r4s");
    CHECK(audit[1]["target"]["dport"] == 80);
    CHECK(audit[2]["severity"] == "information");
    CHECK(audit[0]["correlation_id"] != audit[1]["correlation_id"]);
}

TEST_CASE("an exception of a service is an answer without its text") {
    ApiFixture api;
    api.fake.containers.throws = true;
    TlsClient client(api.client());
    const auto answer = client.request("GET", "/v1/containers");
    CHECK(answer->status == 500);
    CHECK(answer->body.find("secret") == std::string::npos);
    api.fake.containers.throws = false;
    CHECK(client.request("GET", "/v1/containers")->status == 200);
}

TEST_CASE("a chunked body and pipelined requests") {
    ApiFixture api;
    TlsClient client(api.client());
    client.send(
        "POST /v1/images HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        "9\r\n{\"image\":\r\n4\r\n\"b\"}\r\n0\r\n\r\n"
        "GET /v1/containers HTTP/1.1\r\nHost: x\r\n\r\n"
        "POST /v1/policies/commit HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(parsed(*client.answer())["message"] == "pull completed");
    CHECK(parsed(*client.answer())["message"] == "retrieve container list success");
    CHECK(parsed(*client.answer())["message"] == "policy committed");
    CHECK(client.at_end());
    CHECK(api.fake.changes == 2);
}

TEST_CASE("what the library would do on its own is off") {
    ApiFixture api;
    TlsClient client(api.client());
    client.send(
        "GET /v1/containers/web HTTP/1.1\r\nHost: x\r\nRange: bytes=0-3\r\n"
        "Accept-Encoding: gzip, br\r\n\r\n");
    const auto answer = client.answer();
    CHECK(answer->status == 200);
    CHECK_FALSE(answer->headers.contains("content-encoding"));
    CHECK(parsed(*answer)["status"] == "success");
    const std::string form = R"({"image":"b"})";
    client.send(
        "POST /v1/images HTTP/1.1\r\nHost: x\r\nContent-Type: "
        "application/x-www-form-urlencoded\r\nContent-Length: " +
        std::to_string(form.size()) + "\r\n\r\n" + form);
    CHECK(client.answer()->status == 200);
    client.send(
        "POST /v1/images HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n"
        "Content-Length: 3\r\n\r\nabc");
    CHECK(client.answer()->status == 415);
}

TEST_CASE("a followed log streams, ends with the container, and is given up with its client") {
    ApiFixture api;
    {
        TlsClient client(api.client());
        const auto answer = client.request("GET", "/v1/containers/quick/log?follow=1&tail_lines=2");
        CHECK(answer->status == 200);
        CHECK(answer->headers.at("transfer-encoding") == "chunked");
        CHECK(answer->body == "first line\nsecond line\nmore\nmore\nmore\n");
        CHECK(client.request("GET", "/v1/containers")->status == 200);
    }
    api.fake.containers.log_ended = false;
    TlsClient client(api.client());
    client.send("GET /v1/containers/web/log?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(client.read_until("more").find("200 OK") != std::string::npos);
    client.close();
    for (int i = 0; i < 1000 && !api.fake.containers.log_ended; ++i)
        std::this_thread::sleep_for(milliseconds(5));
    CHECK(api.fake.containers.log_ended);
    const auto audit = api.audit_of(3);
    CHECK(audit[2]["action"] == "container.log");
}

TEST_CASE("waiting is given up with its client and at stop") {
    ApiFixture api;
    {
        TlsClient client(api.client());
        client.send("GET /v1/containers/web/wait HTTP/1.1\r\nHost: x\r\n\r\n");
        std::this_thread::sleep_for(milliseconds(50));
        CHECK_FALSE(api.fake.containers.wait_stopped);
        client.close();
        for (int i = 0; i < 1000 && !api.fake.containers.wait_stopped; ++i)
            std::this_thread::sleep_for(milliseconds(5));
        CHECK(api.fake.containers.wait_stopped);
    }
    api.fake.containers.wait_stopped = false;
    TlsClient client(api.client());
    client.send("GET /v1/containers/web/wait HTTP/1.1\r\nHost: x\r\n\r\n");
    std::this_thread::sleep_for(milliseconds(50));
    api.server->stop();
    CHECK(api.fake.containers.wait_stopped);
}

TEST_CASE("long calls do not stop short ones, and are capped per identity") {
    api::http::Limits limits;
    limits.short_calls = 2;
    limits.long_calls_per_identity = 8;
    ApiFixture api(limits);
    std::vector<std::unique_ptr<TlsClient>> waiting;
    for (int i = 0; i < 8; ++i) {
        waiting.push_back(std::make_unique<TlsClient>(api.client()));
        waiting.back()->send("GET /v1/containers/web/wait HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    TlsClient client(api.client());
    int status = 0;
    for (int i = 0; i < 200 && status != 429; ++i) {
        status = client.request("GET", "/v1/containers/quick/wait")->status;
        std::this_thread::sleep_for(milliseconds(5));
    }
    CHECK(status == 429);
    CHECK(client.request("GET", "/v1/containers")->status == 200);
}

TEST_CASE("200 clients at once lose no connection") {
    // A busy machine is no slow client.
    api::http::Limits limits;
    limits.handshake = limits.first_head = limits.send = std::chrono::minutes(2);
    ApiFixture api(limits);
    api.fake.containers.busy_ms = 1;
    std::atomic<int> served = 0;
    const auto begun = std::chrono::steady_clock::now();
    {
        std::vector<std::jthread> threads;
        threads.reserve(200);
        for (int i = 0; i < 200; ++i) {
            threads.emplace_back([&api, &served] {
                TlsClient client(api.client());
                const auto answer = client.request("GET", "/v1/containers");
                served += answer && answer->status == 200 ? 1 : 0;
            });
        }
    }
    const auto took =
        std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begun);
    MESSAGE("200 clients: " << took.count() << " ms");
    CHECK(served == 200);
    CHECK(api.audit().size() == 200);
}

TEST_CASE("at the connection limit the idlest connection gives way") {
    api::http::Limits limits;
    limits.connections = 4;
    ApiFixture api(limits);
    std::vector<std::unique_ptr<TlsClient>> idle;
    for (int i = 0; i < 4; ++i) {
        idle.push_back(std::make_unique<TlsClient>(api.client()));
        REQUIRE(idle.back()->request("GET", "/v1/containers")->status == 200);
    }
    TlsClient fifth(api.client());
    CHECK(fifth.request("GET", "/v1/containers")->status == 200);
    CHECK(idle.front()->at_end());
}

TEST_CASE("requests of one connection do not wait for one another's acknowledgement") {
    ApiFixture api;
    TlsClient client(api.client());
    constexpr int kRounds = 200;
    client.request("GET", "/v1/containers");
    // The quickest: on a busy machine others wait for the processor.
    auto quickest = std::chrono::steady_clock::duration::max();
    for (int i = 0; i < kRounds; ++i) {
        const auto begun = std::chrono::steady_clock::now();
        REQUIRE(client.request("GET", "/v1/containers")->status == 200);
        quickest = std::min(quickest, std::chrono::steady_clock::now() - begun);
    }
    CHECK(quickest < milliseconds(20));  // without TCP_NODELAY it is 40 and more
}

TEST_CASE("renewed server certificates are used without a restart") {
    ApiFixture api;
    TlsClient before(api.client());
    REQUIRE(before.request("GET", "/v1/containers")->status == 200);
    const auto later = pki::current_time() + std::chrono::days(350);
    REQUIRE(pki::ensure_certificates({api.cert_dir, {}, later}).has_value());
    REQUIRE(api.server->reload_certificates().has_value());
    // The old connection lives on; a broken file keeps what is in use.
    CHECK(before.request("GET", "/v1/containers")->status == 200);
    REQUIRE(
        write_file_atomic(pki::certificate_path(api.cert_dir, pki::kServerName), "x").has_value());
    CHECK_FALSE(api.server->reload_certificates().has_value());
}

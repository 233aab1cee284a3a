#include <doctest/doctest.h>

#include "tests/unit/api/api_fixture.h"

using namespace raind;
using namespace raind::test;
using std::chrono::hours;
using std::chrono::milliseconds;

namespace {

// A client that the handshake refuses gets no answer and changes nothing; there is a record, with
// the certificate if one was shown.
void refused_in_handshake(ApiFixture& api, const ClientOptions& options, bool shown = true) {
    TlsClient client(options);
    const auto answer = client.request("POST", "/v1/policies/commit");
    CHECK_FALSE(answer.has_value());
    CHECK(api.fake.changes == 0);
    const auto audit = api.audit_of(1);
    CHECK(audit[0]["action"] == "tls.handshake");
    CHECK(audit[0]["result"]["status"] == "deny");
    CHECK(audit[0]["result"]["reason"] != "");
    CHECK(audit[0]["actor"]["certt_fingerprint"].get<std::string>().size() == (shown ? 64 : 0));
    CHECK(audit[0]["actor"]["peer_ip"] == "127.0.0.1");
}

void forbidden(ApiFixture& api, const ClientOptions& options) {
    TlsClient client(options);
    const auto answer = client.request("POST", "/v1/policies/commit");
    REQUIRE(answer.has_value());
    CHECK(answer->status == 403);
    CHECK(answer->body == "forbidden\n");
    CHECK(answer->headers.at("content-type") == "text/plain; charset=utf-8");
    CHECK(api.fake.changes == 0);
    const auto audit = api.audit_of(1);
    CHECK(audit[0]["action"] == "policy.commit");
    CHECK(audit[0]["severity"] == "critical");
    CHECK(audit[0]["result"]["status"] == "deny");
    CHECK(audit[0]["result"]["code"] == 403);
    CHECK(audit[0]["result"]["reason"] != "");
}

}  // namespace

TEST_CASE("no client certificate") {
    ApiFixture api;
    ClientOptions options = api.client();
    options.certificate_pem.clear();
    refused_in_handshake(api, options, false);
}

TEST_CASE("certificate of a foreign authority") {
    ApiFixture api;
    const stdfs::path other = api.temp.path() / "other";
    REQUIRE(pki::ensure_certificates({other, {}, pki::current_time()}).has_value());
    refused_in_handshake(api, api.client_of(other, pki::kCliClientName));
}

TEST_CASE("certificate of the server's authority instead of the clients'") {
    ApiFixture api;
    refused_in_handshake(api, api.issued(ApiFixture::spec(), pki::kServerCaName));
}

TEST_CASE("expired and not yet valid certificates") {
    ApiFixture api;
    auto spec = ApiFixture::spec();
    SUBCASE("expired") {
        spec.not_after = pki::current_time() - hours(1);
    }
    SUBCASE("not yet valid") {
        spec.not_before = pki::current_time() + hours(1);
    }
    refused_in_handshake(api, api.issued(spec));
}

TEST_CASE("certificate for servers") {
    ApiFixture api;
    auto spec = ApiFixture::spec();
    spec.profile = pki::Profile::Server;
    refused_in_handshake(api, api.issued(spec));
}

TEST_CASE("certificate below another client's certificate") {
    ApiFixture api;
    ClientOptions options = api.issued(ApiFixture::spec(), pki::kCliClientName);
    options.certificate_pem += *read_file(pki::certificate_path(api.cert_dir, pki::kCliClientName));
    refused_in_handshake(api, options);
}

TEST_CASE("certificate below an intermediate authority") {
    ApiFixture api;
    // Signed by the right authority, but an authority itself: path length and depth forbid it.
    const auto ca = pki::Certificate::from_pem(
        *read_file(pki::certificate_path(api.cert_dir, pki::kClientCaName)));
    const auto ca_key =
        pki::PrivateKey::from_pem(*read_file(pki::key_path(api.cert_dir, pki::kClientCaName)));
    auto middle_spec = ApiFixture::spec();
    middle_spec.profile = pki::Profile::ClientCa;
    middle_spec.uris.clear();
    middle_spec.common_name = "middle";
    const auto middle_key = pki::PrivateKey::generate();
    const pki::Issuer by_ca{*ca, *ca_key};
    const auto middle = pki::issue(middle_spec, *middle_key, &by_ca);
    const auto key = pki::PrivateKey::generate();
    const pki::Issuer by_middle{*middle, *middle_key};
    ClientOptions options = api.client();
    options.certificate_pem =
        *pki::issue(ApiFixture::spec(), *key, &by_middle)->to_pem() + *middle->to_pem();
    options.key_pem = *key->to_pem();
    refused_in_handshake(api, options);
}

TEST_CASE("a client of TLS 1.2") {
    ApiFixture api;
    ClientOptions options = api.client();
    options.only_tls12 = true;
    TlsClient client(options);
    CHECK_FALSE(client.connected());
    CHECK(api.fake.changes == 0);
}

TEST_CASE("a client that offers only HTTP/2") {
    ApiFixture api;
    ClientOptions options = api.client();
    options.alpn = "h2";
    const TlsClient client(options);
    CHECK_FALSE(client.connected());
}

TEST_CASE("identities of the right authority that have no role here") {
    using Uris = std::vector<std::string>;
    for (const Uris& uris :
         {Uris{}, Uris{"spiffe://raind/cli/test", "spiffe://raind/cli/other"},
          Uris{"spiffe://raind/cli/test", "spiffe://raind/cli/test"},
          Uris{"spiffe://raind/container/01kx"}, Uris{"spiffe://raind/client/admin"},
          Uris{"spiffe://raind/cli"}, Uris{"spiffe://other/cli/admin"},
          Uris{"spiffe://raind/cli/../cli/admin"}, Uris{"https://raind/cli/admin"},
          Uris{std::string("spiffe://raind/cli/a\0b", 22)}}) {
        CAPTURE(uris.size());
        ApiFixture api;
        auto spec = ApiFixture::spec();
        spec.uris = uris;
        forbidden(api, api.issued(spec));
    }
    ApiFixture api;
    forbidden(api, api.client(pki::kHookClientName));
}

TEST_CASE("a certificate that expires while the connection lives") {
    ApiFixture api;
    auto spec = ApiFixture::spec();
    spec.not_after = pki::current_time() + std::chrono::seconds(2);
    TlsClient client(api.issued(spec));
    REQUIRE(client.request("GET", "/v1/containers")->status == 200);
    std::this_thread::sleep_for(milliseconds(3100));
    CHECK(client.request("POST", "/v1/policies/commit")->status == 403);
    CHECK(api.fake.changes == 0);
}

TEST_CASE("unknown paths and methods are plain text") {
    ApiFixture api;
    TlsClient client(api.client());
    for (const char* target : {"/", "/v1", "/v1/nothing", "/v1/containers/", "/v2/containers",
                               "/v1/containers/a/b/c", "/v1/containers/%zz", "//v1/containers"}) {
        CAPTURE(target);
        const auto answer = client.request("GET", target);
        REQUIRE(answer.has_value());
        CHECK(answer->status == 404);
        CHECK(answer->body == "404 page not found\n");
    }
    const auto wrong = client.request("DELETE", "/v1/containers");
    CHECK(wrong->status == 405);
    CHECK(wrong->headers.at("allow") == "GET, POST");
    CHECK(client.request("HEAD", "/v1/containers")->status == 405);
    const auto audit = api.audit();
    CHECK(audit.size() == 10);
    CHECK(audit[0]["action"] == "unknown");
    CHECK(audit[0]["severity"] == "medium");  // low, one step up
    CHECK(audit[0]["result"]["status"] == "error");
    CHECK(audit[8]["result"]["code"] == 405);
    CHECK(api.fake.changes == 0);
}

TEST_CASE("bodies") {
    ApiFixture api;
    const std::string large = R"({"image":")" + std::string((1U << 20) + 1, 'a') + "\"}";
    SUBCASE("over the limit by their length") {
        TlsClient client(api.client());
        const auto answer = client.request("POST", "/v1/containers", large);
        REQUIRE(answer.has_value());
        CHECK(answer->status == 413);
        CHECK(parsed(*answer)["code"] == "too_large");
        CHECK(answer->headers.at("connection") == "close");
        CHECK(client.at_end());
        CHECK(api.audit_of(1)[0]["result"]["code"] == 413);
    }
    SUBCASE("over the limit in chunks") {
        TlsClient client(api.client());
        client.send(
            "POST /v1/containers HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (int i = 0; i < 70; ++i)
            client.send("4000\r\n" + std::string(0x4000, 'a') + "\r\n");
        client.send("0\r\n\r\n");
        const auto answer = client.answer();
        REQUIRE(answer.has_value());
        CHECK(answer->status == 413);
        CHECK(client.at_end());
        CHECK(api.audit_of(1)[0]["result"]["code"] == 413);
    }
    SUBCASE("unknown field, wrong type, no JSON, duplicate key, too deep") {
        TlsClient client(api.client());
        const auto unknown = client.request("POST", "/v1/containers", R"({"image":"a","x":1})");
        CHECK(unknown->status == 400);
        CHECK(parsed(*unknown)["status"] == "fail");
        CHECK(parsed(*unknown)["message"] == R"(invalid json: json: unknown field "x")");
        CHECK(parsed(*unknown)["request_id"] == unknown->headers.at("x-request-id"));
        for (const std::string& body :
             {std::string("{"), std::string("[]"), std::string(R"({"image":7})"),
              std::string(R"({"image":"a","image":"b"})"),
              R"({"labels":)" + std::string(200, '[') + std::string(200, ']') + "}"})
            CHECK(client.request("POST", "/v1/containers", body)->status == 400);
        CHECK(client.request("POST", "/v1/containers")->status == 400);
        CHECK(
            client.request("POST", "/v1/policies/ns/mode", R"({"mode":"observe","y":2})")->status ==
            400);
        CHECK(api.audit().size() == 8);
    }
    CHECK(api.fake.changes == 0);
}

TEST_CASE("heads that are no acceptable request") {
    ApiFixture api;
    struct Case {
        const char* head;
        int status;
    };
    const std::string many = [] {
        std::string text = "GET /v1/containers HTTP/1.1\r\nHost: x\r\n";
        for (int i = 0; i < 101; ++i)
            text += "A" + std::to_string(i) + ": b\r\n";
        return text + "\r\n";
    }();
    const std::string huge =
        "GET /v1/containers HTTP/1.1\r\nHost: x\r\nA: " + std::string(17000, 'a') + "\r\n\r\n";
    for (const Case& c : {Case{many.c_str(), 431}, Case{huge.c_str(), 431},
                          Case{"GET /v1/containers HTTP/1.1\r\n\r\n", 400},
                          Case{"GET /v1/containers HTTP/1.0\r\nHost: x\r\n\r\n", 505},
                          Case{"POST /v1/policies/commit HTTP/1.1\r\nHost: x\r\nContent-Length: "
                               "0\r\nContent-Length: 0\r\n\r\n",
                               400},
                          Case{"POST /v1/policies/commit HTTP/1.1\r\nHost: x\r\nContent-Length: "
                               "0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                               400},
                          Case{"\x16\x03\r\n\r\n", 400}}) {
        TlsClient client(api.client());
        REQUIRE(client.send(c.head));
        const auto answer = client.answer();
        REQUIRE(answer.has_value());
        CHECK(answer->status == c.status);
        CHECK(client.at_end());
    }
    const auto audit = api.audit_of(7);
    for (const auto& record : audit)
        CHECK(record["result"]["status"] == "error");
    CHECK(api.fake.changes == 0);
}

TEST_CASE("a head that trickles is ended in time; others are served meanwhile") {
    api::http::Limits limits;
    limits.first_head = milliseconds(300);
    ApiFixture api(limits);
    TlsClient slow(api.client());
    const auto begun = std::chrono::steady_clock::now();
    REQUIRE(slow.send("GET /v1/containers HTTP/1.1\r\nHost: "));
    std::jthread trickle([&slow](const std::stop_token& stop) {
        while (!stop.stop_requested() && slow.send("x"))
            std::this_thread::sleep_for(milliseconds(50));
    });
    TlsClient other(api.client());
    CHECK(other.request("GET", "/v1/containers")->status == 200);
    const auto audit = api.audit_of(2);
    CHECK(audit[1]["result"]["code"] == 408);
    CHECK(std::chrono::steady_clock::now() - begun < milliseconds(2000));
    trickle.request_stop();
}

TEST_CASE("changes are refused while the audit log cannot be written; reading goes on") {
    ApiFixture api;
    TlsClient client(api.client());
    REQUIRE(client.request("POST", "/v1/policies/commit")->status == 200);
    CHECK(api.fake.changes == 1);
    const stdfs::path aside = api.temp.path() / "aside";
    stdfs::rename(api.log_dir, aside);
    const auto refused = client.request("POST", "/v1/policies/commit");
    CHECK(refused->status == 503);
    CHECK(
        parsed(*refused)["message"].get<std::string>().starts_with("audit log cannot be written"));
    CHECK(api.fake.changes == 1);
    CHECK(client.request("GET", "/v1/containers")->status == 200);
    stdfs::rename(aside, api.log_dir);
    CHECK(client.request("POST", "/v1/policies/commit")->status == 200);
    CHECK(api.fake.changes == 2);
}

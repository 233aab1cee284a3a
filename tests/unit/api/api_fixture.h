// A running ApiServer on a free loopback port with fake services, and identities to call it with.
#pragma once

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <vector>

#include "tests/unit/api/fake_services.h"
#include "tests/unit/api/tls_client.h"
#include "userspace/api/api_server.h"
#include "userspace/pki/authority.h"

namespace raind::test {

struct ApiFixture {
    explicit ApiFixture(const api::http::Limits& limits = {})
        : temp(*TempDir::make(stdfs::temp_directory_path(), "raind-api")) {
        cert_dir = temp.path() / "cert";
        log_dir = temp.path() / "log";
        stdfs::create_directory(log_dir);
        REQUIRE(pki::ensure_certificates({cert_dir, {}, pki::current_time()}).has_value());
        api::ApiOptions options;
        options.port = 0;
        options.cert_dir = cert_dir;
        options.audit_log = audit_path();
        options.node = "node1";
        options.limits = limits;
        auto started = api::ApiServer::start(options, fake.services());
        REQUIRE_MESSAGE(started.has_value(), (started ? "" : started.error().message()));
        server = std::move(*started);
    }

    stdfs::path audit_path() const { return log_dir / "raind_audit.jsonl"; }

    ClientOptions client(std::string_view name = pki::kCliClientName) const {
        return client_of(cert_dir, name);
    }
    ClientOptions client_of(const stdfs::path& dir, std::string_view name) const {
        ClientOptions options;
        options.port = server->port();
        options.ca_pem = *read_file(pki::certificate_path(cert_dir, pki::kServerCaName));
        options.certificate_pem = *read_file(pki::certificate_path(dir, name));
        options.key_pem = *read_file(pki::key_path(dir, name));
        return options;
    }

    // A certificate made for the occasion, issued by `issuer` of this fixture's folder.
    ClientOptions issued(const pki::CertificateSpec& spec,
                         std::string_view issuer = pki::kClientCaName) const {
        const auto ca =
            pki::Certificate::from_pem(*read_file(pki::certificate_path(cert_dir, issuer)));
        const auto ca_key = pki::PrivateKey::from_pem(*read_file(pki::key_path(cert_dir, issuer)));
        const auto key = pki::PrivateKey::generate();
        const pki::Issuer by{*ca, *ca_key};
        ClientOptions options = client();
        options.certificate_pem = *pki::issue(spec, *key, &by)->to_pem();
        options.key_pem = *key->to_pem();
        return options;
    }
    static pki::CertificateSpec spec() {
        pki::CertificateSpec out;
        out.profile = pki::Profile::Client;
        out.common_name = "test";
        out.uris = {"spiffe://raind/cli/test"};
        out.not_before = pki::current_time() - std::chrono::hours(2);
        out.not_after = pki::current_time() + std::chrono::hours(2);
        return out;
    }

    std::vector<nlohmann::json> audit() const {
        std::vector<nlohmann::json> records;
        const std::string text = *read_file(audit_path());
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t end = text.find('\n', at);
            records.push_back(nlohmann::json::parse(text.substr(at, end - at)));
            at = end + 1;
        }
        return records;
    }
    // Waits until there are that many; records of refused handshakes and streams come a moment
    // after the client has seen the end.
    std::vector<nlohmann::json> audit_of(std::size_t count) const {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (audit().size() < count && std::chrono::steady_clock::now() < end)
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        auto records = audit();
        REQUIRE(records.size() == count);
        return records;
    }

    TempDir temp;
    stdfs::path cert_dir;
    stdfs::path log_dir;
    FakeServices fake;
    std::unique_ptr<api::ApiServer> server;
};

inline nlohmann::json parsed(const Answer& answer) {
    return nlohmann::json::parse(answer.body, nullptr, false);
}

}  // namespace raind::test

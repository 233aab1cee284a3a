#include <doctest/doctest.h>

#include "userspace/pki/authority.h"

using namespace raind::pki;
using std::chrono::hours;

namespace {

CertificateSpec spec(Profile profile, std::string name) {
    CertificateSpec out;
    out.profile = profile;
    out.common_name = std::move(name);
    out.not_before = current_time() - hours(1);
    out.not_after = current_time() + hours(1);
    return out;
}

}  // namespace

TEST_CASE("a key survives its PEM form and is PKCS#8") {
    const auto key = PrivateKey::generate();
    REQUIRE(key.has_value());
    const auto pem = key->to_pem();
    REQUIRE(pem.has_value());
    CHECK(pem->starts_with("-----BEGIN PRIVATE KEY-----"));
    const auto again = PrivateKey::from_pem(*pem);
    REQUIRE(again.has_value());
    CHECK(*again->to_pem() == *pem);
    CHECK_FALSE(PrivateKey::from_pem("no key").has_value());
}

TEST_CASE("issued certificates carry their names, usage and issuer") {
    const auto ca_key = PrivateKey::generate();
    const auto ca = issue(spec(Profile::ClientCa, "ca"), *ca_key, nullptr);
    REQUIRE(ca.has_value());
    CHECK(ca->is_ca());
    CHECK_FALSE(ca->for_client_use());

    const auto key = PrivateKey::generate();
    CertificateSpec client = spec(Profile::Client, "c");
    client.uris = {"spiffe://raind/cli/admin", "spiffe://raind/x,DNS:evil"};
    const Issuer issuer{*ca, *ca_key};
    const auto leaf = issue(client, *key, &issuer);
    REQUIRE(leaf.has_value());
    CHECK(leaf->uri_names() == client.uris);
    CHECK(leaf->host_names().empty());
    CHECK(leaf->common_name() == "c");
    CHECK_FALSE(leaf->is_ca());
    CHECK(leaf->for_client_use());
    CHECK(leaf->belongs_to(*key));
    CHECK_FALSE(leaf->belongs_to(*ca_key));
    CHECK(leaf->issued_by(*ca));
    CHECK(leaf->fingerprint().size() == 64);
    CHECK(leaf->not_after() == client.not_after);

    const auto other_key = PrivateKey::generate();
    const auto other_ca = issue(spec(Profile::ClientCa, "ca"), *other_key, nullptr);
    CHECK_FALSE(leaf->issued_by(*other_ca));
}

TEST_CASE("server certificates name hosts and are not for clients") {
    const auto key = PrivateKey::generate();
    CertificateSpec server = spec(Profile::Server, "raind");
    server.dns_names = {"localhost"};
    server.addresses = {"127.0.0.1", "::1"};
    const auto leaf = issue(server, *key, nullptr);
    REQUIRE(leaf.has_value());
    CHECK(leaf->host_names() == std::vector<std::string>{"localhost", "127.0.0.1", "::1"});
    CHECK_FALSE(leaf->for_client_use());
    server.addresses = {"not-an-address"};
    CHECK_FALSE(issue(server, *key, nullptr).has_value());
}

TEST_CASE("broken PEM is an error, not a certificate") {
    CHECK_FALSE(Certificate::from_pem("").has_value());
    CHECK_FALSE(
        Certificate::from_pem("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")
            .has_value());
}

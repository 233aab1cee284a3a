#include "userspace/pki/authority.h"

#include <algorithm>
#include <array>
#include <optional>

namespace raind::pki {

namespace {

using std::chrono::days;
using std::chrono::minutes;

constexpr days kCaLifetime{3650};
constexpr days kLeafLifetime{365};
constexpr days kRenewBefore{30};
// Clocks of client and server may differ a little.
constexpr minutes kBackdate{5};
constexpr mode_t kKeyMode = 0600;
constexpr mode_t kCertificateMode = 0644;
constexpr mode_t kDirMode = 0700;
constexpr std::array kAllNames{kServerCaName, kServerName, kClientCaName, kCliClientName,
                               kHookClientName};

struct Identity {
    Certificate certificate;
    PrivateKey key;
};

// Absent is a value here; unreadable is an error.
Result<std::optional<std::string>> read_optional(const stdfs::path& path) {
    auto bytes = read_file(path);
    if (bytes.has_value())
        return std::optional<std::string>(std::move(*bytes));
    if (bytes.error().code() == Errc::NotFound)
        return std::optional<std::string>();
    return std::move(bytes.error());
}

Status write_certificate(const stdfs::path& dir, std::string_view name,
                         const Certificate& certificate) {
    RAIND_TRY(const std::string pem, certificate.to_pem());
    return write_file_atomic(certificate_path(dir, name), pem, kCertificateMode);
}

Result<PrivateKey> make_key(const stdfs::path& dir, std::string_view name) {
    RAIND_TRY(PrivateKey key, PrivateKey::generate());
    RAIND_TRY(const std::string pem, key.to_pem());
    RAIND_CHECK(write_file_atomic(key_path(dir, name), pem, kKeyMode));
    return key;
}

// The key of `name`: the one that is there (mode put right), or a new one.
Result<PrivateKey> take_or_make_key(const stdfs::path& dir, std::string_view name) {
    RAIND_TRY(const auto pem, read_optional(key_path(dir, name)));
    if (!pem)
        return make_key(dir, name);
    RAIND_CHECK(set_mode(key_path(dir, name), kKeyMode));
    return PrivateKey::from_pem(*pem).context(key_path(dir, name).string());
}

CertificateSpec spec_for(Profile profile, std::string_view common_name, TimePoint now) {
    CertificateSpec spec;
    spec.profile = profile;
    spec.common_name = common_name;
    spec.not_before = now - kBackdate;
    const bool authority = profile == Profile::ServerCa || profile == Profile::ClientCa;
    spec.not_after = now + (authority ? kCaLifetime : kLeafLifetime);
    // Another subject than the server's, or the server's certificate would look self-issued.
    if (authority)
        spec.organization = "Raind";
    return spec;
}

class Ensurer {
  public:
    explicit Ensurer(const EnsureOptions& options) : options_(options) {}

    Result<EnsureReport> run() {
        RAIND_CHECK(make_dirs(options_.dir, kDirMode));
        RAIND_TRY(const Identity server_ca,
                  authority(kServerCaName, spec_for(Profile::ServerCa, "raind", options_.now)));
        RAIND_TRY(const Identity client_ca,
                  authority(kClientCaName,
                            spec_for(Profile::ClientCa, "raind client issuer", options_.now)));
        CertificateSpec server = spec_for(Profile::Server, "raind", options_.now);
        server.dns_names = {"localhost"};
        server.addresses = {"127.0.0.1", "::1"};
        for (const std::string& address : options_.host_addresses) {
            if (std::ranges::find(server.addresses, address) == server.addresses.end())
                server.addresses.push_back(address);
        }
        RAIND_CHECK(leaf(kServerName, server, server_ca));
        CertificateSpec cli = spec_for(Profile::Client, "raind-client", options_.now);
        cli.uris = {kCliSpiffeId};
        RAIND_CHECK(leaf(kCliClientName, cli, client_ca));
        CertificateSpec hook = spec_for(Profile::Client, "raind-hook-client", options_.now);
        hook.uris = {kHookSpiffeId};
        RAIND_CHECK(leaf(kHookClientName, hook, client_ca));
        return std::move(report_);
    }

  private:
    Result<Identity> authority(std::string_view name, const CertificateSpec& spec) {
        const stdfs::path path = certificate_path(options_.dir, name);
        RAIND_TRY(const auto pem, read_optional(path));
        if (!pem) {
            // A key alone is what a crash between the two files leaves: it is used.
            RAIND_TRY(PrivateKey key, take_or_make_key(options_.dir, name));
            RAIND_TRY(Certificate certificate, issue(spec, key, nullptr));
            RAIND_CHECK(write_certificate(options_.dir, name, certificate));
            report_.created.emplace_back(name);
            return Identity{std::move(certificate), std::move(key)};
        }
        RAIND_TRY(Certificate certificate, Certificate::from_pem(*pem).context(path.string()));
        RAIND_TRY(const auto key_pem, read_optional(key_path(options_.dir, name)));
        if (!key_pem)
            return Error(Errc::Internal, path.string() +
                                             ": its key is missing; put it back, or "
                                             "remove the certificate for a new one");
        RAIND_TRY(PrivateKey key, take_or_make_key(options_.dir, name));
        if (!certificate.belongs_to(key))
            return Error(Errc::Internal, path.string() + ": the key beside it does not fit");
        return Identity{std::move(certificate), std::move(key)};
    }

    Status leaf(std::string_view name, const CertificateSpec& spec, const Identity& issuer) {
        const stdfs::path path = certificate_path(options_.dir, name);
        RAIND_TRY(const auto pem, read_optional(path));
        if (pem) {
            RAIND_TRY(const auto key_pem, read_optional(key_path(options_.dir, name)));
            if (key_pem && still_good(*pem, *key_pem, spec, issuer))
                return set_mode(key_path(options_.dir, name), kKeyMode);
        }
        // A key file that cannot be read is replaced: nothing but its own certificate depends on
        // it.
        RAIND_TRY(const PrivateKey key, make_key(options_.dir, name));
        const Issuer by{issuer.certificate, issuer.key};
        RAIND_TRY(const Certificate certificate, issue(spec, key, &by));
        RAIND_CHECK(write_certificate(options_.dir, name, certificate));
        (pem ? report_.renewed : report_.created).emplace_back(name);
        return {};
    }

    bool still_good(const std::string& pem, const std::string& key_pem, const CertificateSpec& spec,
                    const Identity& issuer) const {
        const auto certificate = Certificate::from_pem(pem);
        const auto key = PrivateKey::from_pem(key_pem);
        if (!certificate || !key || !certificate->belongs_to(*key) ||
            !certificate->issued_by(issuer.certificate))
            return false;
        if (certificate->not_after() - options_.now < kRenewBefore)
            return false;
        if (certificate->uri_names() != spec.uris)
            return false;
        const auto hosts = certificate->host_names();
        return std::ranges::all_of(spec.addresses, [&hosts](const std::string& address) {
            return std::ranges::find(hosts, address) != hosts.end();
        });
    }

    const EnsureOptions& options_;
    EnsureReport report_;
};

}  // namespace

stdfs::path certificate_path(const stdfs::path& dir, std::string_view name) {
    return dir / (std::string(name) + ".crt");
}

stdfs::path key_path(const stdfs::path& dir, std::string_view name) {
    return dir / (std::string(name) + ".key");
}

Result<EnsureReport> ensure_certificates(const EnsureOptions& options) {
    return Ensurer(options).run().context("certificates");
}

Result<std::vector<Expiry>> certificate_expiries(const stdfs::path& dir, TimePoint now) {
    std::vector<Expiry> expiries;
    for (const char* name : kAllNames) {
        const stdfs::path path = certificate_path(dir, name);
        RAIND_TRY(const std::string pem, read_file(path));
        RAIND_TRY(const Certificate certificate, Certificate::from_pem(pem).context(path.string()));
        const TimePoint end = certificate.not_after();
        expiries.push_back({name, end, !certificate.is_ca() && end - now < kRenewBefore});
    }
    return expiries;
}

TimePoint current_time() {
    return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

}  // namespace raind::pki

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "userspace/pki/authority.h"

using namespace raind;
using namespace raind::pki;
using std::chrono::days;

namespace {

struct Folder {
    Folder() : temp(*TempDir::make(stdfs::temp_directory_path(), "raind-pki")) {
        options.dir = temp.path() / "cert";
        options.host_addresses = {"192.0.2.7"};
        options.now = current_time();
    }
    Certificate certificate(std::string_view name) const {
        return std::move(*Certificate::from_pem(*read_file(certificate_path(options.dir, name))));
    }
    std::string text(std::string_view name) const {
        return *read_file(certificate_path(options.dir, name));
    }

    TempDir temp;
    EnsureOptions options;
};

mode_t mode_of(const stdfs::path& path) {
    struct stat info{};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    return info.st_mode & 07777;
}

}  // namespace

TEST_CASE("the first start makes every file, the second changes none") {
    const Folder folder;
    const auto first = ensure_certificates(folder.options);
    REQUIRE(first.has_value());
    CHECK(first->created == std::vector<std::string>{"raind", "raindClientCA", "raindServer",
                                                     "raindClient", "raindHookClient"});
    CHECK(first->renewed.empty());
    for (const char* name :
         {"raind", "raindServer", "raindClientCA", "raindClient", "raindHookClient"}) {
        CHECK(mode_of(key_path(folder.options.dir, name)) == 0600);
        CHECK(mode_of(certificate_path(folder.options.dir, name)) == 0644);
    }
    CHECK(mode_of(folder.options.dir) == 0700);

    const Certificate server_ca = folder.certificate("raind");
    const Certificate client_ca = folder.certificate("raindClientCA");
    CHECK(server_ca.common_name() == "raind");
    CHECK(server_ca.is_ca());
    CHECK(server_ca.not_after() - folder.options.now >= days(3649));
    CHECK(folder.certificate("raindServer").issued_by(server_ca));
    CHECK(folder.certificate("raindServer").host_names() ==
          std::vector<std::string>{"localhost", "127.0.0.1", "::1", "192.0.2.7"});
    const Certificate cli = folder.certificate("raindClient");
    CHECK(cli.issued_by(client_ca));
    CHECK_FALSE(cli.issued_by(server_ca));
    CHECK(cli.uri_names() == std::vector<std::string>{"spiffe://raind/cli/admin"});
    CHECK(cli.for_client_use());
    CHECK(folder.certificate("raindHookClient").uri_names() ==
          std::vector<std::string>{"spiffe://raind/droplet/container"});

    const std::string before = folder.text("raindServer");
    const auto second = ensure_certificates(folder.options);
    REQUIRE(second.has_value());
    CHECK(second->created.empty());
    CHECK(second->renewed.empty());
    CHECK(folder.text("raindServer") == before);
}

TEST_CASE("a crash between two files is repaired at the next start") {
    const Folder folder;
    REQUIRE(ensure_certificates(folder.options).has_value());
    const auto key_of = [&folder](const char* name) {
        return *read_file(key_path(folder.options.dir, name));
    };

    SUBCASE("an authority's key without its certificate is used") {
        const std::string key = key_of("raindClientCA");
        stdfs::remove(certificate_path(folder.options.dir, "raindClientCA"));
        const auto report = ensure_certificates(folder.options);
        REQUIRE(report.has_value());
        CHECK(key_of("raindClientCA") == key);
        CHECK(folder.certificate("raindClient").issued_by(folder.certificate("raindClientCA")));
    }
    SUBCASE("a new key beside the old certificate") {
        const auto fresh = PrivateKey::generate();
        REQUIRE(write_file_atomic(key_path(folder.options.dir, "raindClient"), *fresh->to_pem())
                    .has_value());
        const auto report = ensure_certificates(folder.options);
        REQUIRE(report.has_value());
        CHECK(report->renewed == std::vector<std::string>{"raindClient"});
    }
    SUBCASE("a leaf's key or certificate alone") {
        stdfs::remove(certificate_path(folder.options.dir, "raindServer"));
        stdfs::remove(key_path(folder.options.dir, "raindHookClient"));
        REQUIRE(ensure_certificates(folder.options).has_value());
    }
    for (const char* name : {"raindServer", "raindClient", "raindHookClient"}) {
        CAPTURE(name);
        CHECK(folder.certificate(name).belongs_to(*PrivateKey::from_pem(key_of(name))));
    }
}

TEST_CASE("an authority that lost its key is not replaced silently") {
    const Folder folder;
    REQUIRE(ensure_certificates(folder.options).has_value());
    const std::string before = folder.text("raind");
    stdfs::remove(key_path(folder.options.dir, "raind"));
    CHECK_FALSE(ensure_certificates(folder.options).has_value());
    const auto stranger = PrivateKey::generate();
    REQUIRE(
        write_file_atomic(key_path(folder.options.dir, "raind"), *stranger->to_pem()).has_value());
    CHECK_FALSE(ensure_certificates(folder.options).has_value());
    CHECK(folder.text("raind") == before);
}

TEST_CASE("leaves are renewed before they expire, authorities stay") {
    Folder folder;
    REQUIRE(ensure_certificates(folder.options).has_value());
    const std::string ca = folder.text("raind");
    folder.options.now += days(340);
    const auto expiries = certificate_expiries(folder.options.dir, folder.options.now);
    REQUIRE(expiries.has_value());
    for (const Expiry& expiry : *expiries)
        CHECK(expiry.due == (expiry.name != "raind" && expiry.name != "raindClientCA"));
    const auto report = ensure_certificates(folder.options);
    REQUIRE(report.has_value());
    CHECK(report->renewed ==
          std::vector<std::string>{"raindServer", "raindClient", "raindHookClient"});
    CHECK(folder.text("raind") == ca);
    CHECK(folder.certificate("raindServer").not_after() - folder.options.now >= days(364));
}

TEST_CASE("a new host address gives a new server certificate; a loose key mode is tightened") {
    Folder folder;
    REQUIRE(ensure_certificates(folder.options).has_value());
    folder.options.host_addresses.emplace_back("2001:db8::7");
    REQUIRE(set_mode(key_path(folder.options.dir, "raindClient"), 0644).has_value());
    const auto report = ensure_certificates(folder.options);
    REQUIRE(report.has_value());
    CHECK(report->renewed == std::vector<std::string>{"raindServer"});
    CHECK(mode_of(key_path(folder.options.dir, "raindClient")) == 0600);
}

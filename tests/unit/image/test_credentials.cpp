#include <doctest/doctest.h>
#include <filesystem>
#include <sys/stat.h>

#include "userspace/common/fs.h"
#include "userspace/image/credentials.h"
#include "userspace/image/extra_authority.h"
#include "userspace/image/reference.h"

using namespace raind;
using namespace raind::image;

namespace {

Credentials who(std::string user, std::string password) {
    return {.user = std::move(user), .password = Secret(std::move(password))};
}

mode_t mode_of(const stdfs::path& path) {
    struct stat info{};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    return info.st_mode & 0777U;
}

}  // namespace

TEST_CASE("credentials: the header of RFC 7617") {
    CHECK(basic_authorization(who("Aladdin", "open sesame")).reveal() ==
          "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    CHECK(basic_authorization(who("u", "a:b:c")).reveal() == "Basic dTphOmI6Yw==");
}

TEST_CASE("credentials: what cannot be sent is refused") {
    CHECK(check_credentials(who("user", "p\xc3\xa4ss w:rd")).has_value());
    for (const auto& bad :
         {who("", "x"), who("a:b", "x"), who("a\nb", "x"), who("a", ""), who("a", "x\r\ny"),
          who("a", std::string("x\0y", 3)), who(std::string(256, 'a'), "x"),
          who("a", std::string((64U << 10) + 1, 'x'))}) {
        const auto checked = check_credentials(bad);
        CHECK_FALSE(checked.has_value());
    }
}

TEST_CASE("credentials: the file's text") {
    const CredentialTable table{{"docker.io", who("a", "1")}, {"r.test:5000", who("b", "\"2\\")}};
    CHECK(*parse_credentials(encode_credentials(table).reveal()) == table);
    CHECK(parse_credentials(R"({"version":1})")->empty());
    for (const char* bad : {
             "",
             "[]",
             R"({"registries":{}})",
             R"({"version":2,"registries":{}})",
             R"({"version":1,"registries":[]})",
             R"({"version":1,"registries":{},"more":1})",
             R"({"version":1,"registries":{"../x":{"username":"u","password":"hunter2"}}})",
             R"({"version":1,"registries":{"x:1":{"username":"u"}}})",
             R"({"version":1,"registries":{"x:1":{"username":"","password":"hunter2"}}})",
             R"({"version":1,"registries":{"x:1":{"username":"u","password":"hunter2")",
             R"({"version":1,"registries":{"x:1":{"username":"u","password":hunter2}}})",
         }) {
        CAPTURE(bad);
        const auto parsed = parse_credentials(bad);
        REQUIRE_FALSE(parsed.has_value());
        CHECK(parsed.error().message().find("hunter2") == std::string::npos);
    }
}

TEST_CASE("credentials: the store") {
    const TempDir folder = TempDir::make("/tmp", "raind-credentials-").value();
    const auto file = folder.path() / "registry" / "credentials.json";
    const auto store = CredentialStore::open(file).value();
    CHECK(mode_of(file.parent_path()) == 0700);
    CHECK_FALSE(store->find("docker.io")->has_value());
    CHECK_FALSE(*store->remove("docker.io"));
    CHECK_FALSE(stdfs::exists(file));
    REQUIRE(store->put("docker.io", who("a", "1")).has_value());
    REQUIRE(store->put("r.test:5000", who("b", "2")).has_value());
    REQUIRE(store->put("docker.io", who("c", "3")).has_value());
    CHECK(mode_of(file) == 0600);
    // Another start, after a write that was cut short.
    const auto half = file.parent_path() / ("." + file.filename().string() + ".tmp-a1b2c3");
    REQUIRE(write_file_atomic(half, "half", 0600).has_value());
    const auto again = CredentialStore::open(file).value();
    CHECK_FALSE(stdfs::exists(half));
    CHECK(**again->find("docker.io") == who("c", "3"));
    CHECK_FALSE(again->find("r.test")->has_value());
    CHECK(*again->remove("r.test:5000"));
    CHECK(*again->remove("docker.io"));
    CHECK_FALSE(stdfs::exists(file));
    // A damaged file is kept and named.
    REQUIRE(write_file_atomic(file, "{\"hunter2", 0600).has_value());
    const auto found = again->find("docker.io");
    REQUIRE_FALSE(found.has_value());
    CHECK(found.error().message().find(file.string()) != std::string::npos);
    CHECK(found.error().message().find("hunter2") == std::string::npos);
    CHECK_FALSE(again->put("docker.io", who("a", "1")).has_value());
    CHECK(*read_file(file) == "{\"hunter2");
}

TEST_CASE("registry names by themselves") {
    CHECK(*parse_registry("") == "docker.io");
    CHECK(*parse_registry("index.docker.io") == "docker.io");
    CHECK(*parse_registry("localhost") == "localhost");
    CHECK(*parse_registry("R.Test:5000") == "r.test:5000");
    CHECK(*parse_registry("[::1]:5000") == "[::1]:5000");
    for (const char* bad : {"https://r.test", "r.test/", "r.test/team", "..", ".", "a..b", "nginx",
                            "r.test:0", "r.test:99999", "a b.test", "\x1b[31m.x", "[::1"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_registry(bad).has_value());
    }
}

TEST_CASE("authorities: none without a folder of the registry") {
    const TempDir folder = TempDir::make("/tmp", "raind-authority-").value();
    CHECK(load_authority({}, "r.test:1")->file.empty());
    const auto none = load_authority(folder.path(), "r.test:1");
    REQUIRE(none.has_value());
    CHECK(none->pem.empty());
    CHECK(none->file == folder.path() / "r.test:1" / "ca.crt");
    REQUIRE(make_dirs(folder.path() / "r.test:1").has_value());
    CHECK(load_authority(folder.path(), "r.test:1").error().message().find("ca.crt is missing") !=
          std::string::npos);
    CHECK_FALSE(count_certificates("").has_value());
    CHECK_FALSE(count_certificates("-----BEGIN CERTIFICATE-----\nAAAA\n").has_value());
}

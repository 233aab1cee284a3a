#include <doctest/doctest.h>
#include <random>

#include "userspace/image/reference.h"

using raind::Errc;
using raind::image::Reference;

namespace {

const std::string kHex(64, 'a');

std::string error_of(std::string_view text) {
    const auto ref = Reference::parse(text);
    REQUIRE_MESSAGE(!ref.has_value(), text);
    CHECK(ref.error().code() == Errc::InvalidArgument);
    return ref.error().message();
}

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("reference: defaults and parts") {
    struct Case {
        const char *text, *registry, *path, *tag, *repository, *familiar;
    };
    const Case cases[] = {
        {"nginx", "docker.io", "library/nginx", "latest", "library/nginx", "nginx:latest"},
        {"nginx:1.25", "docker.io", "library/nginx", "1.25", "library/nginx", "nginx:1.25"},
        {"team/app", "docker.io", "team/app", "latest", "team/app", "team/app:latest"},
        {"docker.io/nginx", "docker.io", "library/nginx", "latest", "library/nginx",
         "nginx:latest"},
        {"index.docker.io/library/x:y", "docker.io", "library/x", "y", "library/x", "x:y"},
        {"localhost/app", "localhost", "app", "latest", "localhost/app", "localhost/app:latest"},
        {"127.0.0.1:5000/app:v1", "127.0.0.1:5000", "app", "v1", "127.0.0.1:5000/app",
         "127.0.0.1:5000/app:v1"},
        {"[::1]:5000/a/b/c", "[::1]:5000", "a/b/c", "latest", "[::1]:5000/a/b/c",
         "[::1]:5000/a/b/c:latest"},
        {"Registry.Example.org/a-b__c.d", "registry.example.org", "a-b__c.d", "latest",
         "registry.example.org/a-b__c.d", "registry.example.org/a-b__c.d:latest"},
    };
    for (const Case& c : cases) {
        CAPTURE(c.text);
        const auto ref = Reference::parse(c.text);
        REQUIRE(ref.has_value());
        CHECK(ref->registry() == c.registry);
        CHECK(ref->path() == c.path);
        CHECK(ref->tag() == c.tag);
        CHECK(ref->repository() == c.repository);
        CHECK(ref->familiar() == c.familiar);
        CHECK(ref->reference() == c.tag);
        // What is printed names the same image again.
        CHECK(*Reference::parse(ref->canonical()) == *ref);
        CHECK(*Reference::parse(ref->familiar()) == *ref);
    }
}

TEST_CASE("reference: digests") {
    const auto both = Reference::parse("host:5000/repo:tag@sha256:" + kHex);
    REQUIRE(both.has_value());
    CHECK(both->tag() == "tag");
    CHECK(both->reference() == "sha256:" + kHex);
    CHECK(raind::image::registry_host(both->registry()) == "host");
    const auto only = Reference::parse("nginx@sha256:" + kHex);
    REQUIRE(only.has_value());
    CHECK(only->tag().empty());
    CHECK(only->familiar() == "nginx@sha256:" + kHex);
    CHECK(raind::image::registry_host(Reference::parse("[::1]:5000/a")->registry()) == "::1");
}

TEST_CASE("reference: errors name what is wrong") {
    CHECK(contains(error_of(""), "empty repository"));
    CHECK(contains(error_of("Nginx"), "upper-case"));
    CHECK(contains(error_of("nginx:"), "tag after ':' is empty"));
    CHECK(contains(error_of("nginx:-x"), "tag '-x'"));
    CHECK(contains(error_of("nginx:" + std::string(129, 'a')), "longer than 128"));
    CHECK(contains(error_of("a//b"), "empty part"));
    CHECK(contains(error_of("/nginx"), "empty part"));
    CHECK(contains(error_of("a/b/"), "empty part"));
    CHECK(contains(error_of("a/../b"), "'..'"));
    CHECK(contains(error_of("a/-b"), "'-b'"));
    CHECK(contains(error_of("a___b"), "'a___b'"));
    CHECK(contains(error_of("host:70000/x"), "not a port"));
    CHECK(contains(error_of("host:/x"), "not a port"));
    CHECK(contains(error_of("-host.org/x"), "host name"));
    CHECK(contains(error_of("[::1/x"), "bracket"));
    CHECK(contains(error_of("[zz]/x"), "IPv6"));
    CHECK(contains(error_of("nginx@md5:abc"), "md5"));
    CHECK(contains(error_of("nginx@sha256:abc"), "64"));
    CHECK(contains(error_of("nginx@sha256:" + std::string(64, 'A')), "lower-case"));
    CHECK(contains(error_of("ngi nx"), "blank"));
    CHECK(contains(error_of("ngi\x1b[31mnx"), "control"));
    CHECK_FALSE(contains(error_of("ngi\x1b[31mnx"), "\x1b"));
    CHECK(contains(error_of("http://nginx"), "port"));
    CHECK(contains(error_of(std::string(600, 'a')), "longer than 512"));
    CHECK(contains(error_of("--option"), "'--option'"));
}

TEST_CASE("reference: mutated texts are refused or print as themselves") {
    const std::string seeds[] = {"docker.io/library/x:tag", "host:80/a/b:c@sha256:" + kHex,
                                 "[::1]:5000/x.y_z", "localhost/a"};
    std::mt19937 random(20240501);
    const std::string alphabet = "aZ09._-/:@[]% \x01\xff";
    int accepted = 0;
    for (int round = 0; round < 40000; ++round) {
        std::string text = seeds[random() % std::size(seeds)];
        const auto edits = 1 + random() % 4;
        for (unsigned edit = 0; edit < edits && !text.empty(); ++edit) {
            const auto at = random() % text.size();
            const char c = alphabet[random() % alphabet.size()];
            switch (random() % 3) {
                case 0:
                    text[at] = c;
                    break;
                case 1:
                    text.insert(at, 1, c);
                    break;
                default:
                    text.erase(at, 1 + random() % 5);
                    break;
            }
        }
        const auto ref = Reference::parse(text);
        if (!ref)
            continue;
        ++accepted;
        CAPTURE(text);
        const auto again = Reference::parse(ref->canonical());
        REQUIRE(again.has_value());
        CHECK(*again == *ref);
        for (const std::string& part : {ref->path(), ref->reference()}) {
            CHECK(part.find("..") == std::string::npos);
            CHECK(part.front() != '-');
            CHECK(part.front() != '/');
        }
    }
    CHECK(accepted > 1000);
}

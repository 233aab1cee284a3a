#include <doctest/doctest.h>
#include <fmt/format.h>
#include <map>

#include "userspace/image/resolve.h"

using namespace raind::image;
using raind::Errc;
using raind::Error;
using raind::Result;

namespace {

// Documents by digest; entries are made from them, so that sizes and digests are right.
class Shelf {
  public:
    std::string put(std::string_view type, const std::string& bytes) {
        const std::string digest = Digest::of(bytes).str();
        documents_.insert_or_assign(digest, FetchedManifest{.bytes = bytes,
                                                            .content_type = std::string(type),
                                                            .digest = Digest::of(bytes)});
        return digest;
    }
    std::string manifest(int number, std::string_view type = kOciManifest) {
        const std::string descriptor = fmt::format(
            R"({{"mediaType":"{}","digest":"sha256:{:064}","size":1}})", kOciConfig, number);
        return put(type,
                   fmt::format(R"({{"schemaVersion":2,"config":{},"layers":[]}})", descriptor));
    }
    std::string entry(const std::string& digest, std::string_view platform,
                      std::string_view extra = "") const {
        const FetchedManifest& document = documents_.at(digest);
        std::string text = fmt::format(R"({{"mediaType":"{}","digest":"{}","size":{})",
                                       document.content_type, digest, document.bytes.size());
        if (const auto slash = platform.find('/'); slash != std::string_view::npos) {
            const auto rest = platform.substr(slash + 1);
            const auto second = rest.find('/');
            text += fmt::format(R"(,"platform":{{"os":"{}","architecture":"{}","variant":"{}"}})",
                                platform.substr(0, slash), rest.substr(0, second),
                                second == std::string_view::npos ? "" : rest.substr(second + 1));
        }
        return text + std::string(extra) + "}";
    }
    std::string index(const std::vector<std::string>& entries, std::string_view type = kOciIndex) {
        return put(type, fmt::format(R"({{"schemaVersion":2,"manifests":[{}]}})",
                                     fmt::join(entries, ",")));
    }
    Result<ResolvedManifest> resolve(const std::string& name, const Platform& platform) {
        fetched = 0;
        const auto fetch = [this](const std::string& wanted) -> Result<FetchedManifest> {
            ++fetched;
            const auto found = documents_.find(wanted);
            if (found == documents_.end())
                return Error(Errc::NotFound, wanted + " is missing");
            return found->second;
        };
        return resolve_manifest(fetch, name, platform, 127);
    }
    // The number of the image that was chosen.
    int pick(const std::string& name, const Platform& platform) {
        const auto found = resolve(name, platform);
        REQUIRE_MESSAGE(found.has_value(), (found ? "" : found.error().message()));
        CHECK(found->fetched.digest.str() == name);
        return std::stoi(found->manifest.config.digest.hex());
    }

    int fetched = 0;

  private:
    std::map<std::string, FetchedManifest> documents_;
};

const Platform kAmd{.os = "linux", .arch = "amd64", .variant = ""};

Platform arm(std::string_view variant) {
    return {.os = "linux", .arch = "arm", .variant = std::string(variant)};
}

}  // namespace

TEST_CASE("resolve: a manifest needs no choice") {
    Shelf shelf;
    CHECK(shelf.pick(shelf.manifest(3), kAmd) == 3);
    CHECK(shelf.fetched == 1);
}

TEST_CASE("resolve: the entry of the platform") {
    Shelf shelf;
    std::vector<std::string> entries;
    for (const auto& [number, platform] : std::map<int, std::string>{{1, "windows/amd64"},
                                                                     {2, "linux/amd64"},
                                                                     {3, "linux/arm/v6"},
                                                                     {4, "linux/arm/v7"},
                                                                     {5, "linux/arm64/v8"},
                                                                     {6, "unknown/unknown"}})
        entries.push_back(shelf.entry(shelf.manifest(number), platform));
    entries.push_back(shelf.entry(shelf.manifest(7), ""));
    for (const std::string_view type : {kOciIndex, kDockerList}) {
        const std::string index = shelf.index(entries, type);
        CHECK(shelf.pick(index, kAmd) == 2);
        CHECK(shelf.fetched == 2);
        CHECK(shelf.pick(index, arm("v7")) == 4);
        CHECK(shelf.pick(index, arm("")) == 3);
        CHECK(shelf.pick(index, {.os = "linux", .arch = "arm64", .variant = ""}) == 5);
        CHECK(shelf.pick(index, {.os = "windows", .arch = "amd64", .variant = ""}) == 1);
        const auto none = shelf.resolve(index, {.os = "linux", .arch = "s390x", .variant = ""});
        REQUIRE_FALSE(none.has_value());
        CHECK(none.error().code() == Errc::NotFound);
        CHECK(none.error().message() ==
              "no image for platform linux/s390x; there is: windows/amd64, linux/amd64, "
              "linux/arm/v6, linux/arm/v7, linux/arm64/v8");
        CHECK_FALSE(shelf.resolve(index, arm("v5")).has_value());
    }
}

TEST_CASE("resolve: an attestation is no image, also of our platform") {
    Shelf shelf;
    const std::string attestation =
        shelf.entry(shelf.manifest(9), "linux/amd64",
                    R"(,"annotations":{"vnd.docker.reference.type":"attestation-manifest"})");
    const std::string image = shelf.entry(shelf.manifest(1), "linux/amd64");
    CHECK(shelf.pick(shelf.index({attestation, image}), kAmd) == 1);
    const auto none = shelf.resolve(shelf.index({attestation}), kAmd);
    REQUIRE_FALSE(none.has_value());
    CHECK(none.error().message().ends_with("there is: none with a platform"));
}

TEST_CASE("resolve: indexes within indexes") {
    Shelf shelf;
    const std::string inner = shelf.index({shelf.entry(shelf.manifest(1), "linux/amd64")});
    const std::string other = shelf.index({shelf.entry(shelf.manifest(2), "linux/s390x")});
    const std::string outer =
        shelf.index({shelf.entry(other, ""), shelf.entry(inner, "linux/amd64")});
    CHECK(shelf.pick(outer, kAmd) == 1);
    CHECK(shelf.fetched == 3);
    CHECK(shelf.pick(outer, {.os = "linux", .arch = "s390x", .variant = ""}) == 2);
    const auto none = shelf.resolve(outer, arm(""));
    CHECK(none.error().message().ends_with("there is: linux/amd64, linux/s390x"));
}

TEST_CASE("resolve: without platforms the only image is tried") {
    Shelf shelf;
    CHECK(shelf.pick(shelf.index({shelf.entry(shelf.manifest(5), "")}), kAmd) == 5);
}

TEST_CASE("resolve: bounds") {
    Shelf shelf;
    std::string deep = shelf.manifest(1);
    for (int i = 0; i < 4; ++i)
        deep = shelf.index({shelf.entry(deep, "linux/amd64")});
    CHECK(shelf.pick(deep, kAmd) == 1);
    const auto deeper = shelf.resolve(shelf.index({shelf.entry(deep, "linux/amd64")}), kAmd);
    REQUIRE_FALSE(deeper.has_value());
    CHECK(deeper.error().message() == "more than 4 indexes within one another");
    std::vector<std::string> many;
    for (int i = 0; i < 17; ++i)
        many.push_back(shelf.entry(
            shelf.index({shelf.entry(shelf.manifest(100 + i), "linux/s390x")}), "linux/amd64"));
    const auto wide = shelf.resolve(shelf.index(many), kAmd);
    REQUIRE_FALSE(wide.has_value());
    CHECK(wide.error().message().starts_with("more than 16 manifests"));
    CHECK(shelf.fetched == 17);
}

TEST_CASE("resolve: the size that the index states") {
    Shelf shelf;
    std::string entry = shelf.entry(shelf.manifest(1), "linux/amd64");
    entry.replace(entry.find("\"size\":"), 7, "\"size\":1");
    const auto wrong = shelf.resolve(shelf.index({entry}), kAmd);
    REQUIRE_FALSE(wrong.has_value());
    CHECK(wrong.error().code() == Errc::InvalidArgument);
    CHECK(wrong.error().message().find("the index states") != std::string::npos);
}

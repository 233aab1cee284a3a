#include <doctest/doctest.h>
#include <fmt/format.h>

#include "userspace/image/manifest.h"

using namespace raind::image;
using raind::Errc;

namespace {

const std::string kDigest = "sha256:" + std::string(64, 'b');

std::string descriptor(std::string_view type, std::string_view extra = "", int size = 10) {
    return fmt::format(R"({{"mediaType":"{}","digest":"{}","size":{}{}}})", type, kDigest, size,
                       extra);
}

std::string manifest(std::string_view layer_type = kOciLayerGzip,
                     std::string_view config_type = kOciConfig) {
    return fmt::format(R"({{"schemaVersion":2,"config":{},"layers":[{}]}})",
                       descriptor(config_type), descriptor(layer_type));
}

std::string platform(std::string_view os, std::string_view arch, std::string_view variant = "") {
    return fmt::format(R"(,"platform":{{"os":"{}","architecture":"{}","variant":"{}"}})", os, arch,
                       variant);
}

std::string index_of(std::initializer_list<std::string> entries) {
    return fmt::format(R"({{"schemaVersion":2,"manifests":[{}]}})", fmt::join(entries, ","));
}

Errc code_of(std::string_view bytes, std::string_view type) {
    const auto parsed = parse_manifest(bytes, type, 127);
    REQUIRE_FALSE(parsed.has_value());
    return parsed.error().code();
}

}  // namespace

TEST_CASE("manifest: read") {
    const auto parsed = parse_manifest(manifest(), kOciManifest, 127);
    REQUIRE(parsed.has_value());
    const auto& read = std::get<Manifest>(*parsed);
    CHECK(read.config.digest.str() == kDigest);
    REQUIRE(read.layers.size() == 1);
    CHECK(read.layers[0].size == 10);
    CHECK(parse_manifest(manifest(), std::string(kOciManifest) + "; charset=utf-8", 127));
}

TEST_CASE("manifest: kinds that are refused by name") {
    const auto message = [](std::string_view bytes, std::string_view type) {
        const auto parsed = parse_manifest(bytes, type, 127);
        REQUIRE_FALSE(parsed.has_value());
        CHECK(parsed.error().code() == Errc::Unsupported);
        return parsed.error().message();
    };
    const auto has = [](const std::string& text, std::string_view part) {
        return text.find(part) != std::string::npos;
    };
    CHECK(has(message("{}", "application/vnd.docker.distribution.manifest.v2+json"),
              "Docker schema 2"));
    CHECK(has(message("{}", "application/vnd.docker.distribution.manifest.list.v2+json"),
              "manifest lists"));
    CHECK(has(message("{}", "application/vnd.docker.distribution.manifest.v1+prettyjws"),
              "schema 1"));
    CHECK(has(message("{}", "text/html"), "text/html"));
    CHECK(has(message(manifest("application/vnd.oci.image.layer.v1.tar+zstd"), kOciManifest),
              "zstd"));
    CHECK(has(message(manifest("application/vnd.oci.image.layer.v1.tar"), kOciManifest),
              "uncompressed"));
    CHECK(has(message(manifest("application/x-evil"), kOciManifest), "application/x-evil"));
    CHECK(has(message(manifest(kOciLayerGzip, "application/vnd.oci.empty.v1+json"), kOciManifest),
              "container image"));
}

TEST_CASE("manifest: broken documents") {
    CHECK(code_of("", kOciManifest) == Errc::InvalidArgument);
    CHECK(code_of("{", kOciManifest) == Errc::InvalidArgument);
    CHECK(code_of("[]", kOciManifest) == Errc::InvalidArgument);
    CHECK(code_of("{}", kOciManifest) == Errc::InvalidArgument);
    CHECK(code_of(R"({"schemaVersion":2})", kOciManifest) == Errc::InvalidArgument);
    CHECK(code_of(R"({"schemaVersion":2,"manifests":{}})", kOciIndex) == Errc::InvalidArgument);
    CHECK(code_of(std::string(100, '['), kOciManifest) == Errc::InvalidArgument);
    // The size of a layer is no float, no text and not negative.
    for (const char* size : {"-1", "1.5", "\"7\"", "1e3", "99999999999999999999"}) {
        const std::string text = fmt::format(
            R"({{"schemaVersion":2,"config":{{"mediaType":"{}","digest":"{}","size":{}}},"layers":[]}})",
            kOciConfig, kDigest, size);
        CHECK(code_of(text, kOciManifest) == Errc::InvalidArgument);
    }
    // Read as one kind by one program and as the other kind by another.
    CHECK(code_of(R"({"schemaVersion":2,"mediaType":")" + std::string(kOciIndex) +
                      R"(","manifests":[]})",
                  kOciManifest) == Errc::InvalidArgument);
    CHECK(code_of(R"({"schemaVersion":2,"manifests":[],"layers":[]})", kOciIndex) ==
          Errc::InvalidArgument);
}

TEST_CASE("manifest: too many layers") {
    CHECK(parse_manifest(manifest(), kOciManifest, 1).has_value());
    const auto parsed = parse_manifest(manifest(), kOciManifest, 0);
    REQUIRE_FALSE(parsed.has_value());
    CHECK(parsed.error().message().find("1 layers, more than 0") != std::string::npos);
}

TEST_CASE("index: selection of a platform") {
    const auto pick = [](const std::string& text, const Platform& wanted) {
        auto parsed = parse_manifest(text, kOciIndex, 127);
        REQUIRE(parsed.has_value());
        return select_platform(std::get<Index>(*parsed), wanted);
    };
    const std::string text = index_of({
        descriptor(kOciManifest, platform("windows", "amd64"), 1),
        descriptor(kOciManifest, platform("linux", "amd64"), 2),
        descriptor(kOciManifest, platform("linux", "arm", "v6"), 3),
        descriptor(kOciManifest, platform("linux", "arm", "v7"), 4),
        descriptor(kOciManifest, platform("linux", "arm64", "v8"), 5),
        descriptor(kOciManifest, platform("unknown", "unknown"), 6),
        descriptor(kOciManifest, "", 7),
    });
    CHECK(pick(text, {.os = "linux", .arch = "amd64", .variant = ""})->size == 2);
    CHECK(pick(text, {.os = "linux", .arch = "arm", .variant = "v7"})->size == 4);
    CHECK(pick(text, {.os = "linux", .arch = "arm", .variant = ""})->size == 3);
    CHECK(pick(text, {.os = "linux", .arch = "arm64", .variant = ""})->size == 5);
    CHECK(pick(text, {.os = "windows", .arch = "amd64", .variant = ""})->size == 1);
    const auto none = pick(text, {.os = "linux", .arch = "s390x", .variant = ""});
    REQUIRE_FALSE(none.has_value());
    CHECK(none.error().code() == Errc::NotFound);
    CHECK(none.error().message() ==
          "no image for platform linux/s390x; there is: windows/amd64, linux/amd64, linux/arm/v6, "
          "linux/arm/v7, linux/arm64/v8");
    CHECK_FALSE(pick(text, {.os = "linux", .arch = "arm", .variant = "v5"}).has_value());
}

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
    CHECK(has(message("{}", "application/vnd.docker.distribution.manifest.v1+prettyjws"),
              "schema 1"));
    CHECK(has(message("{}", "text/html"), "text/html"));
    CHECK(has(message(manifest("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
                      kDockerManifest),
              "non-distributable"));
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

TEST_CASE("manifest: Docker's names beside those of OCI") {
    for (const char* layer :
         {"application/vnd.docker.image.rootfs.diff.tar.gzip",
          "application/vnd.docker.image.rootfs.diff.tar", "application/vnd.oci.image.layer.v1.tar",
          "application/vnd.oci.image.layer.v1.tar+zstd"}) {
        for (const std::string_view kind : {kOciManifest, kDockerManifest}) {
            for (const std::string_view config : {kOciConfig, kDockerConfig})
                CHECK(parse_manifest(manifest(layer, config), kind, 127).has_value());
        }
    }
    CHECK(std::holds_alternative<Index>(parse_manifest(index_of({}), kDockerList, 127).value()));
    for (const std::string_view type : {kOciIndex, kOciManifest, kDockerList, kDockerManifest})
        CHECK(manifest_accept().find(type) != std::string::npos);
}

TEST_CASE("manifest: read back from the disk") {
    CHECK(parse_stored_manifest(manifest(), 127).has_value());
    const auto typed = [](std::string_view type, const std::string& rest) {
        return fmt::format(R"({{"mediaType":"{}",{})", type, rest.substr(1));
    };
    CHECK(parse_stored_manifest(typed(kDockerManifest, manifest()), 127).has_value());
    CHECK_FALSE(parse_stored_manifest(typed(kDockerList, index_of({})), 127).has_value());
}

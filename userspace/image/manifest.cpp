#include "userspace/image/manifest.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <limits>

#include "userspace/common/json.h"
#include "userspace/common/text.h"

namespace raind::image {

namespace {

constexpr std::size_t kMaxIndexEntries = 512;
constexpr std::string_view kDockerSchema1 = "application/vnd.docker.distribution.manifest.v1";

Error invalid(std::string what) {
    return {Errc::InvalidArgument, std::move(what)};
}

Error unsupported(std::string what) {
    return {Errc::Unsupported, std::move(what)};
}

std::string in_quotes(std::string_view text) {
    return "'" + printable(text.substr(0, 128)) + "'";
}

// "type; charset=utf-8" without the parameters.
std::string_view bare_type(std::string_view content_type) {
    return trim(content_type.substr(0, content_type.find(';')));
}

Result<Descriptor> read_descriptor(const Json& value, const std::string& path) {
    const JsonReader reader(value, path);
    RAIND_CHECK(reader.expect_object());
    RAIND_TRY(std::string media_type, reader.string("mediaType"));
    RAIND_TRY(const std::string digest_text, reader.string("digest"));
    RAIND_TRY(const std::int64_t size,
              reader.integer("size", 0, std::numeric_limits<std::int64_t>::max()));
    RAIND_TRY(Digest digest, Digest::parse(digest_text).context(path + ".digest"));
    if (const Json* urls = reader.child("urls"); urls != nullptr && !urls->empty())
        return unsupported(path + ": layers kept outside the registry (urls) are not supported");
    return Descriptor{.media_type = std::move(media_type),
                      .digest = std::move(digest),
                      .size = static_cast<std::uint64_t>(size)};
}

// How it is packed is told by the bytes themselves (layer_source.h).
Status check_layer_type(std::string_view type) {
    constexpr std::array<std::string_view, 6> kKnown = {
        "application/vnd.oci.image.layer.v1.tar",
        kOciLayerGzip,
        "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.docker.image.rootfs.diff.tar.zstd",
    };
    if (std::ranges::find(kKnown, type) != kKnown.end())
        return {};
    if (type.find("nondistributable") != std::string_view::npos ||
        type.starts_with("application/vnd.docker.image.rootfs.foreign."))
        return unsupported("non-distributable layers are not supported");
    return unsupported("layer type " + in_quotes(type) + " is not supported");
}

Result<Manifest> read_manifest(const JsonReader& document, std::size_t max_layers) {
    const Json* config = document.child("config");
    const Json* layers = document.child("layers");
    if (config == nullptr || layers == nullptr || !layers->is_array())
        return invalid("the manifest lacks its config or its list of layers");
    if (layers->size() > max_layers)
        return invalid(fmt::format("{} layers, more than {}", layers->size(), max_layers));
    RAIND_TRY(Descriptor config_descriptor, read_descriptor(*config, "config"));
    if (config_descriptor.media_type != kOciConfig && config_descriptor.media_type != kDockerConfig)
        return unsupported("configuration type " + in_quotes(config_descriptor.media_type) +
                           " is not that of a container image");
    Manifest manifest{.config = std::move(config_descriptor), .layers = {}};
    for (std::size_t i = 0; i < layers->size(); ++i) {
        const std::string path = fmt::format("layers[{}]", i);
        RAIND_TRY(Descriptor layer, read_descriptor((*layers)[i], path));
        RAIND_CHECK(check_layer_type(layer.media_type).context(path));
        manifest.layers.push_back(std::move(layer));
    }
    return manifest;
}

Result<std::optional<Platform>> read_platform(const Json& entry, const std::string& path) {
    const JsonReader reader(entry, path);
    const Json* value = reader.child("platform");
    if (value == nullptr)
        return std::optional<Platform>{};
    const JsonReader fields(*value, path + ".platform");
    RAIND_CHECK(fields.expect_object());
    Platform platform;
    RAIND_TRY(platform.os, fields.string("os"));
    RAIND_TRY(platform.arch, fields.string("architecture"));
    RAIND_TRY(platform.variant, fields.string("variant", ""));
    return std::optional<Platform>(std::move(platform));
}

// Written beside the images by build tools: platform unknown/unknown, or told by an annotation.
Result<bool> is_attestation(const Json& entry, const std::optional<Platform>& platform,
                            const std::string& path) {
    if (platform && (platform->os == "unknown" || platform->arch == "unknown"))
        return true;
    const JsonReader reader(entry, path);
    const Json* annotations = reader.child("annotations");
    if (annotations == nullptr)
        return false;
    const JsonReader fields(*annotations, path + ".annotations");
    RAIND_CHECK(fields.expect_object());
    RAIND_TRY(const std::string type, fields.string("vnd.docker.reference.type", ""));
    return type == "attestation-manifest";
}

Result<Index> read_index(const JsonReader& document) {
    const Json* manifests = document.child("manifests");
    if (manifests == nullptr || !manifests->is_array())
        return invalid("the index lacks its list of manifests");
    if (manifests->size() > kMaxIndexEntries)
        return invalid(fmt::format("{} manifests in the index, more than {}", manifests->size(),
                                   kMaxIndexEntries));
    Index index;
    for (std::size_t i = 0; i < manifests->size(); ++i) {
        const std::string path = fmt::format("manifests[{}]", i);
        RAIND_TRY(Descriptor manifest, read_descriptor((*manifests)[i], path));
        RAIND_TRY(auto platform, read_platform((*manifests)[i], path));
        RAIND_TRY(const bool attestation, is_attestation((*manifests)[i], platform, path));
        index.entries.push_back({.manifest = std::move(manifest),
                                 .platform = std::move(platform),
                                 .attestation = attestation});
    }
    return index;
}

Status check_kind(std::string_view type) {
    if (is_index_type(type) || type == kOciManifest || type == kDockerManifest)
        return {};
    if (type.starts_with(kDockerSchema1))
        return unsupported("Docker schema 1 manifests are not supported");
    return unsupported("manifest type " + in_quotes(type) + " is not supported");
}

bool same_variant(const Platform& has, const Platform& wanted) {
    return wanted.variant.empty() || has.variant.empty() || has.variant == wanted.variant;
}

// 0 is best; nothing when the entry cannot hold the image. `only_unstated`: no entry of the index
// states a platform.
std::optional<int> rank(const IndexEntry& entry, const Platform& wanted, bool only_unstated) {
    if (entry.attestation)
        return std::nullopt;
    if (!entry.platform)
        return only_unstated || is_index_type(entry.manifest.media_type) ? std::optional(2)
                                                                         : std::nullopt;
    const Platform& has = *entry.platform;
    if (has.os != wanted.os || has.arch != wanted.arch || !same_variant(has, wanted))
        return std::nullopt;
    return has.variant == wanted.variant ? 0 : 1;
}

}  // namespace

bool is_index_type(std::string_view media_type) {
    return media_type == kOciIndex || media_type == kDockerList;
}

std::string manifest_accept() {
    return fmt::format("{}, {}, {}, {}", kOciIndex, kOciManifest, kDockerList, kDockerManifest);
}

Result<std::variant<Manifest, Index>> parse_manifest(std::string_view bytes,
                                                     std::string_view content_type,
                                                     std::size_t max_layers) {
    using Parsed = std::variant<Manifest, Index>;
    const std::string_view type = bare_type(content_type);
    RAIND_CHECK(check_kind(type));
    RAIND_TRY(const Json json, parse_json(bytes, {.bytes = bytes.size(), .depth = 16})
                                   .context("the manifest is not valid JSON"));
    const JsonReader document(json, "manifest");
    RAIND_CHECK(document.expect_object());
    RAIND_TRY(const std::int64_t version, document.integer("schemaVersion", 1, 2));
    if (version != 2)
        return unsupported("Docker schema 1 manifests are not supported");
    // A document that is valid as both kinds could be read differently by different programs.
    RAIND_TRY(const std::string own_type, document.string("mediaType", std::string(type)));
    if (own_type != type)
        return invalid("the manifest says it is " + in_quotes(own_type) + ", the registry says " +
                       in_quotes(type));
    if (document.has("manifests") && document.has("layers"))
        return invalid("the document is index and manifest at once");
    if (is_index_type(type))
        return read_index(document).transform(
            [](Index&& index) { return Parsed(std::move(index)); });
    return read_manifest(document, max_layers).transform([](Manifest&& manifest) {
        return Parsed(std::move(manifest));
    });
}

Result<Manifest> parse_stored_manifest(std::string_view bytes, std::size_t max_layers) {
    RAIND_TRY(const Json json, parse_json(bytes, {.bytes = bytes.size(), .depth = 16})
                                   .context("the manifest is not valid JSON"));
    const JsonReader document(json, "manifest");
    RAIND_CHECK(document.expect_object());
    RAIND_TRY(const std::string type, document.string("mediaType", std::string(kOciManifest)));
    RAIND_TRY(auto parsed, parse_manifest(bytes, type, max_layers));
    auto* manifest = std::get_if<Manifest>(&parsed);
    if (manifest == nullptr)
        return Error(Errc::Internal, "a recorded manifest is an index");
    return std::move(*manifest);
}

std::vector<IndexEntry> candidates(const Index& index, const Platform& wanted) {
    std::vector<IndexEntry> found;
    const bool only_unstated = platforms_of(index).empty();
    for (const int level : {0, 1, 2}) {
        for (const IndexEntry& entry : index.entries) {
            if (rank(entry, wanted, only_unstated) == level)
                found.push_back(entry);
        }
    }
    return found;
}

std::vector<std::string> platforms_of(const Index& index) {
    std::vector<std::string> names;
    for (const IndexEntry& entry : index.entries) {
        if (entry.platform && !entry.attestation)
            names.push_back(printable(entry.platform->str().substr(0, 64)));
    }
    return names;
}

}  // namespace raind::image

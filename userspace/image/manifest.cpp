#include "userspace/image/manifest.h"

#include <fmt/format.h>
#include <limits>

#include "userspace/common/json.h"
#include "userspace/common/text.h"

namespace raind::image {

namespace {

constexpr std::size_t kMaxIndexEntries = 512;
constexpr std::string_view kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
constexpr std::string_view kDockerList =
    "application/vnd.docker.distribution.manifest.list.v2+json";
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

Status check_layer_type(std::string_view type) {
    if (type == kOciLayerGzip)
        return {};
    if (type.ends_with("+zstd"))
        return unsupported("zstd layers are not supported yet");
    if (type == "application/vnd.oci.image.layer.v1.tar")
        return unsupported("uncompressed layers are not supported yet");
    if (type.starts_with("application/vnd.docker."))
        return unsupported("Docker schema 2 layers are not supported yet");
    if (type.find("nondistributable") != std::string_view::npos)
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
    if (config_descriptor.media_type != kOciConfig)
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
        index.entries.push_back({.manifest = std::move(manifest), .platform = std::move(platform)});
    }
    return index;
}

Status check_kind(std::string_view type) {
    if (type == kOciIndex || type == kOciManifest)
        return {};
    if (type == kDockerManifest)
        return unsupported("Docker schema 2 manifests are not supported yet");
    if (type == kDockerList)
        return unsupported("Docker manifest lists are not supported yet");
    if (type.starts_with(kDockerSchema1))
        return unsupported("Docker schema 1 manifests are not supported");
    return unsupported("manifest type " + in_quotes(type) + " is not supported");
}

}  // namespace

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
    if (type == kOciIndex)
        return read_index(document).transform(
            [](Index&& index) { return Parsed(std::move(index)); });
    return read_manifest(document, max_layers).transform([](Manifest&& manifest) {
        return Parsed(std::move(manifest));
    });
}

Result<Descriptor> select_platform(const Index& index, const Platform& wanted) {
    const IndexEntry* found = nullptr;
    std::string there;
    for (const IndexEntry& entry : index.entries) {
        // Attestations are listed beside images as platform unknown/unknown.
        if (!entry.platform || entry.platform->os == "unknown")
            continue;
        const Platform& has = *entry.platform;
        there += (there.empty() ? "" : ", ") + printable(has.str().substr(0, 64));
        if (has.os != wanted.os || has.arch != wanted.arch)
            continue;
        if (!wanted.variant.empty() && !has.variant.empty() && has.variant != wanted.variant)
            continue;
        const bool exact = has.variant == wanted.variant;
        if (found == nullptr || (exact && found->platform->variant != wanted.variant))
            found = &entry;
    }
    if (found == nullptr)
        return Error(Errc::NotFound,
                     fmt::format("no image for platform {}; there is: {}", wanted.str(),
                                 there.empty() ? "none with a platform" : there));
    RAIND_CHECK(check_kind(found->manifest.media_type));
    return found->manifest;
}

}  // namespace raind::image

// Manifests and image indexes of the OCI image format, checked while they are read.
// Pure functions and values, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "userspace/image/digest.h"
#include "userspace/image/platform.h"

namespace raind::image {

inline constexpr std::string_view kOciIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kOciManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kOciConfig = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view kOciLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip";

// The Accept header of a manifest request. The Docker forms are asked for as well, so that they can
// be refused by name instead of being converted or reported missing by the registry.
std::string manifest_accept();

struct Descriptor {
    std::string media_type;
    Digest digest;
    std::uint64_t size = 0;
};

struct Manifest {
    Descriptor config;
    std::vector<Descriptor> layers;  // lowest first
};

struct IndexEntry {
    Descriptor manifest;
    std::optional<Platform> platform;
};

struct Index {
    std::vector<IndexEntry> entries;
};

// What the bytes are is taken from the content type of the answer, and must agree with the
// document's own mediaType where it has one. Unsupported kinds are refused by name.
Result<std::variant<Manifest, Index>> parse_manifest(std::string_view bytes,
                                                     std::string_view content_type,
                                                     std::size_t max_layers);

// The entry for a platform; the error lists what there is.
Result<Descriptor> select_platform(const Index& index, const Platform& platform);

}  // namespace raind::image

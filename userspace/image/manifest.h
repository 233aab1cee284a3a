// Manifests and image indexes, checked while they are read: the OCI image format and Docker's
// schema 2, which say the same under other names. An image may mix the names of both.
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
inline constexpr std::string_view kDockerList =
    "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view kDockerManifest =
    "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerConfig = "application/vnd.docker.container.image.v1+json";

bool is_index_type(std::string_view media_type);

// The Accept header of a manifest request. A registry converts what is not asked for, or reports it
// missing: all four forms stand in every request.
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
    bool attestation = false;  // speaks about an image, is none
};

struct Index {
    std::vector<IndexEntry> entries;
};

// What the bytes are is taken from the content type of the answer, and must agree with the
// document's own mediaType where it has one. Unsupported kinds are refused by name.
Result<std::variant<Manifest, Index>> parse_manifest(std::string_view bytes,
                                                     std::string_view content_type,
                                                     std::size_t max_layers);

// A manifest from our own disk: its kind is that of its own mediaType.
Result<Manifest> parse_stored_manifest(std::string_view bytes, std::size_t max_layers);

// The entries that may hold the image of a platform, the best first: manifests of the platform,
// indexes of it, then what states no platform. Attestations are left out.
std::vector<IndexEntry> candidates(const Index& index, const Platform& wanted);
// The platforms that an index states, as people write them.
std::vector<std::string> platforms_of(const Index& index);

}  // namespace raind::image

// From a name to the one manifest of a platform, along indexes and indexes within indexes.
// No I/O of its own. One thread.
#pragma once

#include <functional>
#include <string>

#include "raind/result.h"

#include "userspace/image/manifest.h"

namespace raind::image {

struct FetchedManifest {
    std::string bytes;
    std::string content_type;
    Digest digest;  // of the bytes
};

struct ResolvedManifest {
    FetchedManifest fetched;   // what the name stands for
    FetchedManifest selected;  // the manifest, the same unless the name stands for an index
    Manifest manifest;
};

// Gives a document by tag or digest; verifies the digest.
using ManifestFetch = std::function<Result<FetchedManifest>(const std::string& name)>;

// NotFound lists the platforms that there are.
Result<ResolvedManifest> resolve_manifest(const ManifestFetch& fetch, const std::string& name,
                                          const Platform& platform, std::size_t max_layers);

}  // namespace raind::image

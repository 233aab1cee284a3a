// Images on disk, and pulling them.
//
//   <root>/blobs/sha256/<hex>              manifests, configurations, layers as fetched
//   <root>/layers/<chain id hex>/          one layer laid out, shared by all images that have it
//   <root>/references/<repository>/_tag/<tag>/        manifest.json (as fetched),
//   <root>/references/<repository>/_digest/<hex>/     manifest.selected.json (of an index),
//   config.json
//   <root>/kept/<hex>                      complete blobs of failed pulls, for the next one
//   <root>/tmp/                            everything unfinished; emptied by recover()
//
// Blobs and layers are published by rename, complete and verified. Which references exist is not
// kept here but in the state store: pull() gives a plain record. Several threads may pull at once;
// one process owns a root.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "raind/result.h"
#include "raind/unique_fd.h"

#include "userspace/image/blob_store.h"
#include "userspace/image/config.h"
#include "userspace/image/credentials.h"
#include "userspace/image/leases.h"
#include "userspace/image/options.h"
#include "userspace/image/platform.h"
#include "userspace/image/reference.h"

namespace raind::image {

struct PullProgress {
    enum class Step { Resolving, Downloading, Extracting, Present, Done };
    Step step = Step::Resolving;
    std::string layer;  // digest of the layer, empty when none is meant
    std::uint64_t done = 0;
    std::uint64_t total = 0;
};
using ProgressCallback = std::function<void(const PullProgress&)>;

struct PulledImage {
    Reference reference;
    Digest fetched_digest;   // what the reference named: an index or a manifest ("repoDigests")
    Digest manifest_digest;  // the manifest of the platform; the key for image() and collect()
    Digest config_digest;    // the image id
    std::uint64_t size_bytes = 0;  // compressed layers
    ImageConfig config;
    // As overlayfs takes them for lowerdir: the topmost layer first, the base layer last.
    std::vector<std::filesystem::path> layers;
    std::filesystem::path directory;  // of manifest.json and config.json of this reference
    // Holds blobs and layers against collect() until the caller has recorded the image. Drop it
    // after that.
    std::shared_ptr<void> lease;
};

struct Collected {
    std::size_t blobs = 0;
    std::size_t layers = 0;
};

class ImageStore {
  public:
    // Manifests that are still needed: those of all recorded references and of all containers.
    // Called while nothing can be recorded without being seen.
    using UsedManifests = std::function<Result<std::vector<Digest>>()>;

    static Result<ImageStore> open(StoreOptions options);

    // On failure nothing of the image remains but complete blobs that are put aside. Layers that
    // are there, and blobs that were put aside, are not fetched again.
    Result<PulledImage> pull(const Reference& reference, const Platform& platform,
                             const ProgressCallback& progress, const std::stop_token& stop);
    // Keeps the credentials once the registry has accepted them; then pulls use them.
    Status login(const std::string& registry, const Credentials& credentials,
                 const std::stop_token& stop);
    // Whether there was a login.
    Result<bool> logout(const std::string& registry);
    // A recorded image, read back from disk and verified; NotFound names what is missing.
    Result<PulledImage> image(const Reference& reference, const Digest& manifest_digest) const;
    // Topmost first.
    std::vector<std::filesystem::path> layer_paths(const ImageConfig& config) const;

    // Removes the files of one reference; blobs and layers go with collect().
    Status forget(const Reference& reference);
    // Removes blobs and layers that none of the used manifests needs and no pull holds. If a used
    // manifest cannot be read, nothing is removed.
    Result<Collected> collect(const UsedManifests& used);
    // After a start: removes everything unfinished, puts complete blobs without an image aside,
    // then collects.
    Status recover(const UsedManifests& used);
    // Removes what was put aside too long ago, or is too much.
    Status prune() const;
    // After a start: removes the files of references that were never recorded, or are no longer.
    Status keep_references(const std::vector<Reference>& recorded);

    std::filesystem::path directory_of(const Reference& reference) const;

  private:
    friend class Pull;
    ImageStore(StoreOptions options, UniqueFd lock);
    std::filesystem::path temporary() const { return options_.root / "tmp"; }
    std::filesystem::path layer_path(const Digest& chain) const;
    Status remove_layer(const std::string& hex, const std::filesystem::path& trash) const;
    Status keep_unused(const UsedManifests& used) const;
    Result<std::set<std::string>> names_of(const UsedManifests& used) const;
    Status add_names(const Digest& manifest_digest, std::set<std::string>& names) const;
    Status sweep(const std::filesystem::path& folder, std::string_view kind,
                 const std::set<std::string>& used, const std::filesystem::path& trash,
                 std::size_t& removed) const;

    StoreOptions options_;
    UniqueFd lock_;
    BlobStore blobs_;
    std::shared_ptr<LeaseTable> leases_;
};

// Names under which leases hold things.
std::string blob_name(const Digest& digest);
std::string layer_name(const Digest& chain);

}  // namespace raind::image

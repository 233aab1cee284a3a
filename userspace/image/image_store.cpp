#include "userspace/image/image_store.h"

#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <set>
#include <sys/stat.h>
#include <variant>

#include "userspace/common/fs.h"
#include "userspace/common/ids.h"
#include "userspace/common/log.h"
#include "userspace/image/manifest.h"

namespace raind::image {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kBlobKind = "blob:";
constexpr std::string_view kLayerKind = "layer:";

Result<std::vector<std::string>> names_in(const fs::path& folder) {
    std::vector<std::string> names;
    std::error_code error;
    for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
        names.push_back(at->path().filename().string());
    if (error)
        return os_error("list " + folder.string(), error.value());
    return names;
}

bool is_folder(const fs::path& path) {
    struct stat info{};
    return ::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

}  // namespace

std::string blob_name(const Digest& digest) {
    return std::string(kBlobKind) + digest.hex();
}
std::string layer_name(const Digest& chain) {
    return std::string(kLayerKind) + chain.hex();
}

ImageStore::ImageStore(StoreOptions options, UniqueFd lock)
    : options_(std::move(options)),
      lock_(std::move(lock)),
      blobs_(options_.root / "blobs" / "sha256", options_.root / "tmp", options_.root / "kept"),
      leases_(std::make_shared<LeaseTable>()) {
}

Result<ImageStore> ImageStore::open(StoreOptions options) {
    for (const char* folder : {"", "blobs/sha256", "layers", "references", "kept", "tmp"})
        RAIND_CHECK(make_dirs(options.root / folder, 0700).context("image store"));
    RAIND_TRY(UniqueFd lock, lock_file(options.root / "lock").context("image store"));
    return ImageStore(std::move(options), std::move(lock));
}

fs::path ImageStore::directory_of(const Reference& reference) const {
    const fs::path repository = options_.root / "references" / reference.repository();
    // No part of a repository begins with '_', so these cannot be repositories themselves.
    if (reference.digest())
        return repository / "_digest" / reference.digest()->hex();
    return repository / "_tag" / reference.tag();
}

fs::path ImageStore::layer_path(const Digest& chain) const {
    return options_.root / "layers" / chain.hex();
}

std::vector<fs::path> ImageStore::layer_paths(const ImageConfig& config) const {
    std::vector<fs::path> paths;
    const auto chain = chain_ids(config.diff_ids);
    for (auto at = chain.rbegin(); at != chain.rend(); ++at)
        paths.push_back(layer_path(*at));
    return paths;
}

Result<PulledImage> ImageStore::image(const Reference& reference,
                                      const Digest& manifest_digest) const {
    const auto what = "image " + reference.familiar();
    const auto lease = leases_->take();
    lease->hold(blob_name(manifest_digest));
    RAIND_TRY(const std::string bytes,
              blobs_.read(manifest_digest, options_.registry.max_document).context(what));
    RAIND_TRY(const Manifest manifest,
              parse_stored_manifest(bytes, options_.registry.max_layers).context(what));
    lease->hold(blob_name(manifest.config.digest));
    RAIND_TRY(const std::string config_bytes,
              blobs_.read(manifest.config.digest, options_.registry.max_document).context(what));
    RAIND_TRY(ImageConfig config, parse_config(config_bytes).context(what));
    for (const Digest& chain : chain_ids(config.diff_ids)) {
        lease->hold(layer_name(chain));
        if (!is_folder(layer_path(chain)))
            return Error(Errc::NotFound, fmt::format("{}: layer {} is missing; pull it again", what,
                                                     layer_path(chain).string()));
    }
    PulledImage image{.reference = reference,
                      .fetched_digest = manifest_digest,
                      .manifest_digest = manifest_digest,
                      .config_digest = manifest.config.digest,
                      .layers = layer_paths(config),
                      .directory = directory_of(reference),
                      .lease = lease};
    for (const Descriptor& layer : manifest.layers)
        image.size_bytes += layer.size;
    if (const auto fetched =
            read_file(image.directory / "manifest.json", options_.registry.max_document))
        image.fetched_digest = Digest::of(*fetched);
    image.config = std::move(config);
    return image;
}

Status ImageStore::forget(const Reference& reference) {
    const fs::path directory = directory_of(reference);
    RAIND_CHECK(remove_tree(directory).context("image " + reference.familiar()));
    // Folders above that are empty now go as well; the first that is not stops it.
    const fs::path top = options_.root / "references";
    for (fs::path at = directory.parent_path(); at != top && at.has_relative_path();
         at = at.parent_path()) {
        if (::rmdir(at.c_str()) != 0)
            break;
    }
    return {};
}

Status ImageStore::keep_references(const std::vector<Reference>& recorded) {
    std::set<fs::path> kept;
    for (const Reference& reference : recorded)
        kept.insert(directory_of(reference));
    std::vector<fs::path> folders;
    std::error_code error;
    for (fs::recursive_directory_iterator at(options_.root / "references", error), end;
         !error && at != end; at.increment(error)) {
        if (!is_folder(at->path()))
            continue;
        const std::string above = at->path().parent_path().filename().string();
        const bool files = above == "_tag" || above == "_digest";
        if (files)
            at.disable_recursion_pending();
        if (!kept.contains(at->path()))
            folders.push_back(at->path());
        if (files && !kept.contains(at->path()))
            RAIND_CHECK(remove_tree(at->path()));
    }
    if (error)
        return os_error("list references", error.value());
    // Those below first; one that holds something is needed.
    for (auto at = folders.rbegin(); at != folders.rend(); ++at)
        ::rmdir(at->c_str());
    return {};
}

Status ImageStore::add_names(const Digest& manifest_digest, std::set<std::string>& names) const {
    RAIND_TRY(const std::string bytes,
              blobs_.read(manifest_digest, options_.registry.max_document));
    RAIND_TRY(const Manifest manifest, parse_stored_manifest(bytes, options_.registry.max_layers));
    names.insert(blob_name(manifest_digest));
    names.insert(blob_name(manifest.config.digest));
    for (const Descriptor& layer : manifest.layers)
        names.insert(blob_name(layer.digest));
    RAIND_TRY(const std::string config_bytes,
              blobs_.read(manifest.config.digest, options_.registry.max_document));
    RAIND_TRY(const ImageConfig config, parse_config(config_bytes));
    for (const Digest& chain : chain_ids(config.diff_ids))
        names.insert(layer_name(chain));
    return {};
}

// A layer may be large: it is moved away at once and removed later, without a lock.
Status ImageStore::remove_layer(const std::string& hex, const fs::path& trash) const {
    const fs::path from = options_.root / "layers" / hex;
    if (::rename(from.c_str(), (trash / hex).c_str()) != 0 && errno != ENOENT)
        return os_error("remove layer " + from.string());
    return {};
}

// The lease table is locked.
Status ImageStore::sweep(const fs::path& folder, std::string_view kind,
                         const std::set<std::string>& used, const fs::path& trash,
                         std::size_t& removed) const {
    RAIND_TRY(const auto files, names_in(folder));
    for (const std::string& file : files) {
        const std::string name = std::string(kind) + file;
        if (used.contains(name) || leases_->is_held(name))
            continue;
        if (kind == kLayerKind)
            RAIND_CHECK(remove_layer(file, trash));
        else
            RAIND_CHECK(remove_tree(folder / file));
        ++removed;
    }
    return {};
}

Result<std::set<std::string>> ImageStore::names_of(const UsedManifests& used) const {
    RAIND_TRY(const auto manifests, used());
    std::set<std::string> names;
    for (const Digest& manifest : manifests)
        RAIND_CHECK(add_names(manifest, names).context("collect images"));
    return names;
}

// After a start a blob without an image is what a killed pull has completed (or what a removal that
// was cut short has left: it goes with the others).
Status ImageStore::keep_unused(const UsedManifests& used) const {
    const auto guard = leases_->lock();
    RAIND_TRY(const std::set<std::string> names, names_of(used));
    RAIND_TRY(const auto files, names_in(options_.root / "blobs" / "sha256"));
    for (const std::string& file : files) {
        const auto digest = Digest::from_hex(file);
        if (digest && !names.contains(blob_name(*digest)))
            RAIND_CHECK(blobs_.keep(*digest));
    }
    return prune();
}

Status ImageStore::prune() const {
    RAIND_TRY(const std::size_t removed, blobs_.prune(options_.keep));
    if (removed > 0)
        log::info("image store: removed {} blobs that failed pulls had left", removed);
    return {};
}

Result<Collected> ImageStore::collect(const UsedManifests& used) {
    RAIND_TRY(const TempDir trash, TempDir::make(temporary(), "trash-"));
    Collected collected;
    const auto guard = leases_->lock();
    RAIND_TRY(const std::set<std::string> names, names_of(used));
    RAIND_CHECK(sweep(options_.root / "layers", kLayerKind, names, trash.path(), collected.layers));
    RAIND_CHECK(
        sweep(options_.root / "blobs" / "sha256", kBlobKind, names, trash.path(), collected.blobs));
    return collected;
}

Status ImageStore::recover(const UsedManifests& used) {
    RAIND_TRY(const auto unfinished, names_in(temporary()));
    for (const std::string& name : unfinished)
        RAIND_CHECK(remove_tree(temporary() / name));
    RAIND_CHECK(keep_unused(used));
    RAIND_TRY(const Collected collected, collect(used));
    if (!unfinished.empty() || collected.blobs + collected.layers > 0)
        log::info("image store: removed {} unfinished entries, {} blobs, {} layers",
                  unfinished.size(), collected.blobs, collected.layers);
    return {};
}

}  // namespace raind::image

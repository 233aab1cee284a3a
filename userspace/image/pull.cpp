#include "userspace/image/pull.h"

#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <limits>
#include <sys/stat.h>
#include <unistd.h>

#include "userspace/common/fs.h"
#include "userspace/common/log.h"
#include "userspace/image/extractor.h"

namespace raind::image {

namespace {

constexpr std::uint64_t kReportEvery = 4U << 20;
constexpr const char* kStagedName = "layer";

class MemoryTarget : public BlobTarget {
  public:
    explicit MemoryTarget(std::uint64_t limit) : limit_(limit) {}
    Status restart() override {
        bytes.clear();
        return {};
    }
    Status write(std::string_view piece) override {
        if (piece.size() > limit_ - bytes.size())
            return Error(Errc::InvalidArgument,
                         fmt::format("longer than the {} bytes that the manifest states", limit_));
        bytes += piece;
        return {};
    }
    std::string bytes;

  private:
    std::uint64_t limit_;
};

// Passes a blob on and tells how far it got.
class ReportingTarget : public BlobTarget {
  public:
    ReportingTarget(BlobWriter& writer, std::function<void(std::uint64_t)> report)
        : writer_(writer), report_(std::move(report)) {}
    Status restart() override {
        reported_ = 0;
        return writer_.restart();
    }
    Status write(std::string_view piece) override {
        RAIND_CHECK(writer_.write(piece));
        if (writer_.written() - reported_ >= kReportEvery) {
            reported_ = writer_.written();
            report_(reported_);
        }
        return {};
    }

  private:
    BlobWriter& writer_;
    std::function<void(std::uint64_t)> report_;
    std::uint64_t reported_ = 0;
};

bool is_there(const std::filesystem::path& path) {
    struct stat info{};
    return ::lstat(path.c_str(), &info) == 0;
}

// Everything below the folder reaches the disk before the folder gets its name.
Status sync_file_system(const std::filesystem::path& folder) {
    RAIND_TRY(const UniqueFd fd, open_file(folder, O_RDONLY | O_DIRECTORY));
    if (::syncfs(fd.get()) != 0)
        return os_error("sync " + folder.string());
    return {};
}

}  // namespace

Pull::Pull(const ImageStore& store, const Reference& reference, const Platform& platform,
           const ProgressCallback& progress, const std::stop_token& stop)
    : store_(store),
      reference_(reference),
      platform_(platform),
      progress_(progress),
      stop_(stop),
      lease_(store.leases_->take()) {
}

void Pull::report(PullProgress::Step step, const Descriptor* layer, std::uint64_t done) const {
    if (!progress_)
        return;
    PullProgress now{.step = step, .layer = {}, .done = done, .total = 0};
    if (layer != nullptr) {
        now.layer = layer->digest.str();
        now.total = layer->size;
    }
    progress_(now);
}

Result<PulledImage> Pull::run() {
    auto image = pull_all();
    if (image) {
        lease_->claim();
        report(PullProgress::Step::Done);
        return image;
    }
    give_up(image.error().code());
    return std::move(image).context(
        fmt::format("image {}: registry {}", reference_.familiar(), reference_.registry()));
}

namespace {

// What is complete is worth keeping when the same pull may succeed later. It is not when the
// content was refused, and not when the disk is full.
bool may_succeed_later(Errc why) {
    return why != Errc::InvalidArgument && why != Errc::TooLarge && why != Errc::Unsupported &&
           why != Errc::Exhausted;
}

}  // namespace

void Pull::give_up(Errc why) {
    if (made_directory_) {
        if (const auto removed = remove_tree(store_.directory_of(reference_)); !removed)
            log::warning("image store: {}", removed.error().message());
    }
    auto trash = TempDir::make(store_.temporary(), "trash-");
    const auto [names, guard] = lease_->give_up();
    for (const std::string& name : names) {
        const auto colon = name.find(':');
        const std::string hex = name.substr(colon + 1);
        Status removed;
        if (name.starts_with("layer:"))
            removed = trash ? store_.remove_layer(hex, trash->path()) : Status(trash.error());
        else if (may_succeed_later(why))
            removed = store_.blobs_.keep(*Digest::from_hex(hex));
        else
            removed = store_.blobs_.remove(*Digest::from_hex(hex));
        if (!removed)
            log::warning("image store: left {} behind: {}", name, removed.error().message());
    }
    if (const auto pruned = store_.blobs_.prune(store_.options_.keep); !pruned)
        log::warning("image store: {}", pruned.error().message());
}

Result<std::string> Pull::fetch_config(RegistryClient& registry, const Descriptor& config) {
    if (config.size > store_.options_.registry.max_document)
        return Error(Errc::TooLarge, fmt::format("a configuration of {} bytes", config.size));
    if (store_.blobs_.has(config.digest))
        return store_.blobs_.read(config.digest, store_.options_.registry.max_document);
    MemoryTarget target(config.size);
    RAIND_CHECK(registry.blob(config, target));
    if (target.bytes.size() != config.size)
        return Error(Errc::InvalidArgument,
                     fmt::format("configuration {} has {} bytes, the manifest states {}",
                                 config.digest.str(), target.bytes.size(), config.size));
    if (const Digest digest = Digest::of(target.bytes); digest != config.digest)
        return Error(Errc::InvalidArgument,
                     fmt::format("configuration {} does not match its digest: the bytes are {}",
                                 config.digest.str(), digest.str()));
    return std::move(target.bytes);
}

Result<Pull::Documents> Pull::fetch_documents(RegistryClient& registry) {
    RAIND_TRY(ResolvedManifest resolved,
              resolve_manifest([&](const std::string& name) { return registry.manifest(name); },
                               reference_.manifest_name(), platform_,
                               store_.options_.registry.max_layers));
    const Descriptor& wanted = resolved.manifest.config;
    lease_->hold(blob_name(wanted.digest));
    RAIND_TRY(std::string config_bytes, fetch_config(registry, wanted));
    RAIND_TRY(ImageConfig config, parse_config(config_bytes));
    return Documents{.resolved = std::move(resolved),
                     .config_bytes = std::move(config_bytes),
                     .config = std::move(config)};
}

Status Pull::check_documents(const Documents& documents) const {
    const RegistryOptions& limits = store_.options_.registry;
    const auto& layers = documents.resolved.manifest.layers;
    const Platform& has = documents.config.platform;
    if (layers.empty())
        return Error(Errc::InvalidArgument, "the image has no layers");
    if (documents.config.diff_ids.size() != layers.size())
        return Error(Errc::InvalidArgument,
                     fmt::format("{} layers in the manifest, {} in the configuration",
                                 layers.size(), documents.config.diff_ids.size()));
    if ((!has.os.empty() && has.os != platform_.os) ||
        (!has.arch.empty() && has.arch != platform_.arch))
        return Error(Errc::NotFound, fmt::format("no image for platform {}; there is: {}",
                                                 platform_.str(), has.str()));
    std::uint64_t total = 0;
    for (const Descriptor& layer : layers) {
        if (layer.size > limits.max_layer_bytes || layer.size > limits.max_image_bytes - total)
            return Error(Errc::TooLarge,
                         fmt::format("layers over the limits of {} bytes each and {} together",
                                     limits.max_layer_bytes, limits.max_image_bytes));
        total += layer.size;
    }
    return {};
}

// A blob that is there already is read once more: the disk may have lost it since.
Status Pull::ensure_blob(RegistryClient& registry, const Descriptor& layer) {
    lease_->hold(blob_name(layer.digest));
    RAIND_TRY(const auto work, lease_->work_on(blob_name(layer.digest), stop_));
    if (store_.blobs_.has(layer.digest)) {
        RAIND_TRY(const bool intact, store_.blobs_.intact(layer.digest));
        if (intact)
            return {};
        log::warning("image store: {} is damaged, fetching it again", layer.digest.str());
    } else {
        RAIND_TRY(const bool kept, store_.blobs_.take_back(layer.digest));
        if (kept) {
            lease_->published(blob_name(layer.digest));
            report(PullProgress::Step::Present, &layer, layer.size);
            return {};
        }
    }
    RAIND_TRY(BlobWriter writer, store_.blobs_.create(layer));
    report(PullProgress::Step::Downloading, &layer, 0);
    ReportingTarget target(
        writer, [&](std::uint64_t done) { report(PullProgress::Step::Downloading, &layer, done); });
    RAIND_CHECK(registry.blob(layer, target));
    RAIND_CHECK(writer.commit());
    lease_->published(blob_name(layer.digest));
    report(PullProgress::Step::Downloading, &layer, layer.size);
    return {};
}

Result<Pull::StagedLayer> Pull::stage_layer(const Descriptor& blob, const Digest& diff_id,
                                            const Digest& chain,
                                            const std::vector<std::filesystem::path>& below) {
    RAIND_TRY(TempDir folder, TempDir::make(store_.temporary(), "layer-"));
    const auto inner = folder.path() / kStagedName;
    RAIND_CHECK(make_dirs(inner, 0755));
    report(PullProgress::Step::Extracting, &blob);
    RAIND_TRY(const ExtractReport laid_out,
              extract_confined({.program = store_.options_.extract_program,
                                .blob = store_.blobs_.path(blob.digest),
                                .folder = inner,
                                .below = below,
                                .limits = store_.options_.extract},
                               stop_));
    if (laid_out.diff_id != diff_id)
        return Error(Errc::InvalidArgument,
                     fmt::format("the content is {}, the configuration states {}",
                                 laid_out.diff_id.str(), diff_id.str()));
    RAIND_CHECK(check_ratio(blob, laid_out.unpacked));
    if (laid_out.stats.skipped_devices > 0)
        log::warning("image {}: {} device nodes left out of layer {}", reference_.familiar(),
                     laid_out.stats.skipped_devices, blob.digest.str());
    return StagedLayer{.folder = std::move(folder), .chain = chain, .work = {}};
}

Status Pull::check_ratio(const Descriptor& blob, std::uint64_t unpacked) {
    const ExtractLimits& limits = store_.options_.extract;
    packed_ += blob.size;
    unpacked_ += unpacked;
    if (unpacked_ > limits.ratio_floor && unpacked_ / limits.max_ratio > packed_)
        return Error(Errc::TooLarge,
                     fmt::format("up to it {} bytes came out of {}, more than {} to 1", unpacked_,
                                 packed_, limits.max_ratio));
    return {};
}

// One sync for all of them: it costs as much as everything that anybody has written.
Status Pull::publish(const std::vector<StagedLayer>& staged) {
    if (staged.empty())
        return {};
    RAIND_CHECK(sync_file_system(store_.temporary()));
    for (const StagedLayer& layer : staged) {
        const auto target = store_.layer_path(layer.chain);
        if (::rename((layer.folder.path() / kStagedName).c_str(), target.c_str()) != 0)
            return os_error("publish " + target.string());
        lease_->published(layer_name(layer.chain));
    }
    return fsync_dir(store_.layer_path(staged.front().chain).parent_path());
}

Status Pull::ensure_layers(RegistryClient& registry, const Documents& documents) {
    const auto& diff_ids = documents.config.diff_ids;
    const auto chain = chain_ids(diff_ids);
    // Images that share a layer share everything below it in the same order, so two pulls never
    // wait for each other here.
    std::vector<StagedLayer> staged;
    std::vector<std::filesystem::path> below;  // where each is now, topmost first
    for (std::size_t i = 0; i < chain.size(); ++i) {
        const Descriptor& layer = documents.resolved.manifest.layers[i];
        lease_->hold(layer_name(chain[i]));
        lease_->hold(blob_name(layer.digest));
        RAIND_TRY(auto work, lease_->work_on(layer_name(chain[i]), stop_));
        const auto what = fmt::format("layer {} of {}", i + 1, chain.size());
        if (is_there(store_.layer_path(chain[i]))) {
            report(PullProgress::Step::Present, &layer, layer.size);
            below.insert(below.begin(), store_.layer_path(chain[i]));
            continue;
        }
        RAIND_CHECK(ensure_blob(registry, layer).context(what));
        auto laid_out = stage_layer(layer, diff_ids[i], chain[i], below)
                            .context(fmt::format("{} ({})", what, layer.digest.str()));
        RAIND_TRY(StagedLayer next, std::move(laid_out));
        next.work = std::move(work);
        below.insert(below.begin(), next.folder.path() / kStagedName);
        staged.push_back(std::move(next));
    }
    return publish(staged);
}

Status Pull::keep_blob(const Digest& digest, const std::string& bytes) {
    lease_->hold(blob_name(digest));
    if (store_.blobs_.has(digest))
        return {};
    RAIND_CHECK(store_.blobs_.put(digest, bytes));
    lease_->published(blob_name(digest));
    return {};
}

// Last of all, so that a reference never points at an image that is not whole.
Status Pull::write_reference(const Documents& documents) {
    const auto directory = store_.directory_of(reference_);
    made_directory_ = !is_there(directory);
    RAIND_CHECK(make_dirs(directory, 0700));
    if (documents.resolved.fetched.digest != documents.resolved.selected.digest)
        RAIND_CHECK(write_file_atomic(directory / "manifest.selected.json",
                                      documents.resolved.selected.bytes));
    else
        RAIND_CHECK(remove_tree(directory / "manifest.selected.json"));
    RAIND_CHECK(write_file_atomic(directory / "config.json", documents.config_bytes));
    return write_file_atomic(directory / "manifest.json", documents.resolved.fetched.bytes);
}

Result<PulledImage> Pull::pull_all() {
    report(PullProgress::Step::Resolving);
    std::optional<Credentials> credentials;
    if (store_.options_.credentials) {
        RAIND_TRY(credentials, store_.options_.credentials->find(reference_.registry()));
    }
    RAIND_TRY(RegistryClient registry, RegistryClient::make({.registry = reference_.registry(),
                                                             .path = reference_.path(),
                                                             .credentials = std::move(credentials)},
                                                            store_.options_.registry, stop_));
    RAIND_TRY(Documents documents, fetch_documents(registry));
    RAIND_CHECK(check_documents(documents));
    RAIND_CHECK(ensure_layers(registry, documents));
    RAIND_CHECK(keep_blob(documents.resolved.manifest.config.digest, documents.config_bytes));
    RAIND_CHECK(keep_blob(documents.resolved.selected.digest, documents.resolved.selected.bytes));
    RAIND_CHECK(write_reference(documents));
    PulledImage image{.reference = reference_,
                      .fetched_digest = documents.resolved.fetched.digest,
                      .manifest_digest = documents.resolved.selected.digest,
                      .config_digest = documents.resolved.manifest.config.digest,
                      .layers = store_.layer_paths(documents.config),
                      .directory = store_.directory_of(reference_),
                      .lease = lease_};
    for (const Descriptor& layer : documents.resolved.manifest.layers)
        image.size_bytes += layer.size;
    image.config = std::move(documents.config);
    return image;
}

Result<PulledImage> ImageStore::pull(const Reference& reference, const Platform& platform,
                                     const ProgressCallback& progress,
                                     const std::stop_token& stop) {
    return Pull(*this, reference, platform, progress, stop).run();
}

}  // namespace raind::image

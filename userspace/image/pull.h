// One pull, from the reference to the published image. Made by ImageStore::pull, used by one
// thread.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "userspace/common/fs.h"
#include "userspace/image/image_store.h"
#include "userspace/image/manifest.h"
#include "userspace/image/registry.h"

namespace raind::image {

class Pull {
  public:
    Pull(const ImageStore& store, const Reference& reference, const Platform& platform,
         const ProgressCallback& progress, const std::stop_token& stop);

    // When it fails, layers and reference go; complete blobs are put aside for the next attempt.
    Result<PulledImage> run();

  private:
    struct Documents {
        ResolvedManifest resolved;
        std::string config_bytes;
        ImageConfig config;
    };

    // Laid out and verified, not yet on disk for sure. `work` keeps other pulls from doing it
    // again.
    struct StagedLayer {
        TempDir folder;
        Digest chain;
        std::unique_lock<std::timed_mutex> work;
    };

    Result<PulledImage> pull_all();
    Result<Documents> fetch_documents(RegistryClient& registry);
    Result<std::string> fetch_config(RegistryClient& registry, const Descriptor& config);
    Status check_documents(const Documents& documents) const;
    Status ensure_layers(RegistryClient& registry, const Documents& documents);
    Status ensure_blob(RegistryClient& registry, const Descriptor& layer);
    Result<StagedLayer> stage_layer(const Descriptor& blob, const Digest& diff_id,
                                    const Digest& chain,
                                    const std::vector<std::filesystem::path>& below);
    // What holds for a layer holds for all together.
    Status check_ratio(const Descriptor& blob, std::uint64_t unpacked);
    Status publish(const std::vector<StagedLayer>& staged);
    Status keep_blob(const Digest& digest, const std::string& bytes);
    Status write_reference(const Documents& documents);
    void give_up(Errc why);
    void report(PullProgress::Step step, const Descriptor* layer = nullptr,
                std::uint64_t done = 0) const;

    const ImageStore& store_;
    Reference reference_;
    Platform platform_;
    const ProgressCallback& progress_;
    std::stop_token stop_;
    std::shared_ptr<Lease> lease_;
    bool made_directory_ = false;
    // Of the layers laid out by this pull.
    std::uint64_t packed_ = 0;
    std::uint64_t unpacked_ = 0;
};

}  // namespace raind::image

// Images for clients and for the manager of containers: which references exist is in the store, the
// files are in userspace/image. Thread-safe; pulls run side by side.
#pragma once

#include <mutex>

#include "userspace/core/services.h"
#include "userspace/image/image_store.h"
#include "userspace/runtime/image_source.h"
#include "userspace/store/store.h"

namespace raind::runtime {

class ImageManager final : public core::ImageService, public ImageSource {
  public:
    ImageManager(image::ImageStore& files, store::Store& store, stdfs::path layers)
        : files_(files), store_(store), layers_(std::move(layers)) {}

    // What an interrupted pull or removal left is removed.
    Status recover();

    Result<std::vector<api::ImageInfo>> list() override;
    Status pull(const api::ImageRequest& request, std::stop_token stop) override;
    Status remove(const std::string& image) override;
    Result<api::ImageInfo> status(const std::string& image) override;
    Result<std::string> login(const api::LoginRequest& request, std::stop_token stop) override;
    Result<api::LogoutResult> logout(const std::string& registry) override;

    Result<UsableImage> ensure(const std::string& reference) override;
    Result<ImageDefaults> defaults(const core::ContainerRecord& container) override;
    std::vector<stdfs::path> layer_paths(const std::vector<std::string>& chain_ids) const override;

  private:
    Result<core::ImageRecord> pull_reference(const image::Reference& reference,
                                             const image::Platform& platform,
                                             const std::stop_token& stop);
    Result<std::vector<image::Digest>> used_manifests();
    Result<core::ImageRecord> find(const image::Reference& reference);

    image::ImageStore& files_;
    store::Store& store_;
    stdfs::path layers_;
    std::mutex records_mutex_;  // recording against collecting
};

}  // namespace raind::runtime

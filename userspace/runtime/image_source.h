// What the manager of containers needs of an image that is present.
#pragma once

#include <string>
#include <vector>

#include "raind/result.h"

#include "userspace/common/fs.h"
#include "userspace/core/model.h"
#include "userspace/runtime/bundle.h"

namespace raind::runtime {

struct UsableImage {
    core::ImageRecord record;
    ImageDefaults defaults;
};

class ImageSource {
  public:
    virtual ~ImageSource() = default;
    // Pulls the image when it is absent.
    virtual Result<UsableImage> ensure(const std::string& reference) = 0;
    // Of an image that a container was made from, by the manifest it had then.
    virtual Result<ImageDefaults> defaults(const core::ContainerRecord& container) = 0;
    // Folders of layers by chain id, same order.
    virtual std::vector<stdfs::path> layer_paths(
        const std::vector<std::string>& chain_ids) const = 0;
};

}  // namespace raind::runtime

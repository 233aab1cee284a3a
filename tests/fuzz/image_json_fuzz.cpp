// Manifests, indexes and configurations from a registry: what is accepted stays within the bounds
// that the rest of the pull relies on.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "userspace/image/config.h"
#include "userspace/image/manifest.h"

namespace {

using namespace raind;

constexpr std::size_t kMaxLayers = 4;

void check_manifest(std::string_view bytes, std::string_view type) {
    const auto parsed = image::parse_manifest(bytes, type, kMaxLayers);
    if (!parsed)
        return;
    if (const auto* manifest = std::get_if<image::Manifest>(&*parsed)) {
        if (manifest->layers.size() > kMaxLayers || manifest->config.digest.hex().size() != 64)
            std::abort();
        return;
    }
    const auto& index = std::get<image::Index>(*parsed);
    const auto found = image::candidates(index, {.os = "linux", .arch = "amd64", .variant = ""});
    if (found.size() > index.entries.size() ||
        image::platforms_of(index).size() > index.entries.size())
        std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    check_manifest(bytes, image::kOciManifest);
    check_manifest(bytes, image::kOciIndex);
    check_manifest(bytes, "");
    if (const auto config = image::parse_config(bytes))
        for (const raind::image::Digest& id : config->diff_ids)
            if (id.hex().size() != 64)
                std::abort();
    return 0;
}

// What a layer and those below it show together, as overlayfs will merge them: an entry covers what
// lies below it, folders of one name merge, whiteouts and opaque folders hide
// (Documentation/filesystems/overlayfs.rst, "Upper and Lower", "whiteouts and opaque directories").
//
// Paths are resolved here, by hand and against that merged tree: a link is followed as a process
// would whose root this is, so that no link leads out of it; one of the topmost layer itself that
// would is refused. What a path looks like is asked of
// each layer by a path that has no links. One thread; the layers below do not change meanwhile.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <vector>

#include "raind/result.h"

#include "userspace/image/options.h"

namespace raind::image {

// A folder of the merged tree.
struct MergedFolder {
    std::string path = ".";   // without links
    std::vector<int> layers;  // the roots of the layers whose folders merge here, topmost first;
                              // none: there is no such folder yet
};

// "folder/name"; a folder "." is the root.
std::string path_in(const std::string& folder, const std::string& name);

// An entry that the merged tree shows.
struct MergedEntry {
    int layer = -1;  // root of the layer that has it
    std::string path;
    struct stat info{};
};

// Whiteouts as overlayfs reads them.
inline constexpr const char* kOpaqueXattr = "trusted.overlay.opaque";
bool is_whiteout(const struct stat& info);
// The target of a link.
Result<std::string> read_link(const MergedEntry& link);

class LayerView {
  public:
    // Roots, the topmost first; they stay the caller's.
    LayerView(std::vector<int> roots, const ExtractLimits& limits)
        : roots_(std::move(roots)), max_depth_(limits.max_depth) {}

    // The folders from the root to the one that the parts lead to. Those that exist nowhere have no
    // layers. A file in the way, too many links and too deep a path are errors.
    Result<std::vector<MergedFolder>> resolve(const std::vector<std::string>& parts) const;
    // What stands under a name in a folder; a link is not followed.
    Result<std::optional<MergedEntry>> find(const MergedFolder& folder,
                                            const std::string& name) const;

  private:
    struct Step {
        std::optional<MergedEntry> entry;
        std::vector<int> merged;  // when it is a folder
    };
    Result<Step> look(const MergedFolder& folder, const std::string& name) const;

    std::vector<int> roots_;
    std::uint64_t max_depth_;
    mutable std::uint64_t looks_ = 0;  // at one name in one layer
};

}  // namespace raind::image

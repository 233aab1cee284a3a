// Lays the entries of one layer out below a folder, by descriptors only.
//
// The parent folder of an entry is where its name leads in the tree that this layer and those below
// it show together (layer_view.h): links are followed as a process would whose root this is, and
// are never left to the kernel. A folder that this layer does not list takes owner, mode,
// attributes and time of the one below. The last part of a name is never followed. Whiteouts become
// what overlayfs reads: a character device 0:0 for a removed name, the attribute
// trusted.overlay.opaque on a folder. Device nodes are not made. One thread; nothing else may work
// in the folder meanwhile.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "raind/result.h"
#include "raind/unique_fd.h"

#include "userspace/image/entry_meta.h"
#include "userspace/image/entry_name.h"
#include "userspace/image/layer_view.h"

namespace raind::image {

class LayerWriter {
  public:
    // `root` and the roots of the layers below, topmost first, stay the caller's.
    LayerWriter(int root, std::vector<int> below, const ExtractLimits& limits);

    Status folder(const EntryName& name, const EntryMeta& meta);
    // The open file is returned to be filled; finish_file() then sets owner, mode and time.
    Result<UniqueFd> begin_file(const EntryName& name);
    static Status finish_file(int file, const EntryMeta& meta);
    Status symlink(const EntryName& name, const std::string& target, const EntryMeta& meta);
    // A target that only a layer below has is copied into this one, as overlayfs would, if there is
    // room for the bytes that it takes on disk.
    using Room = std::function<Status(std::uint64_t bytes)>;
    Status hard_link(const EntryName& name, const EntryName& target, const Room& room);
    Status fifo(const EntryName& name, const EntryMeta& meta);
    Status whiteout(const EntryName& name, const Whiteout& whiteout);
    // Sets the times of folders, which everything put into them had changed.
    Status finish();

  private:
    // A folder of this layer.
    struct Place {
        UniqueFd fd;
        std::string path;  // without links, "." for the root
        bool is_root() const;
    };
    Result<Place> open_parent(const EntryName& name);
    Result<Place> make_folders(const std::vector<MergedFolder>& way);
    Status ensure_folder(int parent, const std::string& part, const MergedFolder& folder);
    Status inherit_meta(int fd, const MergedFolder& folder);
    Status copy_up(const MergedEntry& from, const Place& to, const std::string& leaf);
    Status hide(int at, const MergedFolder& below, const std::string& leaf) const;
    Status hide_everything() const;
    Status clear(int parent, const std::string& leaf);
    Status make_opaque(int parent, const std::string& leaf) const;

    int root_;
    std::vector<int> below_;  // none: there is nothing to hide
    LayerView view_;
    std::map<std::string, timespec> folder_times_;
};

}  // namespace raind::image

// Lays the entries of one layer out below a folder, by descriptors only.
//
// Every parent folder is opened with openat2(2) and RESOLVE_BENEATH from the root of the layer, so
// a link in the layer that points outside stops the extraction with an error; the last part of a
// name is never followed. Whiteouts become what overlayfs reads: a character device 0:0 for a
// removed name, the attribute trusted.overlay.opaque on a folder. Device nodes are not made, but
// counted. One thread; nothing else may work in the folder meanwhile.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <vector>

#include "raind/result.h"
#include "raind/unique_fd.h"

#include "userspace/image/entry_name.h"

namespace raind::image {

struct EntryMeta {
    mode_t permissions = 0;  // the 12 low bits
    uid_t uid = 0;
    gid_t gid = 0;
    timespec mtime{};
    std::vector<std::pair<std::string, std::string>> xattrs;  // already filtered
};

// Whether layers lie below this one: the lowest layer has nothing to hide.
enum class LayerPosition { Lowest, Upper };

class LayerWriter {
  public:
    // `root` stays the caller's.
    LayerWriter(int root, LayerPosition position) : root_(root), position_(position) {}

    Status folder(const EntryName& name, const EntryMeta& meta);
    // The open file is returned to be filled; finish_file() then sets owner, mode and time.
    Result<UniqueFd> begin_file(const EntryName& name);
    static Status finish_file(int file, const EntryMeta& meta);
    Status symlink(const EntryName& name, const std::string& target, const EntryMeta& meta);
    Status hard_link(const EntryName& name, const EntryName& target);
    Status fifo(const EntryName& name, const EntryMeta& meta);
    Status whiteout(const EntryName& name, const Whiteout& whiteout);
    // Sets the times of folders, which everything put into them had changed.
    Status finish();

  private:
    Result<UniqueFd> open_parent(const EntryName& name);
    Result<UniqueFd> make_parents(const EntryName& name);
    Status ensure_folder(int parent, const std::string& part);
    Status clear(int parent, const std::string& leaf);
    Status make_opaque(int parent, const std::string& leaf) const;
    bool is_whiteout(int parent, const std::string& leaf) const;

    int root_;
    LayerPosition position_;
    std::map<std::string, timespec> folder_times_;
};

}  // namespace raind::image

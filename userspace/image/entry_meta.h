// Owner, mode, times and attributes of one entry of a layer: set on what was laid out, read from
// what is there. Free functions, any thread; descriptors stay the caller's.
#pragma once

#include <string>
#include <sys/stat.h>
#include <utility>
#include <vector>

#include "raind/result.h"

namespace raind::image {

struct EntryMeta {
    mode_t permissions = 0;  // the 12 low bits
    uid_t uid = 0;
    gid_t gid = 0;
    timespec mtime{};
    std::vector<std::pair<std::string, std::string>> xattrs;  // already filtered
};

// Of an open file or folder; attributes that a layer may not carry are left out.
Result<EntryMeta> read_meta(int fd);
// Without attributes, for links and pipes.
EntryMeta meta_of(const struct stat& info);

// Everything but the time.
Status set_owner_and_mode(int fd, const EntryMeta& meta);
Status set_time(int fd, const timespec& mtime);
// Of the entry itself, should it be a link.
Status set_time_at(int parent, const std::string& leaf, const timespec& mtime);
Status set_owner_at(int parent, const std::string& leaf, const EntryMeta& meta);

}  // namespace raind::image

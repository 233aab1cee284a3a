// Makes layer archives for tests, hostile ones included: entries are written as they are given.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "userspace/image/digest.h"

namespace raind::image::test {

struct Entry {
    std::string name;
    char type = 'f';        // f file, d folder, l symlink, h hard link, p fifo, c and b devices
    std::string content{};  // of a file; target of a link
    unsigned mode = 0644;
    long uid = 0;
    long gid = 0;
    long mtime = 1'000'000'000;
    std::vector<std::pair<std::string, std::string>> xattrs{};
    long claimed_size = -1;  // sparse: more than the content
};

std::string make_tar(const std::vector<Entry>& entries);
std::string gzip(const std::string& bytes);
// One frame with a checksum.
std::string zstd(const std::string& bytes);

}  // namespace raind::image::test

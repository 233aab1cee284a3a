// Where the datapath's objects are pinned: <bpffs>/raind/v<layout>/{maps,progs,links}, all 0700.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "raind/result.h"

namespace raind::bpf {

class Pins {
  public:
    // Makes the folders. `bpffs` must be on a BPF file system.
    static Result<Pins> open(const std::filesystem::path& bpffs);

    std::filesystem::path map(const std::string& name) const { return root_ / "maps" / name; }
    std::filesystem::path program(const std::string& name) const { return root_ / "progs" / name; }
    std::filesystem::path link(const std::string& name) const { return root_ / "links" / name; }
    const std::filesystem::path& root() const { return root_; }

    // Those that somebody removed are made again.
    Status make_folders() const;
    Result<std::vector<std::string>> links() const;
    // Unpins everything and removes the folders; absent is success.
    Status remove_all() const;

  private:
    Pins(std::filesystem::path bpffs, std::filesystem::path root)
        : bpffs_(std::move(bpffs)), root_(std::move(root)) {}
    std::filesystem::path bpffs_;
    std::filesystem::path root_;
};

// Absent is success.
Status unpin(const std::filesystem::path& pin);
// Pins a descriptor in place of what is there, in one step.
Status repin(int fd, const std::filesystem::path& pin);

}  // namespace raind::bpf

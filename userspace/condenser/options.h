// The command line of the daemon.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "raind/result.h"

#include "userspace/bpf/attacher.h"
#include "userspace/common/fs.h"

namespace raind::condenser {

struct Options {
    stdfs::path root;  // empty: the host's own layout
    stdfs::path bpffs = "/sys/fs/bpf";
    std::string cgroup = "/raind";
    std::string listen = "127.0.0.1:7755";
    std::string netns;
    std::string bridge_prefix = "raind";
    bpf::AttachKind attach = bpf::AttachKind::Auto;
    stdfs::path droplet;  // empty: beside this program
    bool manage_forwarding = false;
    bool remove = false;  // undo everything of an instance without containers, then end
    bool verbose = false;

    std::string listen_address() const;
    std::uint16_t listen_port() const;
};

// Nothing: help or version was printed. The error is a usage error.
Result<std::optional<Options>> parse_options(int argc, char** argv);

}  // namespace raind::condenser

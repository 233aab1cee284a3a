// The configuration of an image as plain data. Nothing in it is interpreted here: whoever makes a
// container decides what a value may do. Pure, any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/image/digest.h"
#include "userspace/image/platform.h"

namespace raind::image {

struct ImageConfig {
    Platform platform;
    std::string created;           // RFC 3339 as the image says, may be empty
    std::vector<std::string> env;  // NAME=VALUE, the value may be empty
    std::vector<std::string> cmd;
    std::vector<std::string> entrypoint;
    std::string user;
    std::string working_dir;
    std::string stop_signal;
    std::vector<std::string> exposed_ports;  // "80/tcp"
    std::vector<std::string> volumes;
    std::map<std::string, std::string> labels;
    std::vector<Digest> diff_ids;  // lowest layer first
};

Result<ImageConfig> parse_config(std::string_view bytes);

}  // namespace raind::image

// SHA-256, so that this small program does not carry a cryptography library for one hash.
#pragma once

#include <string>
#include <string_view>

namespace raind::droplet {

std::string sha256_hex(std::string_view bytes);

}  // namespace raind::droplet

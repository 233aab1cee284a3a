// The certificate authority that an operator trusts for one registry, besides the system's:
// <folder>/<registry>/ca.crt, PEM, one certificate or several.
#pragma once

#include <filesystem>
#include <string>

#include "raind/result.h"

namespace raind::image {

struct ExtraAuthority {
    std::filesystem::path file;  // where it is, or would have to be; empty without a folder
    std::string pem;             // empty: none is configured
};

// No folder of the registry: none is configured. A folder without a usable file is an error, as is
// everything in the file that is no certificate. Read for every use. Any thread.
Result<ExtraAuthority> load_authority(const std::filesystem::path& folder,
                                      const std::string& registry);

// The number of certificates in the text; refuses text without any, and broken ones.
Result<int> count_certificates(const std::string& pem);

}  // namespace raind::image

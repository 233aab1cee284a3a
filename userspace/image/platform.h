// The platform an image is wanted for: "linux/arm64/v8". Pure values, any thread.
#pragma once

#include <string>
#include <string_view>

#include "raind/result.h"

namespace raind::image {

struct Platform {
    std::string os;
    std::string arch;     // as Go names it: amd64, arm64, arm
    std::string variant;  // empty: any

    // What this machine runs.
    static Platform host();
    // From the two fields of a request; empty ones mean this machine. `arch` may carry a variant
    // ("arm/v7"), and the kernel's names (x86_64, aarch64) are understood.
    static Result<Platform> from(std::string_view os, std::string_view arch);

    std::string str() const;
    bool operator==(const Platform&) const = default;
};

}  // namespace raind::image

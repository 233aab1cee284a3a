// The AppArmor profile of containers: loaded into the kernel when the daemon starts. Where that
// cannot be done containers run without it, and problem() says why; the log, `system check` and
// `inspect` show it. A profile that is gone later makes a start fail: droplet never runs a
// container without the profile that its bundle names. A value, any thread.
#pragma once

#include <string>
#include <string_view>

#include "raind/result.h"

#include "userspace/common/fs.h"

namespace raind::runtime {

inline constexpr const char* kAppArmorProfile = "raind-default";

// What the profile file holds when the daemon writes it for the first time.
std::string_view default_apparmor_text();

// Whether the kernel's list of profiles (name and mode, one a line) has it, and enforces it.
bool is_enforced(std::string_view profiles, std::string_view name);

class AppArmor {
  public:
    // As on a host without AppArmor.
    AppArmor() = default;
    // Writes the profile file if there is none, and loads it unless this text is loaded already
    // (`stamp` remembers which one was, and the kernel's digest of it).
    static AppArmor prepare(const stdfs::path& file, const stdfs::path& stamp);

    // Empty: none.
    const std::string& profile() const { return profile_; }
    const std::string& problem() const { return problem_; }

  private:
    std::string profile_;
    std::string problem_ = "not looked for";
};

}  // namespace raind::runtime

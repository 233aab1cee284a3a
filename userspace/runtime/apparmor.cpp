#include "userspace/runtime/apparmor.h"

#include <algorithm>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "userspace/common/crypto.h"
#include "userspace/common/process.h"
#include "userspace/common/text.h"

namespace raind::runtime {
namespace {

using namespace std::chrono_literals;

constexpr const char* kEnabled = "/sys/module/apparmor/parameters/enabled";
constexpr const char* kProfiles = "/sys/kernel/security/apparmor/profiles";
constexpr const char* kPolicies = "/sys/kernel/security/apparmor/policy/profiles";
constexpr const char* kParsers[] = {"/usr/sbin/apparmor_parser", "/sbin/apparmor_parser"};
// Half a second is usual; a start of the daemon is not held up for a parser that hangs.
constexpr auto kParserLimit = 10s;

// Only root may say what containers are denied.
Result<std::string> read_profile(const stdfs::path& file) {
    struct stat info{};
    if (lstat(file.c_str(), &info) != 0) {
        if (errno != ENOENT)
            return os_error(file.string());
        RAIND_CHECK(make_dirs(file.parent_path(), 0755));
        RAIND_CHECK(write_file_atomic(file, default_apparmor_text(), 0644));
        return std::string(default_apparmor_text());
    }
    if (!S_ISREG(info.st_mode) || info.st_uid != 0 || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return Error(Errc::Forbidden,
                     fmt::format("{} is not a file that only root can write", file.string()));
    constexpr std::size_t kLargest = 1U << 20;
    return read_file(file, kLargest);
}

Status load(const stdfs::path& file) {
    const auto* parser =
        std::ranges::find_if(kParsers, [](const char* path) { return access(path, X_OK) == 0; });
    if (parser == std::end(kParsers))
        return Error(Errc::Unavailable, "apparmor_parser is not installed");
    RAIND_TRY(const ProgramResult done,
              run_program({.program = *parser,
                           .args = {"apparmor_parser", "--replace", "--skip-cache", file.string()},
                           .env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"},
                           .working_dir = "/"},
                          kParserLimit));
    if (done.status.shell_code() == 0)
        return {};
    const std::string said = printable(trim(done.errors));
    return Error(Errc::Unavailable, fmt::format("apparmor_parser ended with {}: {}",
                                                done.status.shell_code(), said.substr(0, 300)));
}

bool enforced_now() {
    const auto profiles = read_file(kProfiles);
    return profiles && is_enforced(*profiles, kAppArmorProfile);
}

// The kernel's own digest of the profile that it has under our name, empty where it shows none:
// another instance, or a person, may have loaded another text since.
std::string loaded_digest() {
    std::error_code error;
    const std::string prefix = fmt::format("{}.", kAppArmorProfile);
    for (const auto& entry : stdfs::directory_iterator(kPolicies, error)) {
        if (!entry.path().filename().string().starts_with(prefix))
            continue;
        for (const char* name : {"sha256", "sha1"})
            if (const auto digest = read_file(entry.path() / name, 256))
                return std::string(trim(*digest));
    }
    return {};
}

std::string stamp_of(const std::string& text) {
    return fmt::format("{} {}\n", to_hex(sha256(text)), loaded_digest());
}

// What keeps the profile from being in force as the file has it; nothing: it is.
Status ensure(const stdfs::path& file, const stdfs::path& stamp) {
    RAIND_TRY(const std::string text, read_profile(file));
    if (enforced_now() && read_file(stamp).value_or("") == stamp_of(text))
        return {};
    RAIND_CHECK(load(file));
    if (!enforced_now())
        return Error(Errc::Unavailable, fmt::format("{} does not define an enforced profile {}",
                                                    file.string(), kAppArmorProfile));
    return write_file_rename(stamp, stamp_of(text), 0644);
}

}  // namespace

bool is_enforced(std::string_view profiles, std::string_view name) {
    const std::string wanted = fmt::format("{} (enforce)", name);
    return std::ranges::any_of(split(profiles, '\n'),
                               [&](const std::string& line) { return line == wanted; });
}

AppArmor AppArmor::prepare(const stdfs::path& file, const stdfs::path& stamp) {
    AppArmor out;
    out.problem_.clear();
    const auto enabled = read_file(kEnabled, 16);
    if (!enabled || !enabled->starts_with('Y')) {
        out.problem_ = enabled ? "it is switched off in this kernel" : "this kernel has none";
        return out;
    }
    if (!read_file(kProfiles)) {
        out.problem_ = fmt::format("{} cannot be read: is securityfs mounted?", kProfiles);
        return out;
    }
    if (auto done = ensure(file, stamp); !done)
        out.problem_ = fmt::format("the profile could not be loaded: {}", done.error().message());
    // One that somebody else loaded is better than none.
    if (enforced_now())
        out.profile_ = kAppArmorProfile;
    return out;
}

}  // namespace raind::runtime

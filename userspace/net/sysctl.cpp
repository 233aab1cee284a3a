#include "userspace/net/sysctl.h"

#include <array>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "userspace/common/text.h"

namespace raind::net {
namespace {

Result<UniqueFd> open_sysctls() {
    UniqueFd proc(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct statfs info{};
    if (!proc || ::fstatfs(proc.get(), &info) != 0)
        return os_error("/proc");
    if (info.f_type != PROC_SUPER_MAGIC)
        return Error(Errc::Unavailable, "/proc is not procfs");
    UniqueFd folder(::openat(proc.get(), "sys/net", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!folder)
        return os_error("/proc/sys/net");
    return folder;
}

Result<UniqueFd> open_below(int folder, const std::string& path, int flags) {
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
    UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, folder, path.c_str(), &how, sizeof(how))));
    if (!fd)
        return os_error(fmt::format("sysctl net/{}", path));
    return fd;
}

Result<std::string> read_value(int folder, const std::string& path) {
    RAIND_TRY(const auto fd, open_below(folder, path, O_RDONLY));
    std::array<char, 256> buffer{};
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0)
        return os_error(fmt::format("sysctl net/{}", path));
    return std::string(trim(std::string_view(buffer.data(), static_cast<std::size_t>(got))));
}

Status write_value(int folder, const std::string& path, const std::string& value) {
    RAIND_TRY(const auto fd, open_below(folder, path, O_WRONLY));
    if (::write(fd.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size()))
        return os_error(fmt::format("sysctl net/{} = {}", path, value));
    return {};
}

// Lists of numbers come back with tabs.
bool same_value(std::string_view left, std::string_view right) {
    const auto words = [](std::string_view text) {
        std::string out;
        for (const char c : text)
            out += c == '\t' ? ' ' : c;
        return out;
    };
    return words(left) == words(right);
}

Status write_one(int folder, const Sysctl& item, std::vector<Sysctl>& former) {
    auto old_value = read_value(folder, item.path);
    if (!old_value) {
        if (item.may_be_absent && old_value.error().code() == Errc::NotFound)
            return {};
        return std::move(old_value.error());
    }
    if (same_value(*old_value, item.value))
        return {};
    RAIND_CHECK(write_value(folder, item.path, item.value));
    former.push_back({item.path, *old_value, item.may_be_absent});
    return {};
}

Result<std::vector<Sysctl>> write_here(const std::vector<Sysctl>& wanted) {
    RAIND_TRY(const auto folder, open_sysctls());
    std::vector<Sysctl> former;
    for (const auto& item : wanted) {
        auto done = write_one(folder.get(), item, former);
        if (done)
            continue;
        for (auto back = former.rbegin(); back != former.rend(); ++back)
            static_cast<void>(write_value(folder.get(), back->path, back->value));
        return std::move(done.error());
    }
    return former;
}

}  // namespace

Result<std::string> read_sysctl(const NetnsRef& netns, const std::string& path) {
    return run_in_netns(netns, [&]() -> Result<std::string> {
        RAIND_TRY(const auto folder, open_sysctls());
        return read_value(folder.get(), path);
    });
}

Result<std::vector<Sysctl>> write_sysctls(const NetnsRef& netns,
                                          const std::vector<Sysctl>& wanted) {
    return run_in_netns(netns, [&] { return write_here(wanted); });
}

}  // namespace raind::net

#include "userspace/runtime/capabilities.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <fmt/format.h>
#include <set>
#include <string_view>

namespace raind::runtime {
namespace {

constexpr std::array<std::string_view, 13> kDefault = {
    "CAP_AUDIT_WRITE", "CAP_CHOWN",  "CAP_DAC_OVERRIDE",     "CAP_FOWNER",  "CAP_FSETID",
    "CAP_KILL",        "CAP_MKNOD",  "CAP_NET_BIND_SERVICE", "CAP_SETFCAP", "CAP_SETGID",
    "CAP_SETPCAP",     "CAP_SETUID", "CAP_SYS_CHROOT"};

// linux/capability.h, all 41 of kernel 6.1.
constexpr std::array<std::string_view, 41> kAll = {"CAP_CHOWN",
                                                   "CAP_DAC_OVERRIDE",
                                                   "CAP_DAC_READ_SEARCH",
                                                   "CAP_FOWNER",
                                                   "CAP_FSETID",
                                                   "CAP_KILL",
                                                   "CAP_SETGID",
                                                   "CAP_SETUID",
                                                   "CAP_SETPCAP",
                                                   "CAP_LINUX_IMMUTABLE",
                                                   "CAP_NET_BIND_SERVICE",
                                                   "CAP_NET_BROADCAST",
                                                   "CAP_NET_ADMIN",
                                                   "CAP_NET_RAW",
                                                   "CAP_IPC_LOCK",
                                                   "CAP_IPC_OWNER",
                                                   "CAP_SYS_MODULE",
                                                   "CAP_SYS_RAWIO",
                                                   "CAP_SYS_CHROOT",
                                                   "CAP_SYS_PTRACE",
                                                   "CAP_SYS_PACCT",
                                                   "CAP_SYS_ADMIN",
                                                   "CAP_SYS_BOOT",
                                                   "CAP_SYS_NICE",
                                                   "CAP_SYS_RESOURCE",
                                                   "CAP_SYS_TIME",
                                                   "CAP_SYS_TTY_CONFIG",
                                                   "CAP_MKNOD",
                                                   "CAP_LEASE",
                                                   "CAP_AUDIT_WRITE",
                                                   "CAP_AUDIT_CONTROL",
                                                   "CAP_SETFCAP",
                                                   "CAP_MAC_OVERRIDE",
                                                   "CAP_MAC_ADMIN",
                                                   "CAP_SYSLOG",
                                                   "CAP_WAKE_ALARM",
                                                   "CAP_BLOCK_SUSPEND",
                                                   "CAP_AUDIT_READ",
                                                   "CAP_PERFMON",
                                                   "CAP_BPF",
                                                   "CAP_CHECKPOINT_RESTORE"};

Result<std::vector<std::string>> normalise(const std::vector<std::string>& names) {
    std::vector<std::string> out;
    for (const std::string& name : names) {
        std::string upper;
        std::ranges::transform(name, std::back_inserter(upper),
                               [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
        if (upper == "ALL") {
            out.insert(out.end(), kAll.begin(), kAll.end());
            continue;
        }
        if (!upper.starts_with("CAP_"))
            upper.insert(0, "CAP_");
        if (std::ranges::find(kAll, upper) == kAll.end())
            return Error(Errc::InvalidArgument, fmt::format("unknown capability: \"{}\"", name));
        out.push_back(upper);
    }
    return out;
}

}  // namespace

Result<std::vector<std::string>> container_capabilities(const std::vector<std::string>& add,
                                                        const std::vector<std::string>& drop) {
    RAIND_TRY(const auto added, normalise(add));
    RAIND_TRY(const auto dropped, normalise(drop));
    const bool drop_all = std::ranges::any_of(drop, [](const std::string& name) {
        return name.size() == 3 && std::toupper(static_cast<unsigned char>(name[0])) == 'A' &&
               std::toupper(static_cast<unsigned char>(name[1])) == 'L';
    });
    std::set<std::string> set(kDefault.begin(), kDefault.end());
    // "--cap-drop ALL --cap-add X" keeps X; any other drop wins over an add of the same name.
    if (drop_all)
        set.clear();
    set.insert(added.begin(), added.end());
    if (!drop_all)
        for (const std::string& name : dropped)
            set.erase(name);
    return std::vector<std::string>(set.begin(), set.end());
}

}  // namespace raind::runtime

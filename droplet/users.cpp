#include "droplet/users.h"

#include <algorithm>
#include <charconv>
#include <fcntl.h>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>

#include "droplet/syscalls.h"

namespace raind::droplet {

namespace {

constexpr std::size_t kFileLimit = 1U << 20;

std::optional<std::uint32_t> number_of(std::string_view text) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || text.empty())
        return std::nullopt;
    return value;
}

// The text up to the separator, which is taken off with it.
std::string_view take(std::string_view& text, char separator) {
    const auto end = std::min(text.find(separator), text.size());
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return part;
}

std::vector<std::string_view> fields_of(std::string_view line) {
    std::vector<std::string_view> fields;
    while (!line.empty())
        fields.push_back(take(line, ':'));
    return fields;
}

// Calls fits(fields) for each line that has enough fields, until it says true.
template <typename F>
void each_entry(std::string_view file, std::size_t least, F&& fits) {
    while (!file.empty()) {
        const auto fields = fields_of(take(file, '\n'));
        if (fields.size() >= least && fits(fields))
            return;
    }
}

struct PasswdEntry {
    std::string name;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
};

// By number when the text is one, else by name; the first line wins.
std::optional<PasswdEntry> find_user(std::string_view wanted, std::string_view passwd) {
    const auto number = number_of(wanted);
    std::optional<PasswdEntry> found;
    each_entry(passwd, 4, [&](const auto& fields) {
        const auto uid = number_of(fields[2]);
        const auto gid = number_of(fields[3]);
        if (uid && gid && (number ? *uid == *number : fields[0] == wanted))
            found = PasswdEntry{std::string(fields[0]), *uid, *gid};
        return found.has_value();
    });
    return found;
}

std::optional<std::uint32_t> find_group(std::string_view wanted, std::string_view group) {
    std::optional<std::uint32_t> found;
    each_entry(group, 3, [&](const auto& fields) {
        if (fields[0] == wanted)
            found = number_of(fields[2]);
        return found.has_value();
    });
    return found;
}

std::vector<std::uint32_t> groups_of(std::string_view user, std::string_view group) {
    std::vector<std::uint32_t> out;
    each_entry(group, 4, [&](const auto& fields) {
        const auto gid = number_of(fields[2]);
        std::string_view members = fields[3];
        bool member = false;
        while (!members.empty())
            member = take(members, ',') == user || member;
        if (member && gid && std::ranges::find(out, *gid) == out.end())
            out.push_back(*gid);
        return false;
    });
    return out;
}

Error unknown(std::string_view what, std::string_view name, std::string_view file) {
    return Error(Errc::InvalidArgument, "unable to find " + std::string(what) + " " +
                                            std::string(name) + ": no matching entries in " +
                                            std::string(file) + " file");
}

std::string read_account_file(int root, const std::string& path) {
    // Never waits for a writer of a FIFO, and is never a device.
    const auto fd = open_in_root(root, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    struct stat info{};
    if (!fd || ::fstat(fd->get(), &info) != 0 || !S_ISREG(info.st_mode))
        return {};
    std::string text(std::min(static_cast<std::size_t>(info.st_size), kFileLimit), '\0');
    std::size_t got = 0;
    while (got < text.size()) {
        const ssize_t n = ::read(fd->get(), text.data() + got, text.size() - got);
        if (n <= 0)
            break;
        got += static_cast<std::size_t>(n);
    }
    text.resize(got);
    return text;
}

}  // namespace

Accounts read_accounts() {
    const UniqueFd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root)
        return {};
    return {read_account_file(root.get(), "etc/passwd"),
            read_account_file(root.get(), "etc/group")};
}

Result<Identity> find_identity(std::string_view text, const Accounts& accounts) {
    const std::string_view whole = text;
    std::string_view user = take(text, ':');
    const std::string_view group = text;
    if (user.empty())
        user = "0";
    const auto entry = find_user(user, accounts.passwd);
    Identity out;
    if (entry)
        out = {entry->uid, entry->gid, {}};
    else if (const auto number = number_of(user))
        out.uid = *number;
    else
        return unknown("user", user, "passwd");
    if (group.empty()) {
        if (entry)
            out.groups = groups_of(entry->name, accounts.group);
    } else if (const auto number = number_of(group)) {
        out.gid = *number;
    } else if (const auto found = find_group(group, accounts.group)) {
        out.gid = *found;
    } else {
        return unknown("group", group, "group");
    }
    constexpr std::uint32_t kNobody = UINT32_MAX;  // "no change" to the kernel
    if (out.uid == kNobody || out.gid == kNobody)
        return Error(Errc::InvalidArgument, "user \"" + std::string(whole) + "\": not a usable id");
    return out;
}

std::string home_of(std::string_view passwd, std::uint32_t uid) {
    std::string home = "/";
    each_entry(passwd, 6, [&](const auto& fields) {
        if (number_of(fields[2]) != uid || !fields[5].starts_with('/'))
            return false;
        home = fields[5];
        return true;
    });
    return home;
}

}  // namespace raind::droplet

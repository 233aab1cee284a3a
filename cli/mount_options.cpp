#include "cli/mount_options.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>

#include "cli/text.h"

namespace raind::cli {

Outcome<std::vector<std::string>> mounts_of(const Parsed& parsed) {
    std::vector<std::string> out;
    for (std::string entry : parsed.values("volume")) {
        const auto colons = std::count(entry.begin(), entry.end(), ':');
        if (colons < 1 || colons > 2 || entry.starts_with(':'))
            return usage_error(
                fmt::format(
                    "invalid -v,--volume format: {}, required format: /host/path:/dest/path",
                    terminal_safe(entry)),
                "NAME:/dest/path is a named volume; :ro at the end makes it read-only");
        const std::string source = entry.substr(0, entry.find(':'));
        if (source == "." || source == ".." || source.starts_with("./") ||
            source.starts_with("../")) {
            std::error_code error;
            const auto path = std::filesystem::absolute(source, error).lexically_normal();
            if (error)
                return usage_error(fmt::format("-v {}: {}", terminal_safe(entry), error.message()));
            entry.replace(0, source.size(), path.string());
        }
        out.push_back(std::move(entry));
    }
    return out;
}

}  // namespace raind::cli

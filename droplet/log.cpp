#include "droplet/log.h"

#include <array>
#include <cstdio>
#include <ctime>
#include <fcntl.h>

#include "userspace/common/fs.h"
#include "userspace/common/json.h"

namespace raind::droplet {

namespace {

constexpr std::array<std::string_view, 3> kNames{"error", "warning", "debug"};

}  // namespace

std::string timestamp_now() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    tm parts{};
    ::gmtime_r(&now.tv_sec, &parts);
    char date[32];
    std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    char out[64];
    std::snprintf(out, sizeof out, "%s.%09ldZ", date, now.tv_nsec);
    return out;
}

Status Logger::open_file(const std::string& path) {
    file_.reset(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
    if (!file_)
        return os_error("--log " + path);
    return {};
}

void Logger::write(LogLevel level, std::string_view text) {
    if (level > level_)
        return;
    const std::string_view name = kNames[static_cast<std::size_t>(level)];
    std::string line;
    if (format_ == LogFormat::Json) {
        Json record;
        record["level"] = name;
        record["msg"] = text;
        record["time"] = timestamp_now();
        line = dump_json(record) + "\n";
    } else {
        // One line, whatever the text came from.
        line = std::string(level == LogLevel::Error     ? "error: "
                           : level == LogLevel::Warning ? "warning: "
                                                        : "debug: ");
        for (const char c : text)
            line.push_back(c == '\n' ? ' ' : c);
        line.push_back('\n');
    }
    // Nothing can be done about a log that cannot be written.
    if (file_)
        static_cast<void>(write_all(file_.get(), line));
    static_cast<void>(write_all(terminal_, line));
}

}  // namespace raind::droplet

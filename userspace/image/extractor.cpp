#include "userspace/image/extractor.h"

#include <array>
#include <chrono>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "userspace/common/fs.h"
#include "userspace/common/process.h"
#include "userspace/image/extract_child.h"
#include "userspace/image/extract_protocol.h"

namespace raind::image {

namespace {

using Clock = std::chrono::steady_clock;
constexpr int kPollMilliseconds = 200;

Result<Child> start(const ExtractJob& job, int report) {
    RAIND_TRY(const UniqueFd blob, open_file(job.blob, O_RDONLY));
    RAIND_TRY(const UniqueFd folder, open_file(job.folder, O_RDONLY | O_DIRECTORY));
    SpawnOptions spawn;
    spawn.program = job.program.string();
    spawn.args = {"raind-extract-layer", std::string(kExtractArgument)};
    const auto words =
        format_arguments({.parent = ::getpid(), .below = job.below.size(), .limits = job.limits});
    spawn.args.insert(spawn.args.end(), words.begin(), words.end());
    spawn.env = {"LC_ALL=C.UTF-8"};
    spawn.fds = {
        {blob.get(), kExtractBlobFd}, {folder.get(), kExtractFolderFd}, {report, kExtractReportFd}};
    std::vector<UniqueFd> below;
    for (const auto& path : job.below) {
        RAIND_TRY(UniqueFd layer, open_file(path, O_RDONLY | O_DIRECTORY));
        spawn.fds.emplace_back(layer.get(), kExtractBelowFd + static_cast<int>(below.size()));
        below.push_back(std::move(layer));
    }
    spawn.working_dir = "/";
    return Child::spawn(spawn);
}

// The text up to the end of the pipe; stops early on request or at the deadline.
Result<std::string> read_report(int pipe, Clock::time_point deadline, const std::stop_token& stop) {
    std::string text;
    std::array<char, 1024> buffer{};
    while (true) {
        if (stop.stop_requested())
            return Error(Errc::Conflict, "stopped");
        if (Clock::now() > deadline)
            return Error(Errc::TooLarge, "laying out the layer took too long");
        pollfd poll_entry{.fd = pipe, .events = POLLIN, .revents = 0};
        if (::poll(&poll_entry, 1, kPollMilliseconds) <= 0)
            continue;
        const ssize_t n = ::read(pipe, buffer.data(), buffer.size());
        if (n == 0)
            return text;
        if (n > 0)
            text.append(buffer.data(), static_cast<std::size_t>(n));
        else if (errno != EINTR)
            return os_error("read the report");
        if (text.size() > kMaxReport)
            return Error(Errc::Internal, "the report of the extraction is too long");
    }
}

}  // namespace

Result<ExtractReport> extract_confined(const ExtractJob& job, const std::stop_token& stop) {
    RAIND_TRY(auto pipe, make_pipe());
    RAIND_TRY(Child child, start(job, pipe.second.get()));
    pipe.second.reset();
    auto text = read_report(pipe.first.get(), Clock::now() + job.limits.timeout, stop);
    if (!text)
        (void)child.signal(SIGKILL).has_value();
    RAIND_TRY(const ExitStatus status, child.wait());
    RAIND_TRY(const std::string report, std::move(text));
    if (report.empty() && status.signal != 0)
        return Error(Errc::Internal,
                     "the extraction was ended by signal " + std::to_string(status.signal));
    return parse_report(report);
}

}  // namespace raind::image

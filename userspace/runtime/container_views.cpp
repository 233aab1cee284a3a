// Reading containers, and their output.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include "userspace/common/json.h"
#include "userspace/common/jsonl.h"
#include "userspace/common/text.h"
#include "userspace/runtime/container_manager.h"
#include "userspace/runtime/limits.h"
#include "userspace/runtime/port_requests.h"
#include "userspace/runtime/stored_output.h"

namespace raind::runtime {
namespace {

using namespace std::chrono_literals;
using core::ContainerState;

constexpr std::size_t kTailBytes = 4U << 20;
constexpr auto kFollowInterval = 100ms;

// Reads what is appended to the log, over its rotation.
class Follower {
  public:
    explicit Follower(stdfs::path path) : path_(std::move(path)) {}

    // From the present end on.
    void skip_to_end() {
        reopen();
        if (fd_)
            offset_ = lseek(fd_.get(), 0, SEEK_END);
    }

    std::string next() {
        std::string chunk = read_more();
        struct stat now{};
        if (chunk.empty() && stat(path_.c_str(), &now) == 0 && (!fd_ || now.st_ino != inode_)) {
            chunk = read_more();  // written between the last read and the rotation
            reopen();
            chunk += read_more();
        }
        // Whole lines only; the rest stays for the next time.
        pending_ += chunk;
        const auto end = pending_.rfind('\n');
        std::string lines = end == std::string::npos ? "" : pending_.substr(0, end + 1);
        pending_.erase(0, lines.size());
        return lines;
    }

  private:
    void reopen() {
        fd_.reset(open(path_.c_str(), O_RDONLY | O_CLOEXEC));
        struct stat info{};
        inode_ = fd_ && fstat(fd_.get(), &info) == 0 ? info.st_ino : 0;
        offset_ = 0;
    }
    std::string read_more() {
        std::string bytes(256U << 10, '\0');
        const ssize_t n = fd_ ? pread(fd_.get(), bytes.data(), bytes.size(), offset_) : 0;
        bytes.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
        offset_ += static_cast<off_t>(bytes.size());
        return bytes;
    }
    stdfs::path path_;
    UniqueFd fd_;
    ino_t inode_ = 0;
    off_t offset_ = 0;
    std::string pending_;
};

}  // namespace

api::ContainerInfo to_info(const core::ContainerRecord& r,
                           const std::vector<std::string>& warnings) {
    return {.container_id = r.id,
            .name = r.name,
            .state = state_name(r.state),
            .pid = r.pid,
            .image_repository = r.image_repository,
            .image_reference = r.image_reference,
            .command = r.process,
            .address = r.ip4.to_string(),
            .forwards = forwards_of(r.options.ports),
            .creating_at = rfc3339(r.creating_at),
            .created_at = rfc3339(r.created_at),
            .started_at = rfc3339(r.started_at),
            .stopped_at = rfc3339(r.stopped_at),
            .uid = r.uid,
            .address6 = r.ip6.to_string(),
            .mac = r.mac.to_string(),
            .network = r.network,
            .host_interface = r.host_interface,
            .spiffe_id = r.spiffe_id(),
            .identity = r.identity,
            .endpoint = r.ep_id,
            .exit_code = r.exit_code,
            .reason = r.reason,
            .message = r.message,
            .id_first = r.ids.first,
            .id_count = r.ids.count,
            .labels = r.options.labels,
            .warnings = warnings,
            .user = r.options.user,
            .stop_signal = r.options.stop_signal};
}

std::vector<api::MountInfo> mount_infos(const core::ContainerRecord& record, const Paths& paths) {
    std::vector<api::MountInfo> out;
    for (const core::MountRecord& mount : record.options.mounts) {
        const bool volume = mount.kind == core::MountKind::Volume;
        out.push_back({.type = volume ? "volume" : "bind",
                       .name = volume ? mount.source : "",
                       .source = volume ? paths.volume(mount.source).string() : mount.source,
                       .destination = mount.target,
                       .read_only = mount.read_only});
    }
    return out;
}

Result<std::vector<api::ContainerInfo>> ContainerManager::list() {
    RAIND_TRY(const auto records, deps_.store.containers().list());
    std::vector<api::ContainerInfo> out;
    out.reserve(records.size());
    for (const Record& record : records) {
        out.push_back(to_info(record, {}));
        out.back().mounts = mount_infos(record, deps_.paths);
    }
    return out;
}

Result<api::ContainerInfo> ContainerManager::inspect(const std::string& container) {
    RAIND_TRY(const Record record, deps_.store.containers().resolve(container));
    std::vector<std::string> warnings = deps_.cgroups.warnings();
    api::ContainerInfo info = to_info(record, {});
    // What is in force stands in the bundle; one that is being made has none yet.
    const auto text = read_file(deps_.paths.container(record.id) / "config.json");
    if (const auto config = text ? parse_json(*text) : Result<Json>(Json())) {
        describe_bundle(*config, info);
        if (info.apparmor.empty() && config->is_object())
            warnings.push_back("no AppArmor profile: " + (deps_.apparmor.profile().empty()
                                                              ? deps_.apparmor.problem()
                                                              : "it was created without"));
    }
    info.warnings = std::move(warnings);
    info.mounts = mount_infos(record, deps_.paths);
    return info;
}

Result<std::string> ContainerManager::log_path(const std::string& container) {
    RAIND_TRY(const Record record, deps_.store.containers().resolve(container));
    return (deps_.paths.container(record.id) / "logs" / "init.log").string();
}

Status ContainerManager::log(const std::string& container, const core::LogQuery& query,
                             const std::function<bool(std::string_view)>& sink,
                             std::stop_token stop) {
    RAIND_TRY(const Record record, deps_.store.containers().resolve(container));
    const stdfs::path path = deps_.paths.container(record.id) / "logs" / "init.log";
    const auto give = [&](const std::string& stored) {
        return stored.empty() || sink(query.raw ? stored : plain_output(stored));
    };
    Follower follower(path);
    if (query.follow)
        follower.skip_to_end();
    RAIND_TRY(const std::string tail, tail_lines(path, query.tail_lines, kTailBytes));
    if (!give(tail) || !query.follow)
        return {};
    while (!stop.stop_requested()) {
        RAIND_TRY(const auto now, deps_.store.containers().find(record.id));
        const bool over = !now || now->state == ContainerState::Stopped;
        const std::string lines = follower.next();
        if (!give(lines))
            return {};
        if (over && lines.empty())
            return {};
        // An empty chunk asks the sink whether its client is still there.
        if (lines.empty() && !sink({}))
            return {};
        std::this_thread::sleep_for(kFollowInterval);
    }
    return {};
}

}  // namespace raind::runtime

#include "userspace/condenser/daemon.h"

#include <array>
#include <chrono>
#include <condition_variable>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <mutex>
#include <netdb.h>
#include <sys/mount.h>
#include <sys/sysinfo.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "userspace/bpf/kernel.h"
#include "userspace/common/json.h"
#include "userspace/common/log.h"
#include "userspace/condenser/loss_memory.h"
#include "userspace/runtime/claims.h"

namespace raind::condenser {
namespace {

using namespace std::chrono_literals;

constexpr auto kKeepInterval = 2s;
constexpr auto kReadInterval = 100ms;
constexpr auto kCertificateInterval = 1h;
constexpr decltype(statfs::f_type) kBpfMagic = 0xcafe4a11;

// Programs and maps are pinned here; a fresh machine may have no BPF file system mounted yet.
Status ensure_bpffs(const stdfs::path& folder) {
    // A folder that is refused is not made, either.
    stdfs::path there = stdfs::absolute(folder);
    while (!stdfs::exists(there))
        there = there.parent_path();
    struct statfs info{};
    if (statfs(there.c_str(), &info) != 0)
        return os_error(fmt::format("--bpffs {}", folder.string()));
    if (info.f_type == kBpfMagic)
        return make_dirs(folder, 0700);
    if (folder != "/sys/fs/bpf")
        return Error(Errc::InvalidArgument,
                     fmt::format("--bpffs {}: not on a BPF file system", folder.string()));
    if (mount("bpf", folder.c_str(), "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") != 0)
        return os_error("mount of the BPF file system");
    return {};
}

// Preallocated: 14, 28 or 57 MB. Pins of an earlier start keep their size.
std::uint32_t flow_entries() {
    struct sysinfo info{};
    if (sysinfo(&info) != 0)
        return RAIND_MAX_CT;
    const std::uint64_t gib = (static_cast<std::uint64_t>(info.totalram) * info.mem_unit) >> 30;
    return gib < 4 ? RAIND_MAX_CT : gib < 16 ? 2 * RAIND_MAX_CT : 4 * RAIND_MAX_CT;
}

void wait_for(std::chrono::milliseconds time, const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    wake.wait_for(lock, stop, time, [] { return false; });
}

// Names of the server beside 127.0.0.1 and ::1: the address at which it listens, or those of the
// host when that is all of them.
std::vector<std::string> server_addresses(const std::string& listen) {
    const auto address = IpAddress::parse(listen);
    if (!address || !address->is_unspecified())
        return {listen};
    std::vector<std::string> out;
    ifaddrs* first = nullptr;
    if (getifaddrs(&first) != 0)
        return out;
    const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> all(first, freeifaddrs);
    for (const ifaddrs* at = first; at != nullptr; at = at->ifa_next) {
        const int family = at->ifa_addr == nullptr ? AF_UNSPEC : at->ifa_addr->sa_family;
        std::array<char, NI_MAXHOST> text{};
        const socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
        if ((family == AF_INET || family == AF_INET6) &&
            getnameinfo(at->ifa_addr, size, text.data(), text.size(), nullptr, 0,
                        NI_NUMERICHOST) == 0 &&
            IpAddress::parse(text.data()))  // a link-local one has a scope and is no name
            out.emplace_back(text.data());
    }
    return out;
}

Status write_endpoints(const runtime::Paths& paths, const std::string& management) {
    const Json endpoints{{"management", management}};
    return write_file_rename(paths.endpoints_file(), dump_json(endpoints) + "\n", 0644);
}

}  // namespace

Result<std::unique_ptr<Daemon>> Daemon::start(const Options& options) {
    RAIND_CHECK(bpf::require_kernel());
    std::unique_ptr<Daemon> self(new Daemon(options));
    RAIND_CHECK(self->open_stores());
    RAIND_CHECK(self->open_datapath());
    RAIND_CHECK(self->open_containers());
    RAIND_CHECK(self->open_api());
    return self;
}

Status Daemon::claim() const {
    RAIND_TRY(const auto wanted,
              runtime::claims_of(options_.netns, options_.cgroup, options_.bpffs));
    return runtime::Claims().take(options_.root, wanted);
}

Status Daemon::open_stores() {
    // Before anything is made, and again once this root is one that has claims.
    RAIND_CHECK(claim());
    RAIND_CHECK(paths_.make());
    auto lock = lock_file(paths_.lock());
    if (!lock)
        return std::move(lock.error()).context("another condenser runs with this root");
    lock_ = std::move(*lock);
    RAIND_CHECK(claim());
    RAIND_TRY(store_, store::Store::open(paths_.store().string()));
    return {};
}

// Fail closed: the committed policy is in force before any container is looked at.
Status Daemon::open_datapath() {
    RAIND_CHECK(ensure_bpffs(options_.bpffs));
    RAIND_TRY(backend_,
              bpf::EbpfBackend::open({.bpffs = options_.bpffs, .flow_entries = flow_entries()},
                                     options_.attach));
    RAIND_TRY(datapath_,
              runtime::NetworkDatapath::open({.netns = options_.netns,
                                              .bridge = options_.bridge_prefix + "0",
                                              .manage_forwarding = options_.manage_forwarding},
                                             *store_, *backend_, identities_));
    policies_ = std::make_unique<runtime::PolicyManager>(*store_, *datapath_, identities_);
    RAIND_CHECK(policies_->recover());
    RAIND_TRY(const std::string node, store_->settings().node());
    RAIND_TRY(const flow::KernelSaid said, load_said(store_->settings()));
    RAIND_TRY(pipeline_,
              flow::Pipeline::start({.folder = paths_.logs(), .node = node, .kernel_said = said},
                                    identities_));
    RAIND_TRY(reader_,
              bpf::EventReader::make(backend_->datapath(),
                                     [this](const raind_event& event) { pipeline_->push(event); }));
    return {};
}

Status Daemon::open_containers() {
    RAIND_TRY(runtime::CgroupTree cgroups, runtime::CgroupTree::open(options_.cgroup));
    cgroups_ = std::make_unique<runtime::CgroupTree>(std::move(cgroups));
    apparmor_ = runtime::AppArmor::prepare(paths_.apparmor_profile(), paths_.apparmor_stamp());
    if (!apparmor_.problem().empty())
        log::warning("AppArmor: {}", apparmor_.problem());
    const stdfs::path program =
        options_.droplet.empty() ? stdfs::read_symlink("/proc/self/exe").parent_path() / "droplet"
                                 : options_.droplet;
    droplet_ =
        std::make_unique<runtime::Droplet>(program, paths_.droplet_state(), paths_.droplet_audit());
    RAIND_TRY(auto credentials, image::CredentialStore::open(paths_.registry_logins()));
    RAIND_TRY(
        image::ImageStore files,
        image::ImageStore::open({.root = paths_.images(),
                                 .credentials = std::move(credentials),
                                 .registry = {.authorities = paths_.registry_authorities()}}));
    image_files_ = std::make_unique<image::ImageStore>(std::move(files));
    images_ =
        std::make_unique<runtime::ImageManager>(*image_files_, *store_, paths_.images() / "layers");
    volumes_ = std::make_unique<runtime::VolumeManager>(paths_, *store_);
    containers_ = std::make_unique<runtime::ContainerManager>(
        runtime::ContainerDeps{.paths = paths_,
                               .store = *store_,
                               .droplet = *droplet_,
                               .cgroups = *cgroups_,
                               .datapath = *datapath_,
                               .images = *images_,
                               .apparmor = apparmor_,
                               .volumes = *volumes_,
                               .changed = [this] { policies_->containers_changed(); }});
    RAIND_CHECK(containers_->recover());
    RAIND_CHECK(volumes_->recover());
    RAIND_CHECK(images_->recover());
    policies_->containers_changed();
    event_thread_ = std::jthread([this](const std::stop_token& stop) { read_events(stop); });
    return containers_->start_supervision();
}

Result<pki::EnsureReport> Daemon::ensure_certificates() const {
    return pki::ensure_certificates({.dir = paths_.certificates(),
                                     .host_addresses = server_addresses(options_.listen_address()),
                                     .now = pki::current_time()});
}

Status Daemon::open_api() {
    RAIND_CHECK(ensure_certificates());
    logs_ = std::make_unique<LogFiles>(paths_.logs());
    system_ =
        std::make_unique<System>(SystemDeps{*store_, *datapath_, *policies_, *cgroups_, apparmor_});
    RAIND_TRY(const std::string node, store_->settings().node());
    RAIND_TRY(api_, api::ApiServer::start(
                        {.address = options_.listen_address(),
                         .port = options_.listen_port(),
                         .cert_dir = paths_.certificates(),
                         .audit_log = paths_.logs() / "raind_audit.jsonl",
                         .node = node},
                        {*containers_, *images_, *policies_, *logs_, *system_, *volumes_}));
    address_ = api_->address();
    system_->set_management(address_);
    keeper_ = std::jthread([this](const std::stop_token& stop) { keep(stop); });
    return write_endpoints(paths_, address_);
}

void Daemon::read_events(const std::stop_token& stop) {
    std::uint64_t malformed = 0;
    while (!stop.stop_requested()) {
        if (auto polled = reader_->poll(kReadInterval); !polled) {
            log::error("event reader: {}", polled.error().message());
            wait_for(1s, stop);
        }
        if (const std::uint64_t now = reader_->malformed(); now != malformed) {
            pipeline_->losses().add("reader.format", now - malformed);
            malformed = now;
        }
    }
}

// Expiry and heartbeat of the datapath, the watch over what others may change, renewal of
// certificates.
void Daemon::keep(const std::stop_token& stop) {
    auto last_renewal = std::chrono::steady_clock::now();
    while (!stop.stop_requested()) {
        if (auto kept = datapath_->keep(); !kept)
            log::error("keeper: {}", kept.error().message());
        containers_->watch_containers();
        if (auto told = tell_losses(*reader_, *pipeline_, store_->settings()); !told)
            log::error("keeper: {}", told.error().message());
        if (std::chrono::steady_clock::now() - last_renewal > kCertificateInterval) {
            last_renewal = std::chrono::steady_clock::now();
            if (auto pruned = image_files_->prune(); !pruned)
                log::error("keeper: {}", pruned.error().message());
            auto report = ensure_certificates();
            if (!report)
                log::error("certificates: {}", report.error().message());
            else if (!report->renewed.empty() && !api_->reload_certificates())
                log::error("the renewed certificates cannot be used");
        }
        wait_for(kKeepInterval, stop);
    }
}

Daemon::~Daemon() {
    keeper_ = {};
    if (api_)
        api_->stop();
    api_.reset();
    containers_.reset();
    event_thread_ = {};
    pipeline_.reset();
}

Status remove_instance(const Options& options) {
    Daemon self(options);
    if (!stdfs::exists(self.paths_.store()))
        return Error(Errc::NotFound,
                     fmt::format("there is no instance with --root {}",
                                 options.root.empty() ? "/" : options.root.string()));
    RAIND_CHECK(self.open_stores());
    RAIND_TRY(const auto records, self.store_->containers().list());
    if (!records.empty())
        return Error(Errc::Conflict,
                     fmt::format("{} containers exist: remove them first", records.size()));
    RAIND_CHECK(self.open_datapath());
    RAIND_CHECK(self.open_containers());
    RAIND_CHECK(self.datapath_->remove_all());
    RAIND_CHECK(self.cgroups_->remove_root());
    // A folder that we made for the pins; on the file system's own root, or with others' pins in
    // it, it stays.
    rmdir(options.bpffs.c_str());
    RAIND_CHECK(remove_tree(self.paths_.endpoints_file()));
    return runtime::Claims().release(options.root);
}

}  // namespace raind::condenser

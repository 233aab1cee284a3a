// Creating: what is reserved in the store, and how an incarnation comes up and goes away.
#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <signal.h>

#include "userspace/common/crypto.h"
#include "userspace/common/ids.h"
#include "userspace/common/json.h"
#include "userspace/common/log.h"
#include "userspace/common/process.h"
#include "userspace/core/id_range.h"
#include "userspace/core/ipam.h"
#include "userspace/core/names.h"
#include "userspace/runtime/container_manager.h"
#include "userspace/runtime/create_request.h"
#include "userspace/runtime/limits.h"
#include "userspace/runtime/port_requests.h"
#include "userspace/runtime/process_options.h"
#include "userspace/runtime/subordinate_ids.h"

namespace raind::runtime {
namespace {

using core::ContainerState;

constexpr std::chrono::seconds kCreateLimit{60};
constexpr std::chrono::seconds kFillLimit{900};  // the content of an image is copied meanwhile

std::uint64_t random_u64() {
    std::array<std::uint8_t, 8> bytes{};
    random_bytes(bytes);
    std::uint64_t value = 0;
    for (const std::uint8_t byte : bytes)
        value = value << 8 | byte;
    return value;
}

// The short form shows the first 12 characters, so two ids of one millisecond may collide.
Result<std::string> fresh_uid(store::Store& store) {
    while (true) {
        std::string uid = make_ulid();
        RAIND_TRY(const auto taken, store.containers().find(short_id(uid)));
        if (!taken)
            return uid;
    }
}

Result<std::string> choose_name(store::Store& store, const std::string& wanted) {
    if (!wanted.empty()) {
        RAIND_TRY(const auto taken, store.containers().find_by_name(wanted));
        if (taken)
            return Error(Errc::AlreadyExists,
                         fmt::format("name: {} already used by other container", wanted));
        return wanted;
    }
    while (true) {
        std::string name = core::generated_name(random_u64());
        RAIND_TRY(const auto taken, store.containers().find_by_name(name));
        if (!taken)
            return name;
    }
}

Status assign_addresses(store::Store& store, core::ContainerRecord& record) {
    RAIND_TRY(const auto pool, store.ipam().find_pool(record.network));
    if (!pool)
        return Error(Errc::NotFound,
                     fmt::format("target bridge not configured: {}", record.network));
    RAIND_TRY(const auto allocations, store.ipam().allocations(record.network));
    RAIND_TRY(const auto address, core::next_address(*pool, allocations, record.id, wall_now()));
    RAIND_CHECK(store.ipam().assign(address));
    RAIND_TRY(const auto ranges, store.ipam().ranges());
    RAIND_TRY(const auto plan, subordinate_ids());
    RAIND_TRY(const auto range, core::next_id_range(plan, ranges, record.id));
    RAIND_CHECK(store.ipam().assign_range(range));
    record.ip4 = address.ip4;
    record.ip6 = address.ip6;
    record.ids = range.range;
    return {};
}

}  // namespace

Result<ContainerManager::Reserved> ContainerManager::reserve(const std::string& name,
                                                             core::ContainerOptions checked,
                                                             const UsableImage& image) {
    Reserved out;
    Record& record = out.record;
    record.options = std::move(checked);
    core::ContainerOptions& options = record.options;
    RAIND_CHECK(check_user(image.defaults.user).context("the image's configuration"));
    if (options.stop_signal.empty() && !image.defaults.stop_signal.empty()) {
        options.stop_signal = image.defaults.stop_signal;
        RAIND_CHECK(check_signal(options.stop_signal).context("the image's configuration"));
    }
    RAIND_TRY(record.process, resolve_process(options, image.defaults));
    record.image_repository = image.record.repository;
    record.image_reference = image.record.reference;
    record.image_digest = image.record.manifest_digest;
    record.layers = image.record.layers;
    record.network = kDefaultNetwork;
    record.creating_at = wall_now();
    RAIND_TRY(record.boot_id, boot_id());

    const std::lock_guard lock(reserve_mutex_);
    store::Store& store = deps_.store;
    RAIND_TRY(auto transaction, store.begin());
    RAIND_TRY(record.uid, fresh_uid(store));
    record.id = short_id(record.uid);
    RAIND_TRY(record.name, choose_name(store, name));
    record.host_interface = "rd_" + record.id;
    RAIND_TRY(record.identity,
              store.identities().number_for(store::IdentityKind::Workload, record.name));
    RAIND_TRY(const auto others, store.containers().list());
    RAIND_CHECK(check_ports_free(record.options.ports, others));
    do {
        record.mac = core::local_mac(random_u64());
    } while (
        std::ranges::any_of(others, [&](const Record& other) { return other.mac == record.mac; }));
    RAIND_CHECK(store.containers().insert(record));
    RAIND_CHECK(assign_addresses(store, record));
    RAIND_CHECK(store.containers().update(record));
    RAIND_TRY(out.made_volumes, deps_.volumes.reserve(record));
    const Json payload{{"volumes", out.made_volumes}};
    RAIND_TRY(out.operation,
              store.operations().begin("container.create", record.id, dump_json(payload)));
    RAIND_CHECK(transaction.commit());
    return out;
}

BundleSpec ContainerManager::bundle_spec(const Record& record, const ImageDefaults& image,
                                         const PreparedMounts& mounts) const {
    BundleSpec spec;
    spec.directory = deps_.paths.container(record.id);
    spec.layers = deps_.images.layer_paths(record.layers);
    spec.cgroup_path = deps_.cgroups.container_path(record.id);
    spec.limits = deps_.cgroups.limits();
    spec.apparmor = deps_.apparmor.profile();
    spec.image = image;
    spec.open_files = reachable_open_files();
    spec.name_servers = usable_name_servers(read_file("/etc/resolv.conf").value_or(""));
    spec.mounts = mounts.mounts;
    return spec;
}

Status ContainerManager::bring_up(Record& record, const PreparedMounts& mounts) {
    const stdfs::path bundle = deps_.paths.container(record.id);
    const auto limit = mounts.filling.empty() ? kCreateLimit : kFillLimit;
    const auto attempt = [&]() -> Status {
        RAIND_CHECK(remove_tree(bundle / "exit.json"));
        RAIND_TRY(record.ep_id, deps_.store.identities().next_endpoint());
        RAIND_TRY(record.boot_id, boot_id());
        RAIND_TRY(const UniqueFd group, deps_.cgroups.make_shim_group(record.id));
        RAIND_TRY(const ShimStarted started,
                  deps_.droplet.create(record.id, bundle, group.get(), limit));
        record.pid = started.init_pid;
        record.shim_pid = started.shim_pid;
        record.shim_start = started.shim_start;
        // Known to the store before it may run: a crash from here on finds it again.
        RAIND_CHECK(deps_.store.containers().update(record));
        RAIND_CHECK(deps_.cgroups.seal(record.id));
        return deps_.datapath.attach(record);
    };
    auto done = attempt();
    if (done)
        return {};
    if (auto undone = tear_down(record); !undone)
        log::error("container {}: undoing a failed create: {}", record.id,
                   undone.error().message());
    return done;
}

Status ContainerManager::tear_down(Record& record) {
    if (supervisor_)
        supervisor_->forget(record.id);
    // The processes first: what still runs might use its flows and mounts.
    RAIND_CHECK(deps_.cgroups.destroy(record.id));
    if (is_alive(record.shim_pid, record.shim_start)) {
        RAIND_TRY(const bool ended, wait_shim(record, std::chrono::seconds(5)));
        if (!ended)
            log::warning("container {}: its shim does not end; killed", record.id);
    }
    RAIND_CHECK(deps_.cgroups.destroy_shim_group(record.id));
    RAIND_CHECK(deps_.datapath.detach(record));
    RAIND_CHECK(deps_.droplet.remove(record.id));
    record.pid = 0;
    record.shim_pid = 0;
    record.shim_start = 0;
    record.ep_id = 0;
    return {};
}

Status ContainerManager::erase(Record& record, std::int64_t operation,
                               const std::vector<std::string>& made_volumes) {
    RAIND_CHECK(tear_down(record));
    RAIND_CHECK(remove_tree(deps_.paths.container(record.id)));
    RAIND_TRY(auto transaction, deps_.store.begin());
    RAIND_CHECK(deps_.store.ipam().release(record.id, wall_now()));
    RAIND_CHECK(deps_.store.ipam().release_range(record.id, wall_now()));
    RAIND_CHECK(deps_.store.containers().remove(record.id));
    RAIND_CHECK(deps_.volumes.drop(made_volumes));
    RAIND_CHECK(deps_.store.operations().finish(operation));
    return transaction.commit();
}

Result<std::string> ContainerManager::create(const api::CreateContainerRequest& request) {
    RAIND_TRY(core::ContainerOptions options, checked_options(request));
    RAIND_CHECK(check_controllers(options.limits, deps_.cgroups.limits()));
    RAIND_CHECK(deps_.volumes.admit(options.mounts));
    RAIND_TRY(const UsableImage image, deps_.images.ensure(request.image));
    RAIND_TRY(Reserved reserved, reserve(request.name, std::move(options), image));
    Record& record = reserved.record;
    const auto lock = locks_.lock(record.id);
    std::vector<std::string> filling;
    const auto attempt = [&]() -> Status {
        RAIND_TRY(const PreparedMounts mounts, deps_.volumes.prepare(record));
        filling = mounts.filling;
        RAIND_CHECK(write_bundle(record, bundle_spec(record, image.defaults, mounts)));
        RAIND_CHECK(deps_.datapath.publish_identity(record.identity, record.name));
        RAIND_CHECK(bring_up(record, mounts));
        record.state = ContainerState::Created;
        record.created_at = wall_now();
        RAIND_TRY(auto transaction, deps_.store.begin());
        RAIND_CHECK(deps_.store.containers().update(record));
        RAIND_CHECK(deps_.volumes.settle(mounts));
        RAIND_CHECK(deps_.store.operations().finish(reserved.operation));
        RAIND_CHECK(transaction.commit());
        return supervise(record);
    };
    if (auto done = attempt(); !done) {
        if (auto undone = erase(record, reserved.operation, reserved.made_volumes); !undone)
            log::error("container {}: undoing a failed create: {}", record.id,
                       undone.error().message());
        deps_.volumes.tidy(filling);
        deps_.volumes.tidy(reserved.made_volumes);
        notify();
        return std::move(done.error());
    }
    notify();
    return record.id;
}

}  // namespace raind::runtime

// The order in which an endpoint comes up: both programs and the maps while the port is down and on
// no bridge, so that there is no frame before its verdict. A backend that looks at the port
// whenever it is called stands in for the datapath; links, bridge and namespaces are real.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <string>
#include <unistd.h>
#include <vector>

#include "userspace/common/fs.h"
#include "userspace/common/process.h"
#include "userspace/core/ipam.h"
#include "userspace/net/link.h"
#include "userspace/runtime/network_datapath.h"

using namespace raind;
using namespace raind::runtime;

namespace {

void skip_without_root() {
    if (getuid() == 0)
        return;
    std::puts("SKIP: needs root");
    std::exit(77);
}

struct Call {
    std::string what;
    bool up = false;
    bool on_bridge = false;
};

class WatchingBackend final : public core::EnforcementBackend {
  public:
    std::vector<Call> calls;
    bool refuse_publish = false;

    Status set_pools(std::span<const Cidr>) override { return {}; }
    Status set_host_addresses(std::span<const core::HostAddress>) override { return {}; }
    Result<bool> set_published(std::span<const core::PublishedPort>) override { return false; }
    Status attach_port(const std::string& interface, std::uint32_t) override {
        return note("attach", interface);
    }
    Status publish_endpoint(const core::EndpointSpec& endpoint) override {
        RAIND_CHECK(note("publish", endpoint.interface));
        if (refuse_publish)
            return Error(Errc::Exhausted, "map full");
        return {};
    }
    Status withdraw_endpoint(const core::EndpointSpec& endpoint) override {
        return note("withdraw", endpoint.interface);
    }
    Status detach_port(const std::string& interface) override { return note("detach", interface); }
    Result<core::PortStatus> port(const std::string& interface) override {
        return core::PortStatus{
            .interface = interface, .attached = true, .first = true, .kind = "tcx"};
    }
    Result<std::vector<core::IdentityId>> identities() override {
        return std::vector<core::IdentityId>();
    }
    Status withdraw_identity(core::IdentityId) override { return {}; }
    Status publish_identity(const core::CompiledIdentity&, const std::string&) override {
        return {};
    }
    Result<core::SweepCounts> commit(const core::CompiledSet&) override {
        return core::SweepCounts{};
    }
    Result<core::AppliedPolicy> applied() override { return core::AppliedPolicy{}; }
    Result<core::SweepCounts> sweep() override { return core::SweepCounts{}; }
    Result<std::vector<core::EndpointSpec>> endpoints() override {
        return std::vector<core::EndpointSpec>();
    }
    Result<core::EndpointId> last_endpoint_id() override { return core::EndpointId{0}; }
    Result<std::vector<std::string>> attached_interfaces() override {
        return std::vector<std::string>();
    }
    Result<core::BackendStatus> status() override { return core::BackendStatus{}; }
    Status remove_all() override { return {}; }

  private:
    // Runs inside the container network, as the datapath promises.
    Status note(const char* what, const std::string& interface) {
        RAIND_TRY(const NetnsRef here, NetnsRef::current());
        RAIND_TRY(const auto network, net::Network::open(here));
        RAIND_TRY(const auto link, network->link(interface));
        calls.push_back({what, link && link->up, link && link->master != 0});
        return {};
    }
};

struct Lab {
    std::string netns = fmt::format("raind-order-{}", getpid());
    TempDir folder = std::move(*TempDir::make("/tmp", "raind-order-"));
    std::unique_ptr<store::Store> store = std::move(*store::Store::open(folder.path() / "store"));
    WatchingBackend backend;
    flow::IdentityTable identities;
    Child container = std::move(*Child::spawn({.program = "/usr/bin/unshare",
                                               .args = {"unshare", "-n", "sleep", "60"},
                                               .env = {"PATH=/usr/bin:/bin"}}));

    Lab() {
        // The namespace is new once it differs from ours.
        const auto own = NetnsRef::current()->inode();
        for (int i = 0; i < 200; ++i) {
            const auto theirs = NetnsRef::of_pid(container.pid());
            if (theirs && *theirs->inode() != *own)
                break;
            usleep(10'000);
        }
    }
    ~Lab() {
        (void)container.signal(SIGKILL).has_value();
        (void)container.wait().has_value();
        (void)remove_named_netns(netns).has_value();
    }

    core::ContainerRecord record() const {
        core::ContainerRecord record;
        record.id = "01kx4m2r7vqa";
        record.name = "web";
        record.ep_id = 7;
        record.identity = 256;
        record.pid = container.pid();
        record.host_interface = "rd_01kx4m2r7vqa";
        const auto pool = *store->ipam().find_pool("raind0");
        record.ip4 = *IpAddress::parse("10.166.0.1");
        record.ip6 = core::next_address(*pool, {}, record.id, wall_now())->ip6;
        record.mac = core::local_mac(42);
        return record;
    }
};

}  // namespace

TEST_CASE("programs and maps stand before the port is up or on a bridge") {
    skip_without_root();
    Lab lab;
    auto datapath =
        NetworkDatapath::open({.netns = lab.netns}, *lab.store, lab.backend, lab.identities);
    REQUIRE_MESSAGE(datapath.has_value(), datapath.error().message());
    const auto record = lab.record();
    auto attached = (*datapath)->attach(record);
    REQUIRE_MESSAGE(attached.has_value(), attached.error().message());
    REQUIRE(lab.backend.calls.size() == 2);
    CHECK(lab.backend.calls[0].what == "attach");
    CHECK(lab.backend.calls[1].what == "publish");
    for (const Call& call : lab.backend.calls) {
        CHECK_FALSE(call.up);
        CHECK_FALSE(call.on_bridge);
    }
    const auto network = net::Network::open(*NetnsRef::open_named(lab.netns));
    const auto link = (*network)->link(record.host_interface);
    REQUIRE(link->has_value());
    CHECK((*link)->up);
    CHECK((*link)->master != 0);
    CHECK((*link)->port->isolated);

    // And the other way round: down before the endpoint leaves the maps.
    lab.backend.calls.clear();
    REQUIRE((*datapath)->detach(record).has_value());
    REQUIRE(lab.backend.calls.size() == 2);
    CHECK(lab.backend.calls[0].what == "withdraw");
    CHECK_FALSE(lab.backend.calls[0].up);
    CHECK_FALSE((*network)->link(record.host_interface)->has_value());
}

TEST_CASE("an endpoint that cannot be published leaves nothing") {
    skip_without_root();
    Lab lab;
    auto datapath =
        NetworkDatapath::open({.netns = lab.netns}, *lab.store, lab.backend, lab.identities);
    REQUIRE(datapath.has_value());
    lab.backend.refuse_publish = true;
    const auto record = lab.record();
    const auto attached = (*datapath)->attach(record);
    REQUIRE_FALSE(attached.has_value());
    CHECK(attached.error().code() == Errc::Exhausted);
    CHECK(lab.backend.calls.back().what == "detach");
    const auto network = net::Network::open(*NetnsRef::open_named(lab.netns));
    CHECK_FALSE((*network)->link(record.host_interface)->has_value());
}

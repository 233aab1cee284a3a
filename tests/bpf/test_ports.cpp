// Real containers' ports: programs attached, packets sent. What is refused is seen by the sender,
// what is permitted arrives, on the fast path and through the host, over both families.
#include <algorithm>
#include <doctest/doctest.h>
#include <linux/bpf.h>
#include <sched.h>
#include <sys/mount.h>

#include "tests/bpf/world.h"
#include "tests/net/fixture.h"
#include "userspace/bpf/backend.h"
#include "userspace/bpf/tcx_attacher.h"
#include "userspace/common/fs.h"

using namespace raind;
using namespace raind::test;
using testing::Rules;

namespace {

constexpr const char* kRefused = "refused timeout timeout refused timeout timeout ";

// A BPF file system that only this process sees.
class OwnBpffs {
  public:
    OwnBpffs() {
        REQUIRE(::unshare(CLONE_NEWNS) == 0);
        REQUIRE(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
        REQUIRE(::mount("bpf", path().c_str(), "bpf", 0, nullptr) == 0);
    }
    ~OwnBpffs() { ::umount2(path().c_str(), MNT_DETACH); }
    OwnBpffs(const OwnBpffs&) = delete;
    OwnBpffs& operator=(const OwnBpffs&) = delete;
    const std::filesystem::path& path() const { return directory_.path(); }

  private:
    TempDir directory_ = must(TempDir::make(std::filesystem::temp_directory_path(), "raind-ports"));
};

// A host with the datapath loaded; pins end with the object.
struct Lab {
    OwnBpffs bpffs;  // before the threads that enter namespaces are made
    TestHost host;
    std::unique_ptr<bpf::EbpfBackend> backend;

    template <typename F>
    auto inside(F&& body) {
        return must(run_in_netns(host.netns, std::forward<F>(body)));
    }
    void do_inside(const std::function<Status()>& body) { must(run_in_netns(host.netns, body)); }

    Lab() {
        must(host.network->enable_forwarding_own());
        backend = inside([&] {
            return bpf::EbpfBackend::open({.bpffs = bpffs.path(),
                                           .flow_entries = 4096,
                                           .ring_flow = 1U << 20,
                                           .ring_deny = 1U << 20});
        });
        must(backend->set_pools(
            std::vector<Cidr>{*Cidr::parse("10.166.0.0/16"), *Cidr::parse("fd00:a6::/48")}));
        std::vector<core::HostAddress> own;
        for (const net::OwnAddress& address : must(host.network->own_addresses())) {
            const IpAddress& ip = address.prefix.network();
            if (address.prefix.length() != (ip.is_v4() ? 32U : 128U))
                continue;  // 127.0.0.0/8: special in any case
            const bool gateway = ip == host.bridge.ip4.address || ip == host.bridge.ip6->address;
            own.push_back({ip, gateway});
        }
        must(backend->set_host_addresses(own));
    }
    ~Lab() {
        if (const Status removed = backend->remove_all(); !removed)
            MESSAGE(removed.error().message());
    }
    Lab(const Lab&) = delete;
    Lab& operator=(const Lab&) = delete;
};

struct Container {
    Container(Lab& l, int n, std::uint32_t identity) : lab(l), container(l.host, n) {
        const auto link = must(lab.host.network->link(container.port.interface));
        const auto bridge = must(lab.host.network->link("raind0"));
        spec.ep_id = 100 + static_cast<std::uint32_t>(n);
        spec.identity = identity;
        spec.container_id = "test";
        spec.name = "c" + std::to_string(n);
        spec.interface = container.port.interface;
        spec.ifindex = static_cast<std::uint32_t>(link->index);
        spec.bridge_ifindex = static_cast<std::uint32_t>(bridge->index);
        spec.ip4 = container.port.ip4.address;
        spec.ip6 = container.port.ip6->address;
        spec.mac = container.port.mac;
        spec.gateway_mac = lab.host.bridge.mac;
        lab.do_inside([&]() -> Status {
            RAIND_CHECK(lab.backend->attach_port(spec.interface, spec.ifindex));
            return lab.backend->publish_endpoint(spec);
        });
    }
    void fast(bool on) {
        spec.fast_path = on;
        must(lab.backend->publish_endpoint(spec));
    }
    Lab& lab;
    TestContainer container;
    core::EndpointSpec spec;
};

core::CompiledSet permit(std::uint64_t revision) {
    return Rules()
        .allow(testing::kWebId, testing::kDbId, 6, 8080, 256)
        .allow(testing::kWebId, testing::kDbId, 17, 8080, 257)
        .allow(testing::kWebId, testing::kDbId, 1, 0, 258)
        .allow(testing::kWebId, testing::kDbId, 58, 0, 258)
        .done(revision);
}

}  // namespace

TEST_CASE("two containers: denied, permitted, cut; fast path and through the host") {
    Lab lab;
    Container web(lab, 1, testing::kWebId);
    Container db(lab, 2, testing::kDbId);
    for (const Container* one : {&web, &db})
        allow_ping(one->container.netns);
    const ProbeServer server(db.container.netns);
    const ProbeServer other(web.container.netns);
    const auto forth = [&] {
        return reach(web.container.netns, db.container.ip4, db.container.ip6);
    };
    const auto back = [&] {
        return reach(db.container.netns, web.container.ip4, web.container.ip6);
    };
    SUBCASE("fast path") {
    }
    SUBCASE("through the host") {
        web.fast(false);
    }
    // nothing was ever committed: nothing passes, nothing is reset
    CHECK(forth() == kNone);
    must(lab.backend->commit(Rules().done(1)));
    CHECK(forth() == kRefused);
    must(lab.backend->commit(permit(2)));
    CHECK(reach_patiently(web.container.netns, db.container.ip4, db.container.ip6) == kAllOk);
    CHECK(back() == kRefused);
    // the host reaches a container, a container does not reach the host
    CHECK(attempt_patiently(lab.host.netns, {"tcp", db.container.ip4, "8080"}) == "ok");
    const ProbeServer on_host(lab.host.netns);
    CHECK(attempt(web.container.netns, {"tcp", "10.166.0.254", "8080"}) == "refused");
    must(lab.backend->commit(Rules().done(3)));
    CHECK(forth() == kRefused);
}

TEST_CASE("a port without programs carries nothing between containers") {
    Lab lab;
    Container web(lab, 1, testing::kWebId);
    Container db(lab, 2, testing::kDbId);
    const ProbeServer server(db.container.netns);
    must(lab.backend->commit(permit(1)));
    CHECK(attempt_patiently(web.container.netns, {"tcp", db.container.ip4, "8080"}) == "ok");
    must(lab.backend->detach_port(web.spec.interface));
    CHECK(attempt(web.container.netns, {"tcp", db.container.ip4, "8080"}) == "timeout");
    lab.do_inside([&] { return lab.backend->attach_port(web.spec.interface, web.spec.ifindex); });
    CHECK(attempt_patiently(web.container.netns, {"tcp", db.container.ip4, "8080"}) == "ok");
    // withdrawn: the port is shut, its numbers are forgotten
    must(lab.backend->withdraw_endpoint(web.spec));
    CHECK(attempt(web.container.netns, {"tcp", db.container.ip4, "8080"}) == "timeout");
    must(lab.backend->withdraw_endpoint(web.spec));
    CHECK(must(lab.backend->endpoints()).size() == 1);
}

TEST_CASE("links: first, found dead, made anew, foreign programs are noticed") {
    Lab lab;
    bpf::TcxAttacher attacher(lab.backend->datapath());
    net::EndpointPort port = lab.host.port(1);
    std::uint32_t ifindex = must(lab.host.network->create_endpoint(port));
    const auto attach = [&]() -> Status {
        return run_in_netns(lab.host.netns,
                            [&] { return attacher.attach(port.interface, ifindex); });
    };
    must(attach());
    must(attach());
    const core::PortStatus status =
        lab.inside([&] { return attacher.inspect(port.interface, ifindex); });
    CHECK(status.attached);
    CHECK(status.first);
    CHECK(must(attacher.interfaces()) == std::vector<std::string>{port.interface});
    CHECK(must(attacher.alive(port.interface)));

    must(lab.host.network->delete_link(port.interface));
    CHECK(!must(attacher.alive(port.interface)));
    ifindex = must(lab.host.network->create_endpoint(port));
    must(attach());
    CHECK(must(attacher.alive(port.interface)));

    UniqueFd foreign;
    lab.do_inside([&]() -> Status {
        LIBBPF_OPTS(bpf_link_create_opts, options);
        options.flags = 1U << 3;  // before
        foreign.reset(::bpf_link_create(lab.backend->datapath().to_fd(), static_cast<int>(ifindex),
                                        static_cast<bpf_attach_type>(46), &options));
        if (!foreign)
            return os_error("attach the foreign program");
        return {};
    });
    CHECK(attach().error().code() == Errc::Conflict);
    CHECK(!lab.inside([&] { return attacher.inspect(port.interface, ifindex); }).first);
    foreign.reset();
    must(attach());
    must(attacher.detach(port.interface));
    must(attacher.detach(port.interface));
    CHECK(must(attacher.interfaces()).empty());
    CHECK(!lab.inside([&] { return attacher.inspect(port.interface, ifindex); }).attached);
}

// Real containers' ports: programs attached, packets sent. What is refused is seen by the sender,
// what is permitted arrives, on the fast path and through the host, over both families.
#include <doctest/doctest.h>

#include "tests/bpf/port_lab.h"
#include "tests/bpf/world.h"

using namespace raind;
using namespace raind::test;
using testing::Rules;

namespace {

constexpr const char* kRefused = "refused timeout timeout refused timeout timeout ";

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
    in_each_way([](bpf::AttachKind kind) {
        Lab lab(kind);
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
    });
}

TEST_CASE("a port without programs carries nothing between containers") {
    in_each_way([](bpf::AttachKind kind) {
        Lab lab(kind);
        Container web(lab, 1, testing::kWebId);
        Container db(lab, 2, testing::kDbId);
        const ProbeServer server(db.container.netns);
        must(lab.backend->commit(permit(1)));
        const auto reached = [&](auto&& how) {
            return how(web.container.netns,
                       std::vector<std::string>{"tcp", db.container.ip4, "8080"});
        };
        CHECK(reached(attempt_patiently) == "ok");
        lab.do_inside([&] { return lab.backend->detach_port(web.spec.interface); });
        CHECK(reached(attempt) == "timeout");
        lab.do_inside(
            [&] { return lab.backend->attach_port(web.spec.interface, web.spec.ifindex); });
        CHECK(reached(attempt_patiently) == "ok");
        // withdrawn: the port is shut, its numbers are forgotten
        must(lab.backend->withdraw_endpoint(web.spec));
        CHECK(reached(attempt) == "timeout");
        must(lab.backend->withdraw_endpoint(web.spec));
        CHECK(must(lab.backend->endpoints()).size() == 1);
    });
}

TEST_CASE("a daemon that attaches in another way takes the ports over") {
    if (ways().size() < 2) {
        MESSAGE("this kernel has one way only");
        return;
    }
    Lab lab(bpf::AttachKind::Tcx);
    Container web(lab, 1, testing::kWebId);
    for (const bpf::AttachKind kind : {bpf::AttachKind::Clsact, bpf::AttachKind::Tcx}) {
        lab.backend.reset();  // as by kill -9: nothing is taken back
        lab.backend = lab.inside([&] { return bpf::EbpfBackend::open(lab.sizes(), kind); });
        const auto port = [&] {
            return lab.inside([&] { return lab.backend->port(web.spec.interface); });
        };
        CHECK(!port().attached);
        CHECK(must(lab.backend->attached_interfaces()) ==
              std::vector<std::string>{web.spec.interface});
        lab.do_inside(
            [&] { return lab.backend->attach_port(web.spec.interface, web.spec.ifindex); });
        CHECK(port().attached);
        CHECK(port().first);
        CHECK(must(lab.backend->attached_interfaces()).size() == 1);
    }
    // nothing of clsact is left
    CHECK(lab.inside([&] { return bpf::tc_filters(web.spec.ifindex, bpf::TcHook::Ingress); })
              .empty());
}

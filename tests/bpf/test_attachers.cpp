// Programs on a port by tcx and by clsact: first, found dead, made anew, moved to another build;
// what others put before ours is noticed, and what they take away is put back.
#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <doctest/doctest.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include "tests/bpf/port_lab.h"
#include "userspace/net/netlink_socket.h"

using namespace raind;
using namespace raind::test;

namespace {

// One port of the lab, and the attacher that the lab's backend would use.
struct Port {
    explicit Port(bpf::AttachKind kind) : lab(kind), attacher(attacher_of(lab, kind)) { make(); }

    static std::unique_ptr<bpf::PortAttacher> attacher_of(const Lab& lab, bpf::AttachKind kind) {
        return must(bpf::make_attachers(lab.backend->datapath(), kind)).used;
    }
    void make() { ifindex = must(lab.host.network->create_endpoint(spec)); }
    Status attach() {
        return run_in_netns(lab.host.netns,
                            [&] { return attacher->attach(spec.interface, ifindex); });
    }
    void detach() {
        lab.do_inside([&] { return attacher->detach(spec.interface); });
    }
    bool alive() {
        return lab.inside([&] { return attacher->alive(spec.interface); });
    }
    core::PortStatus status() {
        return lab.inside([&] { return attacher->inspect(spec.interface, ifindex); });
    }
    std::vector<bpf::TcFilter> filters(bpf::TcHook hook = bpf::TcHook::Ingress) {
        return lab.inside([&] { return bpf::tc_filters(ifindex, hook); });
    }
    bool in_force() {
        const core::PortStatus now = status();
        return now.attached && now.first;
    }
    bool has_pins() { return !must(lab.backend->datapath().pins().links()).empty(); }

    Lab lab;
    std::unique_ptr<bpf::PortAttacher> attacher;
    net::EndpointPort spec = lab.host.port(1);
    std::uint32_t ifindex = 0;
};

// Somebody else's program, by tcx or as a filter.
struct Foreign {
    Port& port;
    UniqueFd link;

    void before_by_tcx() {
        port.lab.do_inside([&]() -> Status {
            LIBBPF_OPTS(bpf_link_create_opts, options);
            options.flags = 1U << 3;  // before
            link.reset(::bpf_link_create(program(), static_cast<int>(port.ifindex),
                                         static_cast<bpf_attach_type>(bpf::kTcxIngress), &options));
            return link ? Status() : Status(os_error("attach the foreign program"));
        });
    }
    // Among filters of one priority the newest runs first.
    void filter(std::uint32_t handle, std::uint32_t priority, std::uint32_t flags = 0) {
        port.lab.do_inside([&]() -> Status {
            const bpf_tc_hook hook = ingress();
            LIBBPF_OPTS(bpf_tc_opts, options);
            options.prog_fd = program();
            options.handle = handle;
            options.priority = priority;
            options.flags = flags;
            const int code = ::bpf_tc_attach(&hook, &options);
            return code == 0 ? Status() : Status(os_error("attach the foreign filter", -code));
        });
    }
    void remove(std::uint32_t handle, std::uint32_t priority) {
        port.lab.do_inside([&]() -> Status {
            const bpf_tc_hook hook = ingress();
            LIBBPF_OPTS(bpf_tc_opts, options);
            options.handle = handle;
            options.priority = priority;
            const int code = ::bpf_tc_detach(&hook, &options);
            return code == 0 ? Status() : Status(os_error("remove a filter", -code));
        });
    }
    int program() const { return port.lab.backend->datapath().to_fd(); }
    bpf_tc_hook ingress() const {
        LIBBPF_OPTS(bpf_tc_hook, hook);
        hook.ifindex = static_cast<int>(port.ifindex);
        hook.attach_point = BPF_TC_INGRESS;
        return hook;
    }
};

// EEXIST and ENOENT show in the test that asks.
void change_qdisc(Port& port, std::uint16_t type, const char* kind) {
    net::NetlinkMessage message(
        type, type == RTM_NEWQDISC ? std::uint16_t{NLM_F_CREATE | NLM_F_EXCL} : std::uint16_t{0});
    auto& head = message.fixed<tcmsg>();
    head.tcm_ifindex = static_cast<int>(port.ifindex);
    head.tcm_parent = TC_H_CLSACT;
    head.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0U);
    message.put_text(TCA_KIND, kind);
    auto socket = must(net::NetlinkSocket::open(port.lab.host.netns));
    must(socket.request(message));
}

}  // namespace

TEST_CASE("ports: first, found dead, made anew, taken off") {
    in_each_way([](bpf::AttachKind kind) {
        Port port(kind);
        CHECK(!port.status().attached);
        must(port.attach());
        must(port.attach());
        CHECK(port.in_force());
        CHECK(port.status().kind == port.attacher->kind());
        CHECK(must(port.attacher->interfaces()) == std::vector<std::string>{port.spec.interface});
        CHECK(port.alive());

        must(port.lab.host.network->delete_link(port.spec.interface));
        CHECK(!port.alive());
        port.make();
        CHECK(!port.alive());
        must(port.attach());
        CHECK(port.alive());

        port.detach();
        port.detach();
        CHECK(must(port.attacher->interfaces()).empty());
        CHECK(!port.status().attached);
        CHECK(!port.has_pins());
    });
}

TEST_CASE("ports: pins that others removed are made anew, without a second program") {
    in_each_way([](bpf::AttachKind kind) {
        Port port(kind);
        must(port.attach());
        for (const std::string& pin : must(port.lab.backend->datapath().pins().links()))
            must(bpf::unpin(port.lab.backend->datapath().pins().link(pin)));
        // the kernel ends a link without a pin a moment later
        for (int i = 0; i < 100 && port.status().attached; i++)
            ::usleep(10'000);
        CHECK(!port.status().attached);
        must(port.attach());
        CHECK(port.in_force());
        if (kind == bpf::AttachKind::Clsact)
            CHECK(port.filters().size() == 1);
    });
}

TEST_CASE("ports: another build of the programs takes the old one's place") {
    in_each_way([](bpf::AttachKind kind) {
        Port port(kind);
        must(port.attach());
        const bpf::Datapath& old = port.lab.backend->datapath();
        must(bpf::repin(old.to_fd(), old.pins().program("raind_from")));
        const auto fresh = must(bpf::Datapath::load(port.lab.sizes()));
        REQUIRE(fresh->programs_replaced());
        port.attacher = must(bpf::make_attachers(*fresh, kind)).used;
        CHECK(!port.status().attached);
        must(port.attach());
        CHECK(port.in_force());
    });
}

TEST_CASE("ports: a foreign program before ours is noticed") {
    in_each_way([](bpf::AttachKind kind) {
        Port port(kind);
        must(port.attach());
        Foreign foreign{port, {}};
        SUBCASE("by tcx") {
            if (ways().size() < 2)
                return;
            foreign.before_by_tcx();
            CHECK(port.attach().error().code() == Errc::Conflict);
            CHECK(!port.status().first);
            foreign.link.reset();
        }
        SUBCASE("as a filter") {
            if (kind == bpf::AttachKind::Tcx)
                return;  // those run after tcx, where ours has decided
            foreign.filter(0x42, 1);
            CHECK(port.status().attached);
            CHECK(!port.status().first);
            CHECK(port.attach().error().code() == Errc::Conflict);
            CHECK(port.filters().size() == 2);
            foreign.remove(0x42, 1);
        }
        must(port.attach());
        CHECK(port.in_force());
    });
}

TEST_CASE("clsact: what others do to our filters is seen and undone") {
    Port port(bpf::AttachKind::Clsact);
    must(port.attach());
    Foreign foreign{port, {}};
    SUBCASE("a filter removed") {
        foreign.remove(0x7261, 1);
    }
    SUBCASE("another program in our place") {
        foreign.filter(0x7261, 1, BPF_TC_F_REPLACE);
    }
    SUBCASE("the queueing discipline removed") {
        change_qdisc(port, RTM_DELQDISC, "clsact");
    }
    CHECK(!port.status().attached);
    must(port.attach());
    CHECK(port.in_force());
    CHECK(port.filters().size() == 1);
    CHECK(port.filters(bpf::TcHook::Egress).size() == 1);
}

TEST_CASE("clsact: the queueing discipline goes with us when it is ours alone") {
    Port port(bpf::AttachKind::Clsact);
    Foreign foreign{port, {}};
    SUBCASE("ours alone") {
        must(port.attach());
        port.detach();
        change_qdisc(port, RTM_NEWQDISC, "clsact");  // would be EEXIST
    }
    SUBCASE("with a filter of others behind ours") {
        must(port.attach());
        foreign.filter(0x42, 7);
        CHECK(port.in_force());
        port.detach();
        REQUIRE(port.filters().size() == 1);
        CHECK(port.filters().front().priority == 7);
    }
    SUBCASE("made by others") {
        change_qdisc(port, RTM_NEWQDISC, "clsact");
        must(port.attach());
        CHECK(port.in_force());
        port.detach();
        CHECK(port.filters().empty());
        change_qdisc(port, RTM_DELQDISC, "clsact");  // would be ENOENT
    }
    CHECK(!port.has_pins());
}

TEST_CASE("clsact: an ingress queueing discipline of others cannot carry ours") {
    Port port(bpf::AttachKind::Clsact);
    change_qdisc(port, RTM_NEWQDISC, "ingress");
    CHECK(port.attach().error().code() == Errc::Conflict);
    CHECK(port.filters().empty());
    CHECK(!port.has_pins());
    change_qdisc(port, RTM_DELQDISC, "ingress");
    must(port.attach());
    CHECK(port.in_force());
}

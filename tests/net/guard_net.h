// A host with the guard, two containers and the outside behind it, for the tests of the guard table
// without any program: stamps are set by a table of the test.
#pragma once

#include <algorithm>
#include <fmt/format.h>

#include "tests/net/fixture.h"
#include "userspace/netfilter/guard.h"
#include "userspace/netfilter/nft.h"

namespace raind::test {

inline constexpr const char* kHost4 = "192.0.2.1";
inline constexpr const char* kHost6 = "2001:db8::1";
inline constexpr const char* kOutside4 = "192.0.2.2";
inline constexpr const char* kOutside6 = "2001:db8::2";

inline netfilter::GuardSpec guard_spec() {
    return {.bridges = {"raind0"},
            .pools = {must(Cidr::parse("10.166.0.0/16")), must(Cidr::parse("fd00:a6::/48"))}};
}

struct GuardNet {
    TestHost host;
    NetnsRef outside = must(NetnsRef::make());
    std::unique_ptr<netfilter::Guard> guard = must(netfilter::Guard::open(host.netns));
    TestContainer web{host, 1};
    TestContainer db{host, 2};

    GuardNet() {
        connect(host.netns, outside,
                {"up0", "far0", interface_address(kHost4, 24), interface_address(kHost6, 64),
                 interface_address(kOutside4, 24), interface_address(kOutside6, 64)});
        must(host.network->enable_forwarding_own());
        // All traffic goes by the gateway, as when the programs answer every question.
        by_gateway(web, db);
        by_gateway(db, web);
    }
    void by_gateway(const TestContainer& from, const TestContainer& to) const {
        auto socket = must(net::NetlinkSocket::open(from.netns));
        const int index = must(net::get_link(socket, "eth0")).index;
        for (const auto& address : {to.port.ip4.address, to.port.ip6->address})
            must(net::set_neighbour(socket, {index, address, host.bridge.mac}));
    }
    // Everything that containers send is stamped so from now on.
    void stamp(unsigned bits) const {
        must(netfilter::run_nft(host.netns,
                                fmt::format("add table inet stamper\ndelete table inet stamper\n"
                                            "table inet stamper {{\nchain pre {{\n"
                                            "type filter hook prerouting priority -320\n"
                                            "iifname \"raind0\" meta mark set {:#x}\n}}\n}}\n",
                                            bits)));
    }
    std::uint64_t count(const std::string& name) const {
        const auto all = must(guard->counters(""));
        const auto found = std::ranges::find(all, name, &netfilter::GuardCounter::name);
        return found == all.end() ? 0 : found->packets;
    }
};

}  // namespace raind::test

#include <doctest/doctest.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "userspace/net/link.h"
#include "userspace/net/message.h"
#include "userspace/net/network.h"

using namespace raind;
using net::Attributes;
using net::NetlinkMessage;

TEST_CASE("what is put into a message is read out of it") {
    NetlinkMessage message(RTM_NEWLINK, NLM_F_CREATE);
    message.fixed<ifinfomsg>().ifi_index = 7;
    const auto mac = MacAddress::parse("02:00:00:00:00:01").value();
    const auto v4 = IpAddress::parse("10.166.0.1").value();
    const auto v6 = IpAddress::parse("fd00::1").value();
    message.put_text(IFLA_IFNAME, "eth0").put_u32(IFLA_MTU, 1400).put_mac(IFLA_ADDRESS, mac);
    nlattr* nest = message.begin(IFLA_LINKINFO);
    message.put_u8(1, 9).put_address(2, v4).put_address(3, v6);
    message.end(nest);
    CHECK(!message.overflown());

    const auto* head = message.header();
    CHECK(head->nlmsg_type == RTM_NEWLINK);
    CHECK(head->nlmsg_flags == (NLM_F_REQUEST | NLM_F_CREATE));
    const auto attrs = Attributes::of_message(head, sizeof(ifinfomsg));
    CHECK(attrs.text(IFLA_IFNAME) == "eth0");
    CHECK(attrs.u32(IFLA_MTU) == 1400);
    CHECK(attrs.mac(IFLA_ADDRESS) == mac);
    CHECK(!attrs.has(IFLA_MASTER));
    const auto inner = Attributes::of_nest(attrs.find(IFLA_LINKINFO));
    CHECK(inner.u8(1) == 9);
    CHECK(inner.address(2) == v4);
    CHECK(inner.address(3) == v6);
    CHECK(::mnl_attr_get_payload_len(inner.find(2)) == 4);
}

TEST_CASE("values of another size are not taken for something else") {
    NetlinkMessage message(RTM_NEWLINK, 0);
    message.fixed<ifinfomsg>();
    message.put_u8(IFLA_MTU, 5).put_u32(IFLA_ADDRESS, 1).put_text(IFLA_IFNAME, "");
    const auto attrs = Attributes::of_message(message.header(), sizeof(ifinfomsg));
    CHECK(attrs.u32(IFLA_MTU, 1234) == 1234);
    CHECK(attrs.mac(IFLA_ADDRESS) == MacAddress{});
    CHECK(attrs.text(IFLA_IFNAME).empty());
    CHECK(attrs.u8(IFLA_GROUP, 3) == 3);
    // A message shorter than its fixed part has no attributes.
    message.header()->nlmsg_len = NLMSG_HDRLEN + 2;
    CHECK(!Attributes::of_message(message.header(), sizeof(ifinfomsg)).has(IFLA_MTU));
}

TEST_CASE("a message that is too long is marked, not cut") {
    NetlinkMessage message(RTM_NEWLINK, 0);
    message.fixed<ifinfomsg>();
    const std::string large(3000, 'x');
    message.put_text(IFLA_IFALIAS, large);
    CHECK(!message.overflown());
    message.put_text(IFLA_IFALIAS, large);
    CHECK(message.overflown());
    message.end(message.begin(IFLA_LINKINFO, 2000));
    CHECK(message.overflown());
    CHECK(message.header()->nlmsg_len < 4096);
}

TEST_CASE("the container's end has a name of its own, of the same length") {
    CHECK(net::peer_name_of("rd_01hzy3k9q2ab") == "rp_01hzy3k9q2ab");
    CHECK(net::peer_name_of("rp_x") == "pp_x");
}

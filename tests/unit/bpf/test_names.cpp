#include <doctest/doctest.h>

#include "raind/abi/names.h"

#include "userspace/bpf/convert.h"

using namespace raind;

TEST_CASE("names of numbers and back") {
    CHECK(abi::reason_name(RAIND_R_SRC_IP) == "src_ip");
    CHECK(abi::reason_from_name("vlan") == RAIND_R_VLAN);
    CHECK(!abi::reason_from_name("nothing").has_value());
    CHECK(abi::reason_name(250).empty());
    CHECK(abi::event_name(RAIND_EV_NEW) == "new");
    CHECK(abi::end_name(RAIND_END_REUSED) == "tuple_reused");
    CHECK(abi::mode_name(RAIND_MODE_ENFORCE) == "enforce");
    CHECK(abi::identity_name(RAIND_ID_WORLD) == "world");
    CHECK(abi::rule_name(RAIND_RULE_GW_ECHO) == "gateway_echo");
}

TEST_CASE("every map has a name that the kernel keeps whole"){
#define RAIND_CHECK_NAME(name, text) CHECK(std::string_view(text).size() <= 15);
    RAIND_MAPS(RAIND_CHECK_NAME)
#undef RAIND_CHECK_NAME
}

TEST_CASE("addresses keep their bytes, texts end with zero") {
    const IpAddress four = *IpAddress::parse("10.166.0.1");
    const raind_ip abi = bpf::to_abi(four);
    CHECK(abi.b[10] == 0xff);
    CHECK(abi.b[12] == 10);
    CHECK(bpf::from_abi(abi) == four);
    char text[4];
    bpf::copy_text(text, "abcdef");
    CHECK(std::string_view(text) == "abc");
}

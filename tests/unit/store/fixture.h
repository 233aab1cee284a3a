// A store in a folder of its own, and records to put into it.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <memory>
#include <string>

#include "userspace/common/fs.h"
#include "userspace/store/store.h"

namespace raind::store::test {

struct Fixture {
    TempDir dir = *TempDir::make("/tmp", "raind-store-");
    std::unique_ptr<Store> store;

    Fixture() { open(); }
    void open() {
        store.reset();
        auto opened = Store::open(folder());
        if (!opened)
            FAIL(opened.error().message());
        store = *std::move(opened);
    }
    std::string folder() const { return (dir.path() / "store").string(); }
    std::string file() const { return folder() + "/raind.db"; }
};

inline core::ContainerRecord container(int number, core::IdentityId identity = 0) {
    core::ContainerRecord out;
    out.id = fmt::format("01kx{:08}", number);
    out.uid = out.id + "abcdefghijklmn";
    out.name = fmt::format("name-{}", number);
    out.identity = identity;
    out.state = core::ContainerState::Created;
    out.image_repository = "library/busybox";
    out.image_reference = "1.36";
    out.layers = {"aa", "bb"};
    out.process = {"/bin/sh", "-c", "echo \"x\"\n"};
    out.options.env = {"A=1", "B=\xc3\xa9"};
    out.options.labels = {{"k", "v"}};
    out.options.cap_add = {"NET_RAW"};
    out.network = "raind0";
    out.ip4 = *IpAddress::parse("10.166.0.7");
    out.mac = *MacAddress::parse("02:00:00:00:00:07");
    out.ids = {1'000'000, 65'536};
    out.creating_at = {1'700'000'000'000'000'000 + number};
    return out;
}

inline core::PoolRecord pool() {
    return {"raind0",
            *Cidr::parse("10.166.0.0/24"),
            *IpAddress::parse("10.166.0.254"),
            *Cidr::parse("fd12:3456:789a:0::/64"),
            *IpAddress::parse("fd12:3456:789a::fe"),
            *MacAddress::parse("02:00:00:00:00:fe"),
            0};
}

inline core::PolicyRecord policy(int number) {
    core::PolicyRecord out;
    out.id = fmt::format("01kx5b6g2h7j8k9m0n1p{:06}", number);
    out.source = "web";
    out.destination_name = "db";
    out.protocol = "tcp";
    out.dport = 8080;
    out.created_at = {1'700'000'000'000'000'000 + number};
    return out;
}

}  // namespace raind::store::test

#include "tests/net/fixture.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <future>
#include <sched.h>
#include <signal.h>
#include <thread>
#include <unistd.h>

#include "userspace/common/fs.h"
#include "userspace/common/text.h"

namespace raind::test {
namespace {

constexpr auto kLimit = std::chrono::seconds(20);

// Before doctest's main: everything here needs root.
const bool kMayRun = [] {
    bool namespaces = false;
    std::thread([&] { namespaces = ::unshare(CLONE_NEWNET) == 0; }).join();
    if (namespaces)
        return true;
    std::puts("SKIP: network namespaces need root");
    std::exit(77);
}();

}  // namespace

MacAddress mac(const char* text) {
    return must(MacAddress::parse(text));
}

net::InterfaceAddress interface_address(const char* text, unsigned length) {
    return {must(IpAddress::parse(text)), length};
}

ProbeResult probe(const NetnsRef& netns, std::vector<std::string> args) {
    args.insert(args.begin(), "probe");
    auto done = must(run_in_netns(
        netns, [&] { return run_program({.program = RAIND_PROBE, .args = args}, kLimit); }));
    return {done.status.shell_code(), std::string(trim(done.output + done.errors))};
}

namespace {

using Attempt = std::string (*)(const NetnsRef&, std::vector<std::string>);

std::string attempt_within(const NetnsRef& netns, std::vector<std::string> args, const char* ms) {
    args.insert(args.end(), {"--timeout", ms});
    return probe(netns, std::move(args)).output;
}

std::string reach_by(Attempt one, const NetnsRef& from, const std::string& ip4,
                     const std::string& ip6) {
    std::vector<std::future<std::string>> running;
    for (const auto& address : {ip4, ip6})
        for (const auto& args : std::vector<std::vector<std::string>>{
                 {"tcp", address, "8080"}, {"udp", address, "8080"}, {"icmp", address}})
            running.push_back(
                std::async(std::launch::async, [one, &from, args] { return one(from, args); }));
    std::string result;
    for (auto& each : running)
        result += each.get() + " ";
    return result;
}

}  // namespace

std::string attempt(const NetnsRef& netns, std::vector<std::string> args) {
    return attempt_within(netns, std::move(args), "400");
}

std::string attempt_patiently(const NetnsRef& netns, std::vector<std::string> args) {
    return attempt_within(netns, std::move(args), "10000");
}

std::string reach(const NetnsRef& from, const std::string& ip4, const std::string& ip6) {
    return reach_by(attempt, from, ip4, ip6);
}

std::string reach_patiently(const NetnsRef& from, const std::string& ip4, const std::string& ip6) {
    return reach_by(attempt_patiently, from, ip4, ip6);
}

ProbeServer::ProbeServer(const NetnsRef& netns) {
    static int number = 0;
    log_path_ = fmt::format("{}/rdtest-{}-{}.log", std::filesystem::temp_directory_path().string(),
                            ::getpid(), number++);
    const auto file = must(open_file(log_path_, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600));
    SpawnOptions options{.program = RAIND_PROBE,
                         .args = {"probe", "serve", "--tcp", "8080", "--udp", "8080", "--log",
                                  "--timeout", "120000"},
                         .fds = {{file.get(), 1}, {file.get(), 2}}};
    child_ =
        std::make_unique<Child>(must(run_in_netns(netns, [&] { return Child::spawn(options); })));
    for (int i = 0; i < 200 && log().find("ready") == std::string::npos; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

ProbeServer::~ProbeServer() {
    static_cast<void>(child_->signal(SIGKILL));
    static_cast<void>(child_->wait());
    std::error_code ignored;
    std::filesystem::remove(log_path_, ignored);
}

std::string ProbeServer::log() const {
    return must(read_file(log_path_));
}

TestHost::TestHost() {
    must(network->ensure_bridge(bridge));
    allow_ping(netns);
}

void allow_ping(const NetnsRef& netns) {
    must(net::write_sysctls(netns, {{"ipv4/ping_group_range", "0 2147483647"}}));
}

net::EndpointPort TestHost::port(int n) const {
    return {.interface = fmt::format("rd_test{}", n),
            .bridge = "raind0",
            .mac = mac(fmt::format("02:00:00:00:00:{:02x}", n).c_str()),
            .gateway_mac = bridge.mac,
            .ip4 = interface_address(fmt::format("10.166.0.{}", n).c_str(), 24),
            .ip6 = interface_address(fmt::format("fd00:a6::{:x}", n).c_str(), 64),
            .gateway4 = bridge.ip4.address,
            .gateway6 = bridge.ip6->address};
}

TestContainer::TestContainer(TestHost& host, int n)
    : port(host.port(n)), ip4(port.ip4.address.to_string()), ip6(port.ip6->address.to_string()) {
    must(host.network->create_endpoint(port));
    must(host.network->enslave_endpoint(port));
    must(host.network->connect_endpoint(port, netns));
}

void connect(const NetnsRef& left, const NetnsRef& right, const Wire& wire) {
    auto socket = must(net::NetlinkSocket::open(left));
    must(net::create_veth(socket, {.name = wire.left_name,
                                   .peer_name = wire.right_name,
                                   .peer_mac = mac("02:00:00:00:0f:02")}));
    const auto peer = must(net::get_link(socket, wire.right_name));
    must(net::change_link(socket, peer.index, {.netns_fd = right.fd()}));
    auto far_socket = must(net::NetlinkSocket::open(right));
    // Both ends answer at once: no duplicate detection of their link-local addresses.
    must(net::write_sysctls(left, {{fmt::format("ipv6/conf/{}/accept_dad", wire.left_name), "0"}}));
    must(net::write_sysctls(right,
                            {{fmt::format("ipv6/conf/{}/accept_dad", wire.right_name), "0"}}));
    const auto raise = [](net::NetlinkSocket& side, const std::string& name,
                          const net::InterfaceAddress& ip4, const net::InterfaceAddress& ip6) {
        const auto link = must(net::get_link(side, name));
        must(net::set_address(side, link.index, ip4));
        must(net::change_link(side, link.index, {.up = net::OnOff::On}));
        must(net::set_address(side, link.index, ip6));
    };
    raise(socket, wire.left_name, wire.left4, wire.left6);
    raise(far_socket, wire.right_name, wire.right4, wire.right6);
}

}  // namespace raind::test

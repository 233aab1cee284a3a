// Namespaces, bridges and containers of a test, with `probe` running in them. All namespaces are
// anonymous: they end with the test, however it ends.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "userspace/common/netns.h"
#include "userspace/common/process.h"
#include "userspace/net/network.h"

namespace raind::test {

// The value, or the test program ends with the error: for set-up steps.
template <typename T>
T must(Result<T> result) {
    if (!result)
        throw std::runtime_error(result.error().message());
    return std::move(*result);
}
inline void must(Status result) {
    if (!result)
        throw std::runtime_error(result.error().message());
}

MacAddress mac(const char* text);
net::InterfaceAddress interface_address(const char* text, unsigned length);

struct ProbeResult {
    int code = 0;
    std::string output;
};
ProbeResult probe(const NetnsRef& netns, std::vector<std::string> args);
// ICMP datagram sockets for everybody in the namespace (containers have them anyway).
void allow_ping(const NetnsRef& netns);
// "ok", "timeout", ... of an attempt with a short time limit; args: {"tcp", "10.0.0.1", "80"}.
std::string attempt(const NetnsRef& netns, std::vector<std::string> args);
// The same with a long limit, where an answer is expected: a busy machine is no reason to fail.
std::string attempt_patiently(const NetnsRef& netns, std::vector<std::string> args);

// TCP and UDP 8080 and ICMP over IPv4, then over IPv6, all at once.
std::string reach(const NetnsRef& from, const std::string& ip4, const std::string& ip6);
std::string reach_patiently(const NetnsRef& from, const std::string& ip4, const std::string& ip6);
inline constexpr const char* kAllOk = "ok ok ok ok ok ok ";
inline constexpr const char* kNone = "timeout timeout timeout timeout timeout timeout ";

// `probe serve` on tcp and udp 8080 inside a namespace until the end of the object.
class ProbeServer {
  public:
    explicit ProbeServer(const NetnsRef& netns);
    ~ProbeServer();
    ProbeServer(const ProbeServer&) = delete;
    ProbeServer& operator=(const ProbeServer&) = delete;
    // What it has logged so far: a line for each connection and datagram, with the peer.
    std::string log() const;

  private:
    std::string log_path_;
    std::unique_ptr<Child> child_;
};

// A host namespace with the bridge raind0 (10.166.0.254/24, fd00:a6::fe/64).
struct TestHost {
    NetnsRef netns = must(NetnsRef::make());
    std::unique_ptr<net::Network> network = must(net::Network::open(netns));
    net::BridgeSpec bridge{.name = "raind0",
                           .mac = mac("02:00:00:00:00:fe"),
                           .ip4 = interface_address("10.166.0.254", 24),
                           .ip6 = interface_address("fd00:a6::fe", 64)};
    TestHost();
    // Container number n: 10.166.0.n, fd00:a6::n, 02:00:00:00:00:n, host end rd_test<n>.
    net::EndpointPort port(int n) const;
};

struct TestContainer {
    TestContainer(TestHost& host, int n);
    net::EndpointPort port;
    NetnsRef netns = must(NetnsRef::make());
    std::string ip4;
    std::string ip6;
};

// A veth pair between two namespaces with addresses on both ends, up.
struct Wire {
    std::string left_name;
    std::string right_name;
    net::InterfaceAddress left4, left6, right4, right6;
};
void connect(const NetnsRef& left, const NetnsRef& right, const Wire& wire);

}  // namespace raind::test

// Random policies and random questions about them, from a seed: for differential tests of the
// compiler, the evaluator and the datapath.
#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "userspace/core/compiler.h"
#include "userspace/core/packet.h"
#include "userspace/core/policy.h"
#include "userspace/core/verdict.h"

namespace raind::testing {

// What a packet asks, in terms of people: containers by number, everything else by address.
struct RandomQuestion {
    int source = 0;        // container
    int destination = -1;  // container, or -1: outside
    IpAddress address;     // outside
    bool ip6 = false;
    std::uint8_t protocol = core::kProtoTcp;
    std::uint16_t port = 0;  // ICMP: type * 256 + code
};

class RandomPolicy {
  public:
    explicit RandomPolicy(std::uint64_t seed) : engine_(seed) {
        containers_ = 1 + pick(6);
        for (int n = 0; n < containers_; ++n)
            identities_[name(n)] = 256 + static_cast<core::IdentityId>(n);
        const int policies = pick(40);
        for (int n = 0; n < policies; ++n)
            add(n);
        if (pick(2) == 0)
            (void)core::stage_mode(state_, core::NsMode::Enforce);
        state_ = core::commit(state_, [](std::string_view) { return true; }).value();
    }

    static std::string name(int n) { return "c" + std::to_string(n); }
    int containers() const { return containers_; }
    const core::PolicyState& state() const { return state_; }
    const core::IdentityMap& identities() const { return identities_; }

    RandomQuestion question() {
        RandomQuestion result;
        result.source = pick(containers_);
        result.ip6 = pick(2) == 0;
        if (pick(2) == 0)
            result.destination = pick(containers_);
        else
            result.address = outside(result.ip6);
        constexpr std::array<std::uint8_t, 5> kProtocols{6, 17, 1, 47, 132};
        result.protocol = kProtocols.at(static_cast<std::size_t>(pick(5)));
        if (result.protocol == core::kProtoIcmp && result.ip6)
            result.protocol = core::kProtoIcmp6;
        if (result.protocol == 6 || result.protocol == 17 || result.protocol == 132)
            result.port = port();
        else if (result.protocol == core::kProtoIcmp || result.protocol == core::kProtoIcmp6)
            result.port = result.ip6 ? 128 << 8 : 8 << 8;
        return result;
    }

  private:
    int pick(int count) { return static_cast<int>(engine_() % static_cast<unsigned>(count)); }
    std::uint16_t port() {
        constexpr std::array<std::uint16_t, 5> kPorts{1, 80, 443, 8080, 65535};
        return kPorts.at(static_cast<std::size_t>(pick(5)));
    }
    // Few bits vary, so that prefixes nest and addresses fall on their edges.
    IpAddress outside(bool ip6) {
        if (!ip6)
            return IpAddress::v4(0xc0000000U | static_cast<std::uint32_t>(pick(4)) << 20 |
                                 static_cast<std::uint32_t>(pick(4)) << 8 |
                                 static_cast<std::uint32_t>(pick(4)));
        IpAddress::Bytes bytes{0x20, 0x01, 0x0d, 0xb8};
        bytes[4] = static_cast<std::uint8_t>(pick(4));
        bytes[9] = static_cast<std::uint8_t>(pick(4));
        bytes[15] = static_cast<std::uint8_t>(pick(4));
        return IpAddress(bytes);
    }
    std::string prefix() {
        const bool ip6 = pick(2) == 0;
        constexpr std::array<unsigned, 4> kLengths4{0, 12, 24, 32};
        constexpr std::array<unsigned, 4> kLengths6{0, 40, 80, 128};
        const unsigned length = (ip6 ? kLengths6 : kLengths4).at(static_cast<std::size_t>(pick(4)));
        return Cidr::make(outside(ip6), length).value().to_string();
    }
    void add(int n) {
        constexpr std::array<const char*, 3> kChains{"RAIND-EW", "RAIND-NS-OBS", "RAIND-NS-ENF"};
        constexpr std::array<const char*, 4> kProtocols{"", "tcp", "udp", "icmp"};
        api::AddPolicyRequest request;
        const int chain = pick(3);
        request.chain = kChains.at(static_cast<std::size_t>(chain));
        request.source = name(pick(containers_));
        request.dest = chain == 0 ? name(pick(containers_)) : prefix();
        const int protocol = pick(4);
        request.protocol = kProtocols.at(static_cast<std::size_t>(protocol));
        if ((protocol == 1 || protocol == 2) && pick(3) != 0)
            request.dport = port();
        core::PolicyRecord policy = core::make_policy(request).value();
        policy.id = "p" + std::to_string(1000 + n);
        (void)core::stage_add(state_, policy);  // a duplicate is refused, which is fine
    }

    std::mt19937_64 engine_;
    int containers_ = 0;
    core::PolicyState state_;
    core::IdentityMap identities_;
};

}  // namespace raind::testing

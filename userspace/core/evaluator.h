// A plain model of the datapath: what raind_from and raind_to must do with one packet.
//
// It follows sections 5 to 8 of the datapath design in their order, on containers of the standard
// library, and is what the BPF programs are compared with. It leaves out what the programs leave
// out (fragments, ICMP errors, DNS: denied and counted). One thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "raind/abi/enums.h"

#include "userspace/core/backend.h"
#include "userspace/core/flow_table.h"
#include "userspace/core/packet.h"
#include "userspace/core/verdict.h"

namespace raind::core {

enum class Hook { FromContainer, ToContainer };

enum class Delivery {
    Drop,
    Pass,      // on to the next program: to the container, or ARP and NDP between it and the host
    ToHost,    // permitted, through the host's IP
    Redirect,  // permitted, straight into the receiving container
    Answer,    // back to the sender: ARP or NDP answer, TCP reset
};

struct PacketIn {
    Hook hook = Hook::FromContainer;
    std::uint32_t ifindex = 0;  // host end of the container's veth
    std::span<const std::uint8_t> frame;
    std::uint32_t mark = 0;  // ToContainer: stamp bits
    bool forwarded = false;  // ToContainer: came in by another interface
    bool vlan_tag = false;   // tag in metadata
};

struct Judgement {
    Delivery delivery = Delivery::Drop;
    raind_reason reason = RAIND_R_NONE;
    std::uint32_t event = 0;  // raind_event_type of the record about this packet; 0: none
    RuleId rule = 0;
    std::uint32_t match_class = 0;
    FlowParty source, destination;
    std::uint32_t stamp = 0;  // set on what goes to the host
    bool flow = false;        // an entry of the packet's tuple exists afterwards

    bool operator==(const Judgement&) const = default;
};

class Evaluator {
  public:
    explicit Evaluator(std::uint32_t flow_capacity = RAIND_MAX_CT) : flows_(flow_capacity) {}

    // `flags`: RAIND_EP_* beside FAST, which is in the specification.
    void set_endpoint(const EndpointSpec& endpoint, std::uint32_t flags = 0);
    void remove_endpoint(std::uint32_t ifindex);
    void set_host_addresses(std::span<const HostAddress> addresses);
    void set_pools(std::span<const Cidr> pools);
    void set_published(std::span<const PublishedPort> ports);
    void commit(const CompiledSet& set);

    // Judges all flows of older generations, as the sweep after a commit does.
    SweepCounts rejudge();
    // Ends idle flows, as the periodic sweep does.
    SweepCounts sweep();
    void age_flows(std::uint64_t ns);
    void add_foreign_flows(std::uint64_t count) { flows_.add_foreign(count); }
    std::size_t flow_count() const { return flows_.flows().size(); }

    Judgement judge(const PacketIn& in);

  private:
    struct Endpoint {
        EndpointSpec spec;
        std::uint32_t flags = 0;
    };
    struct Peer {
        FlowParty party;
        const Endpoint* endpoint = nullptr;  // a container of this host
    };
    struct Work;
    struct DenyKey {
        EndpointId endpoint;
        IpAddress address;
        std::uint32_t port;
        std::uint8_t protocol;
        raind_reason reason;
        auto operator<=>(const DenyKey&) const = default;
    };

    raind_reason check_port(Work& work) const;
    raind_reason check_from(Work& work);
    raind_reason check_to(Work& work);
    raind_reason check_arp(Work& work) const;
    raind_reason check_neighbour(Work& work) const;
    raind_reason solicitation(Work& work, const IpAddress& target) const;
    raind_reason neighbour_to(Work& work) const;
    raind_reason find_peer(Work& work) const;
    raind_reason find_behind(Work& work) const;
    const PublishedPort* published_at(const Packet& packet, const IpAddress& address,
                                      std::uint16_t port) const;
    raind_reason check_stamp(Work& work) const;
    raind_reason judge_flow(Work& work);
    raind_reason known_flow(Work& work, bool& decided);
    raind_reason new_flow(Work& work);
    Flow make_flow(const Work& work, const Verdict& verdict, bool published) const;
    Verdict judge_again(Flow& flow) const;
    bool expired(const FlowKey& key, const Flow& flow) const;
    void deliver(Work& work) const;
    void record_denial(Work& work);

    std::map<std::uint32_t, Endpoint> endpoints_;  // by interface index
    std::map<IpAddress, bool> host_;               // true: an address of a bridge
    std::vector<Cidr> pools_;
    std::vector<PublishedPort> published_;
    std::unique_ptr<VerdictTable> policy_;
    std::uint32_t generation_ = 0;
    FlowTable flows_;
    std::map<DenyKey, std::uint64_t> denials_;
    std::uint64_t now_ = 1'000'000'000'000'000;  // ns; far enough from 0 to age flows
};

}  // namespace raind::core

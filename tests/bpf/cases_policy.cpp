// Verdicts: classes, precedence, port blocks, modes, audit, missing policy.
#include "tests/bpf/world.h"

namespace raind::testing {

namespace {

using core::NsMode;

Bytes datagram(const Node& to, std::uint16_t port = 5000, int family = 4) {
    return frame(web(), to, family).udp(40000, port).payload(8).build();
}

Expected refused(std::uint32_t rule, std::uint32_t reason = RAIND_R_POLICY) {
    return drop(reason, RAIND_EV_DENY, rule);
}

void outside_cases(std::vector<Case>& out) {
    for (const int family : {4, 6}) {
        const std::string v = family == 4 ? "v4 " : "v6 ";
        const Bytes packet = datagram(outside(), 5000, family);
        const std::uint32_t cls = family == 4 ? kHostClass : kNet6Class;
        const auto add = [&](const char* name, const Rules& rules, Expected expected) {
            out.push_back(single("north-south", v + name, world(rules), packet, expected));
        };
        add("observe lets out", Rules(NsMode::Observe),
            allow(Outcome::ToHost, RAIND_RULE_NS_OBSERVE, RAIND_R_DEFAULT));
        add("enforce does not", Rules(NsMode::Enforce),
            refused(RAIND_RULE_NS_ENFORCE, RAIND_R_DEFAULT));
        add("enforce with a rule for the prefix",
            Rules(NsMode::Enforce).allow(kWebId, cls, 17, 5000, 280), allow(Outcome::ToHost, 280));
        add("enforce with a rule for the outside",
            Rules(NsMode::Enforce).allow(kWebId, RAIND_ID_WORLD, 17, 5000, 281),
            allow(Outcome::ToHost, 281));
        add("enforce with a rule of another container",
            Rules(NsMode::Enforce).allow(kDbId, cls, 17, 5000, 282),
            refused(RAIND_RULE_NS_ENFORCE, RAIND_R_DEFAULT));
        add("observe with a denial of the prefix",
            Rules(NsMode::Observe).deny(kWebId, cls, 0, 0, 283), refused(283));
        add("observe with a denial for every container",
            Rules(NsMode::Observe).deny(RAIND_ID_CONTAINERS, RAIND_ID_WORLD, 17, 5000, 284),
            refused(284));
    }
    out.push_back(single("north-south", "v4 a prefix rule covers the enclosed address",
                         world(Rules(NsMode::Enforce).allow(kWebId, kNetClass, 17, 0, 285)),
                         datagram(outside()), allow(Outcome::ToHost, 285)));
    Node neighbour = outside();
    neighbour.ip4 = ip("198.51.100.8");
    out.push_back(single("north-south", "v4 a rule for one address does not cover its neighbour",
                         world(Rules(NsMode::Enforce).allow(kWebId, kHostClass, 17, 0, 286)),
                         datagram(neighbour), refused(RAIND_RULE_NS_ENFORCE, RAIND_R_DEFAULT)));
    out.push_back({"north-south",
                   "v4 port 53 is judged as any port",
                   world(Rules(NsMode::Enforce)),
                   {from(kWeb, "udp", datagram(outside(), 53),
                         refused(RAIND_RULE_NS_ENFORCE, RAIND_R_DEFAULT)),
                    from(kWeb, "tcp", frame(web(), outside(), 4).tcp(40000, 53, kSyn).build(),
                         reset(RAIND_R_DEFAULT, RAIND_RULE_NS_ENFORCE))}});
    World override_enforce = world(Rules(NsMode::Observe));
    override_enforce.endpoints[kWeb].flags = RAIND_EP_NS_ENFORCE;
    out.push_back(single("north-south", "v4 a port that enforces while others observe",
                         override_enforce, datagram(outside()),
                         refused(RAIND_RULE_NS_ENFORCE, RAIND_R_DEFAULT)));
}

void precedence(std::vector<Case>& out) {
    const auto add = [&](const char* name, const Rules& rules, Expected expected) {
        out.push_back(single("precedence", name, world(rules), datagram(db()), expected));
    };
    const Expected yes = allow(Outcome::Deliver, 290);
    add("a denial wins over a permission of the same priority",
        Rules().allow(kWebId, kDbId, 17, 5000, 290).deny(RAIND_ID_ANY, RAIND_ID_ANY, 0, 0, 291),
        refused(291));
    add("a permission of higher priority wins over a denial",
        Rules()
            .allow(kWebId, kDbId, 17, 5000, 290, 10)
            .deny(RAIND_ID_ANY, RAIND_ID_ANY, 0, 0, 291, 20),
        yes);
    add("a denial of higher priority wins",
        Rules()
            .allow(kWebId, kDbId, 17, 5000, 290, 20)
            .deny(kWebId, RAIND_ID_CONTAINERS, 0, 0, 291, 10),
        refused(291));
    add("the more specific of two permissions is named",
        Rules()
            .allow(RAIND_ID_CONTAINERS, RAIND_ID_CONTAINERS, 0, 0, 289)
            .allow(kWebId, kDbId, 17, 5000, 290),
        yes);
    add("classes of both sides match", Rules().allow(RAIND_ID_CONTAINERS, RAIND_ID_ANY, 17, 0, 290),
        yes);
    add("the wrong way round does not match", Rules().allow(kDbId, kWebId, 17, 5000, 290),
        refused(RAIND_RULE_EW_DEFAULT, RAIND_R_DEFAULT));
    add("the outside is no container", Rules().allow(kWebId, RAIND_ID_WORLD, 0, 0, 290),
        refused(RAIND_RULE_EW_DEFAULT, RAIND_R_DEFAULT));
}

void blocks(std::vector<Case>& out) {
    for (int bits = 0; bits <= 16; bits++) {
        const auto mask = static_cast<std::uint16_t>(0xffff << (16 - bits));
        const auto port = static_cast<std::uint16_t>(0x5a5a & mask);
        World w = world(Rules().block(kWebId, kDbId, 17, port, mask, 292));
        const std::string name = "block of " + std::to_string(bits) + " bits: ";
        out.push_back(single("ports", name + "inside", w, datagram(db(), 0x5a5a),
                             allow(Outcome::Deliver, 292)));
        if (bits == 0)
            continue;
        const auto flipped = static_cast<std::uint16_t>(0x5a5a ^ (1 << (16 - bits)));
        out.push_back(single("ports", name + "just outside", w, datagram(db(), flipped),
                             refused(RAIND_RULE_EW_DEFAULT, RAIND_R_DEFAULT)));
    }
}

void missing(std::vector<Case>& out) {
    World empty = world(std::vector<core::CompiledSet>{});
    out.push_back(single("missing", "nothing was ever committed", empty, datagram(db()),
                         drop(RAIND_R_NO_GENERATION)));
    out.push_back(single("missing", "nothing was ever committed, to the outside", empty,
                         datagram(outside()), drop(RAIND_R_NO_GENERATION)));
    out.push_back(single("missing", "no chain for the sender",
                         world(Rules().allow(kWebId, kDbId, 0, 0, 293).no_identity(kWebId)),
                         datagram(db()), drop(RAIND_R_NO_IDENTITY)));
    out.push_back(single("missing", "no chain for the receiver",
                         world(Rules().allow(kWebId, kDbId, 0, 0, 293).no_identity(kDbId)),
                         datagram(db()), drop(RAIND_R_NO_IDENTITY)));
    World audit = world(Rules());
    audit.endpoints[kWeb].flags = RAIND_EP_AUDIT;
    Expected audited = allow(Outcome::Deliver, RAIND_RULE_EW_DEFAULT, RAIND_R_DEFAULT);
    audited.event = RAIND_EV_AUDIT;
    out.push_back({"audit",
                   "a denial is recorded and passes",
                   audit,
                   {from(kWeb, "first", datagram(db()), audited),
                    from(kWeb, "next", datagram(db()), known(Outcome::Deliver))}});
    World audit_empty = world(std::vector<core::CompiledSet>{});
    audit_empty.endpoints[kWeb].flags = RAIND_EP_AUDIT;
    out.push_back(single("audit", "audit opens nothing when there is no policy", audit_empty,
                         datagram(db()), drop(RAIND_R_NO_GENERATION)));
}

}  // namespace

void add_policy_cases(std::vector<Case>& out) {
    outside_cases(out);
    precedence(out);
    blocks(out);
    missing(out);
}

}  // namespace raind::testing

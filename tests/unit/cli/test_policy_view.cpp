#include <doctest/doctest.h>

#include "cli/policy_view.h"

using namespace raind::cli;  // NOLINT: one module under test

namespace {

raind::api::PolicyList one(const std::string& status) {
    raind::api::PolicyInfo policy;
    policy.id = "id";
    policy.status = status;
    policy.source_name = "a";
    policy.destination_address = "192.0.2.1";
    policy.protocol = "udp";
    policy.dport = 53;
    return {.mode = "observe", .policies = {policy}};
}

}  // namespace

TEST_CASE("kinds and chains") {
    CHECK(chain_of(*parse_policy_kind("ew")) == "RAIND-EW");
    CHECK(chain_of(*parse_policy_kind("ns-obs")) == "RAIND-NS-OBS");
    CHECK(chain_of(*parse_policy_kind("ns-enf")) == "RAIND-NS-ENF");
    CHECK_FALSE(parse_policy_kind("EW").has_value());
    CHECK(mode_is_enforce("enforce_next_commit"));
    CHECK_FALSE(mode_is_enforce("observe_next_commit"));
}

TEST_CASE("the flag of each state") {
    const auto flag = [](const char* status) {
        const std::string text = render_policies(PolicyKind::Observe, one(status));
        return text.substr(text.find("\n[") + 1, 3);
    };
    CHECK(flag("applied") == "[*]");
    CHECK(flag("before_commit") == "[+]");
    CHECK(flag("remove_next_commit") == "[-]");
    CHECK(flag("unresolved") == "[ ]");
    CHECK(flag("something new") == "[ ]");
}

TEST_CASE("modes, actions and footers") {
    raind::api::PolicyList list = one("applied");
    const std::string observe = render_policies(PolicyKind::Observe, list);
    CHECK(observe.starts_with("POLICY TYPE : North-South\nCURRENT MODE: observe\n\nFLAG  "));
    CHECK(observe.find("  DENY  ") != std::string::npos);
    CHECK(observe.ends_with("\n  >> ALLOW ALL NORTH-SOUTH TRAFFIC <<\n"));
    list.mode = "enforce_next_commit";
    const std::string enforce = render_policies(PolicyKind::Enforce, list);
    CHECK(enforce.find("CURRENT MODE: enforce (Next commit)\n") != std::string::npos);
    CHECK(enforce.find("  ALLOW  ") != std::string::npos);
    CHECK(enforce.ends_with("\n  >> DENY ALL NORTH-SOUTH TRAFFIC <<\n"));
    const std::string east_west =
        render_policies(PolicyKind::EastWest, {.mode = "deny_by_default", .policies = {}});
    CHECK(east_west.find("DST CONTAINER") != std::string::npos);
    CHECK(east_west.ends_with("REASON\n  >> DENY ALL EAST-WEST TRAFFIC <<\n"));
}

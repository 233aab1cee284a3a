// IP headers: options, lengths, extension headers, fragments. Nothing gets a verdict other than
// that of the plain packet.
#include <fmt/format.h>

#include "tests/bpf/world.h"

namespace raind::testing {

namespace {

void ip4_headers(std::vector<Case>& out, const World& w) {
    const auto start = [] { return frame(web(), db(), 4).tcp(40000, 8080, kSyn); };
    const auto add = [&](const std::string& group, const std::string& name, const Bytes& packet,
                         Expected expected) {
        out.push_back(single(group, name, w, packet, expected));
    };
    for (const std::size_t bytes : {4, 20, 40})
        add("options", fmt::format("{} bytes of options", bytes), start().options(bytes).build(),
            drop(RAIND_R_IP_OPTIONS));
    add("options", "header length below 5", start().header_length(4).build(),
        drop(RAIND_R_IP_HEADER));
    add("options", "header length beyond the packet", start().header_length(15).build(),
        drop(RAIND_R_IP_HEADER));
    add("length", "total length beyond the frame", start().length_delta(1).build(),
        drop(RAIND_R_IP_HEADER));
    add("length", "total length below the header", start().length_delta(-21).build(),
        drop(RAIND_R_IP_HEADER));
    add("length", "total length cuts the transport header", start().length_delta(-1).build(),
        drop(RAIND_R_SHORT));
    Bytes padded = start().build();
    padded.resize(80);
    add("length", "padding behind the packet", padded, allow(Outcome::Deliver, 256));
    Bytes reserved = start().build();
    reserved[20] = 0x80;
    add("length", "reserved flag", reserved, drop(RAIND_R_IP_HEADER));
}

void extensions(std::vector<Case>& out, const World& w) {
    const auto start = [] { return frame(web(), db(), 6).tcp(40000, 8080, kSyn); };
    const auto add = [&](const std::string& name, const Bytes& packet, Expected expected) {
        out.push_back(single("extensions", name, w, packet, expected));
    };
    for (std::size_t depth = 0; depth <= 8; depth++)
        add(fmt::format("{} destination options", depth),
            start().extensions(std::vector<std::uint8_t>(depth, 60)).build(),
            depth <= 6 ? allow(Outcome::Deliver, 256) : drop(RAIND_R_EXT_HEADER));
    add("hop-by-hop first", start().extensions({0}).build(), allow(Outcome::Deliver, 256));
    add("hop-by-hop not first", start().extensions({60, 0}).build(), drop(RAIND_R_EXT_HEADER));
    for (const std::uint8_t type : std::initializer_list<std::uint8_t>{43, 51, 135, 139, 140, 59})
        add(fmt::format("header {}", type), start().extensions({type}).build(),
            drop(RAIND_R_EXT_HEADER));
    add("payload length beyond the frame", start().length_delta(1).build(),
        drop(RAIND_R_IP_HEADER));
    add("payload length cuts the transport header", start().length_delta(-1).build(),
        drop(RAIND_R_SHORT));
    add("extension beyond the payload",
        frame(web(), db(), 6)
            .extensions({60})
            .length_delta(-4)
            .tcp(40000, 8080, kSyn)
            .length_delta(-21)
            .build(),
        drop(RAIND_R_EXT_HEADER));
}

void fragments(std::vector<Case>& out, const World& w) {
    for (const int family : {4, 6}) {
        const auto start = [&] { return frame(web(), db(), family).tcp(40000, 8080, kSyn); };
        const std::string v = family == 4 ? "v4 " : "v6 ";
        const auto add = [&](const char* name, std::uint16_t offset, bool more) {
            out.push_back(single("fragments", v + name, w,
                                 start().fragment(offset, more).payload(64).build(),
                                 drop(RAIND_R_FRAGMENT)));
        };
        add("first", 0, true);
        add("tiny offset", 1, false);
        add("middle", 64, true);
        add("last", 128, false);
        if (family == 6)
            add("atomic", 0, false);
    }
}

}  // namespace

void add_header_cases(std::vector<Case>& out) {
    const World w = world(Rules().allow(kWebId, kDbId, 6, 8080, 256));
    ip4_headers(out, w);
    extensions(out, w);
    fragments(out, w);
}

}  // namespace raind::testing

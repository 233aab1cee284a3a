#include <doctest/doctest.h>
#include <vector>

#include "droplet/frames.h"

using namespace raind::droplet;

TEST_CASE("frames: packed and read back in any pieces") {
    const std::string bytes = pack_frame(1, "hello") + pack_frame(0, "") + pack_frame(2, "KILL");
    CHECK(bytes.substr(0, 5) == std::string("\x01\x00\x00\x00\x05", 5));
    std::string buffer;
    std::vector<Frame> frames;
    for (const char c : bytes) {
        buffer.push_back(c);
        auto frame = take_frame(buffer);
        REQUIRE(frame);
        if (*frame)
            frames.push_back(**frame);
    }
    REQUIRE(frames.size() == 3);
    CHECK(frames[0].payload == "hello");
    CHECK(frames[1].type == 0);
    CHECK(frames[1].payload.empty());
    CHECK(frames[2].payload == "KILL");
    CHECK(buffer.empty());
}

TEST_CASE("frames: one over the limit is an error before its bytes are there") {
    std::string buffer("\x00\x00\x80\x00\x01", 5);
    CHECK_FALSE(take_frame(buffer).has_value());
    buffer = std::string("\x00\x00\x80\x00\x00", 5);
    const auto frame = take_frame(buffer);
    REQUIRE(frame);
    CHECK_FALSE(frame->has_value());
}

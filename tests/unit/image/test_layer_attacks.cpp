// Archives that try to reach outside their folder or to use up the machine.
#include "tests/unit/image/layer_fixture.h"

using namespace raind::image;
using namespace raind::image::test;
using raind::Errc;

namespace {

std::string refusal(const raind::Result<ExtractReport>& report, Errc code = Errc::InvalidArgument) {
    REQUIRE_FALSE(report.has_value());
    CHECK_MESSAGE(report.error().code() == code, report.error().message());
    return report.error().message();
}

bool has(const std::string& text, std::string_view part) {
    const bool found = text.find(part) != std::string::npos;
    if (!found)
        MESSAGE(text);
    return found;
}

}  // namespace

TEST_CASE_FIXTURE(LayerFixture, "attack: dot-dot") {
    const std::string error = refusal(extract({{.name = "../outside", .content = "evil"}}));
    CHECK(has(error, "entry '../outside'"));
    CHECK(has(error, "leaves the layer"));
    CHECK_FALSE(raind::stdfs::exists(outside()));
    CHECK(
        has(refusal(extract({{.name = "a/../../outside", .content = "evil"}})), "a/../../outside"));
    CHECK_FALSE(raind::stdfs::exists(outside()));
}

TEST_CASE_FIXTURE(LayerFixture, "attack: an absolute name stays in the layer") {
    REQUIRE(extract({{.name = outside().string(), .content = "evil"}}).has_value());
    CHECK_FALSE(raind::stdfs::exists(outside()));
    CHECK(content(outside().string().substr(1)) == "evil");
}

TEST_CASE_FIXTURE(LayerFixture, "attack: writing through a link") {
    make_outside();
    for (const std::string& target :
         {outside().string(), std::string("../outside"), std::string("a/../../outside"),
          std::string("/"), std::string("..")}) {
        CAPTURE(target);
        for (const Entry& behind :
             {Entry{.name = "link/evil", .content = "e"}, Entry{.name = "link/.wh.good"},
              Entry{.name = "link/.wh..wh..opq"},
              Entry{.name = "link/folder", .type = 'd', .mode = 0700},
              Entry{.name = "hard", .type = 'h', .content = "link/good"}}) {
            const std::string error =
                refusal(extract({{.name = "link", .type = 'l', .content = target}, behind}));
            CHECK(has(error, "entry '" + behind.name));
            CHECK(has(error, "leaves the layer"));
            CHECK(nothing_but_good_outside());
        }
    }
    // Two links, each harmless to look at.
    refusal(extract({{.name = "up", .type = 'd', .mode = 0755},
                     {.name = "up/one", .type = 'l', .content = ".."},
                     {.name = "up/two", .type = 'l', .content = "one/../outside"},
                     {.name = "up/two/evil", .content = "e"}}));
    CHECK(nothing_but_good_outside());
}

TEST_CASE_FIXTURE(LayerFixture, "attack: writing through a link of the layer below") {
    make_outside();
    for (const std::string& target : {outside().string(), std::string("../outside")}) {
        CAPTURE(target);
        REQUIRE(extract({{.name = "link", .type = 'l', .content = target}}));
        next_layer();
        REQUIRE(extract({{.name = "link/evil", .content = "e"}, {.name = "link/.wh.good"}}));
        CHECK(nothing_but_good_outside());
        CHECK_FALSE(exists("link"));
        // By way of a link of its own it does not get there.
        refusal(extract({{.name = "own", .type = 'l', .content = "link"},
                         {.name = "own/evil", .content = "e"}}));
        CHECK(nothing_but_good_outside());
        next_layer();
    }
}

TEST_CASE_FIXTURE(LayerFixture, "attack: links in circles, and too many of them") {
    CHECK(has(refusal(extract({{.name = "a", .type = 'l', .content = "b"},
                               {.name = "b", .type = 'l', .content = "a"},
                               {.name = "a/evil", .content = "e"}})),
              "too many symbolic links"));
    std::vector<Entry> chain = {{.name = "l0", .type = 'd', .mode = 0755}};
    for (int i = 1; i <= 50; ++i)
        chain.push_back(
            {.name = "l" + std::to_string(i), .type = 'l', .content = "l" + std::to_string(i - 1)});
    chain.push_back({.name = "l40/file", .content = "40 are allowed"});
    REQUIRE(extract(chain));
    CHECK(content("l0/file") == "40 are allowed");
    chain.back().name = "l41/file";
    CHECK(has(refusal(extract(chain)), "too many symbolic links"));
    // Links make a way deeper than a name may be.
    limits.max_depth = 10;
    CHECK(has(refusal(extract({{.name = "1/2/3/4/5/6/7/8", .type = 'd', .mode = 0755},
                               {.name = "deep", .type = 'l', .content = "1/2/3/4/5/6/7/8"},
                               {.name = "deep/9/10/11/12/file", .content = "f"}})),
              "10 folders deep"));
}

TEST_CASE_FIXTURE(LayerFixture, "attack: a link as the last part is replaced, not followed") {
    std::ofstream(outside()) << "good";
    REQUIRE(extract({{.name = "x", .type = 'l', .content = "../outside"},
                     {.name = "x", .content = "evil"}})
                .has_value());
    CHECK(raind::read_file(outside()).value() == "good");
    CHECK(content("x") == "evil");
}

TEST_CASE_FIXTURE(LayerFixture, "attack: hard links to the outside") {
    std::ofstream(outside()) << "secret";
    for (const std::string& target :
         {std::string("../outside"), outside().string(), std::string("a/../../outside")}) {
        CAPTURE(target);
        const std::string error =
            refusal(extract({{.name = "stolen", .type = 'h', .content = target}}));
        CHECK(has(error, "entry 'stolen'"));
        CHECK(has(error, "hard link to"));
        CHECK_FALSE(exists("stolen"));
    }
    refusal(extract({{.name = "l", .type = 'l', .content = ".."},
                     {.name = "stolen", .type = 'h', .content = "l/outside"}}));
    CHECK_FALSE(exists("stolen"));
    struct stat info{};
    REQUIRE(::stat(outside().c_str(), &info) == 0);
    CHECK(info.st_nlink == 1);
}

TEST_CASE_FIXTURE(LayerFixture, "attack: whiteouts of the outside") {
    std::ofstream(outside()) << "good";
    for (const char* name :
         {".wh..", ".wh...", "../.wh.outside", "a/../../.wh.outside", ".wh.", ".wh.d/file"})
        refusal(extract({{.name = name}}));
    refusal(extract({{.name = "l", .type = 'l', .content = ".."}, {.name = "l/.wh.outside"}}));
    refusal(extract({{.name = "l", .type = 'l', .content = ".."}, {.name = "l/.wh..wh..opq"}}));
    CHECK(raind::read_file(outside()).value() == "good");
}

TEST_CASE_FIXTURE(LayerFixture, "attack: the root of the layer is a folder") {
    refusal(extract({{.name = "./", .content = "file"}}));
    refusal(extract({{.name = ".", .type = 'l', .content = "/etc"}}));
}

TEST_CASE_FIXTURE(LayerFixture, "attack: names") {
    std::string deep;
    for (int i = 0; i < 1500; ++i)
        deep += "d/";
    CHECK(has(refusal(extract({{.name = deep + "x"}})), "folders deep"));
    CHECK(has(refusal(extract({{.name = std::string(300, 'n')}})), "longer than 255"));
    CHECK(has(refusal(extract({{.name = "f"}, {.name = "f/below"}})), "not a folder"));
}

TEST_CASE_FIXTURE(LayerFixture, "attack: broken streams") {
    const std::string good = gzip(make_tar(
        {{.name = "f", .content = std::string(300'000, 'x')}, {.name = "g", .content = "tail"}}));
    CHECK(has(refusal(extract_bytes(good.substr(0, good.size() / 2))), "truncated"));
    CHECK(has(refusal(extract_bytes(good.substr(0, good.size() - 4))), "truncated"));
    CHECK(has(refusal(extract_bytes("")), "empty"));
    CHECK(has(refusal(extract_bytes(std::string(5000, 'z'))), "not a valid tar archive"));
    CHECK(has(refusal(extract_bytes(good + "junk behind the end of it")), "not valid gzip"));
    std::string wrong_sum = good;
    wrong_sum[good.size() - 6] = static_cast<char>(wrong_sum[good.size() - 6] ^ 1);
    CHECK(has(refusal(extract_bytes(wrong_sum)), "not valid gzip"));
    CHECK(has(refusal(extract_bytes(gzip("this is no archive at all, only text"))), "tar"));
    const std::string tar = make_tar({{.name = "f", .content = std::string(300'000, 'x')}});
    CHECK(has(refusal(extract_bytes(gzip(tar.substr(0, 200'000)))), "tar"));
    CHECK(has(refusal(extract_bytes(tar.substr(0, 200'000))), "tar"));
}

TEST_CASE_FIXTURE(LayerFixture, "attack: broken zstd") {
    const std::string tar = make_tar({{.name = "f", .content = std::string(300'000, 'x')}});
    const std::string good = zstd(tar);
    CHECK(extract_bytes(good).has_value());
    CHECK(has(refusal(extract_bytes(good.substr(0, good.size() / 2))), "truncated zstd"));
    CHECK(has(refusal(extract_bytes(good.substr(0, good.size() - 2))), "truncated zstd"));
    CHECK(has(refusal(extract_bytes(good + "junk behind the end of it")), "not valid zstd"));
    std::string wrong_sum = good;
    wrong_sum.back() = static_cast<char>(wrong_sum.back() ^ 1);
    CHECK(has(refusal(extract_bytes(wrong_sum)), "not valid zstd"));
    CHECK(has(refusal(extract_bytes(zstd("this is no archive at all, only text"))), "tar"));
    limits.ratio_floor = 1U << 20;
    const std::string zeros = make_tar({{.name = "z", .content = std::string(8U << 20, '\0')}});
    CHECK(has(refusal(extract_bytes(zstd(zeros)), Errc::TooLarge), "200 to 1"));
}

TEST_CASE_FIXTURE(LayerFixture, "attack: too much") {
    limits.max_bytes = 1U << 20;
    CHECK(has(
        refusal(extract({{.name = "f", .content = std::string(2U << 20, 'x')}}), Errc::TooLarge),
        "1048576"));
    CHECK(has(
        refusal(extract({{.name = "s", .content = "x", .claimed_size = 1L << 40}}), Errc::TooLarge),
        "1048576"));
    limits = {};
    limits.ratio_floor = 1U << 20;
    CHECK(has(refusal(extract({{.name = "zeros", .content = std::string(64U << 20, '\0')}}),
                      Errc::TooLarge),
              "200 to 1"));
    limits = {};
    limits.max_entries = 10;
    std::vector<Entry> many(11, Entry{.name = "f"});
    CHECK(has(refusal(extract(many), Errc::TooLarge), "10 entries"));
    many.pop_back();
    CHECK(extract(many).has_value());
    limits = {};
    limits.max_xattr_bytes = 100;
    CHECK(has(refusal(extract({{.name = "f", .xattrs = {{"user.big", std::string(200, 'v')}}}})),
              "100 bytes of attributes"));
}

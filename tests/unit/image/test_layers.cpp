// What a layer looks like on disk after the confined process laid it out.
#include <array>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "tests/unit/image/layer_fixture.h"

using namespace raind::image;
using namespace raind::image::test;
using raind::Errc;

namespace {

std::string xattr(const raind::stdfs::path& path, const char* name) {
    std::array<char, 256> value{};
    const ssize_t n = ::lgetxattr(path.c_str(), name, value.data(), value.size());
    return n < 0 ? std::string("absent") : std::string(value.data(), static_cast<std::size_t>(n));
}

bool is_whiteout(const struct stat& info) {
    return S_ISCHR(info.st_mode) && info.st_rdev == makedev(0, 0);
}

}  // namespace

TEST_CASE_FIXTURE(LayerFixture, "layer: kinds, modes, owners, times") {
    const auto report = extract({
        {.name = "./", .type = 'd', .mode = 0755},
        {.name = "./dir/", .type = 'd', .mode = 01777, .uid = 5, .gid = 6, .mtime = 1111},
        {.name = "./dir/file",
         .content = "hello",
         .mode = 04755,
         .uid = 100000,
         .gid = 7,
         .mtime = 2222},
        {.name = "dir/hard", .type = 'h', .content = "dir/file"},
        {.name = "dir/abs-hard", .type = 'h', .content = "/dir/file"},
        {.name = "link", .type = 'l', .content = "/etc/passwd", .uid = 8, .mtime = 3333},
        {.name = "dangling", .type = 'l', .content = "../../nowhere"},
        {.name = "pipe", .type = 'p', .mode = 0620, .uid = 9},
        {.name = "no/listed/parent", .content = "x"},
        {.name = "lib", .type = 'l', .content = "usr/lib"},
        {.name = "usr/lib", .type = 'd', .mode = 0755},
        {.name = "lib/below-link", .content = "y"},
        {.name = "a b'\"\n\xc3\xa4", .content = "odd"},
    });
    REQUIRE_MESSAGE(report.has_value(), (report ? "" : report.error().message()));
    CHECK(report->stats.entries == 13);
    const auto file = look("dir/file");
    CHECK((file.st_mode & 07777) == 04755);
    CHECK(file.st_uid == 100000);
    CHECK(file.st_gid == 7);
    CHECK(file.st_mtime == 2222);
    CHECK(file.st_nlink == 3);
    CHECK(look("dir/hard").st_ino == file.st_ino);
    const auto dir = look("dir");
    CHECK((dir.st_mode & 07777) == 01777);
    CHECK(dir.st_mtime == 1111);
    CHECK(S_ISLNK(look("link").st_mode));
    CHECK(look("link").st_uid == 8);
    CHECK(look("link").st_mtime == 3333);
    CHECK(S_ISFIFO(look("pipe").st_mode));
    CHECK((look("pipe").st_mode & 07777) == 0620);
    CHECK(content("no/listed/parent") == "x");
    CHECK(content("usr/lib/below-link") == "y");
    CHECK(content("a b'\"\n\xc3\xa4") == "odd");
}

TEST_CASE_FIXTURE(LayerFixture, "layer: the digest is that of the uncompressed stream") {
    const std::string tar = make_tar({{.name = "f", .content = std::string(700'000, 'q')}});
    const auto report = extract_bytes(gzip(tar));
    REQUIRE(report.has_value());
    CHECK(report->diff_id == Digest::of(tar));
}

TEST_CASE_FIXTURE(LayerFixture, "layer: several gzip members are one stream") {
    const std::string tar = make_tar({{.name = "f", .content = std::string(100'000, 'q')}});
    const auto report = extract_bytes(gzip(tar.substr(0, 5000)) + gzip(tar.substr(5000)));
    REQUIRE(report.has_value());
    CHECK(report->diff_id == Digest::of(tar));
    CHECK(content("f").size() == 100'000);
}

TEST_CASE_FIXTURE(LayerFixture, "layer: zstd and no packing at all") {
    const std::string tar = make_tar({{.name = "f", .content = std::string(700'000, 'q')}});
    // A frame that readers skip may stand anywhere.
    const std::string skipped("\x50\x2a\x4d\x18\x03\0\0\0abc", 11);
    for (const std::string& blob :
         {zstd(tar), zstd(tar.substr(0, 5000)) + skipped + zstd(tar.substr(5000)),
          skipped + zstd(tar), tar}) {
        const auto report = extract_bytes(blob);
        REQUIRE_MESSAGE(report.has_value(), (report ? "" : report.error().message()));
        CHECK(report->diff_id == Digest::of(tar));
        CHECK(content("f").size() == 700'000);
    }
}

TEST_CASE_FIXTURE(LayerFixture, "layer: whiteouts become what overlayfs reads") {
    REQUIRE(extract({{.name = "etc/gone"},
                     {.name = "opaque/old"},
                     {.name = "back/old"},
                     {.name = "early/old"},
                     {.name = "early2/old"},
                     {.name = "replaced"}}));
    next_layer();
    const auto report = extract({
        {.name = "etc/.wh.gone", .content = ""},
        {.name = "opaque/.wh..wh..opq", .content = ""},
        {.name = "opaque/new", .content = "n"},
        {.name = "back", .type = 'd', .mode = 0700},
        {.name = "back/file", .content = "b"},
        {.name = ".wh.back", .content = ""},
        {.name = ".wh.early", .content = ""},
        {.name = "early/file", .content = "e"},
        {.name = ".wh.early2", .content = ""},
        {.name = "early2", .type = 'd', .mode = 0711},
        {.name = ".wh.replaced", .content = ""},
        {.name = "replaced", .content = "r"},
        {.name = ".wh", .content = "a plain file"},
    });
    REQUIRE_MESSAGE(report.has_value(), (report ? "" : report.error().message()));
    CHECK(is_whiteout(look("etc/gone")));
    CHECK_FALSE(exists("etc/.wh.gone"));
    CHECK(xattr(layer() / "opaque", "trusted.overlay.opaque") == "y");
    CHECK_FALSE(exists("opaque/.wh..wh..opq"));
    for (const char* folder : {"back", "early", "early2"})
        CHECK_MESSAGE(xattr(layer() / folder, "trusted.overlay.opaque") == "y", folder);
    CHECK(content("back/file") == "b");
    CHECK(content("early/file") == "e");
    CHECK((look("early2").st_mode & 07777) == 0711);
    CHECK(content("replaced") == "r");
    CHECK(content(".wh") == "a plain file");
    CHECK(xattr(layer() / "etc", "trusted.overlay.opaque") == "absent");
}

// overlayfs would show such a whiteout as a device.
TEST_CASE_FIXTURE(LayerFixture, "layer: no whiteout where nothing is hidden") {
    REQUIRE(extract(
        {{.name = "both/a"}, {.name = "opaque/b"}, {.name = "opaque/deep/c"}, {.name = "f"}}));
    next_layer();
    REQUIRE(extract({{.name = "new/.wh.x"},
                     {.name = "new/.wh..wh..opq"},
                     {.name = "both/.wh.x"},
                     {.name = "both/.wh.a"},
                     {.name = ".wh.nothing"},
                     {.name = "opaque/.wh.b"},
                     {.name = "opaque/deep/.wh.c"},
                     {.name = "opaque/.wh..wh..opq"},
                     {.name = "opaque/.wh.b"},
                     {.name = "f", .type = 'd', .mode = 0700},
                     {.name = "f/.wh.x"}}));
    CHECK(exists("new"));
    CHECK(xattr(layer() / "new", "trusted.overlay.opaque") == "absent");
    CHECK(is_whiteout(look("both/a")));
    for (const char* nothing : {"new/x", "both/x", "nothing", "opaque/b", "opaque/deep/c", "f/x"})
        CHECK_MESSAGE(!exists(nothing), nothing);
    next_layer();
    REQUIRE(extract({{.name = "both/.wh.a"}}));
    CHECK_FALSE(exists("both/a"));  // gone already
}

TEST_CASE_FIXTURE(LayerFixture, "layer: the lowest one has nothing to hide") {
    below.clear();
    REQUIRE(extract({{.name = "a/.wh.gone"}, {.name = "b/.wh..wh..opq"}, {.name = "b/x"}}));
    CHECK_FALSE(exists("a/gone"));
    CHECK(xattr(layer() / "b", "trusted.overlay.opaque") == "absent");
}

TEST_CASE_FIXTURE(LayerFixture, "layer: a folder that it does not list is like the one below") {
    REQUIRE(extract({{.name = ".", .type = 'd', .mode = 0711, .uid = 4, .mtime = 1000},
                     {.name = "tmp", .type = 'd', .mode = 01777, .mtime = 1111},
                     {.name = "var/lib",
                      .type = 'd',
                      .mode = 0750,
                      .uid = 33,
                      .gid = 34,
                      .mtime = 2222,
                      .xattrs = {{"user.note", "kept"}}},
                     {.name = "gone", .type = 'd', .mode = 0700},
                     {.name = "again", .type = 'd', .mode = 0700},
                     {.name = "again/old"}}));
    next_layer();
    REQUIRE(extract({{.name = "other"}}));
    next_layer();
    REQUIRE(extract({{.name = "tmp/file"},
                     {.name = "var/lib/deep/file"},
                     {.name = "var/lib/.wh.other"},
                     {.name = ".wh.gone"},
                     {.name = "gone/file"},
                     {.name = "new/file"},
                     {.name = "again/.wh..wh..opq"}}));
    CHECK((look("tmp").st_mode & 07777) == 01777);
    CHECK(look("tmp").st_mtime == 1111);
    const auto lib = look("var/lib");
    CHECK((lib.st_mode & 07777) == 0750);
    CHECK(lib.st_uid == 33);
    CHECK(lib.st_gid == 34);
    CHECK(lib.st_mtime == 2222);
    CHECK(xattr(layer() / "var/lib", "user.note") == "kept");
    CHECK((look("var/lib/deep").st_mode & 07777) == 0755);
    CHECK(look("var/lib/deep").st_uid == 0);
    // What was removed has nothing to hand down.
    CHECK((look("gone").st_mode & 07777) == 0755);
    CHECK(xattr(layer() / "gone", "trusted.overlay.opaque") == "y");
    CHECK((look("again").st_mode & 07777) == 0700);
    CHECK(xattr(layer() / "again", "trusted.overlay.opaque") == "y");
    CHECK((look(".").st_mode & 07777) == 0711);
    CHECK(look(".").st_uid == 4);
    CHECK(look(".").st_mtime == 1000);
    next_layer();
    // An opaque folder gives its own mode on, and hides what lies below it from links.
    REQUIRE(extract({{.name = "again/new"}}));
    CHECK((look("again").st_mode & 07777) == 0700);
    CHECK(xattr(layer() / "again", "trusted.overlay.opaque") == "absent");
    const auto hidden = extract({{.name = "link", .type = 'h', .content = "again/old"}});
    REQUIRE_FALSE(hidden.has_value());
    CHECK(hidden.error().message().find("neither this layer nor one below it has") !=
          std::string::npos);
}

TEST_CASE_FIXTURE(LayerFixture, "layer: links of the layers below lead on") {
    REQUIRE(extract({{.name = "usr/lib", .type = 'd', .mode = 0751},
                     {.name = "usr/lib/c"},
                     {.name = "lib", .type = 'l', .content = "usr/lib"},
                     {.name = "run", .type = 'd', .mode = 0700},
                     {.name = "var/run", .type = 'l', .content = "/run"},
                     {.name = "var/up", .type = 'l', .content = "../../../usr"},
                     {.name = "gone", .type = 'l', .content = "usr"},
                     {.name = "turned", .type = 'l', .content = "usr"}}));
    next_layer();
    REQUIRE(extract({{.name = "lib/a", .content = "a"},
                     {.name = "var/run/pid", .content = "1"},
                     {.name = "var/up/lib/b", .content = "b"},
                     {.name = "lib/.wh.c"},
                     {.name = ".wh.gone"},
                     {.name = "gone/d", .content = "d"},
                     {.name = "turned", .type = 'd', .mode = 0700},
                     {.name = "turned/e", .content = "e"},
                     {.name = "lib/sub", .type = 'd', .mode = 0700, .mtime = 3333},
                     {.name = "lib/sub/f"}}));
    CHECK_FALSE(exists("lib"));
    CHECK_FALSE(exists("var/run"));
    CHECK(content("usr/lib/a") == "a");
    CHECK(content("usr/lib/b") == "b");
    CHECK((look("usr/lib").st_mode & 07777) == 0751);
    CHECK(is_whiteout(look("usr/lib/c")));
    CHECK(content("run/pid") == "1");
    CHECK((look("run").st_mode & 07777) == 0700);
    CHECK(content("gone/d") == "d");
    CHECK(xattr(layer() / "gone", "trusted.overlay.opaque") == "y");
    CHECK(content("turned/e") == "e");
    CHECK(look("usr/lib/sub").st_mtime == 3333);
    // A file is in the way, two layers down.
    next_layer();
    const auto blocked = extract({{.name = "run/pid/x"}});
    REQUIRE_FALSE(blocked.has_value());
    CHECK(blocked.error().message().find("is not a folder") != std::string::npos);
}

TEST_CASE_FIXTURE(LayerFixture, "layer: hard links to what lies below") {
    REQUIRE(extract({{.name = "d", .type = 'd', .mode = 0750, .uid = 5},
                     {.name = "d/file",
                      .content = "shared",
                      .mode = 04711,
                      .uid = 7,
                      .gid = 8,
                      .mtime = 1111,
                      .xattrs = {{"user.note", "kept"}}},
                     {.name = "link", .type = 'l', .content = "d/file", .uid = 9, .mtime = 2222},
                     {.name = "pipe", .type = 'p', .mode = 0620},
                     {.name = "gone"},
                     {.name = "alias", .type = 'l', .content = "d"}}));
    const auto lower = look("d/file");
    next_layer();
    const auto report = extract({{.name = "twin", .type = 'h', .content = "alias/file"},
                                 {.name = "d/third", .type = 'h', .content = "d/file"},
                                 {.name = "link2", .type = 'h', .content = "link"},
                                 {.name = "pipe2", .type = 'h', .content = "pipe"},
                                 {.name = "d/file", .type = 'h', .content = "d/file"},
                                 {.name = ".wh.gone"}});
    REQUIRE_MESSAGE(report.has_value(), (report ? "" : report.error().message()));
    const auto file = look("d/file");
    CHECK(file.st_ino != lower.st_ino);
    CHECK(file.st_nlink == 3);
    CHECK(look("twin").st_ino == file.st_ino);
    CHECK(content("twin") == "shared");
    CHECK((file.st_mode & 07777) == 04711);
    CHECK(file.st_uid == 7);
    CHECK(file.st_gid == 8);
    CHECK(file.st_mtime == 1111);
    CHECK(xattr(layer() / "twin", "user.note") == "kept");
    CHECK((look("d").st_mode & 07777) == 0750);
    CHECK(look("d").st_uid == 5);
    CHECK(S_ISLNK(look("link2").st_mode));
    CHECK(look("link2").st_uid == 9);
    CHECK(look("link2").st_mtime == 2222);
    CHECK(S_ISFIFO(look("pipe2").st_mode));
    for (const auto& [target, says] :
         {std::pair("gone", "neither this layer nor"), std::pair("d", "is a folder"),
          std::pair("nowhere/at/all", "neither this layer nor")}) {
        const auto refused = extract({{.name = "x", .type = 'h', .content = target}});
        REQUIRE_FALSE(refused.has_value());
        CHECK(refused.error().code() == Errc::InvalidArgument);
        CHECK_MESSAGE(refused.error().message().find(says) != std::string::npos,
                      refused.error().message());
        CHECK_FALSE(exists("x"));
    }
}

TEST_CASE_FIXTURE(LayerFixture, "layer: what hard links copy is bounded like what comes out") {
    REQUIRE(extract({{.name = "f", .content = std::string(2U << 20, 'x')},
                     {.name = "holes", .content = "start", .claimed_size = 1L << 30}}));
    next_layer();
    const std::vector<Entry> twins = {{.name = "twin", .type = 'h', .content = "f"},
                                      {.name = "another", .type = 'h', .content = "f"}};
    const auto report = extract(twins);
    REQUIRE(report.has_value());
    CHECK(report->unpacked > 2U << 20);
    CHECK(report->unpacked < 3U << 20);  // once for both
    REQUIRE(extract({{.name = "more", .type = 'h', .content = "holes"}}));
    CHECK(look("more").st_size == 1L << 30);
    CHECK(look("more").st_blocks < 100);
    CHECK(content("f") == std::string(2U << 20, 'x'));
    next_layer();
    limits.max_bytes = 1U << 20;
    auto refused = extract(twins);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code() == Errc::TooLarge);
    CHECK(refused.error().message().find("hard link to f") != std::string::npos);
    limits = {};
    limits.ratio_floor = 1U << 20;
    refused = extract(twins);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code() == Errc::TooLarge);
    CHECK(refused.error().message().find("200 to 1") != std::string::npos);
    CHECK_FALSE(exists("twin"));
}

// Little archives that would keep a processor busy for long.
TEST_CASE_FIXTURE(LayerFixture, "layer: much work for few bytes") {
    std::string winding;
    for (int i = 0; i < 780; ++i)
        winding += "a/../";
    std::vector<Entry> entries = {{.name = "a", .type = 'd', .mode = 0755},
                                  {.name = "l0", .type = 'l', .content = "."}};
    for (int i = 1; i <= 3; ++i)
        entries.push_back({.name = "l" + std::to_string(i),
                           .type = 'l',
                           .content = "l" + std::to_string(i - 1) + "/" + winding});
    entries.push_back({.name = "l1/file", .content = "f"});
    REQUIRE(extract(entries));
    CHECK(content("file") == "f");
    entries.push_back({.name = "l3/file", .content = "f"});
    const auto report = extract(entries);
    REQUIRE_FALSE(report.has_value());
    CHECK(report.error().message().find("too long a path") != std::string::npos);
}

TEST_CASE_FIXTURE(LayerFixture, "layer: the root itself can be opaque") {
    REQUIRE(extract({{.name = "a"}, {.name = "b/c"}, {.name = "d/e"}}));
    next_layer();
    REQUIRE(extract({{.name = "f"}}));
    next_layer();
    REQUIRE(
        extract({{.name = "b/new", .content = "n"}, {.name = ".wh..wh..opq"}, {.name = "d/new"}}));
    CHECK(is_whiteout(look("a")));
    CHECK(is_whiteout(look("f")));
    CHECK(content("b/new") == "n");
    for (const char* folder : {"b", "d"})
        CHECK_MESSAGE(xattr(layer() / folder, "trusted.overlay.opaque") == "y", folder);
}

TEST_CASE_FIXTURE(LayerFixture, "layer: attributes are filtered") {
    const std::string capability(
        "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
        "\x00\x00\x00\x00",
        20);
    const auto report = extract({{.name = "ping",
                                  .content = "x",
                                  .uid = 3,
                                  .xattrs = {{"security.capability", capability},
                                             {"user.note", "kept"},
                                             {"user.overlay.opaque", "y"},
                                             {"trusted.overlay.redirect", "/etc"},
                                             {"system.posix_acl_access", "junk"}}}});
    REQUIRE_MESSAGE(report.has_value(), (report ? "" : report.error().message()));
    CHECK(xattr(layer() / "ping", "security.capability") == capability);
    CHECK(xattr(layer() / "ping", "user.note") == "kept");
    CHECK(xattr(layer() / "ping", "user.overlay.opaque") == "absent");
    CHECK(xattr(layer() / "ping", "trusted.overlay.redirect") == "absent");
    // libarchive writes each attribute in two spellings.
    CHECK(report->stats.dropped_xattrs >= 3);
}

TEST_CASE_FIXTURE(LayerFixture, "layer: later entries replace earlier ones") {
    REQUIRE(extract({
        {.name = "a", .type = 'd', .mode = 0755},
        {.name = "a/deep/er", .content = "x"},
        {.name = "a", .content = "file now"},
        {.name = "b", .content = "file"},
        {.name = "b", .type = 'd', .mode = 0750},
        {.name = "c", .type = 'l', .content = "a"},
        {.name = "c", .content = "own"},
        {.name = "d", .content = "1"},
        {.name = "e", .type = 'h', .content = "d"},
        {.name = "d", .content = "2"},
    }));
    CHECK(content("a") == "file now");
    CHECK((look("b").st_mode & S_IFMT) == S_IFDIR);
    CHECK(content("c") == "own");
    CHECK(content("d") == "2");
    CHECK(content("e") == "1");
}

TEST_CASE_FIXTURE(LayerFixture, "layer: devices are left out and counted") {
    const auto report =
        extract({{.name = "dev/mem", .type = 'c'}, {.name = "dev/sda", .type = 'b'}});
    REQUIRE(report.has_value());
    CHECK(report->stats.skipped_devices == 2);
    CHECK_FALSE(exists("dev/mem"));
    const auto again = extract({{.name = "dev/mem", .type = 'c'},
                                {.name = "dev/other", .type = 'h', .content = "dev/mem"}});
    REQUIRE(again.has_value());
    CHECK(again->stats.skipped_devices == 2);
    CHECK_FALSE(exists("dev/other"));
    CHECK_FALSE(exists("dev/sda"));
}

TEST_CASE_FIXTURE(LayerFixture, "layer: what aufs kept for itself is nothing") {
    REQUIRE(extract({{.name = ".wh..wh.plnk", .type = 'd', .mode = 0700},
                     {.name = ".wh..wh.plnk/12.34", .content = "x"},
                     {.name = ".wh..wh.aufs"},
                     {.name = "dir/.wh..wh.orph", .type = 'd', .mode = 0700},
                     {.name = "file"}}));
    CHECK(exists("file"));
    CHECK(std::distance(raind::stdfs::directory_iterator(layer()),
                        raind::stdfs::directory_iterator()) == 1);
}

TEST_CASE_FIXTURE(LayerFixture, "layer: empty archives") {
    CHECK(extract({}).has_value());
    CHECK(extract_bytes(gzip(std::string(1024, '\0'))).has_value());
}

TEST_CASE_FIXTURE(LayerFixture, "layer: sparse files") {
    const auto report = extract({{.name = "s", .content = "start", .claimed_size = 1'000'000}});
    REQUIRE_MESSAGE(report.has_value(), (report ? "" : report.error().message()));
    CHECK(look("s").st_size == 1'000'000);
    CHECK(content("s").substr(0, 5) == "start");
}

TEST_CASE_FIXTURE(LayerFixture, "layer: a stop request ends the process") {
    std::stop_source source;
    source.request_stop();
    std::ofstream(layer().parent_path() / "blob") << gzip(make_tar({{.name = "x"}}));
    const auto report = extract_confined({.program = RAIND_EXTRACT_PROGRAM,
                                          .blob = layer().parent_path() / "blob",
                                          .folder = layer(),
                                          .below = below,
                                          .limits = limits},
                                         source.get_token());
    REQUIRE_FALSE(report.has_value());
    CHECK(report.error().code() == Errc::Conflict);
}

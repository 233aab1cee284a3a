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

TEST_CASE_FIXTURE(LayerFixture, "layer: the lowest one has nothing to hide") {
    position = LayerPosition::Lowest;
    REQUIRE(extract({{.name = "a/.wh.gone"}, {.name = "b/.wh..wh..opq"}, {.name = "b/x"}}));
    CHECK_FALSE(exists("a/gone"));
    CHECK(xattr(layer() / "b", "trusted.overlay.opaque") == "absent");
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
    CHECK_FALSE(exists("dev/sda"));
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
                                          .position = position,
                                          .limits = limits},
                                         source.get_token());
    REQUIRE_FALSE(report.has_value());
    CHECK(report.error().code() == Errc::Conflict);
}

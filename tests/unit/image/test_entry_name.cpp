#include <doctest/doctest.h>

#include "userspace/image/entry_name.h"

using namespace raind::image;

namespace {
const ExtractLimits kLimits;
}

TEST_CASE("entry names: normal forms") {
    CHECK(parse_entry_name("./a/./b", kLimits)->path() == "a/b");
    CHECK(parse_entry_name("a//b/", kLimits)->path() == "a/b");
    CHECK(parse_entry_name("/etc/passwd", kLimits)->path() == "etc/passwd");
    CHECK(parse_entry_name("./", kLimits)->leaf.empty());
    CHECK(parse_entry_name("/", kLimits)->leaf.empty());
    CHECK(parse_entry_name("a", kLimits)->parent_path() == ".");
    CHECK(parse_entry_name("...", kLimits)->leaf == "...");
    CHECK(parse_entry_name("a..b/c..", kLimits)->path() == "a..b/c..");
}

TEST_CASE("entry names: refused") {
    for (const char* name : {"", "..", "../x", "a/../b", "a/..", "/..", "./../x"})
        CHECK_FALSE(parse_entry_name(name, kLimits).has_value());
    CHECK_FALSE(parse_entry_name(std::string_view("a\0b", 3), kLimits).has_value());
    CHECK_FALSE(parse_entry_name(std::string(256, 'a'), kLimits).has_value());
    CHECK(parse_entry_name(std::string(255, 'a'), kLimits).has_value());
    CHECK_FALSE(parse_entry_name(std::string(5000, '/'), kLimits).has_value());
    std::string deep;
    for (int i = 0; i < 300; ++i)
        deep += "d/";
    CHECK_FALSE(parse_entry_name(deep + "x", kLimits).has_value());
}

TEST_CASE("whiteout names") {
    CHECK(parse_whiteout("x")->kind == WhiteoutKind::None);
    CHECK(parse_whiteout(".wh")->kind == WhiteoutKind::None);
    CHECK(parse_whiteout("a.wh.b")->kind == WhiteoutKind::None);
    CHECK(parse_whiteout(".wh.x")->kind == WhiteoutKind::Remove);
    CHECK(parse_whiteout(".wh.x")->target == "x");
    CHECK(parse_whiteout(".wh...x")->target == "..x");
    CHECK(parse_whiteout(".wh..wh..opq")->kind == WhiteoutKind::Opaque);
    for (const char* name : {".wh.", ".wh..", ".wh...", ".wh..wh.", ".wh..wh.aufs", ".wh..wh.plnk"})
        CHECK_FALSE(parse_whiteout(name).has_value());
}

TEST_CASE("attributes that are taken over") {
    CHECK(keeps_xattr("security.capability"));
    CHECK(keeps_xattr("user.comment"));
    for (const char* name :
         {"trusted.overlay.opaque", "user.overlay.opaque", "user.overlay.redirect",
          "security.selinux", "security.ima", "system.posix_acl_access", "trusted.x", "user.", ""})
        CHECK_FALSE(keeps_xattr(name));
}

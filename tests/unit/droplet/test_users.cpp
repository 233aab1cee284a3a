#include <doctest/doctest.h>

#include "droplet/users.h"

using namespace raind;
using namespace raind::droplet;

namespace {

Accounts accounts() {
    return {
        "root:x:0:0:root:/root:/bin/sh\n"
        "broken\n"
        ":x:5:5::/:\n"
        "www-data:x:33:33:www:/var/www:/bin/sh\n"
        "app:x:1000:1001:app:/home/app:/bin/sh\n"
        "app:x:7:7:second:/:/bin/sh\n"
        "odd:x:minus:1::/:\n"
        "1234:x:55:56::/:\n",
        "root:x:0:\nbin:x:1:root,daemon\nwww-data:x:33:\nmedia:x:44:app,www-data\nssl:x:45:www-data\n"
        "again:x:44:app\nnogid:x:abc:app\nlast:x:90:other,app"};
}

using Groups = std::vector<std::uint32_t>;

}  // namespace

TEST_CASE("names bring their ids and the groups that list them") {
    const auto www = find_identity("www-data", accounts());
    REQUIRE(www.has_value());
    CHECK(www->uid == 33);
    CHECK(www->gid == 33);
    CHECK(www->groups == Groups{44, 45});
    const auto app = find_identity("app", accounts());
    CHECK(app->uid == 1000);  // the first line wins
    CHECK(app->gid == 1001);
    CHECK(app->groups == Groups{44, 90});
}

TEST_CASE("numbers need no entry, and use one that is there") {
    CHECK(find_identity("4000", accounts())->uid == 4000);
    CHECK(find_identity("4000", accounts())->gid == 0);
    CHECK(find_identity("1000", accounts())->gid == 1001);
    CHECK(find_identity("1000", accounts())->groups == Groups{44, 90});
    // A name of digits is a number all the same.
    CHECK(find_identity("1234", accounts())->uid == 1234);
    CHECK(find_identity("1234", {})->gid == 0);
}

TEST_CASE("a given group replaces the entry's and brings no others") {
    CHECK(find_identity("app:media", accounts())->gid == 44);
    CHECK(find_identity("app:media", accounts())->groups.empty());
    CHECK(find_identity("app:77", accounts())->gid == 77);
    CHECK(find_identity(":media", accounts())->uid == 0);
    CHECK(find_identity(":media", accounts())->gid == 44);
}

TEST_CASE("nothing given is root, with the groups of the image") {
    CHECK(find_identity("", accounts())->uid == 0);
    CHECK(find_identity("", accounts())->groups == Groups{1});
    CHECK(find_identity("", {})->groups.empty());
}

TEST_CASE("what is not in the image is an error that names it") {
    CHECK(
        find_identity("nobody", accounts()).error().message().find("unable to find user nobody") !=
        std::string::npos);
    CHECK(find_identity("app:nogroup", accounts())
              .error()
              .message()
              .find("unable to find group nogroup") != std::string::npos);
    CHECK_FALSE(find_identity("odd", accounts()).has_value());
    CHECK_FALSE(find_identity("app:nogid", accounts()).has_value());
    CHECK_FALSE(find_identity("broken", accounts()).has_value());
    CHECK_FALSE(find_identity("4294967295", accounts()).has_value());
    CHECK_FALSE(find_identity("4294967296", accounts()).has_value());
    CHECK_FALSE(find_identity("-1", accounts()).has_value());
}

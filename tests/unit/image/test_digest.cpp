#include <doctest/doctest.h>

#include "userspace/image/digest.h"

using raind::image::Digest;

TEST_CASE("digest: known values") {
    CHECK(Digest::of("").hex() ==
          "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(Digest::of("abc").str() ==
          "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(*Digest::parse(Digest::of("abc").str()) == Digest::of("abc"));
}

TEST_CASE("digest: what is not one") {
    for (const char* text :
         {"", "sha256", "sha256:", "sha512:00", "sha256:zz", ":", "sha256:../../x"})
        CHECK_FALSE(Digest::parse(text).has_value());
    CHECK_FALSE(Digest::parse("sha256:" + std::string(63, 'a')).has_value());
    CHECK_FALSE(Digest::parse("sha256:" + std::string(65, 'a')).has_value());
    CHECK_FALSE(Digest::parse("sha256:" + std::string(64, 'A')).has_value());
}

TEST_CASE("digest: chain ids") {
    const Digest a = Digest::of("a");
    const Digest b = Digest::of("b");
    const std::vector<Digest> diffs = {a, b, a};
    const auto chain = raind::image::chain_ids(diffs);
    REQUIRE(chain.size() == 3);
    CHECK(chain[0] == a);
    CHECK(chain[1] == Digest::of(a.str() + " " + b.str()));
    CHECK(chain[2] == Digest::of(chain[1].str() + " " + a.str()));
    CHECK(raind::image::chain_ids({}).empty());
}

#include <doctest/doctest.h>
#include <random>

#include "userspace/image/auth_challenge.h"

using namespace raind::image;

TEST_CASE("challenge: as registries send it") {
    const auto hub = parse_challenge(
        R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/x:pull,push")");
    REQUIRE(hub.has_value());
    CHECK(hub->scheme == "bearer");
    CHECK(hub->parameters.at("realm") == "https://auth.docker.io/token");
    CHECK(hub->parameters.at("scope") == "repository:library/x:pull,push");
    const auto loose = parse_challenge(R"( BASIC  Realm = "a \"b\" c" , charset=UTF-8 )");
    REQUIRE(loose.has_value());
    CHECK(loose->scheme == "basic");
    CHECK(loose->parameters.at("realm") == R"(a "b" c)");
    CHECK(loose->parameters.at("charset") == "UTF-8");
    CHECK(parse_challenge("Negotiate")->scheme == "negotiate");
}

TEST_CASE("challenge: broken ones") {
    for (const char* text : {"", " ", "Bearer realm", "Bearer realm=\"x", "Bearer realm=\"x\\",
                             "Bearer a=\"x\" b=\"y\"", "Bearer ,"})
        CHECK_FALSE_MESSAGE(parse_challenge(text).has_value(), text);
    std::string many = "Bearer a=1";
    for (int i = 0; i < 50; ++i)
        many += ",a=1";
    CHECK(parse_challenge("Bearer a=1,a=2").has_value());
    std::mt19937 random(7);
    for (int round = 0; round < 20000; ++round) {
        std::string text = "Bearer realm=\"https://x/\",service=y";
        for (int edit = 0; edit < 4; ++edit)
            text[random() % text.size()] = static_cast<char>(random() % 256);
        (void)parse_challenge(text).has_value();
    }
}

TEST_CASE("token: only what may stand in a header") {
    CHECK(*parse_token(R"({"token":"abc.def"})") == "abc.def");
    CHECK(*parse_token(R"({"access_token":"xyz"})") == "xyz");
    for (const char* text :
         {"", "{}", "[]", R"({"token":"a b"})", R"({"token":"a\r\nb"})", R"({"token":"\u00e4"})"})
        CHECK_FALSE_MESSAGE(parse_token(text).has_value(), text);
}

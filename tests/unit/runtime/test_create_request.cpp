#include <doctest/doctest.h>

#include "userspace/runtime/create_request.h"

using namespace raind;
using namespace raind::runtime;

namespace {

api::CreateContainerRequest good() {
    api::CreateContainerRequest request;
    request.image = "busybox";
    request.name = "web";
    return request;
}

}  // namespace

TEST_CASE("what is not there yet is refused by name") {
    CHECK(checked_options(good()).has_value());
    auto request = good();
    request = good();
    request.tty = true;
    CHECK(checked_options(request).error().code() == Errc::Unsupported);
    request = good();
    request.network = "other";
    CHECK(checked_options(request).error().message() == "target bridge not configured: other");
}

TEST_CASE("malformed input changes nothing and is named") {
    auto request = good();
    for (const char* name : {"a/b", "a b", "-a", "a\nb", "../x"}) {
        request.name = name;
        CHECK(checked_options(request).error().code() == Errc::InvalidArgument);
    }
    request = good();
    for (const char* env : {"NOVALUE", "=x", ""}) {
        request.env = {env};
        CHECK_FALSE(checked_options(request).has_value());
    }
    request = good();
    request.env = {std::string("A=b\0c", 5)};
    CHECK_FALSE(checked_options(request).has_value());
    request = good();
    request.image = "";
    CHECK(checked_options(request).error().message() == "empty repository");
    request = good();
    request.cap_add = {"NOTHING"};
    CHECK_FALSE(checked_options(request).has_value());
    request = good();
    request.memory = 1;
    CHECK_FALSE(checked_options(request).has_value());
    request = good();
    request.stop_signal = "NOTHING";
    CHECK_FALSE(checked_options(request).has_value());
    request.stop_signal = "SIGQUIT";
    CHECK(checked_options(request)->stop_signal == "SIGQUIT");
    request.stop_timeout = -1;
    CHECK_FALSE(checked_options(request).has_value());
    request = good();
    for (const char* user : {"a b", "1:2:3", "70000"}) {
        request.user = user;
        CHECK_FALSE(checked_options(request).has_value());
    }
    request = good();
    request.working_dir = "relative";
    CHECK_FALSE(checked_options(request).has_value());
    request = good();
    request.hostname = "a b";
    CHECK_FALSE(checked_options(request).has_value());
    request = good();
    request.labels = {{"a\x1b[31m", "x"}};
    CHECK_FALSE(checked_options(request).has_value());
}

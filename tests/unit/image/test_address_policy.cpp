#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>

#include "userspace/image/address_policy.h"
#include "userspace/image/http_client.h"

using namespace raind::image;
using raind::Errc;
using raind::IpAddress;

namespace {
IpAddress ip(const char* text) {
    return IpAddress::parse(text).value();
}
}  // namespace

TEST_CASE("addresses: loopback") {
    for (const char* text : {"127.0.0.1", "127.255.0.9", "::1"})
        CHECK_MESSAGE(is_loopback(ip(text)), text);
    for (const char* text : {"128.0.0.1", "10.0.0.1", "::2", "fe80::1", "0.0.0.0"})
        CHECK_FALSE_MESSAGE(is_loopback(ip(text)), text);
    for (const char* text : {"localhost", "127.0.0.1", "127.1.2.3", "::1"})
        CHECK_MESSAGE(names_loopback(text), text);
    for (const char* text :
         {"localhost.evil.org", "127.0.0.1.evil.org", "registry", "10.0.0.1", ""})
        CHECK_FALSE_MESSAGE(names_loopback(text), text);
}

TEST_CASE("addresses: this machine and its neighbourhood") {
    const std::set<IpAddress> own = {ip("192.0.2.7"), ip("2001:db8::7")};
    for (const char* text : {"127.0.0.1", "0.0.0.0", "0.1.2.3", "::", "::1", "169.254.169.254",
                             "fe80::1", "febf::1", "192.0.2.7", "2001:db8::7"})
        CHECK_MESSAGE(is_local(ip(text), own), text);
    for (const char* text : {"192.0.2.8", "2001:db8::8", "10.0.0.1", "8.8.8.8", "fec0::1"})
        CHECK_FALSE_MESSAGE(is_local(ip(text), own), text);
}

TEST_CASE("addresses: of a socket") {
    sockaddr_in6 mapped{};
    mapped.sin6_family = AF_INET6;
    ::inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
    CHECK(is_loopback(*address_of(reinterpret_cast<const sockaddr&>(mapped))));
    const sockaddr other{.sa_family = AF_UNIX, .sa_data = {}};
    CHECK_FALSE(address_of(other).has_value());
    CHECK(raind::image::own_addresses().value().contains(ip("127.0.0.1")));
}

TEST_CASE("connections: refused before anything is sent") {
    auto client = HttpClient::make({}, {}).value();
    const auto fault = [&](const char* url, LocalTargets targets) {
        auto answer = client.get({.url = url,
                                  .headers = {},
                                  .timeout = std::chrono::seconds(5),
                                  .max_bytes = 100,
                                  .local_targets = targets},
                                 [](std::string_view) { return raind::Status{}; }, {});
        REQUIRE(answer.fault.has_value());
        CHECK_FALSE(answer.passing_fault);
        CHECK(answer.fault->code() == Errc::Forbidden);
        return answer.fault->message();
    };
    // A registry elsewhere sends us here.
    for (const char* url : {"https://127.0.0.1:1/", "https://[::1]:1/", "https://localhost:1/",
                            "https://169.254.169.254/", "https://0.0.0.0:1/"})
        CHECK_MESSAGE(
            fault(url, LocalTargets::Refused) == "it points at this machine's own addresses", url);
    // Plain HTTP leaves the machine for nobody.
    CHECK(fault("http://192.0.2.1/", LocalTargets::Allowed) ==
          "plain HTTP is for loopback addresses only");
}

TEST_CASE("URLs: origins and redirects") {
    CHECK(*origin_of("https://host/x") == *origin_of("https://host:443/y"));
    CHECK_FALSE(*origin_of("https://host/x") == *origin_of("https://host:444/x"));
    CHECK_FALSE(*origin_of("https://host/x") == *origin_of("http://host/x"));
    for (const char* url :
         {"ftp://host/", "file:///etc/passwd", "https://u:p@host/", "https://u@host/", ""})
        CHECK_FALSE_MESSAGE(origin_of(url).has_value(), url);
    CHECK(*resolve_url("https://host/a/b", "../c") == "https://host/c");
    CHECK(*resolve_url("https://host/a/b", "//other/c#part") == "https://other/c");
    CHECK(*resolve_url("https://host/a/b?x=1", "?y=2") == "https://host/a/b?y=2");
    CHECK(escape_query("a b&c") == "a%20b%26c");
}

#include <doctest/doctest.h>
#include <fstream>

#include "droplet/process.h"
#include "droplet/users.h"
#include "userspace/common/fs.h"

using namespace raind::droplet;

TEST_CASE("process: home folders of a passwd file") {
    const char* text =
        "root:x:0:0:root:/root:/bin/sh\nbad\napp:x:1000:1000::/home/app:\nrel:x:7:7::x:\n";
    CHECK(home_of(text, 0) == "/root");
    CHECK(home_of(text, 1000) == "/home/app");
    CHECK(home_of(text, 7) == "/");
    CHECK(home_of(text, 5) == "/");
    CHECK(home_of("", 0) == "/");
}

TEST_CASE("process: the texts that clients match") {
    auto folder = raind::TempDir::make("/tmp", "droplet-unit");
    REQUIRE(folder);
    const std::string path = folder->path().string();
    std::ofstream(path + "/plain") << "x";
    std::ofstream(path + "/program") << "x";
    REQUIRE(raind::set_mode(path + "/program", 0755));
    const std::vector<std::string> env{"PATH=/nowhere:" + path};
    std::string program;
    CHECK_FALSE(look_up_program("program", env, program));
    CHECK(program == path + "/program");
    auto missing = look_up_program("nothing", env, program);
    REQUIRE(missing);
    CHECK(missing->exit_code == 127);
    CHECK(missing->error.message() ==
          "exec: \"nothing\": executable file not found in $PATH (nothing: not found in PATH)");
    auto absolute = look_up_program("/no/such", env, program);
    REQUIRE(absolute);
    CHECK(absolute->exit_code == 127);
    CHECK(absolute->error.message().find("no such file or directory") != std::string::npos);
    for (const std::string& name : {std::string("plain"), path + "/plain", path}) {
        auto refused = look_up_program(name, env, program);
        REQUIRE(refused);
        CHECK(refused->exit_code == 126);
        CHECK(refused->error.message().find("permission denied") != std::string::npos);
    }
}

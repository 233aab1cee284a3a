#include <algorithm>
#include <csignal>
#include <doctest/doctest.h>
#include <sys/resource.h>

#include "droplet/shim_log.h"
#include "userspace/common/fs.h"

using namespace raind::droplet;

namespace {

std::string without_times(const std::string& text) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = text.find('\n', at);
        const auto blank = text.find(' ', at);
        out += text.substr(blank + 1, end - blank);
        at = end + 1;
    }
    return out;
}

}  // namespace

TEST_CASE("shim log: lines, parts and ends without a line end") {
    auto folder = raind::TempDir::make("/tmp", "droplet-unit");
    REQUIRE(folder);
    const std::string path = (folder->path() / "log").string();
    auto log = ShimLog::open(path, 1U << 20, 2);
    REQUIRE(log);
    log->append(OutputStream::Stdout, "on");
    log->append(OutputStream::Stderr, "two\n\n");
    log->append(OutputStream::Stdout, "e\nrest");
    log->finish(OutputStream::Stdout);
    log->finish(OutputStream::Stderr);
    CHECK(without_times(*raind::read_file(path)) ==
          "stderr F two\nstderr F \nstdout F one\nstdout P rest\n");
}

TEST_CASE("shim log: a long line is cut into parts that add up") {
    auto folder = raind::TempDir::make("/tmp", "droplet-unit");
    REQUIRE(folder);
    const std::string path = (folder->path() / "log").string();
    auto log = ShimLog::open(path, 1U << 20, 2);
    REQUIRE(log);
    log->append(OutputStream::Stdout, std::string(40000, 'x') + "\n");
    const std::string text = without_times(*raind::read_file(path));
    CHECK(std::ranges::count(text, 'x') == 40000);
    CHECK(std::ranges::count(text, '\n') == 3);
    CHECK(text.find("stdout F x") != std::string::npos);
}

TEST_CASE("shim log: a full disk drops whole records and counts them") {
    auto folder = raind::TempDir::make("/tmp", "droplet-unit");
    REQUIRE(folder);
    const std::string path = (folder->path() / "log").string();
    auto log = ShimLog::open(path, 1U << 20, 2);
    REQUIRE(log);
    log->append(OutputStream::Stdout, "kept\n");
    const std::string before = *raind::read_file(path);
    // A file size limit stands for the full disk: writes fail after a part.
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit old{};
    ::getrlimit(RLIMIT_FSIZE, &old);
    const rlimit small{before.size() + 10, old.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);
    log->append(OutputStream::Stdout, "lost\nlost too\n");
    ::setrlimit(RLIMIT_FSIZE, &old);
    CHECK(*raind::read_file(path) == before);
    CHECK(log->dropped() == 2);
    log->append(OutputStream::Stdout, "again\n");
    CHECK(raind::read_file(path)->ends_with("stdout F again\n"));
}

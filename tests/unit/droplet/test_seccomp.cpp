#include <cerrno>
#include <doctest/doctest.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "droplet/seccomp.h"
#include "userspace/common/fs.h"

using namespace raind::droplet;

namespace {

constexpr const char* kHead =
    R"({"ociVersion":"1.0.2","root":{"path":"r"},"linux":{"namespaces":[{"type":"mount"}],"seccomp":)";

raind::Result<Spec> with(const std::string& seccomp) {
    return parse_spec(kHead + seccomp + "}}");
}

// A filter stops the sanitizer's own calls as well; the plain build runs these cases.
#ifdef __SANITIZE_ADDRESS__
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

// The errno that a call gets under the profile, seen in a child.
int errno_under(const Seccomp& profile, long number) {
    const auto program = compile_seccomp(profile, "");
    REQUIRE(program);
    const pid_t child = ::fork();
    if (child == 0) {
        ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (!load_seccomp(*program))
            ::_exit(255);
        const long result = ::syscall(number, 0, 0, 0, 0, 0, 0);
        ::_exit(result < 0 ? errno : 0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

}  // namespace

TEST_CASE("seccomp: listed calls pass, others get the default, unknown newer ones ENOSYS" *
          doctest::skip(kSanitized)) {
    const auto spec = with(R"({"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":13,"syscalls":[
        {"names":["getppid","exit","exit_group","no_such_call"],"action":"SCMP_ACT_ALLOW"},
        {"names":["getuid"],"action":"SCMP_ACT_ERRNO","errnoRet":38}]})");
    REQUIRE(spec);
    CHECK(errno_under(*spec->seccomp, SYS_getppid) == 0);
    CHECK(errno_under(*spec->seccomp, SYS_getgid) == 13);
    CHECK(errno_under(*spec->seccomp, SYS_getuid) == 38);
    CHECK(errno_under(*spec->seccomp, 999) == ENOSYS);
}

TEST_CASE("seccomp: a cached program is the same one, a damaged one is not used") {
    const auto spec = with(R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
        {"names":["getuid"],"action":"SCMP_ACT_ERRNO"}]})");
    REQUIRE(spec);
    auto folder = raind::TempDir::make("/tmp", "droplet-unit");
    REQUIRE(folder);
    const auto first = compile_seccomp(*spec->seccomp, folder->path().string());
    const auto second = compile_seccomp(*spec->seccomp, folder->path().string());
    REQUIRE(first);
    REQUIRE(second);
    CHECK(first->code.size() == second->code.size());
    for (const auto& entry : std::filesystem::directory_iterator(folder->path() / ".seccomp"))
        REQUIRE(raind::write_file_rename(entry.path(), std::string(64 + 8, '0')));
    const auto third = compile_seccomp(*spec->seccomp, folder->path().string());
    REQUIRE(third);
    CHECK(third->code.size() == first->code.size());
}

TEST_CASE("seccomp: unknown words are errors") {
    CHECK_FALSE(with(R"({"defaultAction":"SCMP_ACT_NONE"})").has_value());
    CHECK_FALSE(with(R"({"defaultAction":"SCMP_ACT_NOTIFY"})").has_value());
    CHECK_FALSE(with(R"({"defaultAction":"SCMP_ACT_ALLOW","defaultErrnoRet":1})").has_value());
    CHECK_FALSE(with(R"({"defaultAction":"SCMP_ACT_ALLOW","architectures":["X"]})").has_value());
    CHECK_FALSE(with(R"({"defaultAction":"SCMP_ACT_ALLOW","flags":["X"]})").has_value());
    CHECK_FALSE(with(R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],
        "action":"SCMP_ACT_ERRNO","args":[{"index":6,"value":1,"op":"SCMP_CMP_EQ"}]}]})")
                    .has_value());
}

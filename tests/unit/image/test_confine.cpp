// What the process that lays out a layer can no longer do.
#include <cerrno>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "tests/unit/image/layer_fixture.h"
#include "userspace/image/confine.h"

using namespace raind::image;
using namespace raind::image::test;

namespace {

enum Finding : int {
    kConfineFailed = 1,
    kSeesHost,
    kSocket,
    kMount,
    kDevice,
    kProcess,
    kPrivileges,
    kCannotWork,
    kWritesBelow,
};

int probe(ExtractFolders folders, int parent) {
    const auto confined = confine_to(std::move(folders), parent, ExtractLimits{});
    if (!confined)
        return kConfineFailed;
    const int root = confined->layer.get();
    const int below = confined->below.front().get();
    if (::openat(below, "file", O_RDONLY) < 0)
        return kCannotWork;
    if (::openat(below, "file", O_WRONLY) >= 0 || ::mkdirat(below, "made", 0755) == 0 ||
        ::unlinkat(below, "file", 0) == 0 || ::fchownat(below, "file", 1, 1, 0) == 0 ||
        ::linkat(below, "file", root, "stolen", 0) == 0)
        return kWritesBelow;
    if (::open("/etc/passwd", O_RDONLY) >= 0 || ::open("/proc", O_RDONLY) >= 0 ||
        ::open("../../../../etc/passwd", O_RDONLY) >= 0 ||
        ::openat(below, "../outside", O_RDONLY) >= 0)
        return kSeesHost;
    if (::socket(AF_INET, SOCK_STREAM, 0) >= 0 || ::socket(AF_UNIX, SOCK_STREAM, 0) >= 0)
        return kSocket;
    if (::mount("none", "/", "tmpfs", 0, nullptr) == 0)
        return kMount;
    if (::mknodat(root, "mem", S_IFCHR | 0600, makedev(1, 1)) == 0)
        return kDevice;
    if (::fork() >= 0 || ::kill(parent, 0) == 0)
        return kProcess;
    if (::setuid(1) == 0 || ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0)
        return kPrivileges;
    const int file = ::openat(root, "made", O_CREAT | O_WRONLY | O_EXCL, 0600);
    if (file < 0 || ::fchown(file, 12, 34) != 0 ||
        ::mknodat(root, "whiteout", S_IFCHR, makedev(0, 0)) != 0)
        return kCannotWork;
    return 0;
}

}  // namespace

TEST_CASE_FIXTURE(LayerFixture, "confinement: nothing but the folder is left") {
    std::ofstream(below.front() / "file") << "of another image, too";
    std::ofstream(outside()) << "beside it";
    const int parent = ::getpid();
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        auto folder = raind::open_file(layer(), O_RDONLY | O_DIRECTORY);
        auto lower = raind::open_file(below.front(), O_RDONLY | O_DIRECTORY);
        if (!folder || !lower)
            ::_exit(kConfineFailed);
        ExtractFolders folders{.layer = std::move(*folder), .below = {}};
        folders.below.push_back(std::move(*lower));
        ::_exit(probe(std::move(folders), parent));
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(look("made").st_uid == 12);
    CHECK(S_ISCHR(look("whiteout").st_mode));
    // Its mounts ended with it: the folder is an ordinary one again.
    CHECK(look(".").st_dev == look("made").st_dev);
}

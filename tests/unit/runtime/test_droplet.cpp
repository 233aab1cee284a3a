#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "raind/unique_fd.h"

#include "userspace/common/fs.h"
#include "userspace/runtime/droplet.h"

using namespace raind;           // NOLINT: one module under test
using namespace raind::runtime;  // NOLINT: one module under test

TEST_CASE("a signal for a container that has ended in the meantime names its state") {
    const auto made = TempDir::make("/tmp", "raind-droplet-");
    REQUIRE(made.has_value());
    const stdfs::path& dir = made->path();
    const Droplet droplet("/nonexistent", dir / "state", dir / "audit.log");
    const stdfs::path bundle = dir / "01kx4m2r7vqa";
    const auto refused = [&] {
        const auto done = droplet.signal(bundle, "TERM");
        REQUIRE_FALSE(done.has_value());
        CHECK(done.error().code() == Errc::Conflict);
        CHECK(done.error().message() == "container: 01kx4m2r7vqa is not running");
    };
    refused();  // removed
    stdfs::create_directory(bundle);
    refused();  // the shim has taken its socket with it
    const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    const std::string path = (bundle / "shim.sock").string();
    REQUIRE(path.size() < sizeof address.sun_path);
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    refused();  // killed before it could
}

// droplet: Raind's low-level OCI runtime.
#include <cstdio>
#include <exception>
#include <fcntl.h>
#include <string_view>
#include <sys/prctl.h>
#include <unistd.h>
#include <vector>

#include "droplet/commands.h"

namespace {

// A closed standard stream must not become one of droplet's own descriptors.
void fill_standard_streams() {
    int fd = ::open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= 2)
        fd = ::open("/dev/null", O_RDWR);
    if (fd > 2)
        ::close(fd);
}

}  // namespace

int main(int argc, char** argv) {
    fill_standard_streams();
    // Nothing of this process may be looked at from inside of a container it enters.
    ::prctl(PR_SET_DUMPABLE, 0);
    try {
        const std::vector<std::string_view> words(argv + 1, argv + argc);
        return raind::droplet::run_command_line(words);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "error: %s\n", error.what());
        return 1;
    }
}

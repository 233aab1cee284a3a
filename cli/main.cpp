#include <csignal>
#include <exception>
#include <fcntl.h>
#include <string>
#include <unistd.h>
#include <vector>

#include "cli/context.h"

namespace {

// A standard stream that was closed would be given to the next file or socket that is opened. Its
// number is taken instead: reading finds the end, writing fails.
void occupy_standard_streams() {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
        if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", O_RDONLY) != fd)
            ::_exit(raind::cli::kExitFailed);
    }
}

}  // namespace

int main(int argc, char** argv) {
    occupy_standard_streams();
    // A reader that goes away shows as EPIPE where it is written to.
    std::signal(SIGPIPE, SIG_IGN);
    try {
        return raind::cli::run_cli(
            std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
    } catch (const std::exception& error) {
        raind::cli::print_error(raind::cli::failure(std::string("internal error: ") + error.what(),
                                                    "please report it with the command line"),
                                false);
        return raind::cli::kExitFailed;
    }
}

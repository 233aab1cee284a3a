// condenser: the daemon.
#include <clocale>
#include <cstdio>
#include <fmt/format.h>
#include <signal.h>
#include <systemd/sd-daemon.h>

#include "userspace/common/log.h"
#include "userspace/condenser/daemon.h"
#include "userspace/image/extract_child.h"

namespace {

using namespace raind;

constexpr int kUsage = 125;

int fail(const Error& error, int code) {
    fmt::print(stderr, "error: {}\n", error.message());
    return code;
}

// Every thread inherits the mask; the main thread alone takes the signals that end the daemon.
sigset_t block_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    signal(SIGPIPE, SIG_IGN);
    return set;
}

int run(int argc, char** argv) {
    auto options = condenser::parse_options(argc, argv);
    if (!options)
        return fail(std::move(options.error()).context("condenser"), kUsage);
    if (!*options)
        return 0;
    if ((*options)->verbose)
        log::set_level(log::Level::Debug);
    const sigset_t signals = block_signals();
    if ((*options)->remove) {
        auto removed = condenser::remove_instance(**options);
        return removed ? 0 : fail(removed.error(), 1);
    }
    auto daemon = condenser::Daemon::start(**options);
    if (!daemon)
        return fail(daemon.error(), 1);
    log::info("condenser {} listens on {}", RAIND_VERSION, (*daemon)->address());
    // Stores are open, the policy is in force and the listener answers: what is ordered after this
    // unit may start containers. Nothing happens where no service manager asked.
    sd_notifyf(0, "READY=1\nSTATUS=listens on %s", (*daemon)->address().c_str());
    int number = 0;
    sigwait(&signals, &number);
    sd_notify(0, "STOPPING=1");
    log::info("ends by signal {}; containers and their policy go on", number);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    // libarchive converts names by the locale; without UTF-8 it would refuse those that are not
    // ASCII.
    setlocale(LC_CTYPE, "C.UTF-8");
    if (const auto code = raind::image::run_extract_child(argc, argv))
        return *code;
    try {
        return run(argc, argv);
    } catch (const std::exception& e) {
        return fail(Error(Errc::Internal, e.what()), 1);
    }
}

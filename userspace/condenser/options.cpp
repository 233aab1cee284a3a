#include "userspace/condenser/options.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "userspace/common/addr.h"
#include "userspace/common/ifname.h"
#include "userspace/common/netns.h"
#include "userspace/common/units.h"

namespace raind::condenser {
namespace {

Status check(const Options& options) {
    const auto colon = options.listen.rfind(':');
    if (colon == std::string::npos || !IpAddress::parse(options.listen.substr(0, colon)))
        return Error(Errc::InvalidArgument,
                     fmt::format("--listen \"{}\": required format: ADDRESS:PORT", options.listen));
    RAIND_CHECK(parse_number(options.listen.substr(colon + 1), 0, 65535, "--listen port"));
    if (!options.root.empty() && !options.root.is_absolute())
        return Error(Errc::InvalidArgument, "--root: the path must be absolute");
    if (!options.netns.empty())
        RAIND_CHECK(check_netns_name(options.netns).context("--netns"));
    // raind + "0" has to stay an interface name of at most 15 bytes.
    if (options.bridge_prefix.size() > 10)
        return Error(Errc::InvalidArgument, "--bridge-prefix: 1 to 10 characters");
    RAIND_CHECK(check_interface_name(options.bridge_prefix).context("--bridge-prefix"));
    if (options.cgroup == "/" || options.cgroup.find("..") != std::string::npos)
        return Error(Errc::InvalidArgument,
                     fmt::format("--cgroup \"{}\": not a group of its own", options.cgroup));
    return {};
}

}  // namespace

std::string Options::listen_address() const {
    return listen.substr(0, listen.rfind(':'));
}

std::uint16_t Options::listen_port() const {
    return static_cast<std::uint16_t>(
        parse_number(listen.substr(listen.rfind(':') + 1), 0, 65535, "port").value_or(0));
}

Result<std::optional<Options>> parse_options(int argc, char** argv) {
    Options options;
    CLI::App app(
        "The Raind daemon: containers, images, networks and policy behind a REST API over mutual TLS.",
        "condenser");
    std::string root;
    std::string bpffs = options.bpffs.string();
    std::string droplet;
    std::string attach = "auto";
    app.add_option("--root", root,
                   "put /etc/raind, /var/log/raind and /run/raind below this folder")
        ->type_name("DIR");
    app.add_option("--bpffs", bpffs, "folder on a BPF file system for programs, maps and links")
        ->capture_default_str()
        ->type_name("DIR");
    app.add_option("--cgroup", options.cgroup, "cgroup v2 parent of all containers")
        ->capture_default_str()
        ->type_name("PATH");
    app.add_option("--listen", options.listen, "management address; port 0 takes a free one")
        ->capture_default_str()
        ->type_name("ADDRESS:PORT");
    app.add_option("--netns", options.netns,
                   "keep the container network in this named network namespace, made when it is "
                   "missing; one instance in each namespace")
        ->type_name("NAME");
    app.add_option("--bridge-prefix", options.bridge_prefix,
                   "name of the bridges without their number")
        ->capture_default_str()
        ->type_name("NAME");
    app.add_option("--attach", attach,
                   "how programs get on ports: tcx (kernel 6.6 and newer), clsact, or auto: tcx "
                   "where the kernel has it")
        ->capture_default_str()
        ->type_name("KIND");
    app.add_option("--droplet", droplet, "the low-level runtime (default: beside this program)")
        ->type_name("FILE");
    app.add_flag("--manage-forwarding", options.manage_forwarding,
                 "switch on IP forwarding on the host, and drop what is not ours to forward");
    app.add_flag(
        "--remove", options.remove,
        "remove network, rules, programs and cgroup of an instance without containers, then end");
    app.add_flag("--verbose", options.verbose, "log each step");
    app.set_version_flag("--version", std::string("condenser ") + RAIND_VERSION);
    app.footer(
        "Examples:\n  condenser\n  condenser --root /srv/raind --bpffs /sys/fs/bpf/srv --netns srv "
        "--cgroup /srv --listen 127.0.0.1:0\n\n"
        "See also: raind --help, docs/operator");
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& done) {
        app.exit(done);
        return std::optional<Options>();
    } catch (const CLI::ParseError& error) {
        return Error(Errc::InvalidArgument, error.what());
    }
    // What an unset variable of a shell leaves; the default is something else.
    for (const CLI::Option* option : app.get_options())
        if (option->count() > 0 && option->get_expected() > 0 && option->results().front().empty())
            return Error(Errc::InvalidArgument, option->get_name() + " is empty");
    options.root = root;
    options.bpffs = bpffs;
    options.droplet = droplet;
    RAIND_TRY(options.attach, bpf::parse_attach_kind(attach));
    RAIND_CHECK(check(options));
    return std::optional<Options>(options);
}

}  // namespace raind::condenser

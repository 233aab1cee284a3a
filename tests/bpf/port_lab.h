// A host with the datapath loaded, for tests that attach programs to real ports, each in every way
// that the kernel has (tcx, clsact). Pins and namespaces end with the object.
#pragma once

#include <doctest/doctest.h>
#include <functional>
#include <memory>
#include <sched.h>
#include <sys/mount.h>
#include <vector>

#include "tests/net/fixture.h"
#include "userspace/bpf/backend.h"
#include "userspace/bpf/programs.h"
#include "userspace/bpf/tc_filters.h"
#include "userspace/common/fs.h"

namespace raind::test {

// A BPF file system that only this process sees.
class OwnBpffs {
  public:
    OwnBpffs() {
        REQUIRE(::unshare(CLONE_NEWNS) == 0);
        REQUIRE(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
        REQUIRE(::mount("bpf", path().c_str(), "bpf", 0, nullptr) == 0);
    }
    ~OwnBpffs() { ::umount2(path().c_str(), MNT_DETACH); }
    OwnBpffs(const OwnBpffs&) = delete;
    OwnBpffs& operator=(const OwnBpffs&) = delete;
    const std::filesystem::path& path() const { return directory_.path(); }

  private:
    TempDir directory_ = must(TempDir::make(std::filesystem::temp_directory_path(), "raind-ports"));
};

struct Lab {
    OwnBpffs bpffs;  // before the threads that enter namespaces are made
    TestHost host;
    std::unique_ptr<bpf::EbpfBackend> backend;

    template <typename F>
    auto inside(F&& body) {
        return must(run_in_netns(host.netns, std::forward<F>(body)));
    }
    void do_inside(const std::function<Status()>& body) { must(run_in_netns(host.netns, body)); }

    bpf::LoadOptions sizes() const {
        return {.bpffs = bpffs.path(),
                .flow_entries = 4096,
                .ring_flow = 1U << 20,
                .ring_deny = 1U << 20};
    }

    explicit Lab(bpf::AttachKind kind) {
        must(host.network->enable_forwarding_own());
        backend = inside([&] { return bpf::EbpfBackend::open(sizes(), kind); });
        must(backend->set_pools(
            std::vector<Cidr>{*Cidr::parse("10.166.0.0/16"), *Cidr::parse("fd00:a6::/48")}));
        std::vector<core::HostAddress> own;
        for (const net::OwnAddress& address : must(host.network->own_addresses())) {
            const IpAddress& ip = address.prefix.network();
            if (address.prefix.length() != (ip.is_v4() ? 32U : 128U))
                continue;  // 127.0.0.0/8: special in any case
            const bool gateway = ip == host.bridge.ip4.address || ip == host.bridge.ip6->address;
            own.push_back({ip, gateway});
        }
        must(backend->set_host_addresses(own));
    }
    ~Lab() {
        if (const Status removed = backend->remove_all(); !removed)
            MESSAGE(removed.error().message());
    }
    Lab(const Lab&) = delete;
    Lab& operator=(const Lab&) = delete;
};

struct Way {
    const char* name;
    bpf::AttachKind kind;
};

// How this kernel can attach programs: every test of ports is run in each way.
inline const std::vector<Way>& ways() {
    static const std::vector<Way> all =
        must(bpf::tcx_supported())
            ? std::vector<Way>{{"tcx", bpf::AttachKind::Tcx}, {"clsact", bpf::AttachKind::Clsact}}
            : std::vector<Way>{{"clsact", bpf::AttachKind::Clsact}};
    return all;
}

inline void in_each_way(const std::function<void(bpf::AttachKind)>& body) {
    for (const Way& way : ways()) {
        SUBCASE(way.name) {
            body(way.kind);
        }
    }
}

}  // namespace raind::test

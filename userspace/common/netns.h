// Network namespaces: an owning reference, named ones under /run/netns (as iproute2 keeps them),
// and running code inside one.
//
// The namespace of the calling thread never changes: run_in_netns() starts a helper thread that
// enters the namespace, runs the function and ends, while the caller waits. Any thread may call.
// Sockets opened inside stay in that namespace after the helper thread has gone, and /proc/sys/net
// read or written inside belongs to it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "raind/result.h"
#include "raind/unique_fd.h"

namespace raind {

class NetnsRef {
  public:
    // The namespace of the calling thread.
    static Result<NetnsRef> current();
    static Result<NetnsRef> open_named(std::string_view name);
    static Result<NetnsRef> open_path(const std::string& path);
    static Result<NetnsRef> of_pid(int pid);
    // Free of races with the reuse of process numbers.
    static Result<NetnsRef> of_pidfd(int pidfd);
    // A fresh namespace without a name: it lives as long as something refers to it.
    static Result<NetnsRef> make();

    Result<NetnsRef> duplicate() const;
    int fd() const { return fd_.get(); }
    // Equal numbers mean the same namespace (for as long as both live).
    Result<std::uint64_t> inode() const;

  private:
    explicit NetnsRef(UniqueFd fd) : fd_(std::move(fd)) {}
    static Result<NetnsRef> adopt(UniqueFd fd, std::string_view what);
    UniqueFd fd_;
};

// 1 to 200 bytes, one component of a path.
Status check_netns_name(std::string_view name);
// Opens the named namespace, making it first when it is not there. A file that an interrupted run
// left without a namespace behind it is replaced.
Result<NetnsRef> ensure_named_netns(std::string_view name);
// Absent is success. The namespace itself ends with its last process, socket or mount.
Status remove_named_netns(std::string_view name);
bool named_netns_exists(std::string_view name);

namespace detail {
Status in_netns_thread(int fd, const std::function<void()>& body);
}  // namespace detail

// Runs `body`, which returns a Result, on a helper thread inside the namespace.
template <typename F>
std::invoke_result_t<F&> run_in_netns(const NetnsRef& netns, F&& body) {
    std::optional<std::invoke_result_t<F&>> result;
    RAIND_CHECK(detail::in_netns_thread(netns.fd(), [&] { result.emplace(body()); }));
    return std::move(*result);
}

}  // namespace raind

#include "userspace/bpf/programs.h"

#include <array>
#include <bpf/bpf.h>
#include <cerrno>
#include <fmt/format.h>
#include <linux/bpf.h>

namespace raind::bpf {

namespace {

constexpr std::uint32_t kLoopback = 1;

Result<bpf_prog_info> program_info(int fd) {
    bpf_prog_info info{};
    std::uint32_t size = sizeof info;
    if (::bpf_obj_get_info_by_fd(fd, &info, &size) != 0)
        return os_error("read program");
    return info;
}

// EINVAL: the kernel does not know the attach type.
int query(std::uint32_t ifindex, int type, struct bpf_prog_query_opts& options) {
    if (::bpf_prog_query_opts(static_cast<int>(ifindex), static_cast<bpf_attach_type>(type),
                              &options) != 0)
        return errno;
    return 0;
}

}  // namespace

Result<std::uint32_t> program_id(int fd) {
    RAIND_TRY(const bpf_prog_info info, program_info(fd));
    return info.id;
}

Result<std::string> program_tag(int fd) {
    RAIND_TRY(const bpf_prog_info info, program_info(fd));
    return std::string(std::begin(info.tag), std::end(info.tag));
}

Result<bool> tcx_supported() {
    LIBBPF_OPTS(bpf_prog_query_opts, options);
    const int error = query(kLoopback, kTcxIngress, options);
    if (error != 0 && error != EINVAL)
        return os_error("ask for tcx", error);
    return error == 0;
}

Result<std::vector<std::uint32_t>> tcx_programs(std::uint32_t ifindex, int type) {
    std::array<std::uint32_t, 64> ids{};
    LIBBPF_OPTS(bpf_prog_query_opts, options);
    options.prog_ids = ids.data();
    options.prog_cnt = ids.size();
    const int error = query(ifindex, type, options);
    if (error == EINVAL)
        return std::vector<std::uint32_t>();
    if (error != 0)
        return os_error(fmt::format("query programs of interface {}", ifindex), error);
    return std::vector<std::uint32_t>(ids.begin(), ids.begin() + options.prog_cnt);
}

}  // namespace raind::bpf

#include "userspace/bpf/objects.h"

#include "raind_ctl.skel.h"
#include "raind_tc.skel.h"

namespace raind::bpf {

std::span<const std::byte> tc_object() {
    std::size_t size = 0;
    const void* bytes = raind_tc::elf_bytes(&size);
    return {static_cast<const std::byte*>(bytes), size};
}

std::span<const std::byte> ctl_object() {
    std::size_t size = 0;
    const void* bytes = raind_ctl::elf_bytes(&size);
    return {static_cast<const std::byte*>(bytes), size};
}

}  // namespace raind::bpf

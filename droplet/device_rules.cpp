// The device rules of the configuration as one program of type BPF_CGROUP_DEVICE.
#include <array>
#include <cstring>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "droplet/cgroup.h"
#include "droplet/syscalls.h"

namespace raind::droplet {

namespace {

constexpr unsigned kMknod = 1;
constexpr unsigned kAll = 7;
constexpr std::size_t kMaxRules = 512;

// What every container may use, before the rules of the configuration are looked at: making nodes
// (without opening them) and the usual devices.
constexpr std::array kAlways{
    DeviceRule{true, 'c', -1, -1, kMknod}, DeviceRule{true, 'b', -1, -1, kMknod},
    DeviceRule{true, 'c', 1, 3, kAll},     DeviceRule{true, 'c', 1, 5, kAll},
    DeviceRule{true, 'c', 1, 7, kAll},     DeviceRule{true, 'c', 1, 8, kAll},
    DeviceRule{true, 'c', 1, 9, kAll},     DeviceRule{true, 'c', 5, 0, kAll},
    DeviceRule{true, 'c', 5, 1, kAll},     DeviceRule{true, 'c', 5, 2, kAll},
    DeviceRule{true, 'c', 136, -1, kAll},
};

bpf_insn insn(int code, int dst, int src, int offset, std::int64_t value) {
    bpf_insn out{};
    out.code = static_cast<__u8>(code);
    out.dst_reg = static_cast<__u8>(dst) & 0xf;
    out.src_reg = static_cast<__u8>(src) & 0xf;
    out.off = static_cast<__s16>(offset);
    out.imm = static_cast<__s32>(value);
    return out;
}

// r2 type, r3 access, r4 major, r5 minor.
std::vector<bpf_insn> prologue() {
    return {
        insn(BPF_LDX | BPF_MEM | BPF_W, 2, 1, 0, 0),
        insn(BPF_ALU | BPF_MOV | BPF_X, 3, 2, 0, 0),
        insn(BPF_ALU | BPF_AND | BPF_K, 2, 0, 0, 0xffff),
        insn(BPF_ALU | BPF_RSH | BPF_K, 3, 0, 0, 16),
        insn(BPF_LDX | BPF_MEM | BPF_W, 4, 1, 4, 0),
        insn(BPF_LDX | BPF_MEM | BPF_W, 5, 1, 8, 0),
    };
}

// One rule: falls through to the next when it does not match, else ends with its verdict.
void append_rule(std::vector<bpf_insn>& out, const DeviceRule& rule) {
    std::vector<bpf_insn> checks;
    if (rule.type != 'a')
        checks.push_back(insn(BPF_JMP | BPF_JNE | BPF_K, 2, 0, 0,
                              rule.type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR));
    if (rule.access != kAll) {
        // The request must be a part of what the rule speaks of.
        checks.push_back(insn(BPF_ALU | BPF_MOV | BPF_X, 1, 3, 0, 0));
        checks.push_back(insn(BPF_ALU | BPF_AND | BPF_K, 1, 0, 0, rule.access));
        checks.push_back(insn(BPF_JMP | BPF_JNE | BPF_X, 1, 3, 0, 0));
    }
    if (rule.major >= 0)
        checks.push_back(insn(BPF_JMP | BPF_JNE | BPF_K, 4, 0, 0, rule.major));
    if (rule.minor >= 0)
        checks.push_back(insn(BPF_JMP | BPF_JNE | BPF_K, 5, 0, 0, rule.minor));
    checks.push_back(insn(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, rule.allow ? 1 : 0));
    checks.push_back(insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
    for (std::size_t i = 0; i < checks.size(); ++i)
        if ((checks[i].code & (BPF_JMP | 0xf0)) == (BPF_JMP | BPF_JNE))
            checks[i].off = static_cast<__s16>(checks.size() - 1 - i);
    out.insert(out.end(), checks.begin(), checks.end());
}

// The last matching rule of the list wins: the program tests them from the end. Before the list
// (in its sense) stands the set that is always allowed.
std::vector<bpf_insn> compile(const std::vector<DeviceRule>& rules) {
    std::vector<bpf_insn> out = prologue();
    for (auto it = rules.rbegin(); it != rules.rend(); ++it) {
        // A rule about every device and access is the default for all but the usual devices.
        if (it->type == 'a' && it->major < 0 && it->minor < 0 && it->access == kAll) {
            if (!it->allow)
                for (const DeviceRule& always : kAlways)
                    append_rule(out, always);
            append_rule(out, *it);
            return out;
        }
        append_rule(out, *it);
    }
    for (const DeviceRule& always : kAlways)
        append_rule(out, always);
    append_rule(out, DeviceRule{false, 'a', -1, -1, kAll});
    return out;
}

}  // namespace

Status attach_device_rules(const std::vector<DeviceRule>& rules, int cgroup) {
    if (rules.size() > kMaxRules)
        return Error(Errc::InvalidArgument, "linux.resources.devices: more than 512 rules");
    const std::vector<bpf_insn> program = compile(rules);
    static constexpr char kLicense[] = "GPL";
    bpf_attr load{};
    load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    load.insns = reinterpret_cast<__u64>(program.data());
    load.insn_cnt = static_cast<__u32>(program.size());
    load.license = reinterpret_cast<__u64>(kLicense);
    std::memcpy(load.prog_name, "raind_devices", sizeof "raind_devices");
    const UniqueFd fd(static_cast<int>(::syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load)));
    if (!fd)
        return os_error("linux.resources.devices: load of the device program");
    bpf_attr attach{};
    attach.target_fd = static_cast<__u32>(cgroup);
    attach.attach_bpf_fd = static_cast<__u32>(fd.get());
    attach.attach_type = BPF_CGROUP_DEVICE;
    attach.attach_flags = BPF_F_ALLOW_MULTI;
    if (::syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach) != 0)
        return os_error("linux.resources.devices: attach of the device program");
    return {};
}

}  // namespace raind::droplet

#include "droplet/seccomp.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <memory>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "droplet/sha256.h"
#include "userspace/common/fs.h"

namespace raind::droplet {

namespace {

// Goes up with every change of what is compiled: cached programs of older forms are not used.
constexpr int kCacheFormat = 1;
constexpr std::size_t kMaxInstructions = 4096;
constexpr std::uint32_t kX32Bit = 0x40000000;

struct ContextCloser {
    void operator()(void* context) const { seccomp_release(context); }
};
using Context = std::unique_ptr<void, ContextCloser>;

Error failed(const std::string& what, int code) {
    return Error(Errc::InvalidArgument, "linux.seccomp: " + what + ": " + std::strerror(-code),
                 -code);
}

std::vector<scmp_arg_cmp> comparisons(const std::vector<SeccompArgument>& arguments) {
    std::vector<scmp_arg_cmp> out;
    out.reserve(arguments.size());
    for (const SeccompArgument& argument : arguments)
        out.push_back(scmp_arg_cmp{argument.index, static_cast<scmp_compare>(argument.compare),
                                   argument.value, argument.value_two});
    return out;
}

// Several conditions on one argument cannot stand in one rule: then each is a rule of its own.
bool repeats_an_index(const std::vector<SeccompArgument>& arguments) {
    unsigned seen = 0;
    for (const SeccompArgument& argument : arguments) {
        if ((seen & (1U << argument.index)) != 0)
            return true;
        seen |= 1U << argument.index;
    }
    return false;
}

Status add_call(void* context, const SeccompRule& rule, int number, const std::string& name) {
    const auto add = [&](const std::vector<scmp_arg_cmp>& arguments) -> Status {
        const int code =
            seccomp_rule_add_array(context, rule.action, number,
                                   static_cast<unsigned>(arguments.size()), arguments.data());
        // -EDOM: the call does not exist on one of the architectures.
        return code == 0 || code == -EDOM ? Status{} : failed(name, code);
    };
    const auto arguments = comparisons(rule.arguments);
    if (!repeats_an_index(rule.arguments))
        return add(arguments);
    for (const scmp_arg_cmp& single : arguments)
        RAIND_CHECK(add({single}));
    return {};
}

Status add_rules(void* context, const Seccomp& profile) {
    for (const SeccompRule& rule : profile.rules) {
        if (rule.action == profile.default_action)
            continue;
        for (const std::string& name : rule.names) {
            const int number = seccomp_syscall_resolve_name(name.c_str());
            // Unknown names belong to newer kernels: those calls get ENOSYS (see below).
            if (number != __NR_SCMP_ERROR)
                RAIND_CHECK(add_call(context, rule, number, name));
        }
    }
    return {};
}

std::uint32_t highest_known_call() {
    for (std::uint32_t number = 1023; number > 0; --number) {
        const std::unique_ptr<char, decltype(&std::free)> name(
            seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, static_cast<int>(number)),
            &std::free);
        if (name)
            return number;
    }
    return 0;
}

sock_filter statement(int code, std::uint32_t k, int yes = 0, int no = 0) {
    return sock_filter{static_cast<__u16>(code), static_cast<__u8>(yes), static_cast<__u8>(no), k};
}

// A call that this libseccomp does not know cannot have been listed. EPERM would tell the C
// library that it exists: ENOSYS makes it use the older call.
std::vector<sock_filter> unknown_calls_prologue() {
    constexpr std::uint32_t kNoSuchCall = SECCOMP_RET_ERRNO | ENOSYS;
    return {
        statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
        statement(BPF_JMP | BPF_JEQ | BPF_K, seccomp_arch_native(), 0, 4),
        statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        statement(BPF_JMP | BPF_JGE | BPF_K, kX32Bit, 2, 0),
        statement(BPF_JMP | BPF_JGT | BPF_K, highest_known_call(), 0, 1),
        statement(BPF_RET | BPF_K, kNoSuchCall),
    };
}

Result<std::vector<sock_filter>> export_program(void* context) {
    const UniqueFd memory(::memfd_create("seccomp", MFD_CLOEXEC));
    if (!memory)
        return os_error("memfd_create");
    if (const int code = seccomp_export_bpf(context, memory.get()); code != 0)
        return failed("export", code);
    const off_t size = ::lseek(memory.get(), 0, SEEK_END);
    std::vector<sock_filter> code(static_cast<std::size_t>(size) / sizeof(sock_filter));
    if (::pread(memory.get(), code.data(), static_cast<std::size_t>(size), 0) != size)
        return os_error("seccomp program");
    return code;
}

Result<std::vector<sock_filter>> compile(const Seccomp& profile) {
    const Context context(seccomp_init(profile.default_action));
    if (!context)
        return failed("defaultAction", -EINVAL);
    for (const std::uint32_t architecture : profile.architectures) {
        const int code = seccomp_arch_add(context.get(), architecture);
        if (code != 0 && code != -EEXIST)
            return failed("architectures", code);
    }
    // A call by another architecture's table ends the process.
    seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
    RAIND_CHECK(add_rules(context.get(), profile));
    RAIND_TRY(std::vector<sock_filter> code, export_program(context.get()));
    if ((profile.default_action & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO) {
        const auto prologue = unknown_calls_prologue();
        code.insert(code.begin(), prologue.begin(), prologue.end());
    }
    if (code.size() > kMaxInstructions)
        return Error(Errc::TooLarge, "linux.seccomp: the compiled program is too long");
    return code;
}

// Everything that the program depends on.
std::string fingerprint(const Seccomp& profile) {
    const scmp_version* version = seccomp_version();
    std::string text = std::to_string(kCacheFormat) + ";" + std::to_string(version->major) + "." +
                       std::to_string(version->minor) + "." + std::to_string(version->micro) + ";" +
                       std::to_string(profile.default_action);
    for (const std::uint32_t architecture : profile.architectures)
        text += ";a" + std::to_string(architecture);
    for (const SeccompRule& rule : profile.rules) {
        text += ";r" + std::to_string(rule.action);
        for (const std::string& name : rule.names)
            text += "," + name;
        for (const SeccompArgument& argument : rule.arguments)
            text += ";c" + std::to_string(argument.index) + "," + std::to_string(argument.compare) +
                    "," + std::to_string(argument.value) + "," + std::to_string(argument.value_two);
    }
    return sha256_hex(text);
}

std::string_view bytes_of(const std::vector<sock_filter>& code) {
    return {reinterpret_cast<const char*>(code.data()), code.size() * sizeof(sock_filter)};
}

// The cached file is the program's hash followed by the program; only root can write there.
std::vector<sock_filter> read_cache(const std::string& path) {
    struct stat info{};
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd || ::fstat(fd.get(), &info) != 0 || info.st_uid != ::geteuid() ||
        (info.st_mode & 022U) != 0)
        return {};
    const auto text = read_file(path, 1U << 20);
    constexpr std::size_t kHash = 64;
    if (!text || text->size() <= kHash || (text->size() - kHash) % sizeof(sock_filter) != 0)
        return {};
    std::vector<sock_filter> code((text->size() - kHash) / sizeof(sock_filter));
    std::memcpy(code.data(), text->data() + kHash, text->size() - kHash);
    if (code.size() > kMaxInstructions || sha256_hex(bytes_of(code)) != text->substr(0, kHash))
        return {};
    return code;
}

}  // namespace

Result<SeccompProgram> compile_seccomp(const Seccomp& profile, const std::string& cache_root) {
    SeccompProgram program;
    program.flags = profile.flags;
    const std::string folder = cache_root + "/.seccomp";
    const std::string path = folder + "/" + fingerprint(profile);
    if (!cache_root.empty())
        program.code = read_cache(path);
    if (!program.code.empty())
        return program;
    RAIND_TRY(program.code, compile(profile));
    // A cache that cannot be written costs time, nothing else.
    if (!cache_root.empty() && make_dirs(folder, 0700))
        static_cast<void>(write_file_rename(
            path, sha256_hex(bytes_of(program.code)) + std::string(bytes_of(program.code)), 0600));
    return program;
}

Status load_seccomp(const SeccompProgram& program) {
    std::vector<sock_filter> code = program.code;
    const sock_fprog filter{static_cast<unsigned short>(code.size()), code.data()};
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, program.flags, &filter) != 0)
        return os_error("linux.seccomp: load");
    return {};
}

}  // namespace raind::droplet

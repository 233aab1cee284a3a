// linux.seccomp of config.json: names become libseccomp's numbers here, once.
#include <algorithm>
#include <array>
#include <cerrno>
#include <linux/seccomp.h>
#include <seccomp.h>

#include "droplet/spec_reader.h"

namespace raind::droplet {

namespace {

constexpr std::array<std::pair<std::string_view, int>, 7> kOperators{{
    {"SCMP_CMP_NE", SCMP_CMP_NE},
    {"SCMP_CMP_LT", SCMP_CMP_LT},
    {"SCMP_CMP_LE", SCMP_CMP_LE},
    {"SCMP_CMP_EQ", SCMP_CMP_EQ},
    {"SCMP_CMP_GE", SCMP_CMP_GE},
    {"SCMP_CMP_GT", SCMP_CMP_GT},
    {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
}};

constexpr std::array<std::pair<std::string_view, std::uint32_t>, 15> kArchitectures{{
    {"SCMP_ARCH_NATIVE", SCMP_ARCH_NATIVE},
    {"SCMP_ARCH_X86", SCMP_ARCH_X86},
    {"SCMP_ARCH_X86_64", SCMP_ARCH_X86_64},
    {"SCMP_ARCH_X32", SCMP_ARCH_X32},
    {"SCMP_ARCH_ARM", SCMP_ARCH_ARM},
    {"SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64},
    {"SCMP_ARCH_MIPS", SCMP_ARCH_MIPS},
    {"SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64},
    {"SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL},
    {"SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64},
    {"SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE},
    {"SCMP_ARCH_S390", SCMP_ARCH_S390},
    {"SCMP_ARCH_S390X", SCMP_ARCH_S390X},
    {"SCMP_ARCH_PPC64", SCMP_ARCH_PPC64},
    {"SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64},
}};

constexpr std::array<std::pair<std::string_view, unsigned>, 4> kFlags{{
    {"SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC},
    {"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
    {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
    {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 1U << 5},
}};

template <typename Table>
auto find_in(const Table& table, std::string_view name)
    -> std::optional<typename Table::value_type::second_type> {
    const auto it = std::ranges::find(table, name, [](const auto& entry) { return entry.first; });
    if (it == table.end())
        return std::nullopt;
    return it->second;
}

Result<std::uint32_t> read_action(const JsonReader& reader, std::string_view key,
                                  std::string_view errno_key) {
    RAIND_TRY(const std::string name, reader.string(key));
    const bool takes_errno = name == "SCMP_ACT_ERRNO" || name == "SCMP_ACT_TRACE";
    std::uint32_t value = EPERM;
    if (reader.has(errno_key)) {
        if (!takes_errno)
            return invalid(reader.path_of(errno_key), "only with SCMP_ACT_ERRNO and _TRACE");
        RAIND_TRY(const std::int64_t given, reader.integer(errno_key, 0, 4095));
        value = static_cast<std::uint32_t>(given);
    }
    if (name == "SCMP_ACT_KILL" || name == "SCMP_ACT_KILL_THREAD")
        return SCMP_ACT_KILL_THREAD;
    if (name == "SCMP_ACT_KILL_PROCESS")
        return SCMP_ACT_KILL_PROCESS;
    if (name == "SCMP_ACT_TRAP")
        return SCMP_ACT_TRAP;
    if (name == "SCMP_ACT_ERRNO")
        return SCMP_ACT_ERRNO(value);
    if (name == "SCMP_ACT_TRACE")
        return SCMP_ACT_TRACE(value);
    if (name == "SCMP_ACT_ALLOW")
        return SCMP_ACT_ALLOW;
    if (name == "SCMP_ACT_LOG")
        return SCMP_ACT_LOG;
    if (name == "SCMP_ACT_NOTIFY")
        return Error(Errc::Unsupported,
                     reader.path_of(key) + ": SCMP_ACT_NOTIFY is not supported yet");
    return invalid(reader.path_of(key), "unknown action \"" + name + "\"");
}

Result<SeccompArgument> read_argument(const JsonReader& reader, const std::string& path) {
    SeccompArgument argument;
    RAIND_TRY(const std::int64_t index, reader.integer("index", 0, 5));
    argument.index = static_cast<unsigned>(index);
    RAIND_TRY(argument.value, read_u64(reader, "value"));
    if (reader.has("valueTwo")) {
        RAIND_TRY(argument.value_two, read_u64(reader, "valueTwo"));
    }
    RAIND_TRY(const std::string op, reader.string("op"));
    const auto compare = find_in(kOperators, op);
    if (!compare)
        return invalid(path + ".op", "unknown operator \"" + op + "\"");
    argument.compare = *compare;
    return argument;
}

Result<SeccompRule> read_rule(const JsonReader& reader, const std::string& path) {
    SeccompRule rule;
    RAIND_TRY(rule.names, reader.strings("names"));
    if (rule.names.empty())
        return invalid(path + ".names", "missing");
    RAIND_TRY(rule.action, read_action(reader, "action", "errnoRet"));
    RAIND_TRY(rule.arguments, read_list<SeccompArgument>(reader, "args", read_argument));
    return rule;
}

}  // namespace

Result<Seccomp> read_seccomp(const JsonReader& reader) {
    RAIND_CHECK(reader.expect_object());
    Seccomp seccomp;
    RAIND_TRY(seccomp.default_action, read_action(reader, "defaultAction", "defaultErrnoRet"));
    RAIND_TRY(const std::vector<std::string> architectures, reader.strings("architectures"));
    for (const std::string& name : architectures) {
        const auto number = find_in(kArchitectures, name);
        if (!number)
            return invalid(reader.path_of("architectures"),
                           "unknown architecture \"" + name + "\"");
        seccomp.architectures.push_back(*number);
    }
    RAIND_TRY(const std::vector<std::string> flags, reader.strings("flags"));
    for (const std::string& name : flags) {
        const auto flag = find_in(kFlags, name);
        if (!flag)
            return invalid(reader.path_of("flags"), "unknown flag \"" + name + "\"");
        seccomp.flags |= *flag;
    }
    RAIND_TRY(seccomp.rules, read_list<SeccompRule>(reader, "syscalls", read_rule));
    return seccomp;
}

std::string seccomp_action_name(std::uint32_t action) {
    constexpr std::uint32_t kData = 0xffff;  // errno, or the tracer's message
    switch (action & ~kData) {
        case SCMP_ACT_KILL_PROCESS:
            return "SCMP_ACT_KILL_PROCESS";
        case SCMP_ACT_KILL_THREAD:
            return "SCMP_ACT_KILL_THREAD";
        case SCMP_ACT_TRAP:
            return "SCMP_ACT_TRAP";
        case SCMP_ACT_ERRNO(0):
            return "SCMP_ACT_ERRNO";
        case SCMP_ACT_TRACE(0):
            return "SCMP_ACT_TRACE";
        case SCMP_ACT_LOG:
            return "SCMP_ACT_LOG";
        case SCMP_ACT_ALLOW:
            return "SCMP_ACT_ALLOW";
        default:
            return std::to_string(action);
    }
}

}  // namespace raind::droplet

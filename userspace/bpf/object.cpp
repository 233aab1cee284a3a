#include "userspace/bpf/object.h"

#include <cstdarg>
#include <cstdio>
#include <mutex>

namespace raind::bpf {

namespace {

constexpr std::size_t kKeepMessages = 4096;

std::string& messages() {
    thread_local std::string text;
    return text;
}

// va_list is libbpf's interface.
int keep_message(libbpf_print_level level, const char* format, va_list args) {
    if (level != LIBBPF_WARN)
        return 0;
    char line[1024];
    const int size = std::vsnprintf(line, sizeof line, format, args);
    std::string& text = messages();
    text += line;
    if (text.size() > kKeepMessages)
        text.erase(0, text.size() - kKeepMessages);
    return size;
}

void listen_to_libbpf() {
    static std::once_flag once;
    std::call_once(once, [] { ::libbpf_set_print(keep_message); });
    messages().clear();
}

}  // namespace

Result<BpfObject> BpfObject::open(std::span<const std::byte> elf, const std::string& name) {
    listen_to_libbpf();
    LIBBPF_OPTS(bpf_object_open_opts, options);
    options.object_name = name.c_str();
    bpf_object* object = ::bpf_object__open_mem(elf.data(), elf.size(), &options);
    if (object == nullptr)
        return os_error("open BPF object " + name + ": " + messages());
    return BpfObject(object, name);
}

Status BpfObject::load() {
    listen_to_libbpf();
    if (::bpf_object__load(object_.get()) != 0) {
        const int error = errno;
        return os_error("load BPF object " + name_ + ": " + messages(), error);
    }
    return {};
}

Result<int> BpfObject::program_fd(const std::string& name) const {
    const bpf_program* program = ::bpf_object__find_program_by_name(object_.get(), name.c_str());
    if (program == nullptr)
        return Error(Errc::Internal, "BPF object " + name_ + " has no program " + name);
    return ::bpf_program__fd(program);
}

}  // namespace raind::bpf

#include "userspace/bpf/active_word.h"

#include <atomic>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

namespace raind::bpf {

Result<ActiveWord> ActiveWord::map(int fd) {
    const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    void* page = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        return os_error("map raind_active");
    return ActiveWord(static_cast<std::uint64_t*>(page), size);
}

ActiveWord::ActiveWord(ActiveWord&& other) noexcept
    : word_(std::exchange(other.word_, nullptr)), size_(other.size_) {
}

ActiveWord::~ActiveWord() {
    if (word_ != nullptr)
        ::munmap(word_, size_);
}

std::uint64_t ActiveWord::load() const {
    return std::atomic_ref<std::uint64_t>(*word_).load(std::memory_order_acquire);
}

void ActiveWord::store(std::uint64_t word) {
    std::atomic_ref<std::uint64_t>(*word_).store(word, std::memory_order_release);
}

}  // namespace raind::bpf

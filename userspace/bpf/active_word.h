// ActiveWord: raind_active through its mapping. A commit is one aligned 8-byte store into it; the
// programs read it once per packet. Owns the mapping.
#pragma once

#include <cstddef>
#include <cstdint>

#include "raind/result.h"

namespace raind::bpf {

class ActiveWord {
  public:
    static Result<ActiveWord> map(int fd);
    ActiveWord(ActiveWord&& other) noexcept;
    ActiveWord& operator=(ActiveWord&&) = delete;
    ActiveWord(const ActiveWord&) = delete;
    ActiveWord& operator=(const ActiveWord&) = delete;
    ~ActiveWord();

    std::uint64_t load() const;
    void store(std::uint64_t word);

  private:
    ActiveWord(std::uint64_t* word, std::size_t size) : word_(word), size_(size) {}
    std::uint64_t* word_;
    std::size_t size_;
};

}  // namespace raind::bpf

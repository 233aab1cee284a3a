// Hashing and randomness from OpenSSL; nothing here is our own cryptography.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace raind {

using Sha256Digest = std::array<std::uint8_t, 32>;

Sha256Digest sha256(std::span<const std::byte> bytes);
Sha256Digest sha256(std::string_view bytes);
std::string to_hex(std::span<const std::uint8_t> bytes);
std::string base64(std::span<const std::uint8_t> bytes);

// SHA-256 of a stream. One thread.
class Sha256 {
  public:
    Sha256();
    Sha256(Sha256&&) noexcept;
    Sha256& operator=(Sha256&&) noexcept;
    ~Sha256();
    void update(std::span<const std::byte> bytes);
    Sha256Digest finish();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

// Bytes from getrandom(2).
void random_bytes(std::span<std::uint8_t> out);

}  // namespace raind

#include "userspace/image/gzip_source.h"

#include <array>
#include <cerrno>
#include <fmt/format.h>
#include <isa-l/igzip_lib.h>
#include <span>
#include <unistd.h>

namespace raind::image {

namespace {
constexpr std::size_t kInput = 128U << 10;
constexpr std::size_t kOutput = 256U << 10;
}  // namespace

struct GzipSource::Inflate {
    inflate_state state{};
    std::array<std::uint8_t, kInput> in{};
    std::array<std::uint8_t, kOutput> out{};
};

GzipSource::GzipSource(int file, const ExtractLimits& limits)
    : file_(file), limits_(limits), inflate_(std::make_unique<Inflate>()) {
    isal_inflate_init(&inflate_->state);
    inflate_->state.crc_flag = ISAL_GZIP;
}

GzipSource::~GzipSource() = default;

// Reads more of the file once everything read before was used up.
Result<std::size_t> GzipSource::refill() {
    inflate_state& state = inflate_->state;
    if (state.avail_in > 0 || file_ended_)
        return std::size_t{state.avail_in};
    ssize_t n = 0;
    do {
        n = ::read(file_, inflate_->in.data(), inflate_->in.size());
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return os_error("read the layer");
    file_ended_ = n == 0;
    compressed_ += static_cast<std::uint64_t>(n);
    state.next_in = inflate_->in.data();
    state.avail_in = static_cast<std::uint32_t>(n);
    return static_cast<std::size_t>(n);
}

Status GzipSource::start_member() {
    inflate_state& state = inflate_->state;
    std::uint8_t* const next_in = state.next_in;
    const std::uint32_t avail_in = state.avail_in;
    isal_inflate_reset(&state);
    state.crc_flag = ISAL_GZIP;
    state.next_in = next_in;
    state.avail_in = avail_in;
    in_member_ = true;
    any_member_ = true;
    return {};
}

Status GzipSource::check_limits() const {
    if (bytes_ > limits_.max_bytes)
        return Error(Errc::TooLarge,
                     fmt::format("more than {} bytes uncompressed", limits_.max_bytes));
    if (bytes_ > limits_.ratio_floor && bytes_ / limits_.max_ratio > compressed_)
        return Error(Errc::TooLarge, fmt::format("{} bytes came out of {}, more than {} to 1",
                                                 bytes_, compressed_, limits_.max_ratio));
    return {};
}

Result<std::string_view> GzipSource::next() {
    inflate_state& state = inflate_->state;
    while (true) {
        RAIND_TRY(const std::size_t available, refill());
        if (!in_member_) {
            if (available == 0)
                return any_member_ ? Result<std::string_view>(std::string_view{})
                                   : Error(Errc::InvalidArgument, "the layer is empty");
            RAIND_CHECK(start_member());
        }
        state.next_out = inflate_->out.data();
        state.avail_out = kOutput;
        const int status = isal_inflate(&state);
        if (status != ISAL_DECOMP_OK && status != ISAL_END_INPUT)
            return Error(Errc::InvalidArgument,
                         fmt::format("the layer is not valid gzip (code {})", status));
        if (state.block_state == ISAL_BLOCK_FINISH)
            in_member_ = false;
        const std::size_t produced = kOutput - state.avail_out;
        if (produced > 0) {
            const std::span<const std::uint8_t> out(inflate_->out.data(), produced);
            bytes_ += produced;
            RAIND_CHECK(check_limits());
            hash_.update(std::as_bytes(out));
            return std::string_view(reinterpret_cast<const char*>(out.data()), out.size());
        }
        if (in_member_ && available == 0)
            return Error(Errc::InvalidArgument, "the layer ends in the middle (truncated gzip)");
    }
}

Status GzipSource::drain() {
    while (true) {
        RAIND_TRY(const std::string_view rest, next());
        if (rest.empty())
            return {};
    }
}

}  // namespace raind::image

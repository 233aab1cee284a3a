#include "userspace/image/layer_source.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fmt/format.h>
#include <isa-l/igzip_lib.h>
#include <unistd.h>
#include <zstd.h>

namespace raind::image {

namespace {

constexpr std::size_t kInput = 128U << 10;
constexpr std::size_t kOutput = 256U << 10;
constexpr int kMaxZstdWindow = 27;  // log2: 128 MiB, what a reader has to accept at most

Error invalid(std::string what) {
    return {Errc::InvalidArgument, std::move(what)};
}

class GzipSource : public LayerSource {
  public:
    GzipSource(int file, const ExtractLimits& limits) : LayerSource(file, limits), out_(kOutput) {
        isal_inflate_init(&state_);
        state_.crc_flag = ISAL_GZIP;
    }

  protected:
    Result<Bytes> produce() override;

  private:
    void start_member();

    inflate_state state_{};
    std::vector<std::uint8_t> out_;
    bool in_member_ = false;
};

// The input that is left stays, all else begins anew.
void GzipSource::start_member() {
    std::uint8_t* const next_in = state_.next_in;
    const std::uint32_t avail_in = state_.avail_in;
    isal_inflate_reset(&state_);
    state_.crc_flag = ISAL_GZIP;
    state_.next_in = next_in;
    state_.avail_in = avail_in;
    in_member_ = true;
}

Result<LayerSource::Bytes> GzipSource::produce() {
    while (true) {
        if (state_.avail_in == 0) {
            RAIND_TRY(const Bytes input, read());
            state_.next_in = const_cast<std::uint8_t*>(input.data());
            state_.avail_in = static_cast<std::uint32_t>(input.size());
        }
        const bool ended = state_.avail_in == 0;
        if (!in_member_) {
            if (ended)
                return Bytes{};
            start_member();
        }
        state_.next_out = out_.data();
        state_.avail_out = kOutput;
        const int status = isal_inflate(&state_);
        if (status != ISAL_DECOMP_OK && status != ISAL_END_INPUT)
            return invalid(fmt::format("the layer is not valid gzip (code {})", status));
        if (state_.block_state == ISAL_BLOCK_FINISH)
            in_member_ = false;
        if (state_.avail_out < kOutput)
            return Bytes(out_.data(), kOutput - state_.avail_out);
        if (in_member_ && ended)
            return invalid("the layer ends in the middle (truncated gzip)");
    }
}

class ZstdSource : public LayerSource {
  public:
    ZstdSource(int file, const ExtractLimits& limits)
        : LayerSource(file, limits), context_(ZSTD_createDCtx()), out_(kOutput) {
        ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kMaxZstdWindow);
    }

  protected:
    Result<Bytes> produce() override;

  private:
    struct Free {
        void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
    };
    std::unique_ptr<ZSTD_DCtx, Free> context_;
    std::vector<std::uint8_t> out_;
    ZSTD_inBuffer in_{};
    bool in_frame_ = false;
};

Result<LayerSource::Bytes> ZstdSource::produce() {
    while (true) {
        if (in_.pos == in_.size) {
            RAIND_TRY(const Bytes input, read());
            in_ = {.src = input.data(), .size = input.size(), .pos = 0};
        }
        const bool ended = in_.size == 0;
        if (ended && !in_frame_)
            return Bytes{};
        ZSTD_outBuffer out{.dst = out_.data(), .size = kOutput, .pos = 0};
        const std::size_t status = ZSTD_decompressStream(context_.get(), &out, &in_);
        if (ZSTD_isError(status) != 0)
            return invalid(
                fmt::format("the layer is not valid zstd ({})", ZSTD_getErrorName(status)));
        in_frame_ = status != 0;
        if (out.pos > 0)
            return Bytes(out_.data(), out.pos);
        if (ended && in_frame_)
            return invalid("the layer ends in the middle (truncated zstd)");
    }
}

class PlainSource : public LayerSource {
  public:
    PlainSource(int file, const ExtractLimits& limits) : LayerSource(file, limits) {}

  protected:
    Result<Bytes> produce() override { return read(); }
};

bool is_zstd(std::span<const std::uint8_t> start) {
    if (start.size() < 4)
        return false;
    constexpr std::array<std::uint8_t, 4> kFrame = {0x28, 0xb5, 0x2f, 0xfd};
    // A stream may begin with frames that a reader skips: 0x184D2A50 to 0x184D2A5F.
    constexpr std::array<std::uint8_t, 3> kSkipped = {0x2a, 0x4d, 0x18};
    return std::ranges::equal(start.first(4), kFrame) ||
           ((start[0] & 0xf0U) == 0x50 && std::ranges::equal(start.subspan(1, 3), kSkipped));
}

}  // namespace

LayerSource::LayerSource(int file, const ExtractLimits& limits)
    : file_(file), limits_(limits), input_(kInput) {
}

Result<std::unique_ptr<LayerSource>> LayerSource::open(int file, const ExtractLimits& limits) {
    std::array<std::uint8_t, 4> magic{};
    const ssize_t n = ::pread(file, magic.data(), magic.size(), 0);
    if (n < 0)
        return os_error("read the layer");
    if (n == 0)
        return invalid("the layer is empty");
    const std::span<const std::uint8_t> start(magic.data(), static_cast<std::size_t>(n));
    std::unique_ptr<LayerSource> source;
    if (start.size() >= 2 && start[0] == 0x1f && start[1] == 0x8b)
        source = std::make_unique<GzipSource>(file, limits);
    else if (is_zstd(start))
        source = std::make_unique<ZstdSource>(file, limits);
    else
        source = std::make_unique<PlainSource>(file, limits);
    return source;
}

Result<LayerSource::Bytes> LayerSource::read() {
    ssize_t n = 0;
    do {
        n = ::read(file_, input_.data(), input_.size());
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return os_error("read the layer");
    compressed_ += static_cast<std::uint64_t>(n);
    return Bytes(input_.data(), static_cast<std::size_t>(n));
}

Status LayerSource::check_limits() const {
    if (bytes_ > limits_.max_bytes)
        return Error(Errc::TooLarge,
                     fmt::format("more than {} bytes uncompressed", limits_.max_bytes));
    if (bytes_ > limits_.ratio_floor && bytes_ / limits_.max_ratio > compressed_)
        return Error(Errc::TooLarge, fmt::format("{} bytes came out of {}, more than {} to 1",
                                                 bytes_, compressed_, limits_.max_ratio));
    return {};
}

Status LayerSource::copied(std::uint64_t bytes) {
    bytes_ += bytes;
    return check_limits();
}

Result<std::string_view> LayerSource::next() {
    RAIND_TRY(const Bytes out, produce());
    bytes_ += out.size();
    RAIND_CHECK(check_limits());
    hash_.update(std::as_bytes(out));
    return std::string_view(reinterpret_cast<const char*>(out.data()), out.size());
}

Status LayerSource::drain() {
    while (true) {
        RAIND_TRY(const std::string_view rest, next());
        if (rest.empty())
            return {};
    }
}

}  // namespace raind::image

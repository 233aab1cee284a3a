#include "userspace/netfilter/nft.h"

#include <fmt/format.h>
#include <memory>
#include <mutex>
#include <nftables/libnftables.h>

#include "userspace/common/text.h"

namespace raind::netfilter {
namespace {

struct FreeContext {
    void operator()(nft_ctx* context) const { ::nft_ctx_free(context); }
};

// Guards the parser of libnftables, which is not reentrant across contexts.
std::mutex& library_mutex() {
    static std::mutex mutex;
    return mutex;
}

unsigned flags_of(NftOutput output) {
    switch (output) {
        case NftOutput::Stateless:
            return NFT_CTX_OUTPUT_STATELESS | NFT_CTX_OUTPUT_NUMERIC_ALL;
        case NftOutput::Json:
            return NFT_CTX_OUTPUT_JSON;
        case NftOutput::Text:
            break;
    }
    return 0;
}

// The first line says what is wrong, the rest points into the text.
Error error_of(std::string_view text) {
    const auto first = trim(text.substr(0, text.find('\n')));
    const bool absent = first.find("No such file or directory") != std::string_view::npos;
    return {absent ? Errc::NotFound : Errc::Internal, first.empty()
                                                          ? "netfilter: refused without a reason"
                                                          : fmt::format("netfilter: {}", first)};
}

Result<std::string> run_here(const std::string& commands, NftOutput output) {
    // Its netlink socket belongs to the namespace of the thread that makes it.
    const std::unique_ptr<nft_ctx, FreeContext> context(::nft_ctx_new(NFT_CTX_DEFAULT));
    if (!context)
        return Error(Errc::Internal, "netfilter: no context");
    ::nft_ctx_output_set_flags(context.get(), flags_of(output));
    if (::nft_ctx_buffer_output(context.get()) != 0 || ::nft_ctx_buffer_error(context.get()) != 0)
        return Error(Errc::Exhausted, "netfilter: no buffer");
    if (::nft_run_cmd_from_buffer(context.get(), commands.c_str()) != 0)
        return error_of(::nft_ctx_get_error_buffer(context.get()));
    return std::string(::nft_ctx_get_output_buffer(context.get()));
}

}  // namespace

Result<std::string> run_nft(const NetnsRef& netns, const std::string& commands, NftOutput output) {
    const std::lock_guard lock(library_mutex());
    return run_in_netns(netns, [&] { return run_here(commands, output); });
}

}  // namespace raind::netfilter

#include "userspace/image/resolve.h"

#include <fmt/format.h>
#include <variant>

namespace raind::image {

namespace {

// Digests forbid circles; these bounds keep an index from sending us around for long.
constexpr int kMaxDepth = 4;
constexpr int kMaxDocuments = 16;

struct Selected {
    FetchedManifest document;
    Manifest manifest;
};

class Resolver {
  public:
    Resolver(const ManifestFetch& fetch, const Platform& platform, std::size_t max_layers)
        : fetch_(fetch), platform_(platform), max_layers_(max_layers) {}

    // Nothing when there is no image for the platform below this document.
    Result<std::optional<Selected>> look_into(FetchedManifest document, int depth);
    Error none() const;

  private:
    Result<std::optional<Selected>> follow(const Descriptor& entry, int depth);

    const ManifestFetch& fetch_;
    Platform platform_;
    std::size_t max_layers_;
    int documents_ = 0;
    std::vector<std::string> there_;
};

Error Resolver::none() const {
    return {Errc::NotFound,
            fmt::format("no image for platform {}; there is: {}", platform_.str(),
                        there_.empty() ? "none with a platform"
                                       : fmt::format("{}", fmt::join(there_, ", ")))};
}

// The depth is bounded by kMaxDepth.
Result<std::optional<Selected>> Resolver::look_into(  // NOLINT(misc-no-recursion)
    FetchedManifest document, int depth) {
    RAIND_TRY(auto parsed, parse_manifest(document.bytes, document.content_type, max_layers_));
    if (auto* manifest = std::get_if<Manifest>(&parsed))
        return std::optional(
            Selected{.document = std::move(document), .manifest = std::move(*manifest)});
    const auto& index = std::get<Index>(parsed);
    for (std::string& name : platforms_of(index))
        there_.push_back(std::move(name));
    for (const IndexEntry& entry : candidates(index, platform_)) {
        RAIND_TRY(auto found, follow(entry.manifest, depth + 1));
        if (found)
            return found;
    }
    return std::optional<Selected>{};
}

Result<std::optional<Selected>> Resolver::follow(  // NOLINT(misc-no-recursion)
    const Descriptor& entry, int depth) {
    if (depth > kMaxDepth)
        return Error(Errc::InvalidArgument,
                     fmt::format("more than {} indexes within one another", kMaxDepth));
    if (++documents_ > kMaxDocuments)
        return Error(Errc::InvalidArgument,
                     fmt::format("more than {} manifests and indexes to look into", kMaxDocuments));
    RAIND_TRY(FetchedManifest document, fetch_(entry.digest.str()));
    if (document.bytes.size() != entry.size)
        return Error(Errc::InvalidArgument,
                     fmt::format("manifest {} has {} bytes, the index states {}",
                                 entry.digest.str(), document.bytes.size(), entry.size));
    return look_into(std::move(document), depth);
}

}  // namespace

Result<ResolvedManifest> resolve_manifest(const ManifestFetch& fetch, const std::string& name,
                                          const Platform& platform, std::size_t max_layers) {
    RAIND_TRY(FetchedManifest fetched, fetch(name));
    Resolver resolver(fetch, platform, max_layers);
    RAIND_TRY(auto selected, resolver.look_into(fetched, 0));
    if (!selected)
        return resolver.none();
    return ResolvedManifest{.fetched = std::move(fetched),
                            .selected = std::move(selected->document),
                            .manifest = std::move(selected->manifest)};
}

}  // namespace raind::image

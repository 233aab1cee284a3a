// Image references: what a user types to name an image.
//
//   [registry[:port]/]repository[:tag][@sha256:<hex>]
//
// The first part is a registry when it holds a dot or a colon or is "localhost"; otherwise the
// registry is docker.io, whose one-word repositories live under library/. Without tag and digest
// the tag is "latest". Pure values, any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "raind/result.h"

#include "userspace/image/digest.h"

namespace raind::image {

inline constexpr std::string_view kDefaultRegistry = "docker.io";
inline constexpr std::string_view kDefaultTag = "latest";

class Reference {
  public:
    static Result<Reference> parse(std::string_view text);

    const std::string& registry() const { return registry_; }  // "docker.io", "[::1]:5000"
    const std::string& path() const { return path_; }          // "library/nginx", "team/app"
    const std::string& tag() const { return tag_; }            // empty: named by digest only
    const std::optional<Digest>& digest() const { return digest_; }

    // Key of the image store: "library/nginx", or "host:5000/team/app" for other registries.
    std::string repository() const;
    // Key below the repository: the digest if there is one, else the tag.
    std::string reference() const;
    // What is asked of the registry: "sha256:..." or the tag.
    std::string manifest_name() const { return reference(); }
    // Everything written out: "docker.io/library/nginx:latest".
    std::string canonical() const;
    // As people write it: "nginx:latest", "team/app:v1", "host:5000/app@sha256:...".
    std::string familiar() const;
    bool operator==(const Reference&) const = default;

  private:
    std::string registry_;
    std::string path_;
    std::string tag_;
    std::optional<Digest> digest_;
};

// A registry by itself: HOST[:PORT] as in a reference, or nothing for the default. Refuses
// addresses with a scheme or a path.
Result<std::string> parse_registry(std::string_view text);
// Host name of a registry without port and brackets.
std::string registry_host(const std::string& registry);

// The familiar form of a repository key: "library/nginx" becomes "nginx", others stay whole.
std::string familiar_repository(std::string_view repository);

}  // namespace raind::image

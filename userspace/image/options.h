// Every bound and address of the image layer that an operator may set. Plain values.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace raind::image {

class CredentialStore;

struct RegistryOptions {
    std::chrono::milliseconds connect_timeout{10'000};
    std::chrono::milliseconds document_timeout{60'000};  // manifests, configurations, tokens
    std::chrono::milliseconds blob_timeout{3'600'000};
    long low_speed_bytes = 1024;                        // slower than this ...
    std::chrono::seconds low_speed_time{30};            // ... for this long: given up
    int retries = 2;                                    // further attempts after a passing fault
    std::chrono::milliseconds retry_delay{300};         // doubled each time
    std::chrono::milliseconds max_retry_after{10'000};  // the longest wait a registry may ask for
    int max_redirects = 5;
    std::size_t max_document = 4U << 20;  // a manifest, index or configuration
    std::size_t max_token_answer = 1U << 20;
    std::uint64_t max_layer_bytes = 10ULL << 30;  // one compressed layer
    std::uint64_t max_image_bytes = 40ULL << 30;  // all compressed layers of an image
    std::size_t max_layers = 127;
    // <registry>/ca.crt is trusted for that registry besides the system's certificates; empty:
    // none.
    std::filesystem::path authorities;
    std::string user_agent = "raind";
};

// Bounds on one layer while it is laid out.
struct ExtractLimits {
    std::uint64_t max_bytes = 32ULL << 30;  // uncompressed stream, and sum of file sizes
    std::uint64_t max_entries = 1'000'000;
    std::uint64_t max_path = 4095;  // bytes of one name
    std::uint64_t max_depth = 256;  // folders above one another
    // Files of zeros are legitimate and gzip packs them by 1030 to 1; only what is both large and
    // nearly nothing when packed is a bomb.
    std::uint64_t max_ratio = 200;              // uncompressed to compressed ...
    std::uint64_t ratio_floor = 1ULL << 30;     // ... once more than this came out
    std::uint64_t max_xattr_bytes = 64U << 10;  // all attributes of one entry
    std::chrono::seconds timeout{1800};
};

// Bounds on what failed pulls leave for the next one.
struct KeepLimits {
    std::chrono::seconds age{24 * 3600};
    std::uint64_t bytes = 8ULL << 30;
};

struct StoreOptions {
    std::filesystem::path root;  // .../image: blobs, layers, references, tmp
    // The program that lays out layers: started with kExtractArgument first (extract_child.h).
    std::filesystem::path extract_program = "/proc/self/exe";
    std::shared_ptr<CredentialStore> credentials = {};  // none: every registry is asked as nobody
    RegistryOptions registry = {};
    ExtractLimits extract = {};
    KeepLimits keep = {};
};

}  // namespace raind::image

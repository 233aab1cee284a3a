// The daemon side of laying out a layer: starts the confined process and reads its report.
// Any thread; blocks for the time of the extraction.
#pragma once

#include <filesystem>
#include <stop_token>
#include <vector>

#include "raind/result.h"

#include "userspace/image/digest.h"
#include "userspace/image/layer_reader.h"
#include "userspace/image/options.h"

namespace raind::image {

struct ExtractJob {
    std::filesystem::path program;                  // StoreOptions::extract_program
    std::filesystem::path blob;                     // its digest already verified
    std::filesystem::path folder;                   // empty, nobody else uses it
    std::vector<std::filesystem::path> below = {};  // layers as laid out, topmost first
    ExtractLimits limits;
};

struct ExtractReport {
    Digest diff_id;  // of the uncompressed stream; the caller compares it
    LayerStats stats;
    std::uint64_t unpacked = 0;  // bytes of the stream, and of what was copied from layers below
};

// On failure the folder holds whatever was laid out so far: the caller removes it.
Result<ExtractReport> extract_confined(const ExtractJob& job, const std::stop_token& stop);

}  // namespace raind::image

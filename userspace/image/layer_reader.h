// Reads a layer's tar stream with libarchive and lays it out with LayerWriter.
// Runs in the confined child; one thread.
#pragma once

#include <cstdint>

#include "raind/result.h"

#include "userspace/image/layer_source.h"
#include "userspace/image/layer_writer.h"

namespace raind::image {

struct LayerStats {
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;            // of file contents
    std::uint64_t skipped_devices = 0;  // block and character nodes
    std::uint64_t dropped_xattrs = 0;   // attributes that are not taken over
};

// Up to the end of the archive; the caller drains the source for its digest.
Result<LayerStats> extract_layer(LayerSource& source, LayerWriter& writer,
                                 const ExtractLimits& limits);

}  // namespace raind::image

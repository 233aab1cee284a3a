// Names of entries in layer archives: how they are made safe, and what whiteout names mean.
//
// A name is split into components below the layer's root. "." and empty components vanish, a
// leading slash is dropped (the root of the archive is the root of the layer), ".." is refused
// wherever it stands. Pure functions, any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "raind/result.h"

#include "userspace/image/options.h"

namespace raind::image {

struct EntryName {
    std::vector<std::string> parents;
    std::string leaf;  // empty: the root of the layer itself

    std::string parent_path() const;  // "a/b", "." for the root
    std::string path() const;
};

Result<EntryName> parse_entry_name(std::string_view name, const ExtractLimits& limits);

enum class WhiteoutKind {
    None,
    Remove,  // ".wh.NAME": hides NAME of the layers below
    Opaque,  // ".wh..wh..opq": hides everything that layers below have in this folder
};

struct Whiteout {
    WhiteoutKind kind = WhiteoutKind::None;
    std::string target;
};

// Names that aufs kept for itself (".wh..wh.plnk"); layers made on it still have them, and they
// mean nothing.
bool is_reserved_name(std::string_view part);

// A name that would mean the folder itself or the one above (".wh..", ".wh...") is refused, as are
// reserved names and an empty target.
Result<Whiteout> parse_whiteout(std::string_view leaf);

// Extended attributes that are taken over from a layer: "security.capability" and "user.*". Others
// would mean something to the host (trusted.*, system.*, labels of security modules) or to
// overlayfs.
bool keeps_xattr(std::string_view name);

}  // namespace raind::image

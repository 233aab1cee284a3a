// Copies a folder's content with owners, modes, times and extended attributes, for mounts that
// first take what they cover. Works on descriptors and follows no link; runs as the container's
// root, so that nothing is read or made that the container itself could not.
#pragma once

#include "raind/result.h"

namespace raind::droplet {

// Both are folders, `target` an empty one; it also gets the owner, mode and attributes of `source`.
// On the disk when it returns. On failure `target` holds a part.
Status copy_folder(int source, int target);

}  // namespace raind::droplet

// The program side of laying out a layer: what runs in the confined process.
//
// A layer is unpacked by a fresh process, not by a fork of the daemon, so that bytes of a registry
// never meet the daemon's memory (its keys). The program that holds an ImageStore starts itself
// again with kExtractArgument; its main() must therefore begin with
//
//   if (const auto code = raind::image::run_extract_child(argc, argv))
//       return *code;
#pragma once

#include <optional>
#include <string_view>

namespace raind::image {

inline constexpr std::string_view kExtractArgument = "--raind-extract-layer";
// Descriptors that the child finds open.
inline constexpr int kExtractBlobFd = 3;
inline constexpr int kExtractFolderFd = 4;
inline constexpr int kExtractReportFd = 5;
inline constexpr int kExtractBelowFd = 6;  // and after it: the layers below, topmost first

// Nothing when the arguments do not ask for it. One thread; does not return from a success or
// failure in the normal way of a program either: the report went through the pipe.
std::optional<int> run_extract_child(int argc, char** argv);

}  // namespace raind::image

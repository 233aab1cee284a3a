// What passes between the daemon and the process that lays out a layer: arguments one way, one
// report the other. The report comes from a process that has read hostile bytes and is parsed as
// such. Pure functions, any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/image/extractor.h"

namespace raind::image {

struct ExtractArguments {
    int parent = 0;
    std::size_t below = 0;  // layers below, at kExtractBelowFd and after
    ExtractLimits limits;
};

inline constexpr std::size_t kMaxReport = 8192;

std::vector<std::string> format_arguments(const ExtractArguments& arguments);
Result<ExtractArguments> parse_arguments(std::span<char*> words);

std::string format_report(const ExtractReport& report);
std::string format_failure(const Error& error);
// The report, or the error that it carries.
Result<ExtractReport> parse_report(std::string_view text);

}  // namespace raind::image

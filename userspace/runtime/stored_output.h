// The output of a container as its shim stores it: "<RFC 3339> stdout|stderr P|F <bytes>" a line.
#pragma once

#include <string>
#include <string_view>

namespace raind::runtime {

// The bytes alone: a P line goes on in the next record, an F line ends with a newline.
std::string plain_output(std::string_view stored);

}  // namespace raind::runtime

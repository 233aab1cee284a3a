#include "userspace/runtime/stored_output.h"

#include <algorithm>

namespace raind::runtime {

std::string plain_output(std::string_view stored) {
    std::string out;
    while (!stored.empty()) {
        const std::string_view line = stored.substr(0, stored.find('\n'));
        stored.remove_prefix(std::min(stored.size(), line.size() + 1));
        const auto stream = line.find(' ');
        const auto mark = stream == std::string_view::npos ? stream : line.find(' ', stream + 1);
        if (mark == std::string_view::npos || mark + 3 > line.size())
            continue;
        out += line.substr(mark + 3);
        if (line[mark + 1] == 'F')
            out += '\n';
    }
    return out;
}

}  // namespace raind::runtime

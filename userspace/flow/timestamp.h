// Times of records: RFC 3339 with nanoseconds and the local offset, as the published schema has
// them. A Timestamper remembers the last second it wrote, because records come in bursts. One
// thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "userspace/common/clock.h"

namespace raind::flow {

class Timestamper {
  public:
    // Valid until the next call.
    std::string_view format(WallTime time);

  private:
    void fill(std::int64_t second);

    std::int64_t second_ = -1;
    bool filled_ = false;
    std::string text_;
};

}  // namespace raind::flow

// The flow records, as the API gives them out.
#pragma once

#include "userspace/common/fs.h"
#include "userspace/core/services.h"

namespace raind::condenser {

class LogFiles final : public core::LogService {
  public:
    explicit LogFiles(stdfs::path folder) : folder_(std::move(folder)) {}
    Result<std::string> netflow(std::size_t tail_lines) override;
    Result<std::string> flow(std::size_t tail_lines) override;

  private:
    stdfs::path folder_;
};

}  // namespace raind::condenser

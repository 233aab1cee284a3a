#include "userspace/condenser/log_service.h"

#include "userspace/common/jsonl.h"
#include "userspace/flow/pipeline.h"

namespace raind::condenser {
namespace {

constexpr std::size_t kMaxBytes = 4U << 20;

}  // namespace

Result<std::string> LogFiles::netflow(std::size_t lines) {
    return tail_lines(folder_ / flow::kNetflowFile, lines, kMaxBytes);
}

Result<std::string> LogFiles::flow(std::size_t lines) {
    return tail_lines(folder_ / flow::kFlowFile, lines, kMaxBytes);
}

}  // namespace raind::condenser

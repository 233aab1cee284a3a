// Kernel events to JSON records: the netflow record (v1), the record of a flow's end, the record of
// a loss. The field names are the published schema; additions are new keys.
//
// A RecordMaker keeps only scratch (hash state, last second written): one per thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "raind/abi/event.h"

#include "userspace/common/clock.h"
#include "userspace/flow/identity.h"
#include "userspace/flow/timestamp.h"

namespace raind::flow {

class JsonWriter;

// Something that could not be passed on, where, and whose share it was (0: nobody's).
struct Loss {
    std::string where;
    std::uint64_t count = 0;
    std::uint32_t ep_id = 0;
};

class RecordMaker {
  public:
    explicit RecordMaker(std::string node) : node_(std::move(node)) {}

    // The identities, the offset between CLOCK_BOOTTIME and the wall clock, and the time of receipt
    // for the records that follow: set once per batch.
    void begin_batch(std::shared_ptr<const Snapshot> identities);

    // For NEW, DENY and AUDIT; for END and CUT whose NEW was not seen, at the flow's beginning.
    // One line with its newline, appended to `out`.
    void netflow(const raind_event& event, std::string& out);
    // For END and CUT.
    void flow_end(const raind_event& event, std::string& out);
    void loss(const Loss& loss, std::string& out);

  private:
    struct Form {
        std::string_view event_type;
        std::uint64_t boottime = 0;
        std::string_view verdict;  // empty: that of the event
    };
    WallTime wall(std::uint64_t boottime) const;
    void times(JsonWriter& json, std::uint64_t boottime);
    void head(JsonWriter& json, const raind_event& event, const Form& form);
    void process(JsonWriter& json, const raind_event& event);

    std::string node_;
    std::shared_ptr<const Snapshot> identities_ = std::make_shared<const Snapshot>();
    std::int64_t boot_offset_ = 0;
    WallTime received_;
    Timestamper generated_text_;
    Timestamper received_text_;
};

}  // namespace raind::flow

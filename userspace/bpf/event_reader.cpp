#include "userspace/bpf/event_reader.h"

#include <cerrno>
#include <cstring>
#include <sys/epoll.h>

namespace raind::bpf {

Result<std::unique_ptr<EventReader>> EventReader::make(const Datapath& datapath, Handler handler) {
    std::unique_ptr<EventReader> reader(new EventReader(datapath, std::move(handler)));
    reader->rings_.reset(
        ::ring_buffer__new(datapath.ev_flow.get(), &EventReader::on_record, reader.get(), nullptr));
    if (!reader->rings_)
        return os_error("open ring of flows");
    const int added = ::ring_buffer__add(reader->rings_.get(), datapath.ev_deny.get(),
                                         &EventReader::on_record, reader.get());
    if (added != 0)
        return os_error("open ring of denials", -added);
    return reader;
}

int EventReader::on_record(void* self, void* data, std::size_t size) {
    auto* reader = static_cast<EventReader*>(self);
    raind_event event{};
    if (size != sizeof event) {
        reader->malformed_++;
        return 0;
    }
    std::memcpy(&event, data, sizeof event);
    if (event.version != RAIND_EVENT_VERSION || event.length != sizeof event) {
        reader->malformed_++;
        return 0;
    }
    reader->delivered_++;
    reader->handler_(event);
    return 0;
}

Result<std::size_t> EventReader::poll(std::chrono::milliseconds timeout) {
    delivered_ = 0;
    const int ready = ::ring_buffer__poll(rings_.get(), static_cast<int>(timeout.count()));
    if (ready < 0 && ready != -EINTR)
        return os_error("wait for records", -ready);
    const int consumed = ::ring_buffer__consume(rings_.get());
    if (consumed < 0)
        return os_error("read records", -consumed);
    return delivered_;
}

Result<std::array<std::uint64_t, RAIND_LOST_SAID>> EventReader::lost() const {
    std::array<std::uint64_t, RAIND_LOST_SAID> out{};
    for (std::uint32_t kind = 0; kind < out.size(); kind++) {
        RAIND_TRY(const std::optional<std::uint64_t> count, datapath_.lost.lookup(kind));
        out[kind] = count.value_or(0);
    }
    return out;
}

}  // namespace raind::bpf

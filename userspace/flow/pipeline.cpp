#include "userspace/flow/pipeline.h"

#include <chrono>
#include <cstring>
#include <exception>
#include <utility>

#include "raind/abi/enums.h"

#include "userspace/common/clock.h"
#include "userspace/common/log.h"

namespace raind::flow {

namespace {

using namespace std::chrono_literals;

// A batch waits this long for company: records are in the file well within 100 ms.
constexpr auto kLinger = 10ms;
// So that losses are said when no event comes.
constexpr auto kIdle = 250ms;
constexpr std::uint64_t kSayEvery = 1'000'000'000;  // ns between log.lost records of one place
constexpr std::size_t kWriteBytes = 256 * 1024;

}  // namespace

Pipeline::Pipeline(PipelineOptions options, const IdentityTable& identities, JsonlFile netflow,
                   JsonlFile flow)
    : options_(std::move(options)),
      identities_(identities),
      started_(boottime_ns()),
      losses_(options_.kernel_said),
      records_(options_.node),
      netflow_(std::move(netflow), "writer.netflow"),
      flow_(std::move(flow), "writer.flow") {
    writer_ = std::jthread([this](std::stop_token stop) { run(std::move(stop)); });
}

Result<std::unique_ptr<Pipeline>> Pipeline::start(PipelineOptions options,
                                                  const IdentityTable& identities) {
    RAIND_TRY(JsonlFile netflow, JsonlFile::open(options.folder / kNetflowFile, options.file));
    RAIND_TRY(JsonlFile flow, JsonlFile::open(options.folder / kFlowFile, options.file));
    return std::unique_ptr<Pipeline>(
        new Pipeline(std::move(options), identities, std::move(netflow), std::move(flow)));
}

Pipeline::~Pipeline() {
    writer_.request_stop();
    wake_.notify_all();
    writer_.join();
}

void Pipeline::push(std::span<const std::byte> record) {
    raind_event event;
    if (record.size() != sizeof(event)) {
        malformed_.fetch_add(1, std::memory_order_relaxed);
        losses_.add("reader.format", 1);
        return;
    }
    std::memcpy(&event, record.data(), sizeof(event));
    push(event);
}

void Pipeline::push(const raind_event& event) {
    if (event.version != RAIND_EVENT_VERSION || event.length != sizeof(raind_event)) {
        malformed_.fetch_add(1, std::memory_order_relaxed);
        losses_.add("reader.format", 1);
        return;
    }
    bool first = false;
    {
        const std::lock_guard lock(mutex_);
        if (queue_.size() >= options_.queue) {
            ++overflow_[event.src_ep != 0 ? event.src_ep : event.dst_ep];
            overflowed_.fetch_add(1, std::memory_order_relaxed);
            return;
        }
        first = queue_.empty();
        queue_.push_back(event);
    }
    pushed_.fetch_add(1, std::memory_order_relaxed);
    if (first)
        wake_.notify_one();
}

void Pipeline::flush() {
    std::unique_lock lock(mutex_);
    const std::uint64_t wanted = ++flush_wanted_;
    wake_.notify_one();
    done_.wait(lock, [&] { return flush_done_ >= wanted; });
}

void Pipeline::run(std::stop_token stop) {
    while (true) {
        std::uint64_t wanted = 0;
        {
            std::unique_lock lock(mutex_);
            const auto work = [&] { return !queue_.empty() || flush_wanted_ != flush_done_; };
            wake_.wait_for(lock, stop, kIdle, work);
            const auto hurry = [&] { return flush_wanted_ != flush_done_; };
            if (!queue_.empty() && queue_.size() < options_.queue / 2)
                wake_.wait_for(lock, stop, kLinger, hurry);
            std::swap(queue_, batch_);
            wanted = flush_wanted_;
            say_at_once_ = wanted != flush_done_ || stop.stop_requested();
        }
        try {
            write_batch();
        } catch (const std::exception& error) {
            // Out of memory, in practice: the batch is a loss like any other.
            losses_.add("writer", batch_.size());
            batch_.clear();
            log::error("records are lost: {}", error.what());
        }
        {
            const std::lock_guard lock(mutex_);
            flush_done_ = wanted;
            // Nothing can be pushed once the destructor runs.
            if (stop.stop_requested() && queue_.empty())
                break;
        }
        done_.notify_all();
    }
    done_.notify_all();
}

void Pipeline::write_batch() {
    records_.begin_batch(identities_.snapshot());
    for (const raind_event& event : batch_)
        handle(event);
    batch_.clear();
    write_out(netflow_);
    write_out(flow_);
    take_overflow();
    say_losses();
}

void Pipeline::handle(const raind_event& event) {
    switch (event.type) {
        case RAIND_EV_NEW:
        case RAIND_EV_AUDIT:
            if (seen_.begin(event.flow_id))
                add_netflow(event);
            return;
        case RAIND_EV_DENY:
            add_netflow(event);
            return;
        case RAIND_EV_END:
        case RAIND_EV_CUT:
            // A flow older than this process has its record from the one before.
            if (seen_.end(event.flow_id) && event.started >= started_)
                add_netflow(event);
            records_.flow_end(event, flow_.lines);
            ++flow_.count;
            if (flow_.lines.size() >= kWriteBytes)
                write_out(flow_);
            return;
        case RAIND_EV_LOST:
            losses_.add_event(event);
            return;
        case RAIND_EV_STATE:
            return;
        default:
            malformed_.fetch_add(1, std::memory_order_relaxed);
            losses_.add("reader.format", 1);
            return;
    }
}

void Pipeline::add_netflow(const raind_event& event) {
    records_.netflow(event, netflow_.lines);
    ++netflow_.count;
    if (netflow_.lines.size() >= kWriteBytes)
        write_out(netflow_);
}

void Pipeline::write_out(Output& output) {
    if (output.count == 0)
        return;
    auto written = output.file.append(output.lines);
    if (written) {
        output.written += output.count;
        if (std::exchange(output.failing, false))
            log::info("{}: records are written again", output.file.path().string());
    } else {
        output.lost += output.count;
        losses_.add(output.where, output.count);
        if (!std::exchange(output.failing, true))
            log::error("records are lost: {}", written.error().message());
    }
    output.lines.clear();
    output.count = 0;
}

void Pipeline::take_overflow() {
    std::unordered_map<std::uint32_t, std::uint64_t> taken;
    {
        const std::lock_guard lock(mutex_);
        taken.swap(overflow_);
    }
    for (const auto& [ep_id, count] : taken)
        losses_.add("reader", count, ep_id);
}

void Pipeline::say_losses() {
    const std::uint64_t now = boottime_ns();
    if (losses_.empty() || (!say_at_once_ && now - last_said_ < kSayEvery))
        return;
    last_said_ = now;
    const std::vector<Loss> losses = losses_.take();
    std::string lines;
    for (const Loss& loss : losses)
        records_.loss(loss, lines);
    if (auto said = netflow_.file.append(lines); said) {
        losses_said_ += losses.size();
        return;
    }
    for (const Loss& loss : losses)
        losses_.add(loss.where, loss.count, loss.ep_id);
}

PipelineStats Pipeline::stats() const {
    PipelineStats out;
    out.pushed = pushed_;
    out.overflow = overflowed_;
    out.malformed = malformed_;
    out.netflow_written = netflow_.written;
    out.flow_written = flow_.written;
    out.netflow_lost = netflow_.lost;
    out.flow_lost = flow_.lost;
    out.losses_said = losses_said_;
    return out;
}

}  // namespace raind::flow

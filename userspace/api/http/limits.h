// Limits of the transport, and CallGate, which admits calls: short calls wait for one of a fixed
// number of slots; long calls (streams, waiting) take none, but are capped per identity. CallGate
// is thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace raind::api::http {

struct Limits {
    int backlog = 1024;
    std::size_t connections = 512;
    std::size_t short_calls = 16;
    std::size_t long_calls_per_identity = 128;
    std::chrono::milliseconds handshake{5000};
    std::chrono::milliseconds first_head{3000};
    std::chrono::milliseconds idle{15000};  // between the requests of a connection
    std::chrono::milliseconds body{60000};  // the whole body
    std::chrono::milliseconds send{15000};  // one answer
    // Of streams and upgrades: a reader that pauses (a pager) is no fault.
    std::chrono::milliseconds stream_send{std::chrono::hours(24)};
    std::chrono::milliseconds drain{10000};  // for running calls at stop
    std::size_t websocket_message = 8U << 20;
};

class CallGate {
  public:
    explicit CallGate(const Limits& limits)
        : free_(limits.short_calls), long_cap_(limits.long_calls_per_identity) {}

    class Pass {
      public:
        Pass(Pass&& other) noexcept : gate_(other.gate_), who_(std::move(other.who_)) {
            other.gate_ = nullptr;
        }
        Pass& operator=(Pass&&) = delete;
        Pass(const Pass&) = delete;
        Pass& operator=(const Pass&) = delete;
        ~Pass() {
            if (gate_ != nullptr)
                gate_->leave(who_);
        }

      private:
        friend class CallGate;
        Pass(CallGate* gate, std::optional<std::string> who) : gate_(gate), who_(std::move(who)) {}

        CallGate* gate_;
        std::optional<std::string> who_;  // empty: a short call
    };

    // Waits for a slot.
    Pass enter_short();
    // Nothing when this identity has too many.
    std::optional<Pass> enter_long(const std::string& identity);

  private:
    void leave(const std::optional<std::string>& who);

    std::mutex mutex_;  // guards free_ and long_
    std::condition_variable freed_;
    std::size_t free_;
    std::map<std::string, std::size_t> long_;
    const std::size_t long_cap_;
};

}  // namespace raind::api::http

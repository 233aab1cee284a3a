#include "userspace/api/http/engine.h"

// The packaged library was built with this; without it, the structures differ.
#define CPPHTTPLIB_OPENSSL_SUPPORT
#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <httplib.h>

#include "userspace/api/http/watch.h"

namespace raind::api::http {

namespace {

constexpr const char* kAnyPath = "[^]*";

// Gives the library the head and then no more of the body than the request may have, so that
// neither an endless body nor the next request of the connection reaches it.
class RequestStream : public httplib::Stream {
  public:
    RequestStream(Connection& connection, const std::string& head_bytes, const RequestHead& head,
                  std::uint64_t cap, const Limits& limits)
        : connection_(connection),
          head_(head_bytes),
          chunked_(head.chunked),
          left_(head.chunked ? cap : head.content_length.value_or(0)),
          deadline_(Clock::now() + limits.body),
          patience_(limits.send) {}

    void be_patient(std::chrono::milliseconds limit) { patience_ = limit; }

    bool is_readable() const override { return true; }
    bool is_writable() const override { return !broken_ && !connection_.peer_gone(); }
    socket_t socket() const override { return connection_.fd(); }
    void get_remote_ip_and_port(std::string& ip, int& port) const override {
        ip = connection_.peer().ip;
        port = 0;
    }
    void get_local_ip_and_port(std::string& ip, int& port) const override {
        ip.clear();
        port = 0;
    }

    ssize_t read(char* data, size_t size) override {
        if (!head_.empty())
            return give(head_, data, size, [this](std::size_t n) { head_.remove_prefix(n); });
        if (left_ == 0) {
            over_ = chunked_;
            return over_ ? -1 : 0;
        }
        if (connection_.buffered().empty()) {
            const auto filled = connection_.fill(deadline_);
            if (!filled.has_value() || !*filled) {
                broken_ = true;
                return -1;
            }
        }
        const auto allowed = static_cast<size_t>(std::min<std::uint64_t>(size, left_));
        return give(connection_.buffered(), data, allowed, [this](std::size_t n) {
            connection_.consume(n);
            left_ -= n;
        });
    }

    ssize_t write(const char* data, size_t size) override {
        if (broken_ || !connection_.write_all({data, size}, Clock::now() + patience_)) {
            broken_ = true;
            return -1;
        }
        return static_cast<ssize_t>(size);
    }

    bool over() const { return over_; }
    bool broken() const { return broken_; }
    // Nothing of this request is left on the connection.
    bool all_read() const { return !chunked_ && left_ == 0; }

  private:
    template <typename Taken>
    static ssize_t give(std::string_view from, char* to, size_t size, Taken taken) {
        const std::size_t n = std::min(from.size(), size);
        std::memcpy(to, from.data(), n);
        taken(n);
        return static_cast<ssize_t>(n);
    }

    Connection& connection_;
    std::string_view head_;
    bool chunked_;
    std::uint64_t left_;  // of a body of known length, or of the cap
    Deadline deadline_;
    std::chrono::milliseconds patience_;
    bool over_ = false;
    bool broken_ = false;
};

}  // namespace

class Engine::Library : public httplib::Server {
  public:
    Library(Connection& connection, CallGate& gate, const Limits& limits, std::stop_token stop)
        : connection_(connection), gate_(gate), limits_(limits), stop_(std::move(stop)) {
        // The library takes an invalid listener for "shutting down" and would cut streams off.
        svr_sock_ = connection.fd();
        const auto run = [this](const httplib::Request& req, httplib::Response& res) {
            answer(req, res);
        };
        Get(kAnyPath, run);
        Post(kAnyPath, run);
        Put(kAnyPath, run);
        Patch(kAnyPath, run);
        Delete(kAnyPath, run);
        set_pre_routing_handler([this](const httplib::Request&, httplib::Response& res) {
            return refuse(res) ? HandlerResponse::Handled : HandlerResponse::Unhandled;
        });
        set_error_handler(
            HandlerWithResponse([this](const httplib::Request&, httplib::Response& res) {
                failed(res);
                return HandlerResponse::Handled;
            }));
        set_post_routing_handler([this](const httplib::Request&, httplib::Response& res) {
            res.headers.erase("Keep-Alive");
            if (close_ && !res.has_header("Connection"))
                res.set_header("Connection", "close");
        });
    }

    bool serve(const std::string& head_bytes, const RequestHead& head, Call& call) {
        RequestStream stream(connection_, head_bytes, head, call.body_cap(), limits_);
        call_ = &call;
        head_ = &head;
        stream_ = &stream;
        answered_ = false;
        close_ = head.close || stop_.stop_requested();
        bool connection_closed = false;
        const bool fine = process_request(stream, close_, connection_closed,
                                          [](httplib::Request& req) { neutralise(req); });
        if (!answered_)
            call.finished(499, 0);  // the client went away before there was an answer
        watch_.reset();
        pass_.reset();
        chunk_all_read_ = head.chunked && answered_by_run_ && !stream.over();
        return fine && !close_ && !stream.broken() && (stream.all_read() || chunk_all_read_);
    }

  private:
    // Fields that would make the library interpret body or answer by itself.
    static void neutralise(httplib::Request& req) {
        req.headers.erase("Content-Type");
        req.headers.erase("Accept-Encoding");
        req.headers.erase("Range");
        req.ranges.clear();
    }

    bool refuse(httplib::Response& res) {
        answered_by_run_ = false;
        std::optional<Response> refusal;
        if (head_->content_length.value_or(0) > call_->body_cap())
            refusal = call_->abort(413, "request body too large");
        else
            refusal = call_->refuse();
        if (!refusal)
            return false;
        close_ = close_ || head_->has_body();
        fill(res, std::move(*refusal));
        return true;
    }

    void answer(const httplib::Request& req, httplib::Response& res) {
        answered_by_run_ = true;
        if (head_->has_body() && (req.method == "GET" || req.method == "HEAD"))
            close_ = true;  // the library does not read it
        if (call_->kind() == CallKind::Short) {
            const CallGate::Pass pass = gate_.enter_short();
            fill(res, call_->run(req.body, stop_));
            return;
        }
        auto pass = gate_.enter_long(connection_.peer().spiffe_id);
        auto watch = ClientWatch::begin(connection_.fd(), stop_);
        if (!pass || !watch) {
            fill(res, call_->abort(pass ? 503 : 429,
                                   pass ? watch.error().message() : "too many long calls"));
            return;
        }
        pass_.emplace(std::move(*pass));
        watch_ = std::move(*watch);
        fill(res, call_->run(req.body, watch_->token()));
    }

    // The library found something wrong, or a handler answered with an error (then it is complete).
    void failed(httplib::Response& res) {
        if (answered_)
            return;
        close_ = true;
        if (stream_->over())
            fill(res, call_->abort(413, "request body too large"));
        else
            fill(res, call_->abort(400, "malformed request"));
    }

    void fill(httplib::Response& res, Response response) {
        answered_ = true;
        res.status = response.status;
        for (const auto& [name, value] : response.headers)
            res.set_header(name.c_str(), value);
        if (!response.stream) {
            call_->finished(response.status, response.body.size());
            res.body = std::move(response.body);
            if (!res.body.empty())
                res.set_header("Content-Type", response.content_type);
            return;
        }
        stream_->be_patient(limits_.stream_send);
        res.set_chunked_content_provider(
            response.content_type,
            [this, status = response.status, stream = std::move(response.stream)](
                std::size_t, httplib::DataSink& sink) {
                std::uint64_t bytes = 0;
                const auto send = [&](std::string_view chunk) {
                    if (chunk.empty())
                        return !stream_->broken();
                    bytes += chunk.size();
                    return sink.write(chunk.data(), chunk.size()) && !stream_->broken();
                };
                const bool whole = stream(send, watch_ ? watch_->token() : stop_);
                call_->finished(status, bytes);
                if (!whole || stream_->broken())
                    return false;
                sink.done();
                return true;
            });
    }

    Connection& connection_;
    CallGate& gate_;
    const Limits& limits_;
    std::stop_token stop_;
    Call* call_ = nullptr;
    const RequestHead* head_ = nullptr;
    RequestStream* stream_ = nullptr;
    std::optional<CallGate::Pass> pass_;
    std::unique_ptr<ClientWatch> watch_;
    bool answered_ = false;
    bool answered_by_run_ = false;
    bool chunk_all_read_ = false;
    bool close_ = false;
};

Engine::Engine(Connection& connection, CallGate& gate, const Limits& limits, std::stop_token stop)
    : library_(std::make_unique<Library>(connection, gate, limits, std::move(stop))) {
}

Engine::~Engine() = default;

bool Engine::serve(const std::string& head_bytes, const RequestHead& head, Call& call) {
    return library_->serve(head_bytes, head, call);
}

std::string_view status_text(int status) {
    switch (status) {
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 408:
            return "Request Timeout";
        case 413:
            return "Payload Too Large";
        case 415:
            return "Unsupported Media Type";
        case 426:
            return "Upgrade Required";
        case 429:
            return "Too Many Requests";
        case 431:
            return "Request Header Fields Too Large";
        case 501:
            return "Not Implemented";
        case 503:
            return "Service Unavailable";
        case 505:
            return "HTTP Version Not Supported";
        default:
            return status < 400 ? "OK" : "Error";
    }
}

std::string whole_answer(const Response& response) {
    std::string answer =
        fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n", response.status,
                    status_text(response.status), response.content_type, response.body.size());
    for (const auto& [name, value] : response.headers)
        answer += fmt::format("{}: {}\r\n", name, value);
    return answer + "Connection: close\r\n\r\n" + response.body;
}

}  // namespace raind::api::http

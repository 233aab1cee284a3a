// HTTP requests to the daemon over TLS 1.3 with both certificates. The only part that knows the
// HTTP library. One thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "cli/endpoint.h"
#include "cli/outcome.h"

namespace raind::cli {

struct HttpRequest {
    std::string method;
    std::string target;  // path and query, encoded
    std::string body;    // JSON, may be empty
    // The daemon may be silent so long: pulls and stops take their time.
    std::chrono::seconds patience{30};
    // Gets the body of a 200 answer as it comes; false ends the request.
    std::function<bool(std::string_view)> on_chunk;
};

struct HttpAnswer {
    int status = 0;
    std::string body;
    std::string content_type;
    std::string request_id;
};

class HttpClient {
  public:
    explicit HttpClient(Endpoint endpoint);
    HttpClient(HttpClient&&) noexcept;
    HttpClient& operator=(HttpClient&&) noexcept;
    ~HttpClient();

    Outcome<HttpAnswer> send(const HttpRequest& request);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace raind::cli

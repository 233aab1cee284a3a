// Engine: one request through the HTTP library. The library parses the fields and the body from a
// stream of ours and formats the answer; admission, body caps and closing are ours. One per
// connection, used by its thread. Only engine.cpp knows the library.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "userspace/api/http/connection.h"
#include "userspace/api/http/limits.h"

namespace raind::api::http {

class Engine {
  public:
    Engine(Connection& connection, CallGate& gate, const Limits& limits, std::stop_token stop);
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;
    ~Engine();

    // `head_bytes` were taken off the connection. true: the connection may carry another request.
    bool serve(const std::string& head_bytes, const RequestHead& head, Call& call);

  private:
    class Library;
    std::unique_ptr<Library> library_;
};

// A whole answer with "Connection: close", for what never reaches the library.
std::string whole_answer(const Response& response);
std::string_view status_text(int status);

}  // namespace raind::api::http

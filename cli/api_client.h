// The daemon's API as the commands use it: JSON in, `data` out, failures turned into what the user
// is told. One thread.
#pragma once

#include <chrono>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "cli/http_client.h"
#include "cli/outcome.h"

namespace raind::cli {

// A request and what the user is told it was for: "cannot <attempt>: <reason>".
struct ApiCall {
    std::string method = "GET";
    std::string target;
    std::string attempt;
    std::chrono::seconds patience{30};
};

class ApiClient {
  public:
    explicit ApiClient(Endpoint endpoint) : http_(endpoint), endpoint_(std::move(endpoint)) {}

    // The `data` of a successful answer, null if there is none.
    Outcome<nlohmann::json> call(const ApiCall& call);
    Outcome<nlohmann::json> call(const ApiCall& call, const nlohmann::json& body);
    // An answer that is text.
    Outcome<std::string> text(const ApiCall& call);
    // An answer that comes in pieces; the sink returns false to end it.
    Outcome<void> stream(const ApiCall& call, const std::function<bool(std::string_view)>& sink);

    const Endpoint& endpoint() const { return endpoint_; }

  private:
    Outcome<HttpAnswer> exchange(const ApiCall& call, std::string body,
                                 std::function<bool(std::string_view)> sink);

    HttpClient http_;
    Endpoint endpoint_;
};

// What an answer other than 2xx says.
CliError answer_error(const HttpAnswer& answer, const std::string& attempt);
// The message without the prefixes that name a part of the daemon ("service failed: ").
std::string strip_prefixes(std::string message);
// An answer that is not what the contract says.
CliError not_understood(const std::string& attempt, const std::string& why);

}  // namespace raind::cli

// Lines of container logs and of flow records, as they are shown. Pure.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace raind::cli {

enum class LogStream { Out, Err };

// Splits what the daemon sends ("<RFC 3339> stdout|stderr P|F <bytes>" lines, in pieces) into the
// container's own bytes for each stream.
class LogSplitter {
  public:
    using Sink = std::function<void(LogStream, std::string_view)>;
    LogSplitter(bool timestamps, Sink sink) : timestamps_(timestamps), sink_(std::move(sink)) {}

    void feed(std::string_view bytes);
    // A last line without its end.
    void finish();

  private:
    void line(std::string_view text);

    bool timestamps_;
    Sink sink_;
    std::string partial_;
    bool continues_[2] = {false, false};  // the stream's last record was the part of a line
};

// One record of raind_netflow.jsonl as the tab separated line for people.
std::string netflow_line(std::string_view json_line);
// Whether a record has the container (name or id) or address at one of its ends.
bool netflow_matches(std::string_view json_line, const std::string& target);

}  // namespace raind::cli

// What every command gets: settings, output, and the daemon's client on first use. Owned by
// run_cli; one thread.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "cli/api_client.h"
#include "cli/endpoint.h"
#include "cli/outcome.h"

namespace raind::cli {

enum class Format { Table, Json };

struct Settings {
    EndpointChoice endpoint;
    Format format = Format::Table;
    bool verbose = false;
};

class Context {
  public:
    explicit Context(Settings settings) : settings_(std::move(settings)) {}

    const Settings& settings() const { return settings_; }
    bool json() const { return settings_.format == Format::Json; }
    Outcome<ApiClient*> api();

    // Data for standard output; the text is already harmless.
    void print(std::string_view text);
    void print_line(std::string_view line);
    // One JSON value on a line, ASCII only.
    void print_json(const nlohmann::json& value, int indent = -1);
    // An error of one object of several: the command goes on.
    void report(const CliError& error) const;
    // Brings out what was printed. An error when standard output does not take it.
    Outcome<void> flush();

  private:
    Settings settings_;
    std::unique_ptr<ApiClient> api_;
    std::string out_;
};

// Writes `error: ...` and what belongs to it to standard error.
void print_error(const CliError& error, bool verbose);

// Runs one command line; gives the exit code.
int run_cli(const std::vector<std::string>& words);

}  // namespace raind::cli

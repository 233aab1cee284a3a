#include "cli/context.h"

#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <unistd.h>

#include "cli/text.h"
#include "userspace/common/fs.h"
#include "userspace/common/json.h"

namespace raind::cli {

namespace {

constexpr std::size_t kFlushAt = 64UL << 10U;

}  // namespace

Outcome<ApiClient*> Context::api() {
    if (!api_) {
        RAIND_TRY(Endpoint endpoint, resolve_endpoint(settings_.endpoint));
        api_ = std::make_unique<ApiClient>(std::move(endpoint));
    }
    return api_.get();
}

void Context::print(std::string_view text) {
    out_ += text;
}

void Context::print_line(std::string_view line) {
    out_ += line;
    out_ += '\n';
    // A failed write shows again at the end; long outputs must not be held whole.
    if (out_.size() >= kFlushAt)
        static_cast<void>(flush());
}

void Context::print_json(const nlohmann::json& value, int indent) {
    print_line(value.dump(indent, ' ', true, Json::error_handler_t::replace));
}

void Context::report(const CliError& error) const {
    print_error(error, settings_.verbose);
}

Outcome<void> Context::flush() {
    const std::string text = std::exchange(out_, {});
    if (auto written = write_all(STDOUT_FILENO, text); !written) {
        const int error = written.error().os_error();
        // A reader that has seen enough is no error worth a message.
        CliError failed =
            failure(error == EPIPE
                        ? ""
                        : fmt::format("cannot write to standard output: {}", std::strerror(error)));
        return failed;
    }
    return {};
}

void print_error(const CliError& error, bool verbose) {
    std::string text;
    if (!error.headline.empty())
        text += error.headline + "\n";
    if (!error.message.empty())
        text += fmt::format("error: {}\n", error.message);
    if (!error.hint.empty())
        text += fmt::format("hint: {}\n", error.hint);
    if (verbose && !error.request_id.empty())
        text += fmt::format("request: {}\n", error.request_id);
    // Nothing can be told if standard error is closed.
    static_cast<void>(write_all(STDERR_FILENO, text));
}

}  // namespace raind::cli

#include "cli/command_util.h"

#include <fmt/format.h>

#include "cli/text.h"
#include "userspace/common/json.h"
#include "userspace/common/units.h"

namespace raind::cli {

Outcome<std::string> single_argument(const Parsed& parsed, const std::string& missing) {
    if (parsed.args.empty() || parsed.args[0].empty())
        return usage_error(missing);
    if (parsed.args.size() > 1)
        return usage_error(fmt::format("unexpected word {}", in_quotes(parsed.args[1])));
    return parsed.args[0];
}

Outcome<void> no_arguments(const Parsed& parsed) {
    if (!parsed.args.empty())
        return usage_error(fmt::format("unexpected word {}", in_quotes(parsed.args[0])));
    return {};
}

Outcome<int> for_each_argument(Context& context, const Parsed& parsed, const std::string& missing,
                               const std::function<Outcome<void>(const std::string&)>& each) {
    if (parsed.args.empty())
        return usage_error(missing);
    for (const std::string& word : parsed.args) {
        if (word.empty())
            return usage_error(missing);
    }
    int code = kExitDone;
    for (const std::string& word : parsed.args) {
        const Outcome<void> done = each(word);
        if (done)
            continue;
        // Without a connection the others cannot do better.
        if (!done.error().headline.empty() || parsed.args.size() == 1)
            return done.error();
        static_cast<void>(context.flush());
        context.report(done.error());
        code = kExitFailed;
    }
    return code;
}

Outcome<int> number_option(const Parsed& parsed, const std::string& name, int low, int high,
                           int fallback) {
    if (!parsed.has(name))
        return fallback;
    const std::string text = parsed.value(name);
    auto number = parse_number(text, low, high, name);
    if (!number)
        return usage_error(fmt::format("--{} {}: expected a number from {} to {}", name,
                                       terminal_safe(text), low, high));
    return static_cast<int>(*number);
}

void print_result(Context& context, std::string_view line, const nlohmann::json& data) {
    if (context.json())
        context.print_json(data);
    else
        context.print_line(line);
}

std::string in_quotes(std::string_view name) {
    return fmt::format("\"{}\"", terminal_safe(name));
}

}  // namespace raind::cli

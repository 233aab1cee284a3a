#include "droplet/arguments.h"

#include <algorithm>
#include <charconv>

namespace raind::droplet {

namespace {

const OptionSpec* find_long(std::span<const OptionSpec> table, std::string_view name) {
    const auto it = std::ranges::find(table, name, &OptionSpec::name);
    return it == table.end() ? nullptr : &*it;
}

const OptionSpec* find_short(std::span<const OptionSpec> table, char letter) {
    const auto it = std::ranges::find(table, letter, &OptionSpec::letter);
    return it == table.end() || letter == 0 ? nullptr : &*it;
}

Error usage(const std::string& text) {
    return Error(Errc::InvalidArgument, text);
}

bool is_true(std::string_view text) {
    return text == "true" || text == "1";
}
bool is_false(std::string_view text) {
    return text == "false" || text == "0";
}

}  // namespace

std::string Arguments::value(std::string_view name, std::string_view fallback) const {
    const auto it = values_.find(std::string(name));
    return it == values_.end() ? std::string(fallback) : it->second.back();
}

std::vector<std::string> Arguments::list(std::string_view name) const {
    const auto it = values_.find(std::string(name));
    return it == values_.end() ? std::vector<std::string>() : it->second;
}

Result<Arguments> Arguments::parse(std::span<const std::string_view> words,
                                   std::span<const OptionSpec> table, Mixing mixing) {
    Arguments out;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string_view word = words[i];
        const bool option = word.size() > 1 && word[0] == '-';
        if (!option || word == "--") {
            const std::size_t skip = word == "--" ? 1 : 0;
            if (skip == 1 || mixing == Mixing::StopAtWord) {
                out.words_.insert(out.words_.end(), words.begin() + static_cast<long>(i + skip),
                                  words.end());
                return out;
            }
            out.words_.push_back(word);
            continue;
        }
        const auto equals = word.find('=');
        const bool is_long = word[1] == '-';
        const std::string shown(word.substr(0, equals));
        const OptionSpec* known =
            is_long
                ? find_long(table,
                            word.substr(2, equals == std::string_view::npos ? equals : equals - 2))
                : find_short(table, word[1]);
        if (known == nullptr)
            return usage("unknown option " + shown);
        std::string_view attached;
        bool has_attached = false;
        if (is_long && equals != std::string_view::npos) {
            attached = word.substr(equals + 1);
            has_attached = true;
        } else if (!is_long && word.size() > 2) {
            if (known->kind == OptionKind::Flag)
                return usage("unknown option " + shown);
            attached = word.substr(word[2] == '=' ? 3 : 2);
            has_attached = true;
        }
        auto& values = out.values_[std::string(known->name)];
        if (known->kind == OptionKind::Flag) {
            if (has_attached && !is_true(attached) && !is_false(attached))
                return usage(shown + " takes no value");
            if (has_attached && is_false(attached))
                out.values_.erase(std::string(known->name));
            continue;
        }
        if (!has_attached && ++i == words.size())
            return usage(shown + " needs a value");
        values.emplace_back(has_attached ? attached : words[i]);
    }
    return out;
}

Result<int> parse_number(std::string_view option, const std::string& text, int low, int high) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < low || value > high)
        return Error(Errc::InvalidArgument,
                     "--" + std::string(option) + ": expected a whole number from " +
                         std::to_string(low) + " to " + std::to_string(high));
    return value;
}

}  // namespace raind::droplet

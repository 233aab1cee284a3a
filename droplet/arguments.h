// A table-driven reader of command lines. It makes no decisions: options of the table, then words.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "raind/result.h"

namespace raind::droplet {

enum class OptionKind { Flag, Value, List };

struct OptionSpec {
    std::string_view name;  // "bundle"
    char letter;            // 'b', 0: none
    OptionKind kind;
    std::string_view help;
};

// Where the options end: at the first word (global options, exec after its ID), or nowhere before
// "--".
enum class Mixing { StopAtWord, Free };

class Arguments {
  public:
    // Reads until the end, until "--", or until a word where that ends the options.
    static Result<Arguments> parse(std::span<const std::string_view> words,
                                   std::span<const OptionSpec> table, Mixing mixing);

    bool flag(std::string_view name) const { return values_.contains(std::string(name)); }
    std::string value(std::string_view name, std::string_view fallback = {}) const;
    std::vector<std::string> list(std::string_view name) const;
    const std::vector<std::string_view>& words() const { return words_; }

  private:
    std::map<std::string, std::vector<std::string>> values_;
    std::vector<std::string_view> words_;
};

// A whole number within bounds, for an option's value.
Result<int> parse_number(std::string_view option, const std::string& text, int low, int high);

}  // namespace raind::droplet

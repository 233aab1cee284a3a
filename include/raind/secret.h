// A text that must reach neither log, record, error nor listing. Nothing formats or prints it: who
// needs the text says so by reveal(). Plain value.
#pragma once

#include <string>
#include <utility>

namespace raind {

class Secret {
  public:
    Secret() = default;
    explicit Secret(std::string text) : text_(std::move(text)) {}

    const std::string& reveal() const { return text_; }
    bool empty() const { return text_.empty(); }
    bool operator==(const Secret&) const = default;

  private:
    std::string text_;
};

}  // namespace raind

// JsonWriter appends the members of one record to a string, without a tree and without exceptions.
//
// Values are escaped by append_json_escaped, so whatever bytes a name has, the record is valid
// UTF-8 on one line. One record, one writer, one thread; the caller keeps begin and end in balance.
#pragma once

#include <array>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include "userspace/common/text.h"

namespace raind::flow {

class JsonWriter {
  public:
    explicit JsonWriter(std::string& out) : out_(out) { open(); }

    void begin(std::string_view name) {
        key(name);
        open();
    }
    void end() {
        out_ += '}';
        first_ = false;
    }
    void string(std::string_view name, std::string_view value) {
        key(name);
        out_ += '"';
        append_json_escaped(out_, value);
        out_ += '"';
    }
    // Left out when empty.
    void string_if(std::string_view name, std::string_view value) {
        if (!value.empty())
            string(name, value);
    }
    // For values known to need no escaping: hex, addresses, times, our own names.
    void plain(std::string_view name, std::string_view value) {
        key(name);
        out_ += '"';
        out_ += value;
        out_ += '"';
    }
    void number(std::string_view name, std::uint64_t value) {
        key(name);
        std::array<char, 24> digits{};
        const auto done = std::to_chars(digits.data(), digits.data() + digits.size(), value);
        out_.append(digits.data(), done.ptr);
    }
    void boolean(std::string_view name, bool value) {
        key(name);
        out_ += value ? "true" : "false";
    }

  private:
    void open() {
        out_ += '{';
        first_ = true;
    }
    // Names are literals of ours and need no escaping.
    void key(std::string_view name) {
        if (!first_)
            out_ += ',';
        first_ = false;
        out_ += '"';
        out_ += name;
        out_ += "\":";
    }

    std::string& out_;
    bool first_ = true;
};

}  // namespace raind::flow

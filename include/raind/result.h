// Errors as values: Result<T> and Error, used by every program of the tree.
//
// Error is one pointer wide. It holds a code that maps 1:1 to an HTTP status and an exit code, a
// message for people, an optional errno, and the chain of what was being attempted. Result<T> is a
// [[nodiscard]] std::expected<T, Error> with the monadic members that g++ 12 lacks.
#pragma once

#include <cerrno>
#include <cstring>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace raind {

enum class Errc {
    InvalidArgument,  // the caller's input is wrong: 400, exit 1 (usage errors of a CLI: 125)
    Unauthorized,     // no usable client certificate: 401
    Forbidden,        // known, but not allowed: 403
    NotFound,         // 404
    AlreadyExists,    // 409
    Conflict,         // not possible in the present state: 409
    TooLarge,         // a limit of the request is exceeded: 413
    Unsupported,      // known, but not here: 501
    Unavailable,      // something outside (registry, kernel feature, peer) did not answer: 502
    Exhausted,        // no room: addresses, map entries, disk: 507
    Internal,         // everything else: 500
};

// The HTTP status an error becomes at the API.
constexpr int http_status(Errc code) {
    switch (code) {
        case Errc::InvalidArgument:
            return 400;
        case Errc::Unauthorized:
            return 401;
        case Errc::Forbidden:
            return 403;
        case Errc::NotFound:
            return 404;
        case Errc::AlreadyExists:
        case Errc::Conflict:
            return 409;
        case Errc::TooLarge:
            return 413;
        case Errc::Unsupported:
            return 501;
        case Errc::Unavailable:
            return 502;
        case Errc::Exhausted:
            return 507;
        case Errc::Internal:
            break;
    }
    return 500;
}

class [[nodiscard]] Error {
  public:
    Error(Errc code, std::string message, int os_error = 0)
        : state_(std::make_unique<State>(State{code, os_error, std::move(message)})) {}
    Error(const Error& other) : state_(std::make_unique<State>(*other.state_)) {}
    Error(Error&&) noexcept = default;
    Error& operator=(const Error& other) {
        if (this != &other)
            state_ = std::make_unique<State>(*other.state_);
        return *this;
    }
    Error& operator=(Error&&) noexcept = default;
    ~Error() = default;

    Errc code() const { return state_->code; }
    int os_error() const { return state_->os_error; }
    // The whole text, outermost context first: "attempt: attempt: cause".
    const std::string& message() const { return state_->message; }

    // Adds what was being attempted in front of the message.
    Error context(std::string_view what) && {
        state_->message.insert(0, ": ").insert(0, what);
        return std::move(*this);
    }
    Error with_code(Errc code) && {
        state_->code = code;
        return std::move(*this);
    }

  private:
    struct State {
        Errc code;
        int os_error;
        std::string message;
    };
    std::unique_ptr<State> state_;
};

// "what: strerror(err)", the code chosen from the errno.
inline Error os_error(std::string_view what, int err = errno) {
    Errc code = Errc::Internal;
    if (err == ENOENT)
        code = Errc::NotFound;
    else if (err == EEXIST)
        code = Errc::AlreadyExists;
    else if (err == ENOSPC || err == ENOMEM || err == EMFILE || err == ENFILE)
        code = Errc::Exhausted;
    return Error(code, std::string(what) + ": " + std::strerror(err), err);
}

template <typename T>
class [[nodiscard]] Result : public std::expected<T, Error> {
  public:
    using Base = std::expected<T, Error>;
    using Base::Base;
    Result(Error error) : Base(std::unexpected(std::move(error))) {}  // NOLINT: by design implicit

    Result context(std::string_view what) && {
        if (!this->has_value())
            this->error() = std::move(this->error()).context(what);
        return std::move(*this);
    }
    template <typename F>
    auto transform(F&& f) && {
        using U = std::invoke_result_t<F, T&&>;
        if (!this->has_value())
            return Result<U>(std::move(this->error()));
        return Result<U>(std::forward<F>(f)(std::move(**this)));
    }
    template <typename F>
    auto and_then(F&& f) && -> std::invoke_result_t<F, T&&> {
        if (!this->has_value())
            return std::move(this->error());
        return std::forward<F>(f)(std::move(**this));
    }
};

template <>
class [[nodiscard]] Result<void> : public std::expected<void, Error> {
  public:
    using Base = std::expected<void, Error>;
    using Base::Base;
    Result(Error error) : Base(std::unexpected(std::move(error))) {}  // NOLINT: by design implicit

    Result context(std::string_view what) && {
        if (!this->has_value())
            this->error() = std::move(this->error()).context(what);
        return std::move(*this);
    }
};

using Status = Result<void>;

}  // namespace raind

#define RAIND_CONCAT_INNER(a, b) a##b
#define RAIND_CONCAT(a, b) RAIND_CONCAT_INNER(a, b)

// RAIND_TRY(auto x, f()): x is the value, or the enclosing function returns the error.
#define RAIND_TRY(lhs, ...) \
    RAIND_TRY_IMPL(RAIND_CONCAT(raind_result_, __COUNTER__), lhs, __VA_ARGS__)
#define RAIND_TRY_IMPL(tmp, lhs, ...)  \
    auto&& tmp = (__VA_ARGS__);        \
    if (!tmp.has_value())              \
        return std::move(tmp.error()); \
    lhs = std::move(*tmp)

// RAIND_CHECK(f()): the enclosing function returns the error of f(), if it has one.
#define RAIND_CHECK(...) RAIND_CHECK_IMPL(RAIND_CONCAT(raind_check_, __COUNTER__), __VA_ARGS__)
#define RAIND_CHECK_IMPL(tmp, ...)                      \
    do {                                                \
        if (auto tmp = (__VA_ARGS__); !tmp.has_value()) \
            return std::move(tmp.error());              \
    } while (false)

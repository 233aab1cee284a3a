#include "cli/login_prompt.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <termios.h>
#include <unistd.h>

namespace raind::cli {

namespace {

constexpr std::size_t kMaxInput = 64U << 10;

// Blocks the signals that would end the program between switching echo off and on again: they come
// through when the terminal is as it was. Ctrl-C is seen as a character meanwhile.
class QuietTerminal {
  public:
    QuietTerminal() {
        if (::tcgetattr(STDIN_FILENO, &before_) != 0)
            return;
        sigset_t signals;
        sigemptyset(&signals);
        for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP})
            sigaddset(&signals, number);
        ::sigprocmask(SIG_BLOCK, &signals, &mask_);
        termios quiet = before_;
        quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO | ISIG);
        quiet.c_lflag |= ICANON;
        quiet.c_cc[VEOL] = kInterrupt;  // Ctrl-C ends the line at once
        active_ = ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) == 0;
    }
    ~QuietTerminal() {
        if (active_)
            ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
        ::sigprocmask(SIG_SETMASK, &mask_, nullptr);
    }
    QuietTerminal(const QuietTerminal&) = delete;
    QuietTerminal& operator=(const QuietTerminal&) = delete;
    bool active() const { return active_; }
    static constexpr char kInterrupt = '\x03';

  private:
    termios before_{};
    sigset_t mask_{};
    bool active_ = false;
};

// Up to and without a line break; an error at the end of input before any byte.
Outcome<std::string> read_line() {
    std::string line;
    char c = 0;
    while (line.size() <= kMaxInput) {
        const ssize_t n = ::read(STDIN_FILENO, &c, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || (n == 0 && line.empty()))
            return failure("standard input ended before an answer was given");
        if (n == 0 || c == '\n')
            break;
        if (c == QuietTerminal::kInterrupt)
            return failure("interrupted");
        line += c;
    }
    if (line.size() > kMaxInput)
        return failure("the answer is longer than 64 KiB");
    if (line.ends_with('\r'))
        line.pop_back();
    return line;
}

}  // namespace

bool input_is_terminal() {
    return ::isatty(STDIN_FILENO) == 1;
}

Outcome<std::string> ask_line(const std::string& question) {
    std::fputs(question.c_str(), stderr);
    return read_line();
}

Outcome<Secret> ask_secret(const std::string& question) {
    Outcome<std::string> line =
        failure("the terminal cannot be kept from showing the password", "use --password-stdin");
    {
        const QuietTerminal quiet;
        if (quiet.active()) {
            std::fputs(question.c_str(), stderr);
            line = read_line();
            std::fputs("\n", stderr);
        }
    }
    if (!line)
        return std::move(line.error());
    return Secret(std::move(*line));
}

Outcome<Secret> read_secret() {
    std::string text;
    char buffer[4096];
    while (text.size() <= kMaxInput + 2) {
        const ssize_t n = ::read(STDIN_FILENO, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failure("standard input cannot be read");
        if (n == 0)
            break;
        text.append(buffer, static_cast<std::size_t>(n));
    }
    if (text.ends_with('\n'))
        text.pop_back();
    if (text.ends_with('\r'))
        text.pop_back();
    if (text.size() > kMaxInput)
        return usage_error("the password on standard input is longer than 64 KiB");
    if (text.find('\n') != std::string::npos)
        return usage_error("the password on standard input has more than one line");
    return Secret(std::move(text));
}

}  // namespace raind::cli

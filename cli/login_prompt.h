// User name and password from where the user gives them: a terminal, or standard input.
#pragma once

#include <string>

#include "raind/secret.h"

#include "cli/outcome.h"

namespace raind::cli {

// True when a person can be asked.
bool input_is_terminal();
// One line of standard input; the question goes to standard error.
Outcome<std::string> ask_line(const std::string& question);
// The same without echo; the terminal is as before afterwards, also after Ctrl-C.
Outcome<Secret> ask_secret(const std::string& question);
// All of standard input without its last line break; refuses more than 64 KiB and several lines.
Outcome<Secret> read_secret();

}  // namespace raind::cli

#!/usr/bin/env python3
"""Commands and options that the documentation shows exist, and the daemon's options are all documented.

Reads README.md and docs: lines of code blocks and code spans that begin with one of the three programs.
"""
import pathlib
import re
import shlex
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from lab import BIN, SOURCE, run  # noqa: E402

OPTION = re.compile(r"^ +((?:-\w, ?)?--[\w-]+(?:, ?-?-[\w-]+)*|-\w)(?: ([A-Z\[][\w\[\]=:]*))?", re.MULTILINE)
COMMAND = re.compile(r"^(?:\$ )?(?:\S*/)?(raind|condenser|droplet)((?: .*)?)$")
NAMES = re.compile(r"--?[\w-]+")
FREE = {"run": 1, "exec": 1}  # positional words after which everything belongs to the container


def help_of(program, *words):
    done = run(BIN / program, *words, "--help", check=False)
    if done.returncode != 0:
        return None
    return {name: bool(value) for options, value in OPTION.findall(done.stdout) for name in NAMES.findall(options)}


def code(text):
    """(line number, code) of code blocks and spans."""
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            inside = not inside
        elif inside:
            yield number, line.strip()
        else:
            for span in re.findall(r"`([^`]+)`", line):
                yield number, span


def words_of(text):
    text = re.split(r"\s#\s|\s[|&;>]|…", text)[0].replace("[", " ").replace("]", " ")
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def unknown_options(words, known, limit):
    position, positional = 0, 0
    while position < len(words):
        word = words[position]
        position += 1
        if word.startswith("-") and len(word) > 1:
            name = word.split("=")[0]
            if name not in known:
                yield name
            elif known[name] and "=" not in word:
                position += 1
        else:
            positional += 1
            if positional == limit:
                return


def check_raind(words):
    """Problems of one command line of raind."""
    top = help_of("raind")
    while words and words[0].startswith("-"):
        name = words.pop(0)
        if name not in top:
            return [f"raind has no option {name}"]
        if top[name] and words:
            words.pop(0)
    path = [w for w in words[:2] if re.fullmatch(r"[a-z][a-z-]*", w)]
    if not path:
        return []
    known = help_of("raind", *path)
    if known is None:
        return [f"no command raind {' '.join(path)}"]
    return [f"raind {' '.join(path)} has no option {name}"
            for name in unknown_options(words[len(path):], known, FREE.get(path[-1]))]


def check(program, words):
    if program == "raind":
        return check_raind(words)
    if program == "condenser":
        return [f"condenser has no option {name}" for name in unknown_options(words, help_of("condenser"), None)]
    commands = re.findall(r"^  (\w+) .*ID|^  (list) ", run(BIN / "droplet", "--help").stdout, re.MULTILINE)
    names = {a or b for a, b in commands}
    return [f"no command droplet {w}" for w in words[:1] if re.fullmatch(r"[a-z]+", w) and w not in names]


def main():
    problems, lines = [], 0
    for path in sorted([SOURCE / "README.md", *(SOURCE / "docs").rglob("*.md")]):
        for number, text in code(path.read_text(encoding="utf-8")):
            found = COMMAND.match(text)
            if not found:
                continue
            lines += 1
            problems += [f"{path.relative_to(SOURCE)}:{number}: {p}" for p in check(found[1], words_of(found[2]))]
    documented = set(re.findall(r"`(--[\w-]+)", (SOURCE / "docs/operator/README.md").read_text(encoding="utf-8")))
    options = {name for name in help_of("condenser") if name.startswith("--")} - {"--help", "--version"}
    problems += [f"docs/operator does not mention condenser {name}" for name in sorted(options - documented)]
    print("\n".join(problems) if problems else f"{lines} command lines agree with the programs")
    return 1 if problems or lines < 20 else 0


sys.exit(main())

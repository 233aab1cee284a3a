#!/usr/bin/env python3
"""The documents agree with the tree and with the programs.

Every relative link in a Markdown file leads to a file (and its #heading), every path of the tree in backticks exists,
every `make` target is there, and every command that begins with raind, condenser or droplet uses verbs and options that
the program's own help knows. Every option of the daemon is in the operator's page. The programs are those of
RAIND_BIN_DIR, else of build/bin, else of build/dev/bin.
"""
import functools
import glob
import os
import re
import shlex
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAMS = ("raind", "condenser", "droplet")
COMMAND = re.compile(r"^(?:\$ )?(?:build/(?:\S*/)?bin/)?(raind|condenser|droplet)(?: |$)(.*)")
TREE_PATH = re.compile(r"^(?:bpf|userspace|droplet|cli|include|tests|cmake|docs|vm)/[\w./*-]*$")
SEPARATORS = set("|&;<>")


class Wrong(Exception):
    pass


def find_programs():
    for folder in (os.environ.get("RAIND_BIN_DIR"), "build/bin", "build/dev/bin"):
        if folder and all(os.access(os.path.join(ROOT, folder, name), os.X_OK) for name in PROGRAMS):
            return os.path.join(ROOT, folder)
    return None


class Help:
    """What a help page says: options (name -> takes a value), commands below, whether options end at the first word."""

    def __init__(self, text):
        self.options, self.commands, self.aliases = {}, set(), set()
        self.stops_at_word = bool(re.search(r"\[COMMAND \[ARG|CONTAINER COMMAND|CMD\.\.\.", text))
        part = ""
        for line in text.splitlines():
            if re.match(r"\S.*:$", line):
                part = line[:-1].lower()
            elif line.startswith("  ") and line.strip():
                self.add_line(part, re.split(r"\s{2,}", line.strip())[0])

    def add_line(self, part, left):
        if "option" in part and left.startswith("-"):
            names = re.findall(r"(?<![\w-])--?[\w-]+", left)
            value = bool(re.sub(r"(?<![\w-])--?[\w-]+", "", left).strip(" ,"))
            self.options.update({name: value for name in names})
        elif part in ("commands", "groups", "commands without a group"):
            self.commands.add(left.split()[0])
        elif part == "aliases":
            self.aliases |= set(left.split(", "))


@functools.cache
def help_of(folder, *words):
    done = subprocess.run([os.path.join(folder, words[0]), *words[1:], "--help"], capture_output=True, text=True,
                          timeout=20, check=False, stdin=subprocess.DEVNULL)
    return Help(done.stdout) if done.returncode == 0 else None


def split_command(text):
    """The words up to a pipe, a redirection or the next command."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    words = []
    try:
        for word in lexer:
            if word and set(word) <= SEPARATORS:
                break
            words.append(word)
    except ValueError as problem:
        raise Wrong(f"not a command line: {problem}") from None
    return words


def check_options(page, words, stops):
    """The words that are no options; an option that the page does not know is wrong."""
    rest = []
    while words:
        word, words = words[0], words[1:]
        if word in ("...", "-h", "--help"):
            continue
        if word == "--":
            return rest + words
        if not word.startswith("-") or word == "-":
            rest.append(word)
            if stops:
                return rest + words
            continue
        name = word.split("=")[0]
        letters = [f"-{letter}" for letter in word[1:]]
        if name not in page.options and all(flag in page.options for flag in letters):
            name = letters[-1]
        if name not in page.options:
            raise Wrong(f"unknown option {name}")
        if page.options[name] and "=" not in word:
            words = words[1:]
    return rest


def check_command(folder, program, text):
    page, shown = help_of(folder, program), [program]
    words = check_options(page, split_command(text), program != "condenser")
    if program == "condenser" and words:
        raise Wrong("condenser takes no words")
    while words and page.commands and not re.match(r"[A-Z<]", words[0]):  # capitals and <...> stand for a word
        shown.append(words[0])
        below = help_of(folder, *shown)
        if below is None or (words[0] not in page.commands and words[0] not in below.aliases):
            raise Wrong(f"unknown command {' '.join(shown)}")
        page = below
        words = check_options(page, words[1:], bool(page.commands) or page.stops_at_word)


def commands_in(text):
    """(line number, program, rest) of each command in fences and in code spans."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
            continue
        for candidate in [line] if fenced else re.findall(r"`([^`]+)`", line):
            found = COMMAND.match(re.split(r"\s+# ", candidate)[0])
            if found:
                yield number, found.group(1), found.group(2)


def slug(heading):
    return re.sub(r"[^\w\- ]", "", heading.strip().lower().replace("`", "")).replace(" ", "-")


def headings(path):
    with open(path, encoding="utf-8") as handle:
        return {slug(line.lstrip("#")) for line in handle if line.startswith("#")}


def wrong_links(path, text):
    for number, line in enumerate(text.splitlines(), 1):
        for target in re.findall(r"\]\(([^)\s]+)\)", line):
            name, _, anchor = target.partition("#")
            there = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
            if re.match(r"[a-z]+:", target):
                continue
            if not os.path.exists(there):
                yield number, f"link to nothing: {target}"
            elif anchor and there.endswith(".md") and anchor not in headings(there):
                yield number, f"no such heading: {target}"


def wrong_names(text, targets):
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        fenced ^= line.lstrip().startswith("```")
        for span in [] if fenced else re.findall(r"`([^`]+)`", line):
            if TREE_PATH.match(span) and not glob.glob(os.path.join(ROOT, span)):
                yield number, f"no such path: {span}"
            target = re.fullmatch(r"make ([a-z-]+)", span)
            if target and target.group(1) not in targets:
                yield number, f"no such target: {span}"


def make_targets():
    with open(os.path.join(ROOT, "Makefile"), encoding="utf-8") as handle:
        return set(re.findall(r"^([a-z-]+):", handle.read(), re.MULTILINE))


def documents():
    for folder, names, files in os.walk(ROOT):
        names[:] = [n for n in names if n not in ("build", ".git")]
        yield from (os.path.join(folder, name) for name in files if name.endswith(".md"))


def missing_options(folder):
    """Options of the daemon that the operator's page does not name."""
    with open(os.path.join(ROOT, "docs/operator/README.md"), encoding="utf-8") as handle:
        named = set(re.findall(r"`(--[\w-]+)", handle.read()))
    known = {name for name in help_of(folder, "condenser").options if name.startswith("--")}
    return sorted(known - named - {"--help", "--version"})


def self_check(folder):
    assert list(wrong_links(os.path.join(ROOT, "README.md"), "[x](no/such.md)")), "a dead link passes"
    assert list(wrong_links(os.path.join(ROOT, "README.md"), "[x](#no-such-heading)")), "a dead heading passes"
    assert list(wrong_names("see `tests/no_such`", set())), "a missing path passes"
    assert list(wrong_names("`make nothing`", {"demo"})), "a missing target passes"
    if folder is None:
        return
    for program, text in (("raind", "container runn x"), ("raind", "policy add --tpye ew"), ("condenser", "--rooot /x"),
                          ("droplet", "creat x"), ("raind", "containers ls"), ("droplet", "list --no-such")):
        try:
            check_command(folder, program, text)
        except Wrong:
            continue
        raise AssertionError(f"{program} {text} passes")
    for program, text in (("raind", "container ps -aq"), ("raind", "container run -d --name a b c --any | wc -l"),
                          ("condenser", "--root /x --remove"), ("droplet", "--root /x kill a KILL")):
        check_command(folder, program, text)


def main():
    folder = find_programs()
    self_check(folder)
    wrong, commands, files, targets = [], 0, 0, make_targets()
    for path in sorted(documents()):
        files += 1
        name = os.path.relpath(path, ROOT)
        with open(path, encoding="utf-8") as handle:
            text = handle.read()
        wrong += [f"{name}:{number}: {what}" for number, what in [*wrong_links(path, text), *wrong_names(text, targets)]]
        for number, program, rest in commands_in(text) if folder else ():
            commands += 1
            try:
                check_command(folder, program, rest)
            except Wrong as problem:
                wrong.append(f"{name}:{number}: {program} {rest}: {problem}")
    wrong += [f"docs/operator/README.md: no {name} of condenser" for name in (missing_options(folder) if folder else ())]
    for line in wrong:
        print(line)
    if wrong or not files:
        return 1
    if folder is None:
        print("SKIP: the programs are not built; links and paths are right")
        return 77
    print(f"docs: {files} pages, {commands} commands")
    return 0


sys.exit(main())

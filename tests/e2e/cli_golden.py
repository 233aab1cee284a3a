#!/usr/bin/env python3
"""Runs the cases of tests/e2e/cli_*.golden against the fake daemon. A case is

    === title
    ok METHOD PATH [DATA]             the daemon answers success with this data
    fail METHOD PATH STATUS MESSAGE   it answers an error envelope
    fake METHOD PATH STATUS TEXT      it answers this text (a JSON string, or plain)
    env NAME=VALUE
    < text                            a line of standard input (none: end of file at once)
    $ raind WORDS                     the command, split as a shell does
    | text, |~ regex                  the lines of standard output, all of them, in order
    ! text, !~ regex                  the same for standard error
    sent METHOD PATH [JSON]           the requests that must have arrived, all, in order
    exit N                            0 if it is not said

{ago:N} in a case is the time N seconds ago, {ago:N:date} its date."""

import datetime
import glob
import json
import os
import re
import shlex
import sys
import tempfile

import cli_support


def stamp(match):
    then = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(
        seconds=int(match.group(1)))
    return then.strftime("%Y-%m-%d" if match.group(2) else "%Y-%m-%dT%H:%M:%S.123456789Z")


def parse(path):
    cases = []
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            line = re.sub(r"\{ago:(\d+)(:date)?\}", stamp, line.rstrip("\n"))
            if line.startswith("=== "):
                cases.append({"title": line[4:], "at": "%s:%d" % (os.path.basename(path), number),
                              "set": [], "env": {}, "stdin": "", "run": None, "out": [], "err": [],
                              "sent": [], "exit": 0})
                continue
            if not line or line.startswith("#"):
                continue
            word, _, rest = line.partition(" ")
            case = cases[-1]
            if word in ("ok", "fail", "fake"):
                case["set"].append((word, rest))
            elif word == "env":
                name, _, value = rest.partition("=")
                case["env"][name] = value
            elif word == "<":
                case["stdin"] += rest + "\n"
            elif word == "$":
                case["run"] = shlex.split(rest)[1:]
            elif word in ("|", "|~"):
                case["out"].append((word == "|~", rest))
            elif word in ("!", "!~"):
                case["err"].append((word == "!~", rest))
            elif word == "sent":
                case["sent"].append(rest)
            elif word == "exit":
                case["exit"] = int(rest)
            else:
                sys.exit("%s:%d: not understood: %s" % (path, number, line))
    return cases


def prepare(daemon, case):
    daemon.reset()
    for word, rest in case["set"]:
        method, path, *more = rest.split(" ", 2 if word == "ok" else 3)
        if word == "ok":
            daemon.ok(method, path, json.loads(more[0]) if more else None)
        elif word == "fail":
            daemon.set(method, path, int(more[0]), json.dumps(
                {"status": "fail", "message": json.loads(more[1]) if more[1][0] == '"' else more[1],
                 "request_id": "req-1"}))
        else:
            text = more[1]
            daemon.set(method, path, int(more[0]), json.loads(text) if text[0] == '"' else text)


def compare(what, expected, got):
    lines = got.split("\n")
    problems = []
    if lines[-1] == "":
        lines.pop()
    for i in range(max(len(expected), len(lines))):
        if i >= len(expected):
            problems.append("%s: unexpected line %r" % (what, lines[i]))
        elif i >= len(lines):
            problems.append("%s: missing line %r" % (what, expected[i][1]))
        else:
            regex, text = expected[i]
            fits = re.fullmatch(text, lines[i]) if regex else text == lines[i]
            if not fits:
                problems.append("%s: line %d\n    expected %r\n    got      %r"
                                % (what, i + 1, text, lines[i]))
    return problems


def compare_sent(expected, requests):
    problems = []
    for i in range(max(len(expected), len(requests))):
        want = expected[i].split(" ", 2) if i < len(expected) else None
        got = requests[i] if i < len(requests) else None
        if want is None or got is None or want[:2] != list(got[:2]):
            problems.append("sent: expected %r, got %r" % (want, got))
        elif len(want) == 3 and json.loads(want[2]) != json.loads(got[2] or "null"):
            problems.append("sent: body of %s %s\n    expected %s\n    got      %s"
                            % (got[0], got[1], want[2], got[2]))
    return problems


def check(daemon, case):
    prepare(daemon, case)
    done = daemon.run(*case["run"], stdin=case["stdin"].encode(), environment=case["env"])
    root = daemon.root
    out = done.stdout.decode("utf-8", "backslashreplace").replace(root, "ROOT")
    err = done.stderr.decode("utf-8", "backslashreplace").replace(root, "ROOT")
    problems = compare("stdout", case["out"], out) + compare("stderr", case["err"], err)
    problems += compare_sent(case["sent"], daemon.requests)
    if done.returncode != case["exit"]:
        problems.append("exit: expected %d, got %d" % (case["exit"], done.returncode))
    return problems


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    paths = sys.argv[1:] or sorted(glob.glob(os.path.join(here, "cli_*.golden")))
    failed = count = 0
    with tempfile.TemporaryDirectory(prefix="raind-cli-") as folder:
        daemon = cli_support.FakeDaemon(cli_support.Pki(folder), folder)
        try:
            for path in paths:
                for case in parse(path):
                    count += 1
                    problems = check(daemon, case)
                    if problems:
                        failed += 1
                        print("FAILED %s %s" % (case["at"], case["title"]))
                        print("  " + "\n  ".join(problems))
        finally:
            daemon.stop()
    print("%d cases, %d failed" % (count, failed))
    return 1 if failed or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())

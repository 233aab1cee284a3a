#!/usr/bin/env python3
"""vm/run and vm/shell do what their page says: exit codes, output, isolation, disk, death, time limit, terminal."""
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "vm" / "lib"))
import kernel  # noqa: E402

KERNEL = os.environ.get("RAIND_VM_KERNEL", "6.12")
BYTES = bytes(range(256)) + b"\r\n\x11\x13\xff\x00" * 4
BIG = 5_000_000

# What the first guest is asked to do: it sees the tree, and its writes stay inside it.
INSIDE = """
cat "$1/bytes"; head -c {big} /dev/zero; echo
uname -r; pwd; echo "env:$IN_VM:$RAIND_VM_TEST:$SECRET:$HOME"; wc -c </dev/stdin
ls /sys/class/net; cat /sys/module/apparmor/parameters/enabled; stat -f -c %T /sys/fs/cgroup
cat /sys/fs/cgroup/cgroup.subtree_control
echo lost >"$1/lost"; chown 1234:5678 "$1/shared" && echo kept >"$1/shared/kept"; setcap cap_net_raw+ep "$1/shared/kept"
echo survived >/var/lib/raind/mark; sync
echo "to standard error" >&2; kill -9 $$
"""


# Tests of a suite; the last one leaves somebody behind who makes the kernel warn once no test runs any more.
SUITE = """
cmake_minimum_required(VERSION 3.20)
project(suite NONE)
enable_testing()
add_test(NAME quiet COMMAND true)
add_test(NAME announces COMMAND sh -c "echo 'expected kernel warning: 0 wanted'; echo '<4>WARNING: CPU: 0 wanted' >/dev/kmsg")
add_test(NAME surprises COMMAND sh -c "echo '<4>WARNING: CPU: 0 surprise' >/dev/kmsg")
add_test(NAME leaves COMMAND sh -c
  "(while test -d /proc/$PPID; do :; done; echo '<4>WARNING: f.c:1 at f+0x1/0x2, CPU#0: late/1' >/dev/kmsg) &")
set_tests_properties(quiet announces surprises leaves PROPERTIES WORKING_DIRECTORY /)
"""


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


def matrix():
    """The series of vm/kernels, read otherwise than vm/run does."""
    return " ".join(re.findall(r"^[ \t]*([^#\s]+)", (SOURCE / "vm/kernels").read_text(), re.MULTILINE))


class Run:
    """One guest in the background."""

    def __init__(self, *words, cwd=SOURCE, **variables):
        self.process = subprocess.Popen(
            [SOURCE / "vm/run", "--kernel", KERNEL, *map(str, words)], cwd=cwd, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ, **variables))

    def end(self):
        out, err = self.process.communicate(timeout=400)
        return self.process.returncode, out, err.decode(errors="replace")


class Shell:
    """vm/shell and its terminal, which has a size of its own."""

    def __init__(self, *words):
        self.person, self.terminal = pty.openpty()
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
        self.before = termios.tcgetattr(self.terminal)
        self.process = subprocess.Popen([SOURCE / "vm/shell", "--kernel", KERNEL, *words], cwd=SOURCE, stdin=self.terminal,
                                        stdout=self.terminal, stderr=self.terminal, start_new_session=True)
        self.seen = b""

    def until(self, text, seconds=120):
        end = time.monotonic() + seconds
        while text not in self.seen:
            readable = select.select([self.person], [], [], 0.2)[0]
            expect(time.monotonic() < end and (readable or self.process.poll() is None), f"no {text!r} in {self.seen[-500:]!r}")
            if readable:
                self.seen += os.read(self.person, 4096)

    def type(self, text):
        os.write(self.person, text)

    def end(self):
        """The exit code, and whether the terminal is as it was before."""
        return self.process.wait(timeout=60), termios.tcgetattr(self.terminal) == self.before

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
        os.close(self.person)
        os.close(self.terminal)


def leftovers():
    """Processes of a run that outlived it."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            if os.path.basename(words[0]) in (b"qemu-system-x86_64", b"virtiofsd") and parent == 1:
                found.append(f"{entry.name} {words[0].decode()}")
    return found


def wait_folder(run):
    """The folder of a run, once its guest is being started."""
    runs = pathlib.Path(os.environ.get("RAIND_TESTBED_CACHE") or "/var/cache/raind-vm") / "runs"
    end = time.monotonic() + 60
    while time.monotonic() < end and run.process.poll() is None:
        for folder in runs.glob(f"{run.process.pid}-*/qemu.log"):
            return folder.parent
        time.sleep(0.05)
    raise AssertionError(f"no folder of a run: {run.process.poll()}")


class Cases:
    def __init__(self, folder):
        self.folder = folder
        self.disk = folder / "disk"
        (folder / "shared").mkdir()
        (folder / "bytes").write_bytes(BYTES)

    def case_usage(self):
        for words, code, text in (
                (["vm/run", "--kernel", KERNEL], 2, "no command"),
                (["vm/run", "--bogus", "--", "true"], 2, "unrecognized"),
                (["vm/shell", "--", "true"], 2, "vm/shell takes no command"),
                (["vm/run", "--kernel", "6.99", "--", "true"], 125, f"vm: no kernel package for 6.99 (matrix: {matrix()})\n")):
            done = subprocess.run(words, cwd=SOURCE, capture_output=True, text=True, check=False)
            expect(done.returncode == code and text in done.stderr, f"{words}: {done.returncode} {done.stderr!r}")

    def case_paths_that_are_not_there(self):
        """One line each."""
        for option, path in (("--disk", "/nonexistent/d"), ("--console", "/nonexistent/c"), ("--rw", "/nonexistent"), ("--ro", "/nonexistent"),
                             ("--root", "/nonexistent")):
            code, out, err = Run(option, path, "--", "true").end()
            expect((code, out, err) == (125, b"", f"vm: {path}: No such file or directory\n"), f"{option}: {code} {out} {err!r}")
        code, out, err = Run("--", "true", RAIND_TESTBED_CACHE="/dev/null/cache").end()
        expect((code, out, err) == (125, b"", "vm: /dev/null/cache: Not a directory\n"), f"cache: {code} {out} {err!r}")

    def case_nobody_reads(self):
        """Output that nobody reads any more ends the guest, whether more of it comes or not."""
        runs = [Run("--", "sh", "-c", script) for script in ("echo one; yes", "echo one; sleep 1000")]
        try:
            for run in runs:
                expect(run.process.stdout.readline() == b"one\n", "no output")
                run.process.stdout.close()
                expect(run.process.wait(timeout=20) == 141, f"exit code {run.process.returncode}")
                err = run.process.stderr.read()
                expect(err == b"", f"said: {err}")
        finally:
            for run in runs:
                run.process.terminate()
                run.process.wait()
        expect(not leftovers(), f"left: {leftovers()}")

    def case_two_guests(self):
        """One does its work, beside it one that never ends."""
        script = INSIDE.format(big=BIG)
        works = Run("--disk", self.disk, "--ro", self.folder, "--rw", self.folder / "shared", "--", "sh", "-c", script, "sh", self.folder,
                    cwd=SOURCE / "tests", RAIND_VM_TEST="a 'b'", SECRET="no")
        endless = Run("--timeout", 3, "--", "sh", "-c", "echo before; sleep 1000")
        code, out, err = works.end()
        expect(out[:len(BYTES)] == BYTES, f"bytes changed: {out[:300]!r}")
        expect(out[len(BYTES):len(BYTES) + BIG] == bytes(BIG), "output is lost")
        lines = out[len(BYTES) + BIG:].decode().split("\n")[1:]
        expect(code == 137, f"kill -9 gave {code}: {lines} {err}")
        expect(re.fullmatch(re.escape(KERNEL) + r"\.\d+.*-cloud-amd64", lines[0]), f"kernel: {lines[0]}")
        expect(lines[1:5] == [str(SOURCE / "tests"), "env:1:a 'b'::/root", "0", "lo"], f"surroundings: {lines[1:5]}")
        expect(lines[5:7] == ["Y", "cgroup2fs"] and "memory" in lines[7] and "cpuset" in lines[7], f"system: {lines[5:8]}")
        expect(lines[8] == "to standard error", f"standard error: {lines[8:]}")
        expect(not (self.folder / "lost").exists(), "a write reached this machine")
        kept = self.folder / "shared/kept"
        expect(kept.read_text() == "kept\n" and os.stat(self.folder / "shared").st_uid == 1234, "--rw is not written")
        expect(os.getxattr(kept, "security.capability"), "file capabilities are lost")
        code, out, err = endless.end()
        expect((code, out) == (124, b"before\n") and "vm: timed out after 3 s" in err, f"time limit: {code} {out} {err}")

    def case_death(self):
        """The disk is the one of the guest before; the reason of a panic is shown."""
        run = Run("--disk", self.disk, "--", "sh", "-c", "cat /var/lib/raind/mark; sync; echo c >/proc/sysrq-trigger")
        second = Run("--disk", self.disk, "--", "true")
        code, _, err = second.end()
        expect(code == 125 and "lock" in err, f"two guests on one disk: {code} {err}")
        code, out, err = run.end()
        expect(out == b"survived\n", f"the disk is not the one of before: {out} {err}")
        expect(code == 125 and "vm: the guest died" in err, f"panic: {code} {err}")
        expect("Kernel panic - not syncing: sysrq triggered crash" in err, f"the reason is not shown: {err}")

    def case_shell(self):
        """A person's terminal: size, Ctrl-C, exit code, terminal restored; beside it one with a limit of time."""
        limited = Shell("--timeout", "2")
        shell = Shell()
        try:
            shell.until(b"# ")
            shell.type(b"stty size; tty; sh -c 'echo it sleep''s; exec sleep 500'\r")
            shell.until(b"33 101")
            shell.until(b"/dev/hvc0")
            shell.until(b"it sleeps")  # a signal between two commands can be lost
            shell.type(b"\x03")
            shell.type(b"echo an$((6*7))swer\r")
            shell.until(b"an42swer", 60)
            shell.type(b"exit 5\r")
            expect(shell.end() == (5, True), f"exit code, terminal as before: {shell.end()}")
            limited.until(b"vm: timed out after 2 s")
            expect(limited.end() == (124, True), f"exit code, terminal as before: {limited.end()}")
        finally:
            shell.close()
            limited.close()

    def case_suite(self):
        """Warnings of the kernel count: of a test unless it announced them, and after the last test, too."""
        tree = self.folder / "tree"
        tree.mkdir()
        (tree / "CMakeLists.txt").write_text(SUITE)
        subprocess.run(["cmake", "-S", tree, "-B", tree / "build"], check=True, capture_output=True)
        report = tree / "report"
        done = subprocess.run([SOURCE / "tests/vm/suite", "--kernel", KERNEL, "--build", tree / "build", "-R", ".", "--shards", "1", "--timeout", "120",
                               "--report", report],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        expect(report.exists(), f"suite: {done.stdout} {done.stderr}")
        results = {result["name"]: (result["status"], result["reason"]) for result in json.loads(report.read_text())}
        late = results.pop("end_of_guest", ("absent", ""))
        expect(results == {"quiet": ("passed", ""), "announces": ("passed", ""), "surprises": ("failed", "kernel warning: WARNING: CPU: 0 surprise"),
                           "leaves": ("passed", "")}, f"results: {results}")
        expect(late[0] == "failed" and late[1].endswith("WARNING: f.c:1 at f+0x1/0x2, CPU#0: late/1") and done.returncode == 1,
               f"after the last test: {late} {done.returncode}")

    def case_stopped(self):
        """Ended from outside: nothing of it stays, or the next run takes it away, but not what belongs to a run that lives."""
        killed = Run("--", "sleep", "1000")
        of_killed = wait_folder(killed)
        killed.process.kill()
        killed.end()
        run = Run("--", "sleep", "1000")
        try:
            of_run = wait_folder(run)
            self.beside(of_killed, of_run)
        finally:
            run.process.terminate()
            code, _, err = run.end()
        expect(code == 143, f"SIGTERM gave {code}: {err}")
        expect(not leftovers() and not of_run.exists(), f"left: {leftovers()} {of_run}")

    @staticmethod
    def beside(of_killed, of_run):
        """Folders of runs while others start: of one that was killed, of one that lives, of one that is to be kept."""
        expect(not of_killed.exists(), "the folder of the run that was killed is left")
        code, _, err = Run("--keep", "--timeout", 1, "--", "sleep", "1000").end()
        expect(code == 124 and of_run.exists(), f"the folder of a run beside is gone: {code} {err}")
        kept = pathlib.Path(re.search(r"^vm: kept: (.*)$", err, re.MULTILINE).group(1))
        code, _, err = Run("--timeout", 1, "--", "sleep", "1000").end()
        expect(code == 124 and (kept / "console").exists(), f"the folder that was to be kept is gone: {code} {err}")
        shutil.rmtree(kept)


def main():
    if os.geteuid() != 0:
        print("SKIP: needs root")
        return 77
    try:
        kernel.prepare(KERNEL)
    except kernel.Unavailable as reason:
        print(f"SKIP: {reason}")
        return 77
    folder = pathlib.Path(tempfile.mkdtemp(prefix="raind-vm-", dir="/var/tmp"))
    cases, failed = Cases(folder), 0
    try:
        for name in [n for n in vars(Cases) if n.startswith("case_") and (len(sys.argv) < 2 or n[5:] in sys.argv[1:])]:
            began = time.monotonic()
            try:
                getattr(cases, name)()
                print(f"passed: {name[5:]} ({time.monotonic() - began:.0f} s)", flush=True)
            except (AssertionError, OSError, IndexError, subprocess.SubprocessError) as problem:
                failed += 1
                print(f"failed: {name[5:]}: {problem!r}", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


sys.exit(main())

#!/usr/bin/env python3
"""Commands against a real daemon: `container run --rm` that waits gives its exit code and leaves nothing, whatever happens
to the command; `system check` prints what the user's pages show."""
import pathlib
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from lab import BIN, SOURCE, wait_until  # noqa: E402
from slow import limit  # noqa: E402
from suite import Suite, expect, main  # noqa: E402


class Commands(Suite):
    name = "raind-commands"

    def prepare(self):
        self.image = self.lab.make_image()

    def names(self):
        return [line.split()[-1] for line in self.lab.raind("container", "ls").stdout.splitlines()[1:]]

    def start(self, name, *command):
        process = subprocess.Popen(
            [BIN / "raind", "--root", self.lab.root, "container", "run", "--rm", "--name", name, self.image, *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        process.stdout.readline()  # started
        return process

    def case_the_page_shows_what_system_check_prints(self):
        page = (SOURCE / "docs/user/getting-started.md").read_text()
        shown = next(block for block in page.split("```") if "STATUS   CHECK" in block)

        def shape(text):
            """The labels of the head, then the checks; how programs are attached and what is missing is the host's."""
            head, table = text.strip().split("\n\n")
            rows = table.splitlines()
            check, detail = rows[0].index("CHECK"), rows[0].index("DETAIL")
            checks = {row[check:detail].strip() for row in rows}
            ports = next(row[check:].split(maxsplit=1)[1] for row in rows if row[check:].startswith("ports "))
            return [line[:17].strip() for line in head.splitlines()], checks, re.sub("by (tcx|clsact)", "by", ports)
        real = self.lab.raind("system", "check", check=False).stdout
        expect(shape(real) == shape(shown), f"the page has {shape(shown)}, the program {shape(real)}")

    def case_the_exit_code_of_the_shortest_command_arrives_and_its_name_is_free(self):
        for code in range(8):
            done = self.lab.raind("container", "run", "--rm", "--name", "short", self.image, "sh", "-c", f"exit {code}",
                                  check=False)
            expect((done.returncode, done.stderr) == (code, ""), f"{code}: {done}")
            expect(self.names() == [], f"left: {self.names()}")

    def case_a_signal_stops_and_removes(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process = self.start("stopped", "sh", "-c", "trap 'exit 42' TERM; echo ready; while :; do sleep 0.1; done")
            wait_until("the trap is set", lambda: "ready" in self.lab.raind("container", "logs", "stopped").stdout)
            process.send_signal(number)
            out, errors = process.communicate(timeout=limit(30))
            expect((process.returncode, errors) == (42, ""), f"{process.returncode} {out} {errors}")
            expect(self.names() == [], f"left: {self.names()}")

    def case_the_command_is_killed_and_the_container_goes_at_its_end(self):
        process = self.start("orphan", "sleep", "8")
        process.kill()
        process.communicate()
        expect(self.names() == ["orphan"], "it does not outlive its command")
        wait_until("the container is removed", lambda: self.names() == [], 30)

    def case_the_daemon_is_killed_and_the_next_one_removes(self):
        process = self.start("between", "sleep", "1")
        self.lab.kill_daemon()
        expect(process.wait(timeout=limit(30)) == 125, "the lost daemon is told")
        process.communicate()
        time.sleep(2)
        self.lab.start()
        expect(self.names() == [], f"left: {self.names()}")
        expect(not list((self.lab.root / "etc/raind/container").glob("*")), "folders are left")


main(Commands())

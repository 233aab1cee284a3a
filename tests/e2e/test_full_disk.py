#!/usr/bin/env python3
"""No room on the disk: a clear error, the old state, the old policy; all goes on when room returns, without a restart."""
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from agreement import containers, disagreements, kernel_policies, policies  # noqa: E402
from lab import Failure, run, wait_until  # noqa: E402
from suite import Suite, expect, main  # noqa: E402

SIZE = 96 << 20


class FullDisk(Suite):
    name = "raind-full"

    def __init__(self):
        super().__init__()
        # The instance's state on a file system of its own; what the test needs besides stays outside.
        if os.geteuid() != 0:
            return
        self.filler = self.lab.root / "filler"
        self.lab.root.mkdir(parents=True)
        run("mount", "-t", "tmpfs", "-o", f"size={SIZE}", "raind-test", self.lab.root)

    def prepare(self):
        self.image = self.lab.make_image()
        for name in ("a", "b"):
            self.lab.raind("container", "run", "-d", "--name", name, self.image, "probe", "serve", "--tcp", "80", "--tcp", "81")
        self.lab.raind("policy", "add", "--type", "ew", "-s", "a", "-d", "b", "-p", "tcp", "--dport", "80")
        self.lab.raind("policy", "commit", "--yes")
        self.lab.raind("container", "create", "--name", "waits", self.image, "probe", "sleep", "1000")
        self.address = self.lab.inspect("b")["address"]

    def fill(self):
        with open(self.filler, "wb") as out:
            for size in (1 << 20, 1 << 16, 4096, 1):
                try:
                    while True:
                        os.write(out.fileno(), b"x" * size)
                except OSError:
                    pass

    def enforced(self):
        for port, wanted in (("80", 0), ("81", 1)):
            done = run("nsenter", "-t", self.lab_pid, "-n", "-m", "/bin/probe", "tcp", self.address, port, "--timeout", "700", check=False)
            expect(done.returncode == wanted, f"port {port}: {done.stdout}{done.stderr}")

    @property
    def lab_pid(self):
        return self.lab.inspect("a")["pid"]

    def agree(self):
        try:
            wait_until("agreement", lambda: not disagreements(self.lab), 5, 0.3)
        except Failure:
            raise Failure("; ".join(disagreements(self.lab))) from None

    def lists(self):
        return sorted((c["name"], c["state"], c["address"]) for c in containers(self.lab)), policies(self.lab), kernel_policies(self.lab)

    def case_changes_are_refused_and_nothing_changes(self):
        before = self.lists()
        self.fill()
        try:
            for words in (("container", "create", "--name", "new", self.image), ("policy", "add", "--type", "ew", "-s", "b", "-d", "a"),
                          ("image", "pull", self.image.replace(":1", ":none")), ("policy", "ns-mode", "enforce")):
                done = self.lab.raind(*words, check=False)
                errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
                expect(done.returncode != 0 and len(errors) == 1, f"{' '.join(words)}: {done.returncode} {done.stdout}{done.stderr}")
                print(f"  raind {' '.join(words[:2])}: {errors[0][:140]}")
            now = self.lists()
            expect(now == before, f"changed: {now} instead of {before}")
            self.enforced()
        finally:
            self.filler.unlink()
        expect(self.lists() == before, "changed when room returned")

    def case_all_goes_on_when_room_returns(self):
        self.lab.raind("container", "run", "-d", "--name", "later", self.image, "probe", "sleep", "1000")
        self.lab.raind("container", "start", "waits")
        self.lab.raind("policy", "add", "--type", "ew", "-s", "later", "-d", "b", "-p", "tcp", "--dport", "81")
        self.lab.raind("policy", "commit", "--yes")
        done = self.lab.raind("container", "exec", "later", "probe", "tcp", self.address, "81", check=False)
        expect(done.returncode == 0, f"the new policy: {done.stdout}{done.stderr}")
        self.agree()

    def case_containers_end_while_there_is_no_room(self):
        self.lab.raind("container", "run", "-d", "--name", "ends", self.image, "sh", "-c", "sleep 1; exit 5")
        self.fill()
        try:
            time.sleep(2.5)
            expect(self.lab.daemon.poll() is None, "the daemon has ended")
        finally:
            self.filler.unlink()
        wait_until("its end is known", lambda: self.lab.inspect("ends")["state"] == "stopped", 10)
        expect(self.lab.inspect("ends")["exitCode"] == 5, f"exit code {self.lab.inspect('ends')['exitCode']}")
        self.lab.raind("container", "rm", "ends")
        self.agree()

    def case_a_daemon_starts_without_room_and_opens_nothing(self):
        before = self.lists()
        self.lab.kill_daemon()
        self.fill()
        try:
            self.lab.start(10)
            refused = self.lab.raind("policy", "add", "--type", "ew", "-s", "a", "-d", "b", check=False)
        finally:
            self.filler.unlink()
        expect(refused.returncode != 0 and "No space left" in refused.stderr, f"no clear error: {refused}")
        expect(self.lists() == before, f"{self.lists()} instead of {before}")
        self.enforced()
        self.agree()

    def close(self):
        """The lab cannot take away a mount point: it ends everything first, then the mount goes, then the rest."""
        self.filler.unlink(missing_ok=True)
        problems = self.lab.close()
        run("umount", self.lab.root, check=False)
        return problems + super().close()


if tuple(int(word) for word in os.uname().release.split(".")[:2]) < (6, 3):
    print("SKIP: a tmpfs cannot be id-mapped before kernel 6.3")
    sys.exit(77)
main(FullDisk())

#!/usr/bin/env python3
"""What others take away from a running instance is put back within 5 s, with an alarm, and opens nothing."""
import json
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from lab import ATTACH, Failure, Lab, run, wait_until  # noqa: E402


class Watchdog:
    def __init__(self, lab):
        self.lab = lab
        self.image = lab.make_image()
        for name in ("a", "b"):
            lab.raind("container", "run", "-d", "--name", name, self.image, "probe", "serve", "--tcp", "80", "--tcp", "81")
        lab.raind("policy", "add", "--type", "ew", "-s", "a", "-d", "b", "-p", "tcp", "--dport", "80")
        lab.raind("policy", "commit", "--yes")
        self.port = lab.inspect("a")["hostInterface"]
        self.address = lab.inspect("b")["address"]

    def alarms(self):
        return (self.lab.dir / "condenser.log").read_text().count("alarm: ")

    def reaches(self, port):
        return self.lab.raind("container", "exec", "a", "probe", "tcp", self.address, port, "--timeout", "500",
                              check=False).returncode == 0

    def damage(self, what, action):
        before = self.alarms()
        action()
        began = time.monotonic()
        wait_until(f"{what}: put back", lambda: self.alarms() > before, 5)
        time.sleep(0.2)
        if not self.reaches("80"):
            raise Failure(f"{what}: the permitted connection does not work afterwards")
        if self.reaches("81"):
            raise Failure(f"{what}: a connection without a policy got through")
        print(f"passed: {what}: put back after {time.monotonic() - began:.1f} s")

    def ip(self, *words):
        return lambda: run("ip", "-n", self.lab.netns, *words)

    def remove_pins(self):
        for pin in (self.lab.bpffs / "raind/v1/links").glob(self.port + "*"):
            pin.unlink()

    def remove_pin_folder(self):
        links = self.lab.bpffs / "raind/v1/links"
        for pin in links.iterdir():
            pin.unlink()
        links.rmdir()

    def check_fails_while_it_cannot_be_put_back(self):
        """`system check` goes by the containers: programs that are gone for good do not count as nothing to do."""
        links = self.lab.bpffs / "raind/v1/links"
        self.remove_pin_folder()
        links.symlink_to("maps")
        if self.filters("ingress"):  # by clsact the programs stay on; take them off
            run("tc", "-n", self.lab.netns, "qdisc", "del", "dev", self.port, "clsact")
        check = lambda: self.lab.raind("system", "check", check=False)  # noqa: E731
        wait_until("the check fails", lambda: check().returncode == 1 and "programs missing" in check().stdout, 5)
        if self.reaches("80") or self.reaches("81"):
            raise Failure("a port without programs lets packets through")
        links.unlink()
        wait_until("the check passes again", lambda: check().returncode == 0, 10)
        if not self.reaches("80") or self.reaches("81"):
            raise Failure("the policy is not in force afterwards")
        print("passed: system check fails while it cannot be put back")

    def filters(self, direction):
        return json.loads(run("tc", "-j", "-n", self.lab.netns, "filter", "show", "dev", self.port, direction).stdout)

    def program_cases(self):
        """By clsact nothing that is pinned keeps a program on its port: it is taken off otherwise."""
        if not self.filters("ingress"):
            return []
        tc = ("tc", "-n", self.lab.netns)
        return [
            ("queueing discipline deleted", lambda: run(*tc, "qdisc", "del", "dev", self.port, "clsact")),
            ("filter deleted", lambda: run(*tc, "filter", "del", "dev", self.port, "egress")),
        ]

    def cases(self):
        return self.program_cases() + [
            ("guard table deleted", lambda: run("ip", "netns", "exec", self.lab.netns, "nft", "delete", "table", "inet",
                                                "raind_guard")),
            ("guard table flushed", lambda: run("ip", "netns", "exec", self.lab.netns, "nft", "flush", "table", "inet",
                                                "raind_guard")),
            ("port no longer isolated", self.ip("link", "set", self.port, "type", "bridge_slave", "isolated", "off")),
            ("programs unpinned", self.remove_pins),
            ("folder of pins removed", self.remove_pin_folder),
            ("neighbour entry deleted", self.ip("neigh", "del", self.lab.inspect("a")["address"], "dev", "raind0")),
            ("port taken off the bridge", self.ip("link", "set", self.port, "nomaster")),
            ("port set down", self.ip("link", "set", self.port, "down")),
            ("port deleted", self.ip("link", "del", self.port)),
        ]


def main():
    if os.geteuid() != 0:
        print("SKIP: needs root")
        return 77
    # The kernel takes tcx from 6.6 on.
    if ATTACH == "clsact" and tuple(int(word) for word in os.uname().release.split(".")[:2]) < (6, 6):
        print("SKIP: this kernel has clsact only: the test without this choice is the same")
        return 77
    lab = Lab(f"raind-wd-{os.getpid()}")
    lab.prepare()
    failed, passed = [], 0
    try:
        lab.start()
        watchdog = Watchdog(lab)
        for what, action in watchdog.cases():
            try:
                watchdog.damage(what, action)
                passed += 1
            except Failure as problem:
                failed.append(str(problem))
        try:
            watchdog.check_fails_while_it_cannot_be_put_back()
            passed += 1
        except Failure as problem:
            failed.append(str(problem))
    finally:
        failed += lab.close()
        wait_until("all is removed", lambda: not lab.leftovers(), 10)
    for text in failed:
        print(f"failed: {text}")
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed or not passed else 0


sys.exit(main())

#!/usr/bin/env python3
"""Limits that really limit: memory kills, processes are refused, processor time is throttled."""
import json
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from lab import cgroup2_mount, wait_until  # noqa: E402
from suite import IN_GUEST, Suite, expect, main, skip  # noqa: E402

MIB = 1 << 20
# One buffer of 200 MiB, filled; exec, so that it is the first process that is killed.
EAT = "echo begins; exec dd if=/dev/zero of=/dev/null bs=200M count=1"


class Limits(Suite):
    name = "raind-limits"

    def prepare(self):
        print("expected kernel warning: Call Trace")  # of a process that the kernel kills for its memory
        self.image = self.lab.make_image()

    def controllers(self):
        """What the host has; what the daemon makes of it is looked at by the limits."""
        return set((cgroup2_mount() / "cgroup.controllers").read_text().split())

    def run_one(self, *options, command=("probe", "sleep", "1000")):
        self.lab.raind("container", "run", "-d", "--name", "one", *options, self.image, *command)
        return self.lab.inspect("one")

    def remove(self):
        self.lab.raind("container", "stop", "one", check=False)
        self.lab.raind("container", "rm", "one", check=False)

    def group(self, container):
        return cgroup2_mount() / self.lab.cgroup.strip("/") / container["containerId"]

    def ended(self, seconds=60):
        wait_until("it ends", lambda: self.lab.inspect("one")["state"] == "stopped", seconds)
        return self.lab.inspect("one")

    def need(self, name):
        if name not in self.controllers():
            expect(not IN_GUEST, f"a guest without the {name} controller")
            skip(f"cgroup v2 has no {name} controller here")

    # everywhere

    def case_values_that_make_no_sense_are_refused(self):
        for options, code in ((("-m", "5m"), 125), (("-m", "lots"), 125), (("--cpus", "0.001"), 125), (("--cpus", "4096"), 125),
                              (("--cpus", "1,5"), 125), (("--pids-limit", "-5"), 125), (("--pids-limit", "4194305"), 125),
                              (("--stop-signal", "NOTHING"), 125), (("--stop-timeout", "-1"), 125)):
            tried = self.lab.raind("container", "run", "-d", "--name", "one", *options, self.image, "true", check=False)
            expect(tried.returncode == code and tried.stderr.count("error:") == 1,
                   f"{options}: exit {tried.returncode}: {tried.stderr}")
        expect("one" not in self.lab.raind("container", "ls").stdout, "a refused container is there")

    def case_a_limit_that_cannot_be_set_is_refused(self):
        for name, options in (("memory", ("-m", "64m")), ("cpu", ("--cpus", "0.5")), ("pids", ("--pids-limit", "9"))):
            if name in self.controllers():
                print(f"  the {name} controller is there: its limit is looked at below")
                continue
            tried = self.lab.raind("container", "run", "-d", "--name", "one", *options, self.image, "true", check=False)
            expect(tried.returncode == 125 and f"no {name} controller" in tried.stderr, f"{options}: {tried.stderr}")
            expect("one" not in self.lab.raind("container", "ls").stdout, "a refused container is there")

    def case_without_a_request_the_defaults_hold(self):
        one = self.run_one()
        wanted = {"memory": ("memory.max", "1073741824", 1 << 30), "cpu": ("cpu.max", "80000 100000", 800_000_000),
                  "pids": ("pids.max", "512", 512)}
        for name, (file, text, shown) in wanted.items():
            key = "nanoCpus" if name == "cpu" else name
            if name not in self.controllers():
                expect(one["limits"][key] is None and any(f"no {name} controller" in w for w in one["warnings"]), f"{one}")
                continue
            expect((self.group(one) / file).read_text().strip() == text, f"{file}: {(self.group(one) / file).read_text()}")
            expect(one["limits"][key] == shown, f"inspect: {one['limits']}")
        self.remove()
        expect(not self.group(one).exists(), "its cgroup is left")

    # where the controllers are

    def case_memory_kills(self):
        self.need("memory")
        one = self.run_one("-m", "50m", command=("sh", "-c", EAT))
        expect(one["limits"]["memory"] == 50 * MIB, f"inspect: {one['limits']}")
        one = self.ended()
        expect(one["exitCode"] == 137 and one["reason"] == "out of memory", f"{one['exitCode']} {one['reason']}")
        logs = self.lab.raind("container", "logs", "one")
        said = logs.stdout + logs.stderr  # dd would count records on standard error
        expect("begins" in said and "records" not in said, f"it went on: {said}")
        self.remove()

    def case_memory_without_a_limit(self):
        self.need("memory")
        one = self.run_one("-m", "0", "--cpus", "0", "--pids-limit", "-1")
        expect(one["limits"] == {"memory": None, "nanoCpus": None, "pids": None}, f"{one['limits']}")
        for file in ("memory.max", "pids.max"):
            expect((self.group(one) / file).read_text().strip() == "max", file)
        self.remove()

    def case_no_swap_beside_the_memory(self):
        self.need("memory")
        one = self.run_one("-m", "64m")
        expect((self.group(one) / "memory.max").read_text().strip() == str(64 * MIB), "memory.max")
        expect((self.group(one) / "memory.swap.max").read_text().strip() == "0", "memory.swap.max")
        self.remove()

    def case_only_the_command_of_an_exec_is_killed(self):
        self.need("memory")
        self.run_one("-m", "50m")
        tried = self.lab.raind("container", "exec", "one", "sh", "-c", EAT, check=False, timeout=120)
        expect(tried.returncode == 137 and "records" not in tried.stderr, f"exec: {tried.returncode} {tried.stderr[-80:]}")
        expect(self.lab.inspect("one")["state"] == "running", "the container ended with it")
        self.remove()

    def case_processes_are_refused(self):
        self.need("pids")
        one = self.run_one("--pids-limit", "12")
        tried = self.lab.raind("container", "exec", "one", "sh", "-c", "for i in $(seq 30); do sleep 20 & done; echo all",
                               check=False)
        said = tried.stdout + tried.stderr
        expect(re.search("can't fork|emporarily", said) and "all" not in tried.stdout, f"forks went through: {said}")
        events = dict(line.split() for line in (self.group(one) / "pids.events").read_text().splitlines())
        expect(int(events["max"]) >= 1, f"pids.events {events}")
        expect(int((self.group(one) / "pids.current").read_text()) <= 12, "more than the limit")
        self.remove()

    def case_processor_time_is_throttled(self):
        self.need("cpu")
        one = self.run_one("--cpus", "0.2", command=("sh", "-c", "while :; do :; done"))
        began, start = self.usage(one), time.monotonic()
        time.sleep(4)
        used, wall = (self.usage(one)["usage_usec"] - began["usage_usec"]) / 1e6, time.monotonic() - start
        throttled = self.usage(one)["nr_throttled"] - began["nr_throttled"]
        print(f"  {used:.2f} s of {wall:.2f} s, {throttled} periods throttled")
        expect(used < 0.3 * wall and throttled >= 10, f"{used:.2f} s in {wall:.2f} s, throttled {throttled}")
        expect((self.group(one) / "cpu.max").read_text().strip() == "20000 100000", "cpu.max")
        self.remove()

    def usage(self, container):
        text = (self.group(container) / "cpu.stat").read_text()
        return {key: int(value) for key, value in (line.split() for line in text.splitlines())}

    def case_limits_hold_again_after_a_restart(self):
        self.need("pids")
        self.run_one("--pids-limit", "33")
        self.lab.raind("container", "stop", "one")
        self.lab.kill_daemon()
        self.lab.start()
        self.lab.raind("container", "start", "one")
        one = self.lab.inspect("one")
        expect((self.group(one) / "pids.max").read_text().strip() == "33", "pids.max after a restart")
        expect(json.dumps(one["limits"]["pids"]) == "33", f"{one['limits']}")
        self.remove()


main(Limits())

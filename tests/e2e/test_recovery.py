#!/usr/bin/env python3
"""kill -9 of the daemon at any moment: what was acknowledged is there, what was not is whole or gone, nothing leaks."""
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import lab as lab_module  # noqa: E402
from lab import cgroup2_mount, run, wait_until  # noqa: E402
from slow import limit  # noqa: E402
from suite import Suite, expect, main  # noqa: E402

ROUNDS = 20
SEED = int(os.environ.get("RAIND_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)


class Recovery(Suite):
    name = "raind-recover"

    def prepare(self):
        print(f"RAIND_SEED={SEED}")
        self.random = random.Random(SEED)
        self.image = self.lab.make_image()
        serve = ["probe", "serve", "--tcp", "80", "--tcp", "81", "--log"]
        self.lab.raind("container", "run", "-d", "--name", "server", self.image, *serve)
        self.address = self.lab.inspect("server")["address"]
        self.lab.raind("policy", "add", "--type", "ew", "-s", "witness", "-d", "server", "-p", "tcp", "--dport", "80")
        self.lab.raind("policy", "commit", "--yes")
        script = (f"while true; do probe tcp {self.address} 80 --timeout 2000 >/dev/null && echo open-ok || echo open-BAD; "
                  f"probe tcp {self.address} 81 --timeout 300 >/dev/null && echo closed-BAD || echo closed-ok; sleep 0.05; done")
        self.lab.raind("container", "run", "-d", "--name", "witness", self.image, "sh", "-c", script)

    # one change after the other until the daemon dies; what was acknowledged is noted

    def change(self, stop, acknowledged, names):
        number = 0
        while not stop.is_set():
            number += 1
            name = f"c{names[0]}"
            names[0] += 1
            steps = (("create", "--name", name, self.image, "probe", "sleep", "1000"), ("start", name), ("stop", name),
                     ("rm", name))
            for step in steps[:self.random.randrange(1, 5)]:
                done = self.lab.raind("container", *step, check=False)
                if done.returncode != 0:
                    acknowledged[name] = (acknowledged.get(name, "none"), step[0])
                    return
                acknowledged[name] = step[0]
            if self.random.random() < 0.5:
                added = self.lab.raind("policy", "add", "--type", "ew", "-s", name, "-d", "server", check=False)
                if added.returncode != 0 or self.lab.raind("policy", "commit", "--yes", check=False).returncode != 0:
                    return

    STATES = {"create": {"created"}, "start": {"running"}, "stop": {"stopped"}, "rm": {None}}

    def check_acknowledged(self, acknowledged):
        states = {}
        for entry in json.loads("[" + ",".join(self.lab.raind("container", "ls", "--format", "json").stdout.split("\n")).rstrip(",") + "]"):
            states[entry["name"]] = entry["state"]
        for name, last in acknowledged.items():
            if isinstance(last, tuple):
                done, interrupted = last
                allowed = self.STATES.get(done, {None}) | self.STATES[interrupted]
                # A start that was not acknowledged may leave a container whose process was let go, or not.
                allowed |= {"stopped"} if interrupted in ("start", "stop") else set()
            else:
                allowed = self.STATES[last]
            expect(states.get(name) in allowed, f"{name}: {states.get(name)} after {last}")

    def check_kernel(self):
        containers = [self.lab.inspect(line.split()[0]) for line in self.lab.raind("container", "ls").stdout.splitlines()[1:]]
        attached = {c["hostInterface"] for c in containers if c["state"] in ("created", "running")}
        links = {line.split(":")[1].strip().split("@")[0] for line in
                 run("ip", "-o", "-n", self.lab.netns, "link", "show").stdout.splitlines()}
        veths = {link for link in links if link.startswith("rd_")}
        expect(veths == attached, f"interfaces {veths ^ attached}")
        ids = {c["containerId"] for c in containers if c["state"] in ("created", "running")}
        parent = cgroup2_mount() / self.lab.cgroup.strip("/")
        groups = {entry.name.removeprefix("shim.") for entry in parent.iterdir() if entry.is_dir()}
        expect(groups == ids, f"cgroups {groups ^ ids}")
        maps = self.lab.bpffs / "raind/v1/maps"
        dump = json.loads(run("bpftool", "-j", "map", "dump", "pinned", maps / "raind_ep").stdout)
        endpoints = {entry["formatted"]["value"]["ep_id"] for entry in dump}
        wanted = {c["endpoint"] for c in containers if c["endpoint"]}
        expect(endpoints == wanted, f"endpoints {endpoints ^ wanted}")
        folders = {entry.name for entry in (self.lab.root / "etc/raind/container").iterdir()}
        expect(folders == {c["containerId"] for c in containers}, "container folders")
        droplet = {entry.name for entry in (self.lab.root / "run/raind/droplet").iterdir() if entry.is_dir()}
        expect(droplet <= ids | {".seccomp"}, f"droplet's state {droplet - ids}")
        pins = {pin.name.rsplit("_", 1)[0] for pin in (self.lab.bpffs / "raind/v1/links").iterdir()}
        expect(pins == attached, f"pinned links {pins ^ attached}")

    def case_killed_at_random_moments(self):
        names = [0]
        for round_number in range(ROUNDS):
            acknowledged, stop = {}, threading.Event()
            worker = threading.Thread(target=self.change, args=(stop, acknowledged, names))
            worker.start()
            time.sleep(self.random.uniform(0.02, 0.9))
            self.lab.kill_daemon()
            stop.set()
            worker.join(timeout=limit(60))
            self.lab.start()
            self.check_acknowledged(acknowledged)
            self.check_kernel()
            for name in acknowledged:
                self.lab.raind("container", "stop", name, check=False)
                self.lab.raind("container", "rm", name, check=False)
            self.check_kernel()

    def case_nothing_was_opened_or_cut_meanwhile(self):
        lines = self.lab.raind("container", "logs", "--line", "5000", "witness").stdout.split()
        expect(lines.count("open-ok") > 20 and lines.count("closed-ok") > 20, "the witness said too little")
        expect("open-BAD" not in lines, "a permitted connection failed")
        expect("closed-BAD" not in lines, "a connection without a policy got through")
        log = self.lab.raind("container", "logs", "--line", "5000", "server").stdout
        expect("81" not in [word for line in log.splitlines()[3:] for word in line.split()], "port 81 was reached")

    def case_a_lost_shim_is_reported(self):
        self.lab.raind("container", "run", "-d", "--name", "orphan", self.image, "probe", "sleep", "1000")
        container = self.lab.inspect("orphan")
        shim = int(pathlib.Path(f"/proc/{container['pid']}/status").read_text().split("PPid:\t")[1].split()[0])
        os.kill(shim, signal.SIGKILL)
        wait_until("the container counts as stopped", lambda: self.lab.inspect("orphan")["state"] == "stopped", 10)
        now = self.lab.inspect("orphan")
        expect((now["exitCode"], now["reason"]) == (255, "shim lost"), f"{now['exitCode']} {now['reason']}")
        wait_until("its process is gone", lambda: not os.path.exists(f"/proc/{container['pid']}"), 5)
        self.check_kernel()
        self.lab.raind("container", "rm", "orphan")

    def case_exit_codes_of_containers_that_ended_without_a_daemon(self):
        for code in ("0", "7", "kill"):
            script = "echo begin; sleep 1; echo end; " + ("kill -9 $$" if code == "kill" else f"exit {code}")
            self.lab.raind("container", "run", "-d", "--name", f"end{code}", self.image, "sh", "-c", script)
        self.lab.kill_daemon()
        time.sleep(2.5)
        self.lab.start()
        for code, wanted in (("0", 0), ("7", 7)):
            now = self.lab.inspect(f"end{code}")
            expect((now["state"], now["exitCode"]) == ("stopped", wanted), f"{now['state']} {now['exitCode']}")
            expect(self.lab.raind("container", "logs", f"end{code}").stdout.split() == ["begin", "end"], "output")
        # The first process of a PID namespace cannot be killed from inside: the shell goes on and ends with 0.
        expect(self.lab.inspect("endkill")["state"] == "stopped", "killed shell")
        self.check_kernel()

    def case_damaged_exit_records_stop_nobody(self):
        """Empty while no daemon ran, a folder while one did: the container has ended, and can be removed."""
        for name in ("empty", "folder"):
            self.lab.raind("container", "run", "-d", "--name", name, self.image, "probe", "sleep", "1000")
        first, second = self.lab.inspect("empty"), self.lab.inspect("folder")
        record = self.lab.root / "etc/raind/container" / second["containerId"] / "exit.json"
        record.mkdir()
        os.kill(second["pid"], signal.SIGKILL)
        self.expect_damaged("folder")
        self.lab.kill_daemon()
        os.kill(first["pid"], signal.SIGKILL)
        record = self.lab.root / "etc/raind/container" / first["containerId"] / "exit.json"
        wait_until("the exit is recorded", record.exists, 10)
        record.write_text("")
        self.lab.start()
        self.expect_damaged("empty")
        self.lab.raind("container", "rm", "empty")
        self.lab.raind("container", "rm", "folder")
        self.check_kernel()

    def expect_damaged(self, name):
        wait_until(f"{name} counts as stopped", lambda: self.lab.inspect(name)["state"] == "stopped", 10)
        now = self.lab.inspect(name)
        expect((now["exitCode"], now["reason"]) == (255, "exit record damaged"), f"{now['exitCode']} {now['reason']}")

    def case_a_second_daemon_with_the_same_root_is_refused(self):
        done = subprocess.run([str(lab_module.BIN / "condenser"), "--root", str(self.lab.root), "--bpffs", str(self.lab.bpffs),
                               "--netns", self.lab.netns, "--cgroup", self.lab.cgroup, "--listen", "127.0.0.1:0"],
                              capture_output=True, text=True, timeout=limit(20), check=False)
        expect(done.returncode == 1 and "another condenser runs with this root" in done.stderr, done.stderr)
        expect(self.lab.raind("container", "ls").returncode == 0, "the first goes on")

    def case_a_damaged_store_is_refused_and_nothing_opens(self):
        self.lab.stop_daemon()
        store = self.lab.root / "etc/raind/store/raind.db"
        good = store.read_bytes()
        store.write_bytes(b"\x00" * 4096 + good[4096:])
        try:
            done = subprocess.run([str(lab_module.BIN / "condenser"), "--root", str(self.lab.root), "--bpffs",
                                   str(self.lab.bpffs), "--netns", self.lab.netns, "--cgroup", self.lab.cgroup,
                                   "--listen", "127.0.0.1:0"], capture_output=True, text=True, timeout=limit(20), check=False)
            expect(done.returncode == 1 and "raind.db" in done.stderr, done.stderr)
        finally:
            store.write_bytes(good)
        self.lab.start()
        self.check_kernel()


main(Recovery())

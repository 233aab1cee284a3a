#!/usr/bin/env python3
"""kill -9 of the daemon while many things go on at once, while it recovers, and while it pulls."""
import hashlib
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
import registry  # noqa: E402
from agreement import containers, disagreements, policies  # noqa: E402
from image_builder import Layer, Layout, base_layer  # noqa: E402
from lab import Failure, run, wait_until  # noqa: E402
from slow import limit  # noqa: E402
from suite import Suite, expect, main  # noqa: E402

ROUNDS = int(os.environ.get("RAIND_CRASH_ROUNDS", "8"))
SEED = int(os.environ.get("RAIND_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)
PULL_BYTES = 12 << 20
# Containers that may be in a state after a step: acknowledged, or interrupted.
AFTER = {"create": {"created"}, "start": {"running"}, "stop": {"stopped"}, "rm": {None}}
DURING = {"create": {None, "created"}, "start": {"created", "running", "stopped"}, "stop": {"running", "stopped"},
          "rm": {"stopped", None}}


class Hand(threading.Thread):
    """Does one thing after the other until the daemon is gone."""

    def __init__(self, suite, body):
        super().__init__()
        self.suite, self.body, self.problem = suite, body, None

    def run(self):
        try:
            while not self.suite.stop.is_set() and self.body():
                pass
        except (Failure, OSError, ValueError, subprocess.SubprocessError) as problem:
            self.problem = problem


class Crash(Suite):
    name = "raind-crash"

    def prepare(self):
        print(f"RAIND_SEED={SEED}")
        self.random = random.Random(SEED)
        self.stop = threading.Event()
        self.number = 0
        self.lock = threading.Lock()
        self.image = self.lab.make_image()
        for name in ("server", "client"):
            self.lab.raind("container", "run", "-d", "--name", name, self.image, "probe", "serve", "--tcp", "80", "--tcp", "81")
        self.address = self.lab.inspect("server")["address"]
        self.lab.raind("policy", "add", "--type", "ew", "-s", "client", "-d", "server", "-p", "tcp", "--dport", "80")
        self.lab.raind("policy", "commit", "--yes")

    def next(self):
        with self.lock:
            self.number += 1
            return self.number

    def ok(self, *words):
        done = self.lab.raind(*words, check=False)
        return done.returncode == 0 and done

    # hands

    def containers_hand(self, notes):
        def body():
            name = f"c{self.next()}"
            for step in ("create", "start", "stop", "rm"):
                notes[name] = (step, False)
                words = ("create", "--name", name, self.image, "probe", "sleep", "1000") if step == "create" else (step, name)
                if not self.ok("container", *words):
                    return False
                notes[name] = (step, True)
                if self.random.random() < 0.15:
                    return True
            return True
        return body

    def policies_hand(self, notes):
        """notes: id -> added, committed, removing or removed; "?" -> one that may have been added."""
        def body():
            port = 1000 + self.next()
            notes["?"] = port
            done = self.ok("policy", "add", "--type", "ew", "-s", "client", "-d", "server", "-p", "tcp", "--dport", str(port))
            if not done:
                return False
            notes.pop("?")
            mine = done.stdout.split()[1]
            notes[mine] = "added"
            old = [key for key, state in notes.items() if state == "committed"]
            if old and self.random.random() < 0.5:
                notes[old[0]] = "removing"
                if not self.ok("policy", "rm", old[0]):
                    return False
                notes[old[0]] = "marked"
            for key in list(notes):
                notes[key] = {"added": "committing", "marked": "unmaking"}.get(notes[key], notes[key])
            if not self.ok("policy", "commit", "--yes"):
                return False
            for key in list(notes):
                notes[key] = {"committing": "committed", "unmaking": "removed"}.get(notes[key], notes[key])
            return True
        return body

    def exec_hand(self):
        return lambda: bool(self.ok("container", "exec", "client", "probe", "tcp", self.address, "80"))

    def check_notes(self, made, rules):
        states = {c["name"]: c["state"] for c in containers(self.lab)}
        for name, (step, acknowledged) in made.items():
            allowed = (AFTER if acknowledged else DURING)[step]
            expect(states.get(name) in allowed, f"{name}: {states.get(name)} after {step} (acknowledged: {acknowledged})")
        now = policies(self.lab)
        allowed = {"added": {"before_commit"}, "committing": {"before_commit", "applied"}, "committed": {"applied"},
                   "removing": {"applied", "remove_next_commit"}, "marked": {"remove_next_commit"},
                   "unmaking": {"remove_next_commit", None}, "removed": {None}}
        for key, state in rules.items():
            if key != "?":
                status = now.get(key, {}).get("status")
                expect(status in allowed[state], f"policy {key}: {status} after {state}")

    def agree(self):
        try:
            wait_until("agreement", lambda: not disagreements(self.lab), 4, 0.3)
        except Failure:
            raise Failure("; ".join(disagreements(self.lab))) from None

    def enforced(self):
        for port, wanted in (("80", 0), ("81", 1)):
            done = self.lab.raind("container", "exec", "client", "probe", "tcp", self.address, port, "--timeout", "700", check=False)
            expect(done.returncode == wanted, f"port {port}: {done.stdout}{done.stderr}")

    def clear(self):
        for container in containers(self.lab):
            if container["name"] not in ("server", "client"):
                if container["state"] == "running":
                    self.lab.raind("container", "stop", container["name"])
                self.lab.raind("container", "rm", container["name"])

    def case_killed_while_many_things_go_on(self):
        rules = {}
        for _ in range(ROUNDS):
            made = [{}, {}, {}]
            self.stop.clear()
            hands = [Hand(self, self.containers_hand(notes)) for notes in made]
            hands += [Hand(self, self.policies_hand(rules)), Hand(self, self.exec_hand())]
            for hand in hands:
                hand.start()
            time.sleep(self.random.uniform(0.1, 1.6))
            self.lab.kill_daemon()
            self.stop.set()
            for hand in hands:
                hand.join(timeout=limit(60))
                expect(hand.problem is None, f"a client: {hand.problem}")
            self.lab.start()
            self.check_notes({key: value for notes in made for key, value in notes.items()}, rules)
            self.agree()
            self.enforced()
            self.clear()
            # What was interrupted is settled now: the next round starts from what is there.
            self.lab.raind("policy", "commit", "--yes", check=False)
            rules = {key: "committed" for key, entry in policies(self.lab).items() if entry["status"] == "applied"
                     and entry.get("dport", 0) > 1000}
            self.agree()

    def case_killed_while_it_recovers(self):
        for name in ("stays", "ends", "loses", "waits"):
            words = ("sh", "-c", "sleep 1; exit 9") if name == "ends" else ("probe", "sleep", "1000")
            self.lab.raind("container", "create", "--name", name, self.image, *words)
            if name != "waits":
                self.lab.raind("container", "start", name)
        lost = self.lab.inspect("loses")["pid"]
        shim = int(pathlib.Path(f"/proc/{lost}/status").read_text().split("PPid:\t")[1].split()[0])
        self.lab.kill_daemon()
        os.kill(shim, signal.SIGKILL)
        time.sleep(1.5)
        for _ in range(10):
            began = subprocess.Popen([str(w) for w in self.command()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL, start_new_session=True)
            time.sleep(self.random.uniform(0.003, 0.3))
            began.kill()
            began.wait()
        self.lab.start()
        self.agree()
        states = {c["name"]: (c["state"], c["exitCode"]) for c in containers(self.lab)}
        expect(states["stays"][0] == "running" and states["waits"][0] == "created", f"{states}")
        expect(states["ends"] == ("stopped", 9) and states["loses"] == ("stopped", 255), f"{states}")
        self.enforced()
        self.lab.raind("container", "start", "waits")
        expect(self.lab.inspect("waits")["state"] == "running", "the created one starts")
        self.clear()
        self.agree()

    def command(self):
        lab = self.lab
        return (lab_module.BIN / "condenser", "--root", lab.root, "--bpffs", lab.bpffs, "--netns", lab.netns, "--cgroup",
                lab.cgroup, "--listen", "127.0.0.1:0")

    def blobs(self):
        return {p.relative_to(self.lab.root): p.stat().st_size for p in (self.lab.root / "etc/raind/image").glob("**/*") if p.is_file()}

    def kept(self):
        """Blobs that pulls which were cut have left for the next one: whole ones only."""
        blobs = sorted((self.lab.root / "etc/raind/image/kept").glob("*"))
        for path in blobs:
            expect(hashlib.sha256(path.read_bytes()).hexdigest() == path.name, f"{path.name} is not what its name says")
        return {path.relative_to(self.lab.root) for path in blobs}

    def case_killed_while_it_pulls(self):
        layout = Layout(self.lab.dir / "large")
        noise = random.Random(1).randbytes(PULL_BYTES)
        layout.tag("1", layout.image([base_layer()] + [Layer().file(f"noise{i}", noise[i * 4096:]) for i in range(3)]))
        registry.push(self.lab.registry_address, f"{self.lab.dir / 'large'}:1", "demo/large:1")
        reference = f"{self.lab.registry_address}/demo/large:1"
        before = self.blobs()
        began = time.monotonic()
        self.lab.raind("image", "pull", reference)
        whole = time.monotonic() - began
        full = self.blobs()
        self.lab.raind("image", "rm", reference)
        expect(self.blobs() == before, f"image rm leaves {sorted(set(self.blobs()) - set(before))[:5]}")
        for number in range(6):
            with subprocess.Popen([str(lab_module.BIN / "raind"), "--root", str(self.lab.root), "image", "pull", reference],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
                time.sleep(whole * (number + 0.5) / 6.5)
                self.lab.kill_daemon()
                acknowledged = client.wait(timeout=limit(30)) == 0
            if number == 0:
                # Between the files of a reference and its record is too short a time to be met by chance.
                orphan = self.lab.root / "etc/raind/image/references" / self.lab.registry_address / "demo/large/_tag/other"
                orphan.mkdir(parents=True)
                (orphan / "config.json").write_text("{}")
            self.lab.start()
            there = "demo/large" in self.lab.raind("image", "ls").stdout
            expect(there or not acknowledged, "an acknowledged pull is gone")
            now = self.blobs().keys() - self.kept()
            expect(now == (full if there else before).keys(),
                   f"image there: {there}; files {sorted(map(str, now ^ (full if there else before).keys()))[:6]}")
            self.agree()
            if there:
                self.lab.raind("image", "rm", reference)
        self.lab.raind("image", "pull", reference)
        expect(self.blobs().keys() - self.kept() == full.keys(), "the pull after it differs")
        self.lab.raind("container", "run", "-d", "--name", "large", reference, "sh", "-c", "cat /noise0 | wc -c")
        wait_until("it ends", lambda: self.lab.inspect("large")["state"] == "stopped")
        expect(self.lab.raind("container", "logs", "large").stdout.strip() == str(PULL_BYTES), "content")
        self.clear()

    def case_asked_to_end_while_many_things_go_on(self):
        for _ in range(3):
            made = [{}, {}]
            rules = {}
            self.stop.clear()
            hands = [Hand(self, self.containers_hand(notes)) for notes in made]
            hands += [Hand(self, self.policies_hand(rules)), Hand(self, self.exec_hand())]
            for hand in hands:
                hand.start()
            time.sleep(self.random.uniform(0.2, 0.8))
            self.lab.stop_daemon()
            self.stop.set()
            for hand in hands:
                hand.join(timeout=limit(60))
            self.lab.start()
            self.check_notes({key: value for notes in made for key, value in notes.items()}, rules)
            self.agree()
            self.enforced()
            self.clear()
            self.lab.raind("policy", "commit", "--yes", check=False)


main(Crash())

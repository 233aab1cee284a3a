"""A whole instance of Raind for demo and end-to-end tests: folders, namespaces, registry, image.

Everything of a lab carries its name: below one folder, in two network namespaces, in one cgroup and one folder
of a BPF file system. close() removes it; leftovers() tells what is still there.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tests" / "support"))
sys.path.insert(0, str(SOURCE / "tests" / "images"))

import registry  # noqa: E402
from slow import limit  # noqa: E402

BIN = pathlib.Path(os.environ.get("RAIND_BIN_DIR") or SOURCE / "build" / "bin")
BUILD = pathlib.Path(os.environ.get("RAIND_BUILD_DIR") or SOURCE / "build" / "release")
ATTACH = os.environ.get("RAIND_TEST_ATTACH", "auto")
BPFFS = pathlib.Path("/sys/fs/bpf")
OUTSIDE4, OUTSIDE6 = "192.0.2.2", "2001:db8:99::2"


class Failure(Exception):
    """A step that did not behave."""


def run(*words, check=True, timeout=60, **options):
    options.setdefault("stdin", subprocess.DEVNULL if "input" not in options else None)
    if options["stdin"] is None:
        del options["stdin"]
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=limit(timeout), **options)
    if check and done.returncode != 0:
        raise Failure(f"{' '.join(map(str, words))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def wait_until(what, condition, seconds=10.0, interval=0.05):
    end = time.monotonic() + limit(seconds)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"{what}: not within {limit(seconds):g} s")
        time.sleep(interval)


def ensure_bpffs():
    BPFFS.mkdir(exist_ok=True)
    if run("stat", "-f", "-c", "%T", BPFFS).stdout.strip() != "bpf_fs":
        run("mount", "-t", "bpf", "bpf", BPFFS)


def cgroup2_mount():
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[fields.index("-") + 1] == "cgroup2":
            return pathlib.Path(fields[4])
    raise Failure("no cgroup v2 hierarchy is mounted")


class Lab:
    def __init__(self, name, directory=None):
        self.name = name
        self.dir = pathlib.Path(directory or f"/var/tmp/{name}")
        self.root = self.dir / "root"
        self.bpffs = BPFFS / name
        self.netns = name
        self.outside = f"{name}-out"
        self.cgroup = f"/{name}"
        self.daemon = None
        self.registry_process = None
        self.registry_address = None
        self.helpers = []
        self.map_ids = set()
        self.program_ids = set()

    # instance

    def prepare(self):
        self.dir.mkdir(parents=True, exist_ok=True)
        ensure_bpffs()

    def start(self, seconds=30.0):
        endpoints = self.root / "run/raind/endpoints.json"
        endpoints.unlink(missing_ok=True)
        self.root.mkdir(parents=True, exist_ok=True)
        log = open(self.dir / "condenser.log", "ab")
        self.daemon = subprocess.Popen(
            [BIN / "condenser", "--root", self.root, "--bpffs", self.bpffs, "--netns", self.netns,
             "--cgroup", self.cgroup, "--listen", "127.0.0.1:0", "--attach", ATTACH],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

        def ready():
            if self.daemon.poll() is not None:
                raise Failure("condenser ended at its start:\n" + self.log_tail())
            return endpoints.exists()

        wait_until("condenser is ready", ready, seconds)
        self.remember_maps()
        return json.loads(endpoints.read_text())["management"]

    def log_tail(self, lines=15):
        path = self.dir / "condenser.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def kill_daemon(self):
        self.daemon.send_signal(signal.SIGKILL)
        self.daemon.wait()
        self.daemon = None

    def stop_daemon(self):
        if self.daemon is None:
            return
        self.daemon.send_signal(signal.SIGTERM)
        try:
            self.daemon.wait(timeout=limit(20))
        except subprocess.TimeoutExpired:
            self.kill_daemon()
            raise Failure("condenser did not end within 20 s after SIGTERM") from None
        self.daemon = None

    def raind(self, *words, check=True, **options):
        return run(BIN / "raind", "--root", self.root, *words, check=check, **options)

    def inspect(self, container):
        shown = json.loads(self.raind("container", "inspect", container).stdout)
        return shown[0] if isinstance(shown, list) else shown

    def records(self, line=2000):
        text = self.raind("logs", "netflow", "--json", "--line", line).stdout
        return [json.loads(entry) for entry in text.splitlines() if entry.strip()]

    def find_records(self, seconds=5.0, **wanted):
        """Records in which every dotted key has the wanted value; waits for the first."""
        def matching():
            return [r for r in self.records() if all(lookup(r, k) == v for k, v in wanted.items())]
        try:
            return wait_until(f"a record with {wanted}", matching, seconds)
        except Failure:
            return []

    def remember_maps(self):
        for pin in (self.bpffs / "raind/v1/maps").glob("*"):
            shown = run("bpftool", "-j", "map", "show", "pinned", pin, check=False)
            if shown.returncode == 0:
                self.map_ids.add(json.loads(shown.stdout)["id"])
        # Programs live by the links and pins of this instance; those that use its maps are its own.
        self.program_ids |= {entry["id"] for entry in self.programs() if self.map_ids & set(entry.get("map_ids", []))}

    # surroundings

    def make_image(self, tag="1", programs=("probe",)):
        """Fills a registry on loopback with a small image: busybox-static and programs of the tests."""
        layout = self.dir / "layout"
        files = [word for name in programs for word in ("--file", f"{BUILD / 'tests' / name}:bin/{name}")]
        run(sys.executable, SOURCE / "tests/images/image_builder.py", layout, tag, *files)
        self.registry_process, self.registry_address = registry.start(self.dir / "registry")
        registry.push(self.registry_address, f"{layout}:{tag}", f"demo/tools:{tag}")
        return f"{self.registry_address}/demo/tools:{tag}"

    def make_outside(self):
        """A host outside, connected to the instance's namespace by a veth pair."""
        run("ip", "netns", "add", self.outside)
        here = "up_" + self.name[-11:]
        run("ip", "link", "add", here, "netns", self.netns, "type", "veth", "peer", "name", "eth0", "netns", self.outside)
        for netns, link, four, six in ((self.netns, here, "192.0.2.1/24", "2001:db8:99::1/64"),
                                       (self.outside, "eth0", f"{OUTSIDE4}/24", f"{OUTSIDE6}/64")):
            run("ip", "-n", netns, "addr", "add", four, "dev", link)
            run("ip", "-n", netns, "addr", "add", six, "dev", link, "nodad")
            run("ip", "-n", netns, "link", "set", link, "up")
        run("ip", "-n", self.outside, "link", "set", "lo", "up")
        run("ip", "-n", self.netns, "route", "add", "default", "via", OUTSIDE4)
        run("ip", "-n", self.netns, "-6", "route", "add", "default", "via", OUTSIDE6)

    def serve_outside(self, *arguments):
        log = open(self.dir / "outside.log", "wb")
        process = subprocess.Popen(["ip", "netns", "exec", self.outside, BUILD / "tests/probe", "serve", *arguments],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.helpers.append(process)
        wait_until("the outside server is ready", lambda: "ready" in (self.dir / "outside.log").read_text())
        return process

    # end

    def close(self):
        """Containers, daemon, network, programs, registry, folders. Safe to call at any point."""
        problems = []

        def attempt(what, action):
            try:
                action()
            except (Failure, OSError, subprocess.SubprocessError) as problem:
                problems.append(f"{what}: {problem}")

        for helper in self.helpers:
            helper.kill()
            helper.wait()
        self.helpers = []
        if self.root.exists():
            if self.daemon is None:
                attempt("start for removal", self.start)
            if self.daemon is not None:
                attempt("remove containers", self.remove_containers)
            attempt("stop", self.stop_daemon)
            attempt("remove instance", lambda: run(
                BIN / "condenser", "--root", self.root, "--bpffs", self.bpffs, "--netns", self.netns,
                "--cgroup", self.cgroup, "--remove"))
        if self.registry_process is not None:
            registry.end(self.registry_process.pid)
            self.registry_process.wait()
            self.registry_process = None
        run("ip", "netns", "del", self.outside, check=False)
        if not problems:
            shutil.rmtree(self.dir, ignore_errors=True)
        return problems

    def remove_containers(self):
        for line in self.raind("container", "ls").stdout.splitlines()[1:]:
            name = line.split()[0]
            self.raind("container", "stop", name, check=False)
            self.raind("container", "rm", name)

    def leftovers(self):
        """What an instance leaves behind if it is not removed well; empty when all is gone."""
        found = []
        namespaces = [line.split()[0] for line in run("ip", "netns", "list").stdout.splitlines() if line.strip()]
        found += [f"network namespace {n}" for n in namespaces if n in (self.netns, self.outside)]
        found += [f"interface {link}" for link in os.listdir("/sys/class/net")
                  if link.startswith(("rd_", "raind")) or link == "up_" + self.name[-11:]]
        group = cgroup2_mount() / self.cgroup.strip("/")
        found += [f"cgroup {group}"] if group.exists() else []
        mounts = pathlib.Path("/proc/self/mountinfo").read_text()
        found += [f"mount {line.split()[4]}" for line in mounts.splitlines() if str(self.dir) in line]
        found += [f"pin {self.bpffs}"] if self.bpffs.exists() else []
        found += [f"BPF map {number}" for number in self.living_maps()]
        found += [f"BPF program {entry['id']}" for entry in self.programs() if entry["id"] in self.program_ids]
        found += [f"process {text}" for text in self.processes()]
        found += [f"nft table: {line}" for line in run("nft", "list", "tables").stdout.splitlines() if "raind" in line]
        rules = run("iptables-save", check=False).stdout
        found += [f"iptables rule: {line}" for line in rules.splitlines() if "raind" in line.lower()]
        found += [f"folder {self.dir}"] if self.dir.exists() else []
        return found

    @staticmethod
    def programs():
        return json.loads(run("bpftool", "-j", "prog", "show").stdout or "[]")

    def living_maps(self):
        shown = json.loads(run("bpftool", "-j", "map", "show").stdout or "[]")
        return sorted(self.map_ids & {entry["id"] for entry in shown})

    def processes(self):
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                text = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            except OSError:
                continue
            if re.search(re.escape(str(self.dir)) + r"(/|\s|$)", text):
                found.append(f"{entry.name} {text[:120]}")
        return found


def lookup(record, dotted):
    value = record
    for key in dotted.replace("__", ".").split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value

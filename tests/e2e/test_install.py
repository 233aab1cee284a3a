#!/usr/bin/env python3
"""Installation into an empty root: the files, the unit, the daemon as a service manager starts it, and removal.

From build/release by `make install` and `make uninstall`, as the operator's page says; from another build tree by `cmake --install`.
"""
import os
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import lab  # noqa: E402
from lab import run, wait_until  # noqa: E402
from suite import Suite, expect, main, skip  # noqa: E402

PREFIX = "/opt/raind-test"
PROGRAMS = ("raind", "condenser", "droplet")
RELEASE = lab.SOURCE / "build/release"
# `make install` looks first whether all is built, which takes a guest without KVM too long.
BY_MAKE = lab.BUILD.resolve() == RELEASE and "IN_VM" not in os.environ


def make(*words):
    """As a person types it, not as a part of the `make test` that runs this."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    run("make", "-C", lab.SOURCE, *words, env=environment, timeout=300)


class Install(Suite):
    name = "raind-install"

    def __init__(self):
        super().__init__()
        self.root = pathlib.Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir="/var/tmp"))
        self.dest = self.root / "dest"
        cache = dict(re.findall(r"^(\w+):PATH=(.*)$", (lab.BUILD / "CMakeCache.txt").read_text(), re.MULTILINE))
        (self.install_by_make if BY_MAKE else self.install_by_cmake)(cache)
        self.place = self.dest / PREFIX.lstrip("/")
        lab.BIN = self.place / "bin"
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(self.root / "notify"))
        self.notify.settimeout(30)
        os.environ["NOTIFY_SOCKET"] = str(self.root / "notify")
        self.ready = ""

    def install_by_make(self, cache):
        """What was installed from this tree before can be uninstalled from it afterwards, and its prefix is as it was."""
        self.manifest = RELEASE / "install_manifest.txt"
        self.manifest_before = self.manifest.read_bytes() if self.manifest.exists() else None
        try:
            make("install", f"DESTDIR={self.dest}", f"PREFIX={PREFIX}")
        finally:
            run("cmake", "--preset", "release", f"-DCMAKE_INSTALL_PREFIX={cache['CMAKE_INSTALL_PREFIX']}", cwd=lab.SOURCE, timeout=120)

    def install_by_cmake(self, cache):
        build = self.root / "build"  # the prefix is part of the configuration; that of the build stays as it is
        run("cmake", "-G", "Ninja", "-S", lab.SOURCE, "-B", build, f"-DCMAKE_INSTALL_PREFIX={PREFIX}",
            f"-DRAIND_BIN_DIR={cache['RAIND_BIN_DIR']}", timeout=120)
        run("cmake", "--install", build, env=dict(os.environ, DESTDIR=str(self.dest)))
        shutil.rmtree(build)

    def uninstall(self):
        """What is wrong with the removal."""
        try:
            make("uninstall", f"DESTDIR={self.dest}")
        except lab.Failure as problem:
            return [str(problem)]
        finally:
            self.manifest.unlink(missing_ok=True)
            if self.manifest_before is not None:
                self.manifest.write_bytes(self.manifest_before)
        left = [str(path) for path in self.dest.rglob("*") if not path.is_dir()]
        return [f"make uninstall left {' '.join(left)}"] if left else []

    def prepare(self):
        self.ready = self.notify.recv(4096).decode()

    def unit(self):
        return (self.place / "lib/systemd/system/condenser.service").read_text()

    def case_programs_lie_beside_each_other(self):
        for name in PROGRAMS:
            path = self.place / "bin" / name
            expect(path.stat().st_mode & 0o7777 == 0o755, f"{name}: mode {path.stat().st_mode:o}")
            expect(name in run(path, "--version").stdout, f"{name} --version does not name it")
        for name in ("README.md", "LICENSE", "CHANGELOG.md", "operator/README.md"):
            expect((self.place / "share/doc/raind" / name).stat().st_size > 0, f"{name} is not installed")

    def case_the_unit_names_what_was_installed(self):
        settings = dict(line.split("=", 1) for line in self.unit().splitlines() if re.match(r"\w+=", line))
        expect(shlex.split(settings["ExecStart"])[0] == f"{PREFIX}/bin/condenser", settings["ExecStart"])
        wanted = {"Type": "notify", "KillMode": "process", "Delegate": "yes"}
        expect({key: settings.get(key) for key in wanted} == wanted, f"unit: {settings}")
        expect("@" not in self.unit(), "a variable of the unit was not replaced")

    def case_systemd_accepts_the_unit(self):
        if shutil.which("systemd-analyze") is None:
            skip("systemd-analyze is not here: the unit was compared, not verified")
        text = self.unit().replace(f"{PREFIX}/bin", str(self.place / "bin"))
        text = text.replace(f"file://{PREFIX}", f"file://{self.place}")
        path = self.root / "condenser.service"
        path.write_text(text)
        done = run("systemd-analyze", "verify", "--man=no", path, check=False)
        ours = [line for line in (done.stdout + done.stderr).splitlines() if "condenser" in line]
        expect(not ours, f"systemd: {ours}")

    def case_it_says_ready_when_it_answers(self):
        expect(self.ready.startswith("READY=1"), f"the service manager was told {self.ready!r}")
        expect("127.0.0.1:" in self.ready, f"no address: {self.ready!r}")
        expect("condenser" in self.lab.raind("system", "info", check=False).stdout or
               self.lab.raind("container", "ls").returncode == 0, "it does not answer")

    def case_it_says_stopping(self):
        self.lab.stop_daemon()
        expect(self.notify.recv(4096).decode().startswith("STOPPING=1"), "no STOPPING=1")
        self.lab.start()
        expect(self.notify.recv(4096).decode().startswith("READY=1"), "the second start says nothing")

    def close(self):
        problems = super().close()
        if BY_MAKE:
            wrong = self.uninstall()
            print("".join(f"failed: {text}\n" for text in wrong) or "passed: make uninstall\n", end="")
            problems += wrong
        self.notify.close()
        shutil.rmtree(self.root)
        return problems


try:
    main(Install())
except (subprocess.SubprocessError, lab.Failure) as problem:
    sys.exit(f"failed: {problem}")

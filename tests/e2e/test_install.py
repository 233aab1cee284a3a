#!/usr/bin/env python3
"""`cmake --install` into an empty root: the files, the unit, and the daemon as a service manager starts it."""
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


class Install(Suite):
    name = "raind-install"

    def __init__(self):
        super().__init__()
        self.root = pathlib.Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir="/var/tmp"))
        build = self.root / "build"  # the prefix is part of the configuration; that of the build stays as it is
        cache = (lab.BUILD / "CMakeCache.txt").read_text()
        shared = re.search(r"^RAIND_BIN_DIR:PATH=(.*)$", cache, re.MULTILINE)
        run("cmake", "-G", "Ninja", "-S", lab.SOURCE, "-B", build, f"-DCMAKE_INSTALL_PREFIX={PREFIX}",
            f"-DRAIND_BIN_DIR={shared.group(1)}", timeout=120)
        run("cmake", "--install", build, env=dict(os.environ, DESTDIR=str(self.root / "dest")))
        shutil.rmtree(build)
        self.place = self.root / "dest" / PREFIX.lstrip("/")
        lab.BIN = self.place / "bin"
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(self.root / "notify"))
        self.notify.settimeout(30)
        os.environ["NOTIFY_SOCKET"] = str(self.root / "notify")
        self.ready = ""

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
        self.notify.close()
        shutil.rmtree(self.root)
        return problems


try:
    main(Install())
except (subprocess.SubprocessError, lab.Failure) as problem:
    sys.exit(f"failed: {problem}")

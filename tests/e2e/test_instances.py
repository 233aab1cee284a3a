#!/usr/bin/env python3
"""Two instances on one host: what one has, another cannot take; options that would do so by accident are refused."""
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from lab import BIN, BPFFS, run, wait_until  # noqa: E402
from suite import Suite, expect, main  # noqa: E402


class Instances(Suite):
    name = "raind-instances"

    def prepare(self):
        self.image = self.lab.make_image()
        self.lab.raind("container", "run", "-d", "--name", "one", self.image, "probe", "sleep", "3600")
        self.other = self.lab.dir / "other"
        self.pid = self.lab.inspect("one")["pid"]

    def condenser(self, *more, **changed):
        own = {"root": self.other, "bpffs": BPFFS / f"{self.lab.name}-2", "netns": f"{self.lab.name}-2",
               "cgroup": f"/{self.lab.name}-2", "listen": "127.0.0.1:0"}
        words = [word for key, value in {**own, **changed}.items() for word in (f"--{key}", value)]
        return run(BIN / "condenser", *words, *more, check=False, timeout=30)

    def unchanged(self):
        one = self.lab.inspect("one")
        expect(one["state"] == "running" and one["pid"] == self.pid and os.path.exists(f"/proc/{self.pid}"), f"one: {one['state']}")
        done = self.lab.raind("system", "check", check=False)
        expect(done.returncode == 0, f"{done.stdout}{done.stderr}")
        expect(not self.other.exists(), "the root of the refused one was made")
        expect(not (BPFFS / f"{self.lab.name}-2").exists() and f"{self.lab.name}-2" not in run("ip", "netns").stdout, "left behind")

    def refused(self, *more, text, code=1, **changed):
        done = self.condenser(*more, **changed)
        expect(done.returncode == code and text in done.stderr and len(done.stderr.splitlines()) == 1,
               f"{changed}: exit {done.returncode}: {done.stderr}")
        self.unchanged()

    def case_each_shared_thing_is_refused(self):
        for key, value in (("bpffs", self.lab.bpffs), ("netns", self.lab.netns), ("cgroup", self.lab.cgroup),
                           ("cgroup", f"{self.lab.cgroup}/below")):
            self.refused(**{key: value}, text=f"belongs to the instance with --root {self.lab.root}")

    def case_removal_of_what_is_another_s_is_refused(self):
        shared = {"bpffs": self.lab.bpffs, "netns": self.lab.netns, "cgroup": self.lab.cgroup}
        self.refused("--remove", **shared, text="there is no instance with --root")
        self.other.joinpath("etc/raind/store").mkdir(parents=True)
        done = self.condenser("--remove", **shared)
        shutil.rmtree(self.other)
        expect(done.returncode == 1 and "belongs to the instance" in done.stderr, f"{done}")
        self.unchanged()

    def case_the_daemon_s_death_gives_nothing_away(self):
        self.lab.kill_daemon()
        done = self.condenser(cgroup=self.lab.cgroup)
        expect(done.returncode == 1 and "belongs to the instance" in done.stderr, f"{done}")
        self.lab.start()
        self.unchanged()

    def case_empty_and_wrong_options(self):
        for key in ("netns", "bpffs", "cgroup", "root", "listen"):
            self.refused(**{key: ""}, text=f"--{key} is empty", code=125)
        self.refused(netns="../x", text="--netns: not a name", code=125)
        self.refused("--bridge-prefix", "a/b", text="--bridge-prefix: ", code=125)
        self.refused(root="/proc/raind", text="make folder /proc/raind")

    def case_pins_of_somebody_else_become_root_s(self):
        """Everybody may make folders on a BPF file system before the first start."""
        taken = BPFFS / f"{self.lab.name}-2"
        (taken / "raind/v1/links").mkdir(parents=True)
        for folder in (taken / "raind", taken / "raind/v1", taken / "raind/v1/links"):
            os.chown(folder, 65534, 65534)
        daemon = subprocess.Popen([BIN / "condenser", "--root", self.other, "--bpffs", taken, "--netns", f"{self.lab.name}-2",
                                   "--cgroup", f"/{self.lab.name}-2", "--listen", "127.0.0.2:0"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until("the second one is ready", lambda: (self.other / "run/raind/endpoints.json").exists(), 30)
            for folder in (taken / "raind", taken / "raind/v1", *(taken / "raind/v1").iterdir()):
                info = folder.stat()
                expect((info.st_uid, info.st_mode & 0o777) == (0, 0o700), f"{folder}: {info.st_uid} {info.st_mode:o}")
            # Its certificate names the address at which it listens.
            done = run(BIN / "raind", "--root", self.other, "container", "ls", check=False)
            expect(done.returncode == 0, f"{done.stderr}")
        finally:
            daemon.terminate()
            daemon.wait()
            done = self.condenser("--remove")
            shutil.rmtree(self.other)
        expect(done.returncode == 0, f"{done}")
        self.unchanged()


main(Instances())

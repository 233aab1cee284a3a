#!/usr/bin/env python3
"""The AppArmor profile of containers: loaded by the daemon, in force for the first process and for exec."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from lab import wait_until  # noqa: E402
from suite import IN_GUEST, Suite, expect, main, skip  # noqa: E402

ENABLED = pathlib.Path("/sys/module/apparmor/parameters/enabled")
PROFILES = pathlib.Path("/sys/kernel/security/apparmor/profiles")
LABEL = "raind-default (enforce)"
# Denied by the profile alone: each is an ordinary file in a place where the container's root may write.
WRITES = ("/dev/mem", "/dev/kmsg", "/dev/bpf0", "/etc/apparmor", "/etc/apparmor.d/x")


def host_has_it():
    return ENABLED.exists() and ENABLED.read_text().startswith("Y")


class AppArmor(Suite):
    name = "raind-aa"

    def prepare(self):
        self.image = self.lab.make_image(programs=("probe", "confine_probe"))
        self.lab.raind("container", "run", "-d", "--name", "one", self.image, "probe", "sleep", "1000")

    def check(self):
        lines = self.lab.raind("system", "check").stdout.splitlines()
        return next(line for line in lines if "AppArmor" in line)

    def inside(self, script, check=True):
        return self.lab.raind("container", "exec", "one", "sh", "-c", script, check=check)

    def case_a_host_without_it_says_so(self):
        if host_has_it():
            print("  this kernel has AppArmor: looked at below")
            return
        expect(not IN_GUEST, "a guest without AppArmor")
        expect(self.check().startswith("warning") and "this kernel has none" in self.check(), self.check())
        one = self.lab.inspect("one")
        expect(one["apparmor"] == "" and any("AppArmor" in text for text in one["warnings"]), f"{one['warnings']}")

    def cases(self):
        first, *rest = super().cases()
        return [first, *(rest if host_has_it() else [("case_the_profile", lambda: skip("this kernel has no AppArmor"))])]

    def case_it_is_loaded_and_reported(self):
        expect(LABEL in PROFILES.read_text().splitlines(), "the kernel's list lacks it")
        expect(self.check().startswith("ok"), self.check())
        expect(self.lab.inspect("one")["apparmor"] == "raind-default", "inspect")
        file = self.lab.root / "etc/raind/lsm/apparmor/raind-default"
        expect(file.stat().st_mode & 0o777 == 0o644, "the mode of the profile's file")

    def case_first_process_and_exec_are_under_it(self):
        pid = self.lab.inspect("one")["pid"]
        for path in ("attr/current", "attr/apparmor/current"):
            expect(pathlib.Path(f"/proc/{pid}/{path}").read_text().strip() == LABEL, f"first process: {path}")
        expect(self.inside("cat /proc/self/attr/current").stdout.strip() == LABEL, "exec")
        expect(self.inside("cat /proc/1/attr/current").stdout.strip() == LABEL, "seen from inside")

    def case_what_it_denies_is_refused(self):
        for path in WRITES:
            tried = self.inside(f"mkdir -p $(dirname {path}) && echo x > {path}", check=False)
            expect(tried.returncode != 0 and "ermission denied" in tried.stderr, f"{path}: {tried.returncode} {tried.stderr}")
        # The same beside it goes through: it is the profile, not the place.
        self.inside("echo x > /dev/memory && echo x > /etc/apparmour && rm /dev/memory /etc/apparmour")

    def case_what_programs_need_goes_through(self):
        script = ("set -e; cp /bin/busybox /tmp/busybox; /tmp/busybox true; mkfifo /tmp/f; (echo x > /tmp/f &); cat /tmp/f; ln -s busybox /tmp/l; "
                  "mv /tmp/l /tmp/m; chown 1000 /tmp/busybox; chmod 700 /tmp/busybox; sleep 50 & kill $!; ls /proc/1/fd > /dev/null; "
                  "cat /proc/sys/kernel/osrelease /sys/class/net/lo/mtu > /dev/null; nc -w 1 127.0.0.1 9 || true; echo fine")
        expect(self.inside(script).stdout.split()[-1] == "fine", "an ordinary program is hindered")

    def case_signals_from_outside_arrive(self):
        self.lab.raind("container", "run", "-d", "--name", "two", self.image, "sh", "-c",
                       "trap 'exit 7' HUP; while :; do sleep 0.1; done")
        self.lab.raind("container", "kill", "-s", "HUP", "two")
        wait_until("it ends", lambda: self.lab.inspect("two")["state"] == "stopped", 10)
        expect(self.lab.inspect("two")["exitCode"] == 7, "the signal did not arrive")
        self.lab.raind("container", "rm", "two")

    def unload(self):
        text = (self.lab.root / "etc/raind/lsm/apparmor/raind-default").read_text()
        subprocess.run(["apparmor_parser", "--remove", "--skip-cache"], input=text, text=True, check=True)

    def case_without_the_profile_nothing_starts(self):
        self.unload()
        tried = self.lab.raind("container", "run", "-d", "--name", "three", self.image, "true", check=False)
        expect(tried.returncode == 125 and "pparmor" in tried.stderr, f"exit {tried.returncode}: {tried.stderr}")
        tried = self.lab.raind("container", "exec", "one", "true", check=False)
        expect(tried.returncode != 0 and "pparmor" in tried.stderr, f"exec: {tried.returncode} {tried.stderr}")
        self.lab.raind("container", "rm", "three", check=False)
        # The next daemon loads it again.
        self.lab.stop_daemon()
        self.lab.start()
        expect(LABEL in PROFILES.read_text().splitlines() and self.check().startswith("ok"), "it is not loaded again")
        self.lab.raind("container", "run", "-d", "--name", "three", self.image, "probe", "sleep", "100")
        expect(self.lab.inspect("three")["apparmor"] == "raind-default", "inspect")

    def case_another_text_of_this_name_is_replaced(self):
        """Another instance, or a person, may load one."""
        text = (self.lab.root / "etc/raind/lsm/apparmor/raind-default").read_text()
        open_door = text.replace("deny /dev/kmsg", "deny /dev/kmsg-not")
        expect(open_door != text, "the profile has no such line")
        subprocess.run(["apparmor_parser", "--replace", "--skip-cache"], input=open_door, text=True, check=True)
        self.lab.stop_daemon()
        self.lab.start()
        tried = self.inside("echo x > /dev/kmsg", check=False)
        expect(tried.returncode != 0 and "ermission denied" in tried.stderr, f"the other text stayed: {tried.returncode} {tried.stderr}")

    def case_a_file_that_others_may_write_is_not_used(self):
        self.unload()
        file = self.lab.root / "etc/raind/lsm/apparmor/raind-default"
        file.chmod(0o666)
        self.lab.stop_daemon()
        self.lab.start()
        expect(self.check().startswith("warning") and "only root can write" in self.check(), self.check())
        self.lab.raind("container", "run", "-d", "--name", "four", self.image, "probe", "sleep", "100")
        four = self.lab.inspect("four")
        expect(four["apparmor"] == "" and any("only root can write" in text for text in four["warnings"]), f"{four['warnings']}")


main(AppArmor())

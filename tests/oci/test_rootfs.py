"""The root file system, identity, confinement, hooks, and what failures and deaths leave behind."""
import json
import os
import random
import shutil
import signal
import subprocess
import time

import harness
from harness import DROPLET, RANGE, read


class Rootfs(harness.Case):
    def test_layers_identity_and_owner(self):
        """Root inside is not root outside: fails when the map is the identity."""
        os.makedirs(self.work + "/layer0/data")
        harness.Case.write(self, self.work + "/layer0/data/low", "low")
        harness.Case.write(self, self.work + "/layer0/data/both", "from below")
        os.makedirs(self.work + "/layer1/data")
        harness.Case.write(self, self.work + "/layer1/data/both", "from the top")
        os.chown(self.work + "/layer0/data/low", 1000, 1000)
        out = self.run_inside(
            "cat /data/low /data/both; echo; stat -c %u:%g /data/low /bin/busybox; "
            "echo new > /data/new; chown 7:8 /data/new; echo more >> /data/low; rm /data/both; "
            "stat -c %u:%g / /data/new; cat /proc/self/uid_map")
        lines = out.splitlines()
        self.assertEqual("lowfrom the top", lines[0])
        self.assertEqual(["1000:1000", "0:0", "0:0", "7:8"], lines[1:5])
        self.assertEqual(["0", str(RANGE), "65536"], lines[5].split())
        upper = self.work + "/upper"
        self.assertEqual(RANGE, os.stat(upper).st_uid)
        new = os.stat(upper + "/data/new")
        self.assertEqual((RANGE + 7, RANGE + 8), (new.st_uid, new.st_gid))
        self.assertEqual(RANGE + 1000, os.stat(upper + "/data/low").st_uid)
        self.assertEqual("low", read(self.work + "/layer0/data/low"))
        self.assertEqual("from the top", read(self.work + "/layer1/data/both"))

    def test_root_outside_is_not_root_inside(self):
        self.config(["/bin/sleep", "1000"])
        self.assertEqual(0, self.create())
        self.ok("start", self.id)
        status = read("/proc/%d/status" % self.state()["pid"])
        self.assertIn("Uid:\t%d\t%d\t%d\t%d\n" % ((RANGE,) * 4), status)
        self.assertNotIn("Uid:\t0\t", status)

    def test_many_layers(self):
        layers = []
        for i in range(130):
            layers.append("%s/many/%d" % (self.work, i))
            os.makedirs(layers[-1])
            self.write(layers[-1] + "/top", str(i))

        def change(c):
            image = json.loads(c["annotations"]["io.raind.image.config"])
            image["imageLayer"] += layers
            c["annotations"]["io.raind.image.config"] = json.dumps(image)
        os.rmdir(self.work + "/layer1/top")
        self.assertEqual("129", self.run_inside("cat /top", change))

    def test_plain_root(self):
        def change(c):
            del c["annotations"]
            c["root"] = {"path": self.work + "/layer0", "readonly": True}
            c["linux"]["namespaces"] = [n for n in c["linux"]["namespaces"]
                                        if n["type"] != "user"]
            del c["linux"]["uidMappings"], c["linux"]["gidMappings"]
        for name in ("proc", "dev", "sys"):
            os.mkdir(self.work + "/layer0/" + name)
        out = self.run_inside("touch /x; id -u; stat -c %t:%T /dev/null /dev/zero", change)
        self.assertEqual("0\n1:3\n1:5\n", out)
        self.assertFalse(os.path.exists(self.work + "/layer0/x"))

    def test_confinement(self):
        out = self.run_inside("cat /proc/self/status")
        fields = dict(l.split(":\t", 1) for l in out.splitlines() if ":\t" in l)
        wanted = 0
        for number in (0, 1, 3, 4, 27, 6, 7, 31, 8, 10, 18, 5, 29):
            wanted |= 1 << number
        for key in ("CapPrm", "CapEff", "CapBnd"):
            self.assertEqual(wanted, int(fields[key], 16), key)
        for key in ("CapInh", "CapAmb"):
            self.assertEqual(0, int(fields[key], 16), key)
        self.assertEqual(("1", "2"), (fields["NoNewPrivs"], fields["Seccomp"]))

    def test_without_no_new_privs(self):
        out = self.run_inside("cat /proc/self/status",
                              lambda c: c["process"].update(noNewPrivileges=False))
        self.assertIn("NoNewPrivs:\t0\n", out)
        self.assertIn("Seccomp:\t2\n", out)

    def test_user_groups_limits_umask(self):
        def change(c):
            c["process"]["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [5, 6],
                                    "umask": 0o027}
            c["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]
            c["process"]["oomScoreAdj"] = 500
            c["process"]["cwd"] = "/made/here"
        out = self.run_inside(
            "id -u; id -g; id -G; umask; ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj; "
            "pwd; echo $HOME; stat -c %u .; grep Cap /proc/self/status", change).splitlines()
        self.assertEqual(["1000", "1001", "1001 5 6", "0027", "100", "200", "500", "/made/here",
                          "/home/app", "1000"], out[:10])
        caps = dict(l.split(":\t") for l in out[10:])
        self.assertNotEqual(0, int(caps["CapEff"], 16) | int(caps["CapBnd"], 16))

    def test_kernel_views(self):
        out = self.run_inside(
            "hostname; ls /proc/acpi | wc -l; cat /proc/keys | wc -c; stat -c %t:%T /proc/keys; "
            "echo 1 > /proc/sys/kernel/core_uses_pid && echo writable; "
            "cat /proc/sys/net/ipv4/ping_group_range | tr '\\t' ' '; ps | wc -l; "
            "mkdir /sys/x && echo writable; ls /sys/firmware | wc -l; "
            "echo x > /dev/null && echo null; head -c 4 /dev/zero | wc -c; readlink /dev/fd; "
            "readlink /dev/ptmx; stat -c %a /dev/shm; test -e /dev/console && echo console; "
            "ifconfig lo | grep -c UP; cat /proc/self/cgroup")
        self.assertEqual(["inside", "0", "0", "1:3", "0 65535"], out.splitlines()[:5])
        self.assertNotIn("writable", out)
        self.assertNotIn("console", out)
        self.assertIn("null\n4\n/proc/self/fd\npts/ptmx\n1777\n1\n", out)
        self.assertEqual("0::/", out.splitlines()[-1])

    def test_no_device_can_be_made(self):
        out = self.run_inside("mknod /dev/sda b 8 0 && echo made; mount -t tmpfs x /bin && "
                              "echo mounted; exit 0")
        self.assertEqual("", out)

    def test_bind_mounts(self):
        os.makedirs(self.work + "/data")
        self.write(self.work + "/data/file", "content")
        os.chown(self.work + "/data", 0, 0)

        def change(c):
            c["mounts"] += [
                {"destination": "/ro", "type": "bind", "source": self.work + "/data",
                 "options": ["rbind", "ro", "idmap"]},
                {"destination": "/rw", "type": "bind", "source": self.work + "/data",
                 "options": ["rbind", "nosuid", "nodev", "idmap"]},
                {"destination": "/etc/one", "type": "bind", "source": self.work + "/data/file",
                 "options": ["bind", "ro"]}]
        out = self.run_inside("cat /ro/file; touch /ro/x; echo; cat /etc/one; echo; "
                              "echo inside > /rw/new; stat -c %u /rw/new; exit 0", change)
        self.assertEqual("content\ncontent\n0\n", out)
        # id-mapped: owned by the host's root, as it would be by the container's.
        self.assertEqual(0, os.stat(self.work + "/data/new").st_uid)

    def test_links_of_the_image_end_inside(self):
        os.symlink("/", self.work + "/layer1/escape")
        os.symlink("../../../../../etc", self.work + "/layer1/climb")
        mark = "/tmp/droplet-mark-%d" % os.getpid()

        def change(c):
            c["mounts"] += [{"destination": "/escape" + mark, "type": "tmpfs", "source": "t"},
                            {"destination": "/climb/deep", "type": "tmpfs", "source": "t"}]
        self.run_inside("test -d %s && test -d /etc/deep" % mark, change)
        self.assertFalse(os.path.exists(mark))
        self.assertFalse(os.path.exists("/etc/deep"))

    def test_link_in_place_of_a_system_folder_is_refused(self):
        os.makedirs(self.work + "/layer1/other")
        for folder in ("proc", "sys", "dev"):
            with self.subTest(folder=folder):
                # The mount points of the last one stand in the upper folder, before any layer.
                shutil.rmtree(self.work + "/upper")
                os.mkdir(self.work + "/upper")
                link = self.work + "/layer1/" + folder
                os.symlink("/other", link)
                self.config(["/bin/true"])
                self.fails("create", "--bundle", self.bundle, self.id, text="symbolic link")
                os.unlink(link)

    def test_joined_network_namespace(self):
        holder = subprocess.Popen(["unshare", "--net", "sleep", "1000"])
        try:
            self.wait_for(lambda: os.readlink("/proc/%d/ns/net" % holder.pid) !=
                          os.readlink("/proc/self/ns/net"), "namespace")
            path = "/proc/%d/ns/net" % holder.pid

            def change(c):
                for n in c["linux"]["namespaces"]:
                    if n["type"] == "network":
                        n["path"] = path
                del c["linux"]["sysctl"]
            self.assertEqual(os.readlink(path) + "\n",
                             self.run_inside("readlink /proc/self/ns/net", change))

            def wrong(c):
                c["linux"]["namespaces"][1]["path"] = "/proc/self/ns/uts"
                del c["linux"]["sysctl"]
            self.config(["/bin/true"], wrong)
            self.fails("create", "--bundle", self.bundle, self.id, text="is no network namespace")
        finally:
            holder.kill()
            holder.wait()


class Limits(harness.Case):
    def test_missing_controller(self):
        """An asked-for limit that cannot be set is an error; a soft one is a warning."""
        if not harness.cgroup2():
            self.skipTest("no cgroup v2 hierarchy")
        if "pids" in read(harness.cgroup2() + "/cgroup.controllers").split():
            self.skipTest("the pids controller is there")

        def change(c):
            c["linux"]["resources"] = {"pids": {"limit": 100}}
        self.config(["/bin/true"], change)
        self.fails("create", "--bundle", self.bundle, self.id,
                   text="linux.resources.pids.limit: the cgroup v2 hierarchy lacks the controller")
        self.assert_nothing_left()

        def soft(c):
            change(c)
            c["annotations"]["io.raind.cgroup.soft"] = "true"
        self.config(["/bin/true"], soft)
        done = self.ok("run", "--bundle", self.bundle, self.id)
        self.assertIn("warning: linux.resources.pids.limit: not set", done.stderr)

    def test_device_rules(self):
        def change(c):
            c["linux"]["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
            c["linux"]["devices"] = [{"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11}]
        out = self.run_inside("cat /dev/null && echo null; cat /dev/kmsg && echo kmsg; exit 0",
                              change)
        self.assertEqual("null\n", out)

        def allowed(c):
            change(c)
            c["linux"]["resources"]["devices"].append(
                {"allow": True, "type": "c", "major": 1, "minor": 7, "access": "rw"})
        out = self.run_inside("echo x > /dev/zero && echo zero; exit 0", allowed)
        self.assertEqual("zero\n", out)


class Hooks(harness.Case):
    def hook(self, name, body, **more):
        path = self.work + "/hook-" + name
        self.write(path, "#!/bin/busybox sh\n" if os.path.exists("/bin/busybox")
                   else "#!/usr/bin/busybox sh\n")
        with open(path, "a") as out:
            out.write(body + "\n")
        os.chmod(path, 0o755)
        return dict({"path": path, "args": ["argv0-" + name, "one"], "env": ["A=b"]}, **more)

    def test_order_state_and_environment(self):
        log = self.work + "/hooks.log"
        os.chmod(self.work, 0o755)
        self.write(log, "")
        os.chmod(log, 0o666)

        def body(name):
            return "echo %s $1 $(env | grep -v PWD | grep -v SHLVL | sort | tr '\\n' ' ') " \
                   "$(cat | grep -o '\"status\":\"[a-z]*\"') >> %s" % (name, log)

        def change(c):
            c["hooks"] = {phase: [self.hook(phase, body(phase))] for phase in (
                "prestart", "createRuntime", "createContainer", "poststart", "poststop")}
        self.run_inside("true", change)
        lines = read(log).splitlines()
        self.assertEqual(["prestart", "createRuntime", "createContainer", "poststart", "poststop"],
                         [l.split()[0] for l in lines])
        states = ["creating", "creating", "creating", "running", "stopped"]
        for line, status in zip(lines, states):
            self.assertIn("one A=b", line)
            self.assertIn('"status":"%s"' % status, line)

    def test_start_container_hook_runs_inside(self):
        def change(c):
            c["hooks"] = {"startContainer": [{"path": "/bin/sh", "args": [
                "sh", "-c", "echo from-hook > /hook-was-here"]}]}
        self.assertEqual("from-hook\n", self.run_inside("cat /hook-was-here", change))

    def test_failing_and_slow_hooks(self):
        for phase in ("prestart", "createRuntime", "createContainer"):
            os.chmod(self.work, 0o755)
            self.config(["/bin/true"], lambda c: c.update(hooks={phase: [
                self.hook("bad", "echo reason >&2; exit 3")]}))
            done = self.fails("create", "--bundle", self.bundle, self.id,
                              text="exit status 3: reason")
            self.assertIn("hooks.%s[0]" % phase, done.stderr)
            self.assert_nothing_left()
        self.config(["/bin/true"], lambda c: c.update(hooks={"createRuntime": [
            self.hook("slow", "sleep 1000", timeout=1)]}))
        self.fails("create", "--bundle", self.bundle, self.id, text="not done after 1 s")
        self.assert_nothing_left()
        self.config(["/bin/true"], lambda c: c.update(hooks={"startContainer": [
            {"path": "/bin/sh", "args": ["sh", "-c", "exit 4"]}]}))
        self.assertEqual(0, self.create())
        self.fails("start", self.id, text="exit status 4")
        self.assert_nothing_left()


class Faults(harness.Case):
    def test_failures_leave_nothing(self):
        def mount(c, **m):
            c["mounts"].append(dict({"destination": "/x", "source": "x"}, **m))

        def limits(c):
            c["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 1 << 40,
                                        "hard": 1 << 40}]

        def device(c):
            c["linux"]["devices"] = [{"path": "/dev/none", "type": "c", "major": 1, "minor": 99}]
        cases = [(lambda c: mount(c, type="nofs"), "mounts[7]"),
                 (lambda c: mount(c, type="bind", source="/no/such"), "mounts[7]"),
                 (lambda c: mount(c, type="tmpfs", options=["size=bad"]), "mounts[7]"),
                 (lambda c: c["linux"]["sysctl"].update({"net.no.such": "1"}), "linux.sysctl"),
                 (limits, "RLIMIT_NOFILE"), (device, "linux.devices[0]"),
                 (lambda c: c["process"].update(cwd="/bin/busybox/x"), "process.cwd"),
                 (lambda c: c.update(ociVersion="3.0"), "ociVersion")]
        for change, text in cases:
            self.config(["/bin/true"], change)
            self.fails("create", "--bundle", self.bundle, self.id, text=text)
            self.assert_nothing_left()

    def test_unknown_profile(self):
        """The kernel knows the profiles: at the container's start, or there is no AppArmor at all."""
        self.config(["/bin/true"], lambda c: c["process"].update(apparmorProfile="droplet-none"))
        self.fails("run", "--bundle", self.bundle, self.id, text="apparmorProfile")

    def test_killed_at_random_steps(self):
        self.config(["/bin/sleep", "1000"])
        source = random.Random(7)
        reached = set()
        # The moments are spread over the time that a create takes on this machine.
        began = time.monotonic()
        self.create()
        whole = time.monotonic() - began
        self.ok("delete", "--force", self.id)
        for _ in range(40):
            process = subprocess.Popen([DROPLET, "--root", self.root, "--audit-log=", "create", "--bundle",
                                        self.bundle, self.id], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(source.uniform(0.0005, 1.5 * whole))
            process.send_signal(signal.SIGKILL)
            process.wait()
            shown = self.droplet("state", self.id)
            reached.add(json.loads(shown.stdout)["status"] if shown.returncode == 0 else "none")
            self.ok("delete", "--force", self.id)
            self.wait_for(lambda: not self.processes_inside(), "processes of a killed create")
            self.assert_nothing_left()
        self.assertGreater(len(reached), 1, "every kill met the same step")

    def test_damaged_state(self):
        self.config(["/bin/sleep", "1000"])
        self.assertEqual(0, self.create())
        pid = self.state()["pid"]
        path = self.root + "/" + self.id + "/state.json"
        good = read(path)
        self.write(path, "{")
        self.assertEqual(1, self.droplet("state", self.id).returncode)
        self.assertEqual(1, self.droplet("delete", self.id).returncode)
        self.assertEqual("[]\n", self.ok("list", "--format", "json").stdout)
        self.write(path, good)
        self.assertEqual(pid, self.state()["pid"])


if __name__ == "__main__":
    harness.main()

"""Bundles, commands and clean-up checks for the tests of droplet. Real containers made of
busybox-static in a temporary folder; root only. Everything is named after the process id, so that
parallel runs do not meet."""
import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import skips  # noqa: E402
from slow import limit as slow_limit  # noqa: E402

DROPLET = os.path.join(os.environ["RAIND_BIN_DIR"], "droplet")
BUSYBOX = "/usr/bin/busybox"
RANGE = 0x20000000 + (os.getpid() % 4096) * 65536
APPLETS = ["sh", "cat", "echo", "sleep", "id", "ls", "mkdir", "touch", "mount", "hostname", "ps",
           "kill", "stat", "head", "chown", "rm", "dd", "wc", "test", "env", "pwd", "tr", "mknod",
           "chmod", "ifconfig", "yes", "true", "false", "grep", "ln", "readlink", "unshare", "id"]
DEFAULT_CAPS = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD",
                "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE",
                "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE"]
MASKED = ["/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list",
          "/proc/scsi", "/sys/firmware"]
READONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]


def read(path):
    with open(path) as f:
        return f.read()


def cgroup2():
    for line in read("/proc/self/mountinfo").splitlines():
        fields = line.split()
        if " - cgroup2 " in line and fields[3] == "/":
            return fields[4]
    return None


def mounts():
    """Without named network namespaces: other tests that run beside this one come and go there."""
    return sorted(line.split(" ", 2)[2] for line in read("/proc/self/mountinfo").splitlines()
                  if " /run/netns" not in line)


def fill_layer(path):
    """The smallest root: busybox with its applets, owned by root."""
    os.makedirs(path + "/bin")
    os.makedirs(path + "/etc")
    os.chmod(path, 0o755)
    shutil.copy(BUSYBOX, path + "/bin/busybox")
    for name in set(APPLETS):
        os.symlink("busybox", path + "/bin/" + name)
    with open(path + "/etc/passwd", "w") as out:
        out.write("root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n")
    with open(path + "/bin/not-executable", "w") as out:
        out.write("text\n")
    with open(path + "/bin/wrong-format", "w") as out:
        out.write("\x01\x02\x03")
    os.chmod(path + "/bin/wrong-format", 0o755)


def default_config(work, args, cgroup):
    return {
        "ociVersion": "1.0.2",
        "process": {"args": args, "cwd": "/", "env": ["PATH=/bin", "TERM=xterm"],
                    "user": {"uid": 0, "gid": 0}, "noNewPrivileges": True,
                    "capabilities": {k: DEFAULT_CAPS
                                     for k in ("bounding", "effective", "permitted")}},
        "hostname": "inside",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc",
             "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620",
                         "gid=5"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs",
             "options": ["nosuid", "noexec", "nodev", "ro"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup2", "source": "cgroup",
             "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
             "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
        ],
        "annotations": {"io.raind.image.config": json.dumps(
            {"rootfsType": "overlay", "imageLayer": [work + "/layer0", work + "/layer1"],
             "upperDir": work + "/upper", "workDir": work + "/work"})},
        "linux": {
            "cgroupsPath": cgroup,
            "namespaces": [{"type": t} for t in ("mount", "network", "uts", "pid", "ipc", "user",
                                                 "cgroup")],
            "uidMappings": [{"containerID": 0, "hostID": RANGE, "size": 65536}],
            "gidMappings": [{"containerID": 0, "hostID": RANGE, "size": 65536}],
            "sysctl": {"net.ipv4.ping_group_range": "0 65535"},
            "maskedPaths": MASKED, "readonlyPaths": READONLY,
            "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                {"names": ["bpf", "keyctl"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]},
        },
    }


class Case(unittest.TestCase):
    """A folder, a state root and a cgroup parent per test; tearDown proves that all is gone."""

    def setUp(self):
        self.work = tempfile.mkdtemp(prefix="droplet-oci-%d-" % os.getpid(), dir="/tmp")
        os.chmod(self.work, 0o700)
        self.root = self.work + "/state"
        self.bundle = self.work + "/bundle"
        os.mkdir(self.bundle)
        fill_layer(self.work + "/layer0")
        os.makedirs(self.work + "/layer1/top")
        os.makedirs(self.work + "/upper")
        os.makedirs(self.work + "/work")
        self.id = "t%d-%s" % (os.getpid(), self._testMethodName[5:40].replace("_", "-"))
        self.parent = "droplet-test-%d" % os.getpid()
        self.cgroup = "/%s/%s" % (self.parent, self.id)
        if cgroup2():
            os.makedirs(cgroup2() + "/" + self.parent, exist_ok=True)
        self.mounts_before = mounts()

    def tearDown(self):
        self.droplet("delete", "--force", self.id)
        try:
            self.assert_nothing_left()
        finally:
            with contextlib.suppress(OSError):
                os.rmdir(cgroup2() + "/" + self.parent)
            shutil.rmtree(self.work, ignore_errors=True)

    def assert_nothing_left(self):
        self.assertEqual(self.mounts_before, mounts())
        left = [e for e in os.listdir(self.root) if e != ".seccomp"] if os.path.isdir(
            self.root) else []
        self.assertEqual([], left, "state folder")
        if cgroup2():
            deadline = time.monotonic() + slow_limit(6)
            folder = cgroup2() + "/" + self.parent
            while True:
                left = [e for e in os.listdir(folder) if os.path.isdir(folder + "/" + e)]
                if not left or time.monotonic() > deadline:
                    break
                time.sleep(0.02)
            self.assertEqual([], left, "cgroups")
        self.assertEqual([], self.processes_inside(), "processes")

    def processes_inside(self):
        """Processes whose user namespace is one of this test's containers'."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                owner = read("/proc/%s/uid_map" % pid).split()[:2]
                state = read("/proc/%s/stat" % pid).rsplit(")", 1)[1].split()[0]
                if owner == ["0", str(RANGE)] and state != "Z":
                    found.append(pid)
        return found

    def config(self, args, change=None):
        config = default_config(self.work, args, self.cgroup)
        if change:
            change(config)
        with open(self.bundle + "/config.json", "w") as out:
            json.dump(config, out)
        return config

    def droplet(self, *args, stdin=subprocess.DEVNULL, timeout=60):
        return subprocess.run([DROPLET, "--root", self.root, "--audit-log=", *args], stdin=stdin,
                              capture_output=True, text=True, timeout=slow_limit(timeout))

    def ok(self, *args, **kwargs):
        done = self.droplet(*args, **kwargs)
        self.assertEqual(0, done.returncode, "%s: %s" % (args, done.stderr))
        return done

    def fails(self, *args, text, status=1):
        done = self.droplet(*args)
        self.assertEqual(status, done.returncode, done.stdout + done.stderr)
        self.assertIn(text, done.stderr)
        self.assertEqual(1, len(done.stderr.strip().splitlines()), done.stderr)
        return done

    def create(self):
        """create with streams that end: pipes of the test would stay open with the container."""
        with open(self.work + "/out", "wb") as out, open(self.work + "/err", "wb") as err:
            return subprocess.run([DROPLET, "--root", self.root, "--audit-log=", "create", "--bundle",
                                   self.bundle, self.id], stdin=subprocess.DEVNULL, stdout=out,
                                  stderr=err, timeout=slow_limit(60)).returncode

    def output(self):
        return read(self.work + "/out"), read(self.work + "/err")

    def run_inside(self, script, change=None, expect=0):
        """run attached; the script's output."""
        self.config(["/bin/sh", "-c", script], change)
        done = self.droplet("run", "--bundle", self.bundle, self.id)
        self.assertEqual(expect, done.returncode, done.stderr)
        return done.stdout

    def write(self, path, text):
        with open(path, "w") as out:
            out.write(text)

    def state(self):
        return json.loads(self.ok("state", self.id).stdout)

    def wait_for(self, condition, what, limit=15):
        deadline = time.monotonic() + slow_limit(limit)
        while not condition():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.01)


def main():
    if os.geteuid() != 0:
        print("SKIP: root is needed")
        sys.exit(77)
    if not os.access(BUSYBOX, os.X_OK):
        print("SKIP: busybox-static is missing")
        sys.exit(77)
    program = unittest.main(verbosity=2, exit=False)
    skips.tell(program.result)
    sys.exit(not program.result.wasSuccessful())

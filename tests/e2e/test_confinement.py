#!/usr/bin/env python3
"""What a process in a container is, sees and may do; the same for its first process and for exec."""
import os
import pathlib
import re
import resource
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from lab import BUILD, cgroup2_mount, run, wait_until  # noqa: E402
from suite import IN_GUEST, Suite, expect, main, skip  # noqa: E402

NAMESPACES = ("user", "net", "mnt", "pid", "ipc", "uts", "cgroup")
FIRST_ID, IDS = 0x20000000, 65536
EPERM, ENOSYS = 1, 38
# CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, SYS_CHROOT, MKNOD,
# AUDIT_WRITE, SETFCAP: their numbers in the kernel.
CAPABILITIES = {0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 27, 29, 31}
MASKED = ("/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
          "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap",
          "/sys/firmware", "/sys/fs/bpf")
DEVICES = {"null", "zero", "full", "random", "urandom", "tty", "fd", "stdin", "stdout", "stderr", "ptmx", "pts", "shm",
           "mqueue", "core"}
CONFINEMENT = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp",
               "Seccomp_filters", "Umask")


def fields(status):
    return dict(re.match(r"(\w+):\s*(.*?)\s*$", line).groups() for line in status.splitlines() if ":" in line)


def bits(mask):
    return {number for number in range(64) if int(mask, 16) >> number & 1}


class Confinement(Suite):
    name = "raind-conf"

    def prepare(self):
        self.image = self.lab.make_image(programs=("probe", "confine_probe"))
        for name in ("one", "two"):
            self.lab.raind("container", "run", "-d", "--name", name, "--hostname", f"host-{name}", self.image,
                           "probe", "sleep", "1000")
        self.one, self.two = self.lab.inspect("one"), self.lab.inspect("two")

    def inside(self, script, container="one", check=True):
        return self.lab.raind("container", "exec", container, "sh", "-c", script, check=check)

    def first_output(self, *command, options=()):
        """What a container prints whose first process is the command, and its exit code."""
        self.lab.raind("container", "run", "-d", "--name", "short", *options, self.image, *command)
        wait_until("it ends", lambda: self.lab.inspect("short")["state"] == "stopped")
        text = self.lab.raind("container", "logs", "short").stdout
        code = self.lab.inspect("short")["exitCode"]
        self.lab.raind("container", "rm", "short")
        return text, code

    def proc(self, name, container=None):
        return pathlib.Path(f"/proc/{(container or self.one)['pid']}/{name}").read_text()

    # who it is

    def case_seven_namespaces_of_its_own(self):
        for kind in NAMESPACES:
            seen = {os.readlink(f"/proc/{pid}/ns/{kind}") for pid in ("self", self.one["pid"], self.two["pid"])}
            expect(len(seen) == 3, f"{kind}: shared by host and containers: {seen}")
        # Root of the container owns its network, and nobody else's: both were made together.
        expect(self.inside("ls /sys/class/net").stdout.split() == ["eth0", "lo"], "network devices")

    def case_ids_are_shifted_and_of_one_container_only(self):
        ranges = []
        for container in (self.one, self.two):
            maps = [[int(word) for word in self.proc(f"{kind}_map", container).split()] for kind in ("uid", "gid")]
            expect(maps[0] == maps[1] and len(maps[0]) == 3, f"id maps {maps}")
            inside, outside, count = maps[0]
            expect(inside == 0 and count == IDS, f"id map {maps[0]}")
            expect(outside >= FIRST_ID, f"root inside is {outside} outside")
            ranges.append(range(outside, outside + count))
        expect(not set(ranges[0][::4096]) & set(ranges[1]) and ranges[0].start != ranges[1].start, f"overlap: {ranges}")
        status = fields(self.proc("status"))
        expect(set(status["Uid"].split()) == {str(ranges[0].start)}, f"Uid {status['Uid']}")
        expect(self.proc("setgroups").strip() == "allow", "setgroups")

    def case_files_belong_to_the_shifted_ids(self):
        self.inside("touch /made && chown 7:9 /made")
        made = pathlib.Path(f"/proc/{self.one['pid']}/root/made").stat()
        first = int(self.proc("uid_map").split()[1])
        expect(first >= FIRST_ID, f"root inside is {first} outside")
        expect((made.st_uid, made.st_gid) == (first + 7, first + 9), f"owner outside {made.st_uid}:{made.st_gid}")
        expect(self.inside("stat -c %u:%g /made /bin/busybox").stdout.split() == ["7:9", "0:0"], "owners inside")
        layer = next((self.lab.root / "etc/raind/image/layers").glob("**/bin/busybox")).stat()
        expect(layer.st_uid == 0, f"the image's layer has owner {layer.st_uid}")
        expect(self.inside("ls /made", "two", check=False).returncode != 0, "the other container sees the file")

    def case_capabilities_and_no_new_privileges(self):
        init = fields(self.inside("cat /proc/1/status").stdout)
        for kind in ("CapPrm", "CapEff", "CapBnd"):
            expect(bits(init[kind]) == CAPABILITIES, f"{kind}: {sorted(bits(init[kind]) ^ CAPABILITIES)} differ")
        for kind in ("CapInh", "CapAmb"):
            expect(not bits(init[kind]), f"{kind}: {init[kind]}")
        expect(init["NoNewPrivs"] == "1" and init["Seccomp"] == "2", f"{init['NoNewPrivs']} {init['Seccomp']}")
        raw, _ = self.first_output("sh", "-c", "grep CapBnd /proc/self/status",
                                   options=("--cap-drop", "ALL", "--cap-add", "net_raw"))
        expect(bits(raw.split()[1]) == {13}, f"--cap-drop ALL --cap-add net_raw: {raw}")

    def case_open_files_do_not_depend_on_the_daemon(self):
        text, _ = self.first_output("sh", "-c", "ulimit -Sn; ulimit -Hn")
        soft, hard = (int(word) for word in text.split())
        # A machine that gives root no right to raise limits keeps its own.
        own = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        expect(soft == 1024 and hard in (524288, own), f"first process: {text.split()}")
        expect(self.inside("ulimit -Sn; ulimit -Hn").stdout == text, "exec")

    def case_exec_has_the_confinement_of_the_first_process(self):
        for options in ((), ("--user", "1000:1000")):
            first, _ = self.first_output("sh", "-c", "cat /proc/self/status; confine_probe limits; cat /proc/self/oom_score_adj",
                                         options=options)
            self.lab.raind("container", "run", "-d", "--name", "base", *options, self.image, "probe", "sleep", "100")
            later = self.inside("cat /proc/self/status; confine_probe limits; cat /proc/self/oom_score_adj", "base").stdout
            links = self.inside("for n in user net mnt pid ipc uts cgroup; do readlink /proc/self/ns/$n; done", "base").stdout
            pid = self.lab.inspect("base")["pid"]
            self.check_exec_cgroup("base")
            wanted = [os.readlink(f"/proc/{pid}/ns/{kind}") for kind in NAMESPACES]
            self.lab.raind("container", "stop", "base")
            self.lab.raind("container", "rm", "base")
            own = {key: fields(first)[key].split() for key in CONFINEMENT}
            shift = fields(later)
            # Every container has a range of its own, but inside it looks the same.
            differ = {key: (own[key], shift[key]) for key in CONFINEMENT if own[key] != shift[key].split()}
            expect(not differ, f"{options}: first process and exec differ: {differ}")
            tail = [text.splitlines()[-17:] for text in (first, later)]
            expect(tail[0] == tail[1], f"{options}: limits differ: {tail}")
            expect(links.split() == wanted, f"{options}: namespaces {links.split()} {wanted}")

    def check_exec_cgroup(self, name):
        """A process of exec is in the container's cgroup, in no other, and has no descriptor of the runtime."""
        container = self.lab.inspect(name)
        group = cgroup2_mount() / self.lab.cgroup.strip("/") / container["containerId"]
        with subprocess.Popen([str(self.lab_bin("raind")), "--root", str(self.lab.root), "container", "exec", name,
                               "probe", "sleep", "30"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as client:
            try:
                def others():
                    return set((group / "cgroup.procs").read_text().split()) - {str(container["pid"])}
                pid = next(iter(wait_until("exec is in the cgroup", others, 5)))
                wait_until("exec has begun", lambda: "probe" in pathlib.Path(f"/proc/{pid}/cmdline").read_text(), 5)
                for process in (pid, container["pid"]):
                    open_now = sorted(os.listdir(f"/proc/{process}/fd"), key=int)
                    expect(open_now == ["0", "1", "2"], f"descriptors of {process}: {open_now}")
                    expect(os.readlink(f"/proc/{process}/cwd") == "/", "working directory")
            finally:
                client.kill()
                os.kill(int(pid), 9)

    def lab_bin(self, program):
        import lab
        return lab.BIN / program

    def case_its_cgroup_is_its_own_and_cannot_be_left(self):
        group = cgroup2_mount() / self.lab.cgroup.strip("/") / self.one["containerId"]
        expect(str(self.one["pid"]) in (group / "cgroup.procs").read_text().split(), "not in its cgroup")
        expect(self.inside("grep '^0:' /proc/self/cgroup").stdout.strip() == "0::/", "the cgroup's path shows inside")
        tried = self.inside("echo $$ > /sys/fs/cgroup/cgroup.procs; mkdir /sys/fs/cgroup/x", check=False)
        expect(tried.returncode != 0 and not (group / "x").exists(), f"the cgroup can be written: {tried.stderr}")

    # what it sees

    def case_no_descriptor_of_the_runtime(self):
        text, _ = self.first_output("ls", "-l", "/proc/self/fd")
        # After the total each line ends with "NUMBER -> TARGET", or with NUMBER when the target is gone.
        found = {int(number): target for number, target in re.findall(r" (\d+)(?: -> (\S+))?$", text.split("\n", 1)[1], re.MULTILINE)}
        # The fourth is the folder that ls reads: gone when ls asks for its target.
        expect(sorted(found) == [0, 1, 2, 3] and not found[3].startswith("/"), f"descriptors: {text}")
        expect(found[0] == "/dev/null" and found[1].startswith("pipe:") and found[2].startswith("pipe:"), text)

    def case_only_its_own_processes(self):
        seen = [word for word in self.inside("ls /proc").stdout.split() if word.isdigit()]
        expect("1" in seen and len(seen) <= 4, f"processes {seen}")
        expect(self.inside("tr '\\0' ' ' < /proc/1/cmdline").stdout.split() == ["probe", "sleep", "1000"], "process 1")
        text = self.inside("tr '\\0' '\\n' < /proc/1/environ").stdout
        names = {line.split("=")[0] for line in text.splitlines()}
        expect(names <= {"PATH", "HOSTNAME", "HOME", "TERM"}, f"environment {names}")

    def case_no_path_of_the_host_in_its_mounts(self):
        mounts = self.inside("cat /proc/self/mountinfo").stdout.splitlines()
        points = [line.split()[4] for line in mounts]
        allowed = {"/", "/proc", "/dev", "/dev/pts", "/sys", "/sys/fs/cgroup", "/dev/mqueue", "/dev/shm", "/etc/resolv.conf",
                   "/etc/hostname", "/etc/hosts", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
                   *MASKED, *(f"/dev/{name}" for name in DEVICES)}
        expect(set(points) <= allowed, f"mounts {set(points) - allowed}")
        expect(all("shared:" not in line and "master:" not in line for line in mounts), "a mount is shared with the host")
        shown = pathlib.Path("/proc/self/mountinfo").read_text()
        expect(self.one["containerId"] not in shown, "a mount of the container shows on the host")

    def case_masked_paths_are_empty(self):
        looked = 0
        for path in MASKED:
            there = self.inside(f"test -e {path}", check=False).returncode == 0
            if not there:
                continue
            looked += 1
            text = self.inside(f"if test -d {path}; then ls -A {path}; else cat {path}; fi", check=False)
            # Where there is AppArmor its profile refuses some of them before the mask is seen.
            closed = text.returncode == 0 or "Permission denied" in text.stderr
            expect(closed and text.stdout == "", f"{path}: {text.stdout[:80]!r} {text.stderr}")
            tried = self.inside(f"if test -d {path}; then touch {path}/x; else false; fi", check=False)
            expect(tried.returncode != 0, f"{path} can be written")
        expect(looked >= 3, f"only {looked} of the masked paths exist here")

    def case_kernel_files_are_read_only(self):
        for path in ("/proc/sys/kernel/panic", "/proc/sysrq-trigger", "/proc/sys/net/ipv4/ip_forward", "/proc/bus/x", "/proc/irq/x",
                     "/sys/kernel/x", "/sys/class/net/eth0/mtu", "/sys/fs/cgroup/cgroup.procs"):
            tried = self.inside(f"echo 1 > {path}", check=False)
            expect(tried.returncode != 0 and re.search("Read-only|No such|nonexistent|ermission", tried.stderr),
                   f"{path}: {tried.returncode} {tried.stderr}")
        expect("Read-only" in self.inside("echo 1 > /proc/sys/kernel/panic", check=False).stderr, "/proc/sys is not read-only")
        for path in ("/dev/mem", "/dev/kmsg", "/dev/port", "/proc/1/root/etc/shadow", "/sys/kernel/debug/x"):
            expect(self.inside(f"cat {path}", check=False).returncode != 0, f"{path} can be read")

    def case_devices(self):
        found = set(self.inside("ls /dev").stdout.split())
        expect(found <= DEVICES and {"null", "zero", "full", "random", "urandom", "tty"} <= found, f"/dev has {found}")
        expect(self.inside("head -c 4 /dev/zero | xxd -p; echo x > /dev/null; head -c 3 /dev/urandom | wc -c").stdout.split()
               == ["00000000", "3"], "the devices do not work")
        for kind, major, minor in (("b", 8, 0), ("c", 1, 1), ("c", 10, 200)):
            tried = self.inside(f"mknod /tmp/d {kind} {major} {minor} 2>&1 && cat /tmp/d", check=False)
            expect(tried.returncode != 0, f"mknod {kind} {major}:{minor} opens")
        expect(self.inside("stat -c %t:%T /dev/null").stdout.strip() == "1:3", "/dev/null is another device")

    def case_name_files(self):
        expect(self.inside("cat /etc/hostname; hostname").stdout.split() == ["host-one", "host-one"], "hostname")
        hosts = [line.split() for line in self.inside("cat /etc/hosts").stdout.splitlines()]
        for entry in (["127.0.0.1", "localhost"], ["::1", "localhost"], [self.one["address"], "host-one"],
                      [self.one["address6"], "host-one"]):
            expect(entry in hosts, f"/etc/hosts lacks {entry}: {hosts}")
        servers = self.inside("cat /etc/resolv.conf").stdout.split()[1::2]
        expect(not [s for s in servers if s.startswith("127.") or s == "::1"], f"name servers {servers}")
        self.inside("echo 192.0.2.9 friend >> /etc/hosts")
        expect("friend" not in self.inside("cat /etc/hosts", "two").stdout, "the file of another container")

    # what it may do

    def refused_calls(self, text):
        return {line.split()[0]: int(line.split()[1]) for line in text.splitlines() if line.strip()}

    def case_system_calls(self):
        outside = self.refused_calls(run(BUILD / "tests/confine_probe", "calls").stdout)
        telling = [name for name, errno in outside.items() if errno not in (EPERM, ENOSYS)]
        expect(len(telling) >= 20, f"the calls are refused without a filter as well: {outside}")
        first, _ = self.first_output("confine_probe", "calls")
        # All capabilities of the namespace take nothing away from the filter.
        mighty, _ = self.first_output("confine_probe", "calls", options=("--cap-add", "ALL"))
        for what, text in (("first process", first), ("exec", self.inside("confine_probe calls").stdout), ("all capabilities", mighty)):
            got = self.refused_calls(text)
            expect(got.keys() == outside.keys(), f"{what}: calls missing: {outside.keys() - got.keys()}")
            wanted = dict.fromkeys(got, EPERM) | {"clone3": ENOSYS, "unknown": ENOSYS}
            if what == "all capabilities":
                wanted["socket_packet"] = outside["socket_packet"]  # NET_RAW brings packet sockets
            differ = {name: errno for name, errno in got.items() if errno != wanted[name]}
            expect(not differ, f"{what}: not refused as they should: {differ}")

    def case_calls_of_another_architecture_kill(self):
        for arch in ("i386", "x32"):
            text, code = self.first_output("confine_probe", "foreign", arch)
            expect("answered" not in text, f"{arch}: the call was answered")
            expect(code in (128 + 31, 128 + 11) or "refused" in text, f"{arch}: exit {code}: {text}")

    def case_the_network_cannot_be_changed(self):
        before = self.inside("ip -o addr; ip -o link; ip route; ip -6 route").stdout
        for words in ("addr add 10.9.9.9/24 dev eth0", "link set eth0 down", "link set eth0 address 02:00:00:00:00:09",
                      "link add link eth0 name v type vlan id 5", "route add 10.0.0.0/8 dev eth0"):
            tried = self.inside(f"ip {words}", check=False)
            expect(tried.returncode != 0, f"ip {words}: done")
        strip = re.compile(r"(valid|preferred)_lft \S+")
        expect(strip.sub("", self.inside("ip -o addr; ip -o link; ip route; ip -6 route").stdout) == strip.sub("", before),
               "the network changed")
        expect(self.inside("confine_probe send eth0 ff", check=False).returncode == 2, "a packet socket opens")
        expect("1" in self.inside("ping -c 1 -W 1 127.0.0.1 2>&1 || probe icmp 127.0.0.1 && echo 1").stdout, "ICMP sockets")

    def case_limits_of_processes_hold(self):
        if "pids" not in (cgroup2_mount() / "cgroup.controllers").read_text().split():
            expect(not IN_GUEST, "a guest without the pids controller")
            skip("cgroup v2 has no pids controller here")
        limits = cgroup2_mount() / self.lab.cgroup.strip("/") / self.one["containerId"] / "pids.max"
        expect(limits.read_text().strip() == "512", f"pids.max {limits.read_text()}")

    def case_a_read_only_root(self):
        text, code = self.first_output("sh", "-c", "echo x > /file; echo $?; echo y > /dev/shm/file && cat /dev/shm/file",
                                       options=("--read-only",))
        expect(text.split() == ["1", "y"] and code == 0, f"exit {code}: {text}")

    def case_nothing_is_left_of_a_removed_container(self):
        self.lab.raind("container", "run", "-d", "--name", "gone", self.image, "probe", "sleep", "100")
        gone = self.lab.inspect("gone")
        self.lab.raind("container", "stop", "gone")
        self.lab.raind("container", "rm", "gone")
        time.sleep(0.1)
        expect(not pathlib.Path(f"/proc/{gone['pid']}").exists(), "process")
        expect(not (cgroup2_mount() / self.lab.cgroup.strip("/") / gone["containerId"]).exists(), "cgroup")
        expect(not (self.lab.root / "etc/raind/container" / gone["containerId"]).exists(), "folder")
        expect(gone["hostInterface"] not in run("ip", "-n", self.lab.netns, "link").stdout, "interface")


main(Confinement())

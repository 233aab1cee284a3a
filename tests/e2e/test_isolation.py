#!/usr/bin/env python3
"""What a container is, seen from inside and outside, and what it cannot do even with raw frames."""
import json
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import lab as lab_module  # noqa: E402
from lab import SOURCE, cgroup2_mount, run, wait_until  # noqa: E402
from suite import Suite, expect, main  # noqa: E402

PORT = "7200"


class Isolation(Suite):
    name = "raind-iso"

    def prepare(self):
        self.image = self.lab.make_image()
        serve = ["probe", "serve", "--tcp", PORT, "--udp", PORT, "--log"]
        for name in ("bad", "db"):
            self.lab.raind("container", "run", "-d", "--name", name, self.image, *serve)
        self.bad, self.db = self.lab.inspect("bad"), self.lab.inspect("db")

    def inside(self, *words, container="bad"):
        return self.lab.raind("container", "exec", container, *words, check=False)

    def status(self, text):
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)

    # the process

    def case_root_inside_is_nobody_outside(self):
        for pid, who in ((self.bad["pid"], self.bad), (self.db["pid"], self.db)):
            uid = int(self.status(pathlib.Path(f"/proc/{pid}/status").read_text())["Uid"].split()[0])
            expect(uid == who["userns"]["first"] >= 0x20000000, f"uid {uid} outside, {who['userns']}")
        expect(self.bad["userns"] != self.db["userns"], "two containers share a range")
        expect(self.inside("id", "-u").stdout.strip() == "0", "root inside")
        mapped = self.inside("cat", "/proc/self/uid_map").stdout.split()
        expect(mapped == ["0", str(self.bad["userns"]["first"]), "65536"], f"uid map {mapped}")
        expect(self.inside("stat", "-c", "%u", "/bin/busybox").stdout.strip() == "0", "files of the image belong to root inside")

    def case_exec_is_confined_like_the_first_process(self):
        first = self.status(pathlib.Path(f"/proc/{self.bad['pid']}/status").read_text())
        second = self.status(self.inside("cat", "/proc/self/status").stdout)
        for field in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"):
            expect(first[field] == second[field], f"{field}: {first[field]} and {second[field]}")
        expect(bin(int(second["CapBnd"], 16)).count("1") == 13 and second["Seccomp"].strip() == "2"
               and second["NoNewPrivs"].strip() == "1", f"{second}")
        group = self.inside("cat", "/proc/self/cgroup").stdout.strip().splitlines()[-1]
        expect(group == "0::/", f"cgroup inside: {group}")

    def case_only_three_descriptors(self):
        names = set(self.inside("ls", "/proc/self/fd").stdout.split())
        expect(names <= {"0", "1", "2", "3"}, f"descriptors {names}")  # 3 is the folder that ls reads

    def case_privileged_calls_are_refused(self):
        for words in (("mount", "-t", "tmpfs", "none", "/tmp"), ("unshare", "-n", "true"), ("unshare", "-U", "true"),
                      ("mknod", "/tmp/sda", "b", "8", "0"), ("hostname", "other"), ("ip", "link", "set", "eth0", "down"),
                      ("ip", "addr", "add", "10.166.0.99/24", "dev", "eth0"), ("ping", "-c", "1", "-W", "1", self.db["address"])):
            done = self.inside(*words)
            expect(done.returncode != 0, f"{' '.join(words)} works: {done.stdout}")

    def case_kernel_files_are_masked_or_read_only(self):
        expect(self.inside("sh", "-c", "head -c 1 /proc/kcore | wc -c").stdout.strip() == "0", "/proc/kcore")
        expect(self.inside("sh", "-c", "ls -A /sys/firmware | wc -l").stdout.strip() == "0", "/sys/firmware")
        for path in ("/proc/sys/kernel/domainname", "/proc/sysrq-trigger", "/sys/class/net/eth0/mtu", "/sys/fs/cgroup/cgroup.procs"):
            expect(self.inside("sh", "-c", f"echo 1 > {path}").returncode != 0, f"{path} can be written")
        for device in ("null", "zero", "full", "random", "urandom", "tty"):
            expect(self.inside("test", "-c", f"/dev/{device}").returncode == 0, f"/dev/{device} is missing")

    def case_files_of_the_container(self):
        hosts = self.inside("cat", "/etc/hosts").stdout
        expect(f"{self.bad['address']} {self.bad['containerId']}" in hosts, hosts)
        expect(self.inside("cat", "/etc/hostname").stdout.strip() == self.bad["containerId"], "hostname")
        expect("127.0.0" not in self.inside("cat", "/etc/resolv.conf").stdout, "a loopback name server")
        expect(self.inside("touch", "/new").returncode == 0, "the root is writable")

    # the network

    def case_hostile_frames_arrive_nowhere_and_are_on_record(self):
        tap = subprocess.Popen(["nsenter", "-t", str(self.db["pid"]), "-n", "python3",
                                SOURCE / "tests/support/sniffer.py", "eth0", PORT],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        tap.stdout.readline()
        quiet = self.lab.raind("container", "logs", "db").stdout
        gateway = run("ip", "-n", self.lab.netns, "-j", "link", "show", "raind0").stdout
        gateway_mac = json.loads(gateway)[0]["address"]
        sent = run("nsenter", "-t", self.bad["pid"], "-n", "python3", SOURCE / "tests/support/hostile.py", self.bad["mac"],
                   self.bad["address"], self.bad["address6"], self.db["mac"], self.db["address"], self.db["address6"],
                   gateway_mac, "10.166.0.254", PORT).stdout.splitlines()
        expect(len(sent) == 20, f"frames sent: {len(sent)}")
        time.sleep(1)
        tap.send_signal(signal.SIGTERM)
        seen = int(tap.communicate(timeout=10)[0].split()[-1])
        expect(seen == 0, f"{seen} frames arrived at db")
        expect(self.lab.raind("container", "logs", "db").stdout == quiet, "db was reached")
        for reason, extra in (("default", {}), ("src_ip", {"claimed_ip": "10.166.0.77"}),
                              ("src_ip", {"claimed_ip": "10.166.0.254"}), ("src_ip", {"claimed_ip": "198.51.100.7"}),
                              ("src_ip", {"claimed_ip": "fd00::77"}), ("src_mac", {}), ("vlan", {}), ("ip_options", {}),
                              ("fragment", {}), ("special", {}), ("arp", {}), ("ethertype", {})):
            found = self.lab.find_records(verdict="deny", verdict_reason=reason, src__container_name="bad", **extra)
            expect(found, f"no record against bad with reason {reason} {extra}")
        wrong = [r for r in self.lab.records() if r["src"].get("container_name") == "db"]
        expect(not wrong, f"recorded under another's name: {wrong[:1]}")

    def case_the_neighbours_believed_nothing(self):
        for netns_words in (["nsenter", "-t", str(self.db["pid"]), "-n", "ip"], ["ip", "-n", self.lab.netns]):
            table = run(*netns_words, "neigh", "show").stdout
            for line in table.splitlines():
                if self.bad["mac"] in line:
                    expect(line.startswith((self.bad["address"] + " ", self.bad["address6"] + " ")), f"believed: {line}")

    def case_services_of_the_host_are_out_of_reach(self):
        server = subprocess.Popen(["ip", "netns", "exec", self.lab.netns, lab_module.BUILD / "tests/probe", "serve", "--tcp", PORT,
                                   "--udp", PORT], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        try:
            while server.stdout.readline().strip() != "ready":
                pass
            run("ip", "-n", self.lab.netns, "link", "set", "lo", "up")
            run("ip", "-n", self.lab.netns, "addr", "add", "10.77.0.1/32", "dev", "lo")
            for address in ("10.166.0.254", "10.77.0.1"):
                expect(self.inside("probe", "tcp", address, PORT, "--timeout", "400").returncode != 0, f"tcp {address}")
                expect(self.inside("probe", "udp", address, PORT, "--timeout", "400").returncode != 0, f"udp {address}")
            expect(self.inside("probe", "icmp", "10.166.0.254", "--timeout", "1000").returncode == 0, "echo of the gateway")
            # The server is there: the host itself reaches it, so the refusals above mean something.
            expect(run("ip", "netns", "exec", self.lab.netns, lab_module.BUILD / "tests/probe", "tcp", "10.77.0.1", PORT).returncode == 0,
                   "the host's own connection")
        finally:
            server.kill()
            server.wait()

    def case_a_new_container_inherits_nothing(self):
        self.lab.raind("policy", "add", "--type", "ew", "-s", "old", "-d", "db", "-p", "tcp", "--dport", PORT)
        self.lab.raind("policy", "commit", "--yes")
        self.lab.raind("container", "run", "-d", "--name", "old", self.image, "probe", "sleep", "1000")
        expect(self.inside("probe", "tcp", self.db["address"], PORT, container="old").returncode == 0, "old is permitted")
        old = self.lab.inspect("old")
        self.lab.raind("container", "stop", "old")
        self.lab.raind("container", "rm", "old")
        self.lab.raind("container", "run", "-d", "--name", "fresh", self.image, "probe", "sleep", "1000")
        fresh = self.lab.inspect("fresh")
        expect(fresh["address"] != old["address"] and fresh["identity"] != old["identity"], "address and identity are new")
        expect(self.inside("probe", "tcp", self.db["address"], PORT, "--timeout", "400", container="fresh").returncode != 0,
               "fresh is denied")
        self.lab.raind("container", "run", "-d", "--name", "old", self.image, "probe", "sleep", "1000")
        expect(self.inside("probe", "tcp", self.db["address"], PORT, container="old").returncode == 0, "the name is permitted again")


main(Isolation())

#!/usr/bin/env python3
"""What a container cannot do on the network, even with raw frames and full rights over its interface."""
import json
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import lab as lab_module  # noqa: E402
from lab import SOURCE, run  # noqa: E402
from slow import limit  # noqa: E402
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
        seen = int(tap.communicate(timeout=limit(10))[0].split()[-1])
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

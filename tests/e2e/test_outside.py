#!/usr/bin/env python3
"""A host on the LAN that knows the containers' subnets: it reaches none of them, not even in a container's name."""
import ipaddress
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import frames  # noqa: E402
from lab import BUILD, OUTSIDE4, OUTSIDE6, SOURCE, run, wait_until  # noqa: E402
from slow import limit  # noqa: E402
from suite import Suite, expect, main  # noqa: E402

PORT = "7000"
MARK = "outside-"
FAMILIES = (("address", OUTSIDE4), ("address6", OUTSIDE6))


class Outside(Suite):
    name = "raind-lan"

    def prepare(self):
        image = self.lab.make_image()
        serve = ["probe", "serve", "--tcp", PORT, "--udp", PORT, "--log"]
        for name in ("victim", "friend"):
            self.lab.raind("container", "run", "-d", "--name", name, image, *serve)
        self.victim, self.friend = self.lab.inspect("victim"), self.lab.inspect("friend")
        # The friend is permitted everything: its name would open the door.
        self.lab.raind("policy", "add", "--type", "ew", "-s", "friend", "-d", "victim")
        self.lab.raind("policy", "commit", "--yes")
        self.lab.make_outside()
        self.lab.serve_outside("--tcp", "9000", "--udp", "9000", "--log")
        for family, via in (("address", "192.0.2.1"), ("address6", "2001:db8:99::1")):
            subnet = ipaddress.ip_network(self.victim[family] + ("/24" if family == "address" else "/64"), strict=False)
            run("ip", "-n", self.lab.outside, "route", "add", subnet, "via", via)
        wait_until("the victim listens", lambda: "ready" in self.output())
        self.quiet = self.output()

    def output(self):
        return self.lab.raind("container", "logs", "--line", "5000", "victim").stdout

    def probe(self, *words):
        return run("ip", "netns", "exec", self.lab.outside, BUILD / "tests/probe", *words, "--timeout", "500", check=False)

    def case_containers_reach_the_outside_and_get_its_answers(self):
        for family, outside in FAMILIES:
            for kind in ("tcp", "udp"):
                done = self.lab.raind("container", "exec", "victim", "probe", kind, outside, "9000", check=False)
                expect(done.returncode == 0, f"{kind} to {outside}: {done.stdout}{done.stderr}")
        expect(self.victim["address"] not in (self.lab.dir / "outside.log").read_text(), "not masqueraded")

    def case_the_outside_reaches_no_container(self):
        for mode in ("observe", "enforce"):
            if mode == "enforce":
                self.lab.raind("policy", "ns-mode", mode)
                self.lab.raind("policy", "commit", "--yes")
            for family, outside in FAMILIES:
                for words in (("tcp", self.victim[family], PORT), ("udp", self.victim[family], PORT), ("icmp", self.victim[family])):
                    done = self.probe(*words)
                    expect(done.returncode != 0, f"{mode}: {' '.join(words)} from outside: {done.stdout}")
                found = self.lab.find_records(verdict="deny", src__ip=outside, dst__container_name="victim")
                expect(found, f"{mode}: no denial of {outside} on record")
        self.lab.raind("policy", "ns-mode", "observe")
        self.lab.raind("policy", "commit", "--yes")
        expect(self.output() == self.quiet, "the victim was reached")

    def forge(self, named):
        """Sends frames from the outside's interface; gives the markers that arrive at the victim."""
        tap = subprocess.Popen(["nsenter", "-t", str(self.victim["pid"]), "-n", "python3", SOURCE / "tests/support/sniffer.py",
                                "eth0", MARK], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        tap.stdout.readline()
        run("ip", "netns", "exec", self.lab.outside, BUILD / "tests/confine_probe", "send", "eth0",
            *(frame.hex() for frame in named.values()))
        time.sleep(0.7)
        tap.send_signal(signal.SIGTERM)
        return set(tap.communicate(timeout=limit(10))[0].split())

    def frame(self, name, source, destination):
        def mac(netns, link):
            return run("ip", "-n", netns, "-o", "link", "show", link).stdout.split("link/ether ")[1].split()[0]
        kind, packet = frames.udp(source, destination, (MARK + name).encode(), dport=int(PORT))
        here = "up_" + self.lab.name[-11:]
        return frames.ether(mac(self.lab.netns, here), mac(self.lab.outside, "eth0"), kind, packet)

    def case_nobody_outside_speaks_for_a_container(self):
        shown = run("ip", "-n", self.lab.netns, "-o", "addr", "show", "raind0").stdout.split()
        gateways = {"address": next(w.split("/")[0] for w in shown if w.startswith("10.")),
                    "address6": next(w.split("/")[0] for w in shown if w.startswith("fd"))}
        named = {}
        for family, _ in FAMILIES:
            for who, source in (("friend", self.friend[family]), ("gateway", gateways[family]), ("victim", self.victim[family])):
                named[who + family] = self.frame(who + family, source, self.victim[family])
        # Reverse path checks of the kernel would hide what the programs and the guard do.
        for name in ("all", "up_" + self.lab.name[-11:]):
            run("ip", "netns", "exec", self.lab.netns, "sysctl", "-q", "-w", f"net.ipv4.conf.{name}.rp_filter=0")
        seen = self.forge(named)
        expect(not seen, f"arrived: {seen}")
        expect(self.output() == self.quiet, "the victim was reached")
        blamed = [r for r in self.lab.records() if r["src"].get("container_name") == "friend"]
        expect(not blamed, f"the friend is blamed: {blamed[:1]}")

    def case_the_friend_itself_is_heard(self):
        for family, _ in FAMILIES:
            done = self.lab.raind("container", "exec", "friend", "probe", "udp", self.victim[family], PORT, check=False)
            expect(done.returncode == 0, f"{self.victim[family]}: {done.stdout}")
        expect(self.output() != self.quiet, "the victim says nothing")

    def case_what_is_open_on_the_host_stays_open_for_the_lan(self):
        with subprocess.Popen(["ip", "netns", "exec", self.lab.netns, BUILD / "tests/probe", "serve", "--tcp", "7300"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as server:
            try:
                while server.stdout.readline().strip() != "ready":
                    pass
                expect(self.probe("tcp", "192.0.2.1", "7300").returncode == 0, "the LAN does not reach the host any more")
                done = self.lab.raind("container", "exec", "victim", "probe", "tcp", "192.0.2.1", "7300", "--timeout", "500", check=False)
                expect(done.returncode != 0, "a container reaches the host")
            finally:
                server.kill()


main(Outside())

#!/usr/bin/env python3
"""Root of a container with NET_ADMIN and NET_RAW tries to be somebody else. Policy permits both the attacker and the
one it plays, so that nothing but the check of who sends stands between them and the victim."""
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import frames  # noqa: E402
from lab import SOURCE, run, wait_until  # noqa: E402
from slow import limit  # noqa: E402
from suite import Suite, expect, main  # noqa: E402

PORT = "7000"
BROADCAST = "ff:ff:ff:ff:ff:ff"
OTHER_MAC = "02:00:00:00:be:ef"
MARK = "forged-"


class Tap:
    """Every marker that passes an interface, and on the way every frame."""

    def __init__(self, prefix, interface):
        self.process = subprocess.Popen([*prefix, "python3", SOURCE / "tests/support/sniffer.py", interface, MARK],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        expect(self.process.stdout.readline().strip() == "ready", "the sniffer does not start")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return set(self.process.communicate(timeout=limit(10))[0].split())


class Spoofing(Suite):
    name = "raind-spoof"

    def allow_packet_sockets(self):
        """The AppArmor profile denies them whatever capabilities a container has: it is the programs that are put to the test here."""
        profile = self.lab.root / "etc/raind/lsm/apparmor/raind-default"
        if not profile.exists():
            return
        text, packet = profile.read_text(), "  deny network packet,\n"
        expect(packet in text, "the profile does not deny packet sockets")
        profile.write_text(text.replace(packet, "  network packet,\n"))
        self.lab.stop_daemon()
        self.lab.start()

    def prepare(self):
        self.allow_packet_sockets()
        self.port = int(PORT)
        image = self.lab.make_image(programs=("probe", "confine_probe"))
        serve = ["probe", "serve", "--tcp", PORT, "--udp", PORT, "--log"]
        mighty = ["--cap-add", "NET_ADMIN", "--cap-add", "NET_RAW"]
        for name, options, command in (("victim", [], serve), ("friend", [], serve), ("evil", mighty, ["probe", "sleep", "1000"])):
            self.lab.raind("container", "run", "-d", "--name", name, *options, image, *command)
        self.victim, self.friend, self.evil = (self.lab.inspect(name) for name in ("victim", "friend", "evil"))
        for source in ("evil", "friend"):
            self.lab.raind("policy", "add", "--type", "ew", "-s", source, "-d", "victim", "-p", "udp")
        self.lab.raind("policy", "commit", "--yes")
        link = run("ip", "-n", self.lab.netns, "-o", "link", "show", "raind0").stdout
        self.gateway_mac = link.split("link/ether ")[1].split()[0]
        addresses = run("ip", "-n", self.lab.netns, "-o", "addr", "show", "raind0").stdout
        self.gateway4 = addresses.split("inet ")[1].split("/")[0]
        self.gateway6 = next(word.split("/")[0] for word in addresses.split() if word.startswith("fd"))

    def exec(self, *words, container="evil", check=True):
        return self.lab.raind("container", "exec", container, *words, check=check)

    def send(self, named):
        """Sends the frames; gives the markers that were seen at the victim and beside the bridge."""
        taps = [Tap(["nsenter", "-t", str(self.victim["pid"]), "-n"], "eth0"),
                Tap(["nsenter", "-t", str(self.friend["pid"]), "-n"], "eth0"),
                Tap(["ip", "netns", "exec", self.lab.netns], "raind0")]
        done = self.exec("confine_probe", "send", "eth0", *(frame.hex() for frame in named.values()))
        expect(done.stdout.split() == ["sent"] * len(named), f"not sent: {done.stdout}")
        time.sleep(0.7)
        return [tap.stop() for tap in taps]

    def udp(self, name, source, destination, sender=None, target=None, vlan=None):
        # A port of its own, because denials of one destination, port and reason are told once a second.
        self.port += 1
        kind, packet = frames.udp(source, destination, (MARK + name).encode(), dport=self.port)
        return frames.ether(target or self.gateway_mac, sender or self.evil["mac"], kind, packet, vlan)

    def case_an_honest_raw_frame_arrives(self):
        seen = self.send({name: self.udp(name, self.evil[key], self.victim[key])
                          for name, key in (("honest4", "address"), ("honest6", "address6"))})
        expect(seen[0] == {MARK + "honest4", MARK + "honest6"}, f"the victim saw {seen[0]}: the cases below prove nothing")
        expect(not seen[1], f"a third party saw {seen[1]}")

    def attacks(self):
        evil, friend, victim = self.evil, self.friend, self.victim
        found = {}
        for family, key in (("4", "address"), ("6", "address6")):
            gateway = self.gateway4 if family == "4" else self.gateway6
            outside = "198.51.100.7" if family == "4" else "2001:db8::7"
            found |= {
                f"source{family}": self.udp(f"source{family}", friend[key], victim[key]),
                f"gateway{family}": self.udp(f"gateway{family}", gateway, victim[key]),
                f"outside{family}": self.udp(f"outside{family}", outside, victim[key]),
                f"victims{family}": self.udp(f"victims{family}", victim[key], victim[key]),
                f"friendmac{family}": self.udp(f"friendmac{family}", friend[key], victim[key], friend["mac"]),
                f"othermac{family}": self.udp(f"othermac{family}", evil[key], victim[key], OTHER_MAC),
                f"direct{family}": self.udp(f"direct{family}", friend[key], victim[key], target=victim["mac"]),
                f"broadcast{family}": self.udp(f"broadcast{family}", friend[key], victim[key], target=BROADCAST),
                f"vlan{family}": self.udp(f"vlan{family}", evil[key], victim[key], vlan=5),
                f"priority{family}": self.udp(f"priority{family}", evil[key], victim[key], vlan=0),
                f"tohost{family}": self.udp(f"tohost{family}", friend[key], gateway),
            }
        return found

    def neighbours(self):
        evil, friend, victim = self.evil, self.friend, self.victim
        def arp(name, operation, sender_mac, sender_ip, target_ip, to=BROADCAST, target_mac="00:00:00:00:00:00"):
            kind, body = frames.arp(operation, sender_mac, sender_ip, target_mac, target_ip, (MARK + name).encode())
            return frames.ether(to, evil["mac"], kind, body)
        def nd(name, packet, to="33:33:00:00:00:01"):
            return frames.ether(to, evil["mac"], *packet)
        note = {name: (MARK + name).encode() for name in ("na_gateway", "na_friend", "na_direct", "ra", "lladdr")}
        return {
            "arp_gateway": arp("arp_gateway", 2, evil["mac"], self.gateway4, victim["address"]),
            "arp_gratuitous": arp("arp_gratuitous", 1, evil["mac"], self.gateway4, self.gateway4),
            "arp_friend": arp("arp_friend", 2, evil["mac"], friend["address"], self.gateway4, self.gateway_mac, self.gateway_mac),
            "arp_direct": arp("arp_direct", 2, evil["mac"], self.gateway4, victim["address"], victim["mac"], victim["mac"]),
            "arp_request": arp("arp_request", 1, evil["mac"], friend["address"], self.gateway4),
            "na_gateway": nd("na_gateway", frames.advertisement(self.gateway6, "ff02::1", self.gateway6, evil["mac"], note["na_gateway"])),
            "na_friend": nd("na_friend", frames.advertisement(friend["address6"], self.gateway6, friend["address6"], evil["mac"],
                                                              note["na_friend"]), self.gateway_mac),
            "na_direct": nd("na_direct", frames.advertisement(self.gateway6, victim["address6"], self.gateway6, evil["mac"],
                                                              note["na_direct"]), victim["mac"]),
            "ra": nd("ra", frames.router_advertisement("fe80::1", note["ra"])),
        }

    def tables(self):
        shown = [run("ip", "-n", self.lab.netns, "neigh", "show", "dev", "raind0").stdout]
        for container in (self.victim, self.friend):
            shown.append(run("nsenter", "-t", container["pid"], "-n", "ip", "neigh", "show").stdout)
            shown.append(run("nsenter", "-t", container["pid"], "-n", "ip", "-6", "route", "show").stdout)
        # Who is believed to be where, not how lately that was confirmed.
        return [sorted((line.split()[0], line.partition("lladdr ")[2][:17]) for line in text.splitlines()) for text in shown]

    def output(self, name):
        return self.lab.raind("container", "logs", "--line", "5000", name).stdout

    def case_forged_frames_reach_nobody(self):
        attacks = self.attacks()
        before = self.output("victim"), self.output("friend")
        seen = self.send(attacks)
        expect(seen == [set()] * 3, f"seen at the victim, at a third party, on the bridge: {seen}")
        expect((self.output("victim"), self.output("friend")) == before, "a server answered")

    def case_they_are_on_record_against_the_sender(self):
        for claimed in (self.friend["address"], self.friend["address6"], self.gateway4, self.gateway6, "198.51.100.7",
                        "2001:db8::7", self.victim["address"], self.victim["address6"]):
            expect(self.lab.find_records(verdict="deny", verdict_reason="src_ip", claimed_ip=claimed,
                                         src__container_name="evil"), f"no record of evil claiming {claimed}")
        for reason in ("src_mac", "vlan"):
            expect(self.lab.find_records(verdict="deny", verdict_reason=reason, src__container_name="evil"), f"no record: {reason}")
        # The victim's own "port unreachable" to the honest frames is ICMP.
        blamed = [r for r in self.lab.records() if r["proto"] != "ICMP" and r["proto"] != "ICMPV6"
                  and r["src"].get("container_name") != "evil"]
        expect(not blamed, f"somebody else is blamed: {blamed[:1]}")

    def case_claims_about_neighbours_change_nothing(self):
        # Both have spoken with the gateway before: their tables are filled.
        for name in ("victim", "friend"):
            for address in (self.gateway4, self.gateway6):
                self.exec("probe", "icmp", address, container=name)
        before = self.tables()
        seen = self.send(self.neighbours())
        expect(seen == [set()] * 3, f"seen at the victim, at a third party, on the bridge: {seen}")
        now = self.tables()
        expect(now == before, f"tables changed: {now} instead of {before}")
        for reason in ("arp", "ndp"):
            expect(self.lab.find_records(verdict="deny", verdict_reason=reason, src__container_name="evil"), f"no record: {reason}")

    def link(self, *words, check=True):
        """What root of the container can do to its network with a full `ip`."""
        return run("nsenter", "-t", self.evil["pid"], "-n", "ip", *words, check=check)

    def case_taking_the_address_of_another(self):
        for family, length in (("address", "24"), ("address6", "64")):
            more = ["nodad"] if family == "address6" else []
            self.link("addr", "add", f"{self.friend[family]}/{length}", "dev", "eth0", *more)
            # Without this the kernel asks for the victim in the friend's name and gets no further.
            self.link("neigh", "replace", self.victim[family], "lladdr", self.gateway_mac, "dev", "eth0")
        before = self.output("victim")
        try:
            for family in ("address", "address6"):
                done = self.exec("probe", "udp", self.victim[family], PORT, "--from", self.friend[family], "--timeout", "500",
                                 check=False)
                expect(done.returncode != 0, f"an answer for {self.friend[family]}")
        finally:
            time.sleep(0.3)
            for family, length in (("address", "24"), ("address6", "64")):
                self.link("addr", "del", f"{self.friend[family]}/{length}", "dev", "eth0")
                self.link("neigh", "del", self.victim[family], "dev", "eth0")
        expect(self.output("victim") == before, "the victim was reached")
        # The one whose address it was is still reached, and by its own address.
        expect(self.exec("probe", "udp", self.victim["address"], PORT, container="friend").returncode == 0, "friend is cut off")
        expect(f"from {self.friend['address']}" in self.output("victim").replace("::ffff:", ""), "friend's own packet")

    def case_taking_another_hardware_address(self):
        before = self.output("victim")
        self.exec("ip", "link", "set", "eth0", "address", self.friend["mac"])
        try:
            for family in ("address", "address6"):
                expect(self.exec("probe", "udp", self.victim[family], PORT, "--timeout", "500", check=False).returncode != 0,
                       "an answer with another hardware address")
        finally:
            time.sleep(0.3)
            self.exec("ip", "link", "set", "eth0", "address", self.evil["mac"])
        expect(self.output("victim") == before, "the victim was reached")
        wait_until("evil is heard again with its own", lambda: self.exec(
            "probe", "udp", self.victim["address"], PORT, "--timeout", "500", check=False).returncode == 0, 10)

    def case_devices_made_inside(self):
        """A macvlan or VLAN device on eth0, with the friend's address."""
        for kind in (("macvlan",), ("vlan", "id", "5")):
            done = self.link("link", "add", "link", "eth0", "name", "inner", "address", OTHER_MAC, "type", *kind, check=False)
            if done.returncode != 0:
                print(f"  {kind[0]}: this kernel has none: {done.stderr.strip()}")
                continue
            before = self.output("victim")
            for words in (("addr", "add", f"{self.friend['address']}/32", "dev", "inner"), ("link", "set", "inner", "up"),
                          ("route", "add", self.victim["address"], "dev", "inner"),
                          ("neigh", "replace", self.victim["address"], "lladdr", self.gateway_mac, "dev", "inner")):
                self.link(*words)
            done = self.exec("probe", "udp", self.victim["address"], PORT, "--from", self.friend["address"], "--timeout", "500",
                             check=False)
            time.sleep(0.3)
            self.link("link", "del", "inner")
            expect(done.returncode != 0 and self.output("victim") == before, f"{kind[0]}: the victim was reached")

    def case_no_bridge_entry_beyond_its_own(self):
        learned = run("bridge", "-n", self.lab.netns, "fdb", "show", "br", "raind0").stdout
        for line in learned.splitlines():
            if self.evil["hostInterface"] in line and "master raind0" in line and "permanent" not in line:
                expect(line.startswith(self.evil["mac"]), f"learned: {line}")
        expect(OTHER_MAC not in learned, f"learned: {learned}")


main(Spoofing())

#!/usr/bin/env python3
"""Published ports: who reaches them and who does not, whose they are, and what survives what."""
import json
import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import frames  # noqa: E402
from lab import BIN, BUILD, OUTSIDE4, OUTSIDE6, run, wait_until  # noqa: E402
from suite import Suite, expect, main  # noqa: E402

HOST4, HOST6 = "192.0.2.1", "2001:db8:99::1"
BOTH = [(kind, address) for kind in ("tcp", "udp") for address in (HOST4, HOST6)]
SERVE = ("probe", "serve", "--tcp", "7000", "--udp", "7000", "--log")
PORT = "8080"


class Ports(Suite):
    name = "raind-ports"

    def prepare(self):
        self.image = self.lab.make_image()
        self.lab.make_outside()
        self.make("web", "-p", f"{PORT}:7000", "-p", f"{PORT}:7000/udp")
        self.make("db")
        self.gateways = [self.gateway("10."), self.gateway("fd")]

    def make(self, name, *options, check=True):
        done = self.lab.raind("container", "run", "-d", "--name", name, *options, self.image, *SERVE, check=check)
        if done.returncode == 0:
            wait_until(f"{name} listens", lambda: "ready" in self.lab.raind("container", "logs", name).stdout)
        return done

    def remove(self, *names):
        for name in names:
            self.lab.raind("container", "stop", name, check=False)
            self.lab.raind("container", "rm", name)

    def gateway(self, prefix):
        shown = run("ip", "-n", self.lab.netns, "-o", "addr", "show", "raind0").stdout.split()
        return next(word.split("/")[0] for word in shown if word.startswith(prefix))

    def probe(self, netns, *words, ms="3000"):
        return run("ip", "netns", "exec", netns, BUILD / "tests/probe", *words, "--timeout", ms, check=False)

    def outside(self, *words, **options):
        return self.probe(self.lab.outside, *words, **options).stdout.strip()

    def host(self, *words, **options):
        return self.probe(self.lab.netns, *words, **options).stdout.strip()

    def inside(self, name, *words, ms="700"):
        return self.lab.raind("container", "exec", name, "probe", *words, "--timeout", ms, check=False).stdout.strip()

    def commit(self, *words):
        self.lab.raind("policy", *words)
        self.lab.raind("policy", "commit", "--yes")

    def mode(self, mode):
        self.commit("ns-mode", mode)

    def table(self):
        return run("ip", "netns", "exec", self.lab.netns, "nft", "list", "table", "inet", "raind_guard", check=False).stdout

    def published(self):
        """The entries of the port map as bpftool shows them."""
        shown = run("bpftool", "-j", "map", "dump", "pinned", self.lab.bpffs / "raind/v1/maps/raind_publish").stdout
        return [entry["formatted"] for entry in json.loads(shown)]

    def sysctl(self, name):
        return run("ip", "netns", "exec", self.lab.netns, "sysctl", "-n", name).stdout.strip()

    def everybody_reaches(self, when):
        for kind, address in BOTH:
            got = self.outside(kind, address, PORT)
            expect(got == "ok", f"{when}: {kind} {address} from outside: {got}")
        for kind in ("tcp", "udp"):
            for address in (HOST4, HOST6, "127.0.0.1", *self.gateways):
                got = self.host(kind, address, PORT)
                expect(got == "ok", f"{when}: {kind} {address} from the host: {got}")

    def case_shown_to_the_user(self):
        line = next(text for text in self.lab.raind("container", "ls").stdout.splitlines() if " web" in text)
        expect(f"0.0.0.0:{PORT}->7000/tcp,0.0.0.0:{PORT}->7000/udp" in line, line)
        forwards = self.lab.inspect("web")["forwards"]
        expect(forwards == [{"source": 8080, "destination": 7000, "protocol": p} for p in ("tcp", "udp")], f"{forwards}")
        entries, web = self.published(), self.lab.inspect("web")
        expect(len(entries) == 4, f"{len(entries)} entries")  # two protocols, two families
        for entry in entries:
            expect(entry["key"]["port"] == 8080 and entry["value"]["port"] == 7000, f"{entry}")
            expect(entry["value"]["ep_id"] == web["endpoint"] and entry["value"]["identity"] == web["identity"], f"{entry}")

    def case_open_to_outside_and_host_in_observe_mode(self):
        self.everybody_reaches("observe")
        for kind, source in (("TCP", OUTSIDE4), ("UDP", OUTSIDE4), ("TCP", OUTSIDE6), ("UDP", OUTSIDE6)):
            found = self.lab.find_records(verdict="allow", proto=kind, src__ip=source, dst__container_name="web",
                                          direction="ingress", kind="north-south", published=True)
            expect(found and found[0]["policy"]["source"] == "predefined" and found[0]["dst"]["port"] == 7000, f"{kind} {source}: {found[:1]}")
        log = self.lab.raind("container", "logs", "--line", "500", "web").stdout
        expect(OUTSIDE4 in log and OUTSIDE6 in log, "the container does not see who asks")

    def case_loopback_over_ipv6_is_refused_at_once(self):
        expect(self.host("tcp", "::1", PORT) == "refused", "::1 is not refused")
        shown = run("ip", "netns", "exec", self.lab.netns, BUILD / "tests/probe", "tcp", "127.0.0.1", "8081", "--timeout", "700", check=False)
        expect(shown.stdout.strip() == "refused", "a port that nobody published answers")

    def case_another_container_needs_a_policy(self):
        addresses = (HOST4, HOST6, *self.gateways)
        for kind in ("tcp", "udp"):
            for address in addresses:
                got = self.inside("db", kind, address, PORT)
                expect(got in ("refused", "timeout"), f"{kind} {address}: {got}")
        found = self.lab.find_records(verdict="deny", kind="east-west", src__container_name="db", dst__container_name="web", published=True)
        expect({r["dst"]["ip"] for r in found} >= {HOST4}, "no denial on record")
        self.commit("add", "--type", "ew", "-s", "db", "-d", "web", "-p", "tcp", "--dport", "7000")
        for address in addresses:
            expect(self.inside("db", "tcp", address, PORT, ms="3000") == "ok", f"tcp {address} with a policy")
            expect(self.inside("db", "udp", address, PORT) != "ok", f"udp {address} with a policy for tcp")
        found = self.lab.find_records(verdict="allow", kind="east-west", src__container_name="db", dst__container_name="web", dst__ip=HOST4)
        expect(len(found) == 1 and found[0]["policy"]["source"] == "user", f"one connection, {len(found)} records: {found[:2]}")

        def ended():
            lines = (self.lab.root / "var/log/raind/raind_flow.jsonl").read_text().splitlines()
            ends = [r for r in map(json.loads, lines) if r["src"].get("container_name") == "db" and r["dst"].get("ip") == HOST4]
            return ends

        flow = wait_until("the end of that flow", ended, 20)[0]
        expect(flow["packets"]["forward"] >= 3 and flow["packets"]["reverse"] >= 2, f"{flow['packets']}")
        expect(len(ended()) == 1, "two ends of one connection")

    def case_loopback_of_the_host_is_closed_to_containers(self):
        expect(self.sysctl("net.ipv4.conf.raind0.route_localnet") == "1", "nothing to test")
        db = self.lab.inspect("db")
        log = self.lab.dir / "loopback.log"
        command = ["ip", "netns", "exec", self.lab.netns, BUILD / "tests/probe", "serve", "--tcp", "7400", "--udp", "7400", "--log"]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log.open("wb"), stderr=subprocess.STDOUT) as server:
            try:
                wait_until("the server of the host", lambda: "ready" in log.read_text())
                packets = [frames.udp(db["address"], "127.0.0.1", b"x", dport=7400), frames.udp("127.0.0.1", "127.0.0.1", b"x", dport=7400)]
                bridge = run("ip", "-n", self.lab.netns, "-o", "link", "show", "raind0").stdout.split("link/ether ")[1].split()[0]
                sent = [frames.ether(bridge, db["mac"], kind, packet).hex() for kind, packet in packets]
                run("nsenter", "-t", db["pid"], "-n", BUILD / "tests/confine_probe", "send", "eth0", *sent)
                expect(self.host("udp", "127.0.0.1", "7400") == "ok", "the server does not answer the host")
                expect(log.read_text().count("udp from") == 1, log.read_text())
            finally:
                server.kill()

    def case_enforce_mode_closes_it_to_the_outside_only(self):
        self.mode("enforce")
        try:
            for kind, address in BOTH:
                got = self.outside(kind, address, PORT, ms="500")
                expect(got == "timeout", f"{kind} {address} from outside: {got}")
            for source in (OUTSIDE4, OUTSIDE6):
                expect(self.lab.find_records(verdict="deny", src__ip=source, dst__container_name="web", direction="ingress", published=True),
                       f"no denial of {source} on record")
            for address in (HOST4, HOST6, "127.0.0.1"):
                expect(self.host("tcp", address, PORT) == "ok", f"{address} from the host")
            expect(self.inside("db", "tcp", HOST4, PORT, ms="3000") == "ok", "db with its policy")
        finally:
            self.mode("observe")
        self.everybody_reaches("observe again")

    def container_ids(self):
        return [line.split()[0] for line in self.lab.raind("container", "ls").stdout.splitlines()]  # ages change meanwhile

    def refusal(self, *options):
        before = self.container_ids()
        done = self.make("late", *options, check=False)
        expect(done.returncode != 0, f"{options}: accepted")
        expect(self.container_ids() == before, f"{options}: something is left")
        return done.stderr.splitlines()[0]

    def case_a_port_has_one_owner(self):
        for option in (f"{PORT}:1", f"127.0.0.1:{PORT}:1", f"[::]:{PORT}:1/udp"):
            said = self.refusal("-p", option)
            expect("is already published by \"web\"" in said, said)
        code = "import socket,sys,time\ns=socket.socket(socket.AF_INET6 if sys.argv[1]=='6' else socket.AF_INET,int(sys.argv[2]))\n" \
               "s.bind((sys.argv[3],8200))\nif int(sys.argv[2])==1:s.listen()\nprint('bound',flush=True)\ntime.sleep(60)"
        for family, kind, address, option in (("4", "1", "127.0.0.1", "8200:1"), ("6", "1", "::", "8200:1"), ("4", "2", HOST4, "8200:1/udp")):
            command = ["ip", "netns", "exec", self.lab.netns, "python3", "-c", code, family, kind, address]
            with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as owner:
                try:
                    expect(owner.stdout.readline() == "bound\n", "no process to collide with")
                    said = self.refusal("-p", option)
                    expect("8200" in said and "in use by a process of the host" in said, said)
                finally:
                    owner.kill()
        for option, text in (("192.0.2.77:8300:1", "is not an address of the host"), ("192.0.2.255:8300:1", "is not an address of the host"), ("8300", "required format"),
                             ("[::1]:8300:1", "publish on 127.0.0.1 instead"), ("8300:1/sctp", "tcp or udp")):
            said = self.refusal("-p", option)
            expect(text in said, said)
        said = self.refusal("-p", "8300:1", "-p", "8300:2")
        expect("published twice" in said, said)
        self.cannot_bind()

    def cannot_bind(self, port=PORT, kinds=("SOCK_STREAM", "SOCK_DGRAM"), addresses=("0.0.0.0", "127.0.0.1")):
        """While a container has it the kernel gives a published port to no process of the host."""
        for kind in kinds:
            for address in addresses:
                for reuse in (1, 0):
                    code = f"import socket as s\nx=s.socket(s.AF_INET,s.{kind})\nx.setsockopt(s.SOL_SOCKET,s.SO_REUSEADDR,{reuse})\n" \
                           f"x.bind(('{address}',{port}))\nif x.type==s.SOCK_STREAM:x.listen()"
                    done = run("ip", "netns", "exec", self.lab.netns, "python3", "-c", code, check=False)
                    expect(done.returncode != 0 and "in use" in done.stderr, f"{kind} {address} {reuse}: a process of the host got the port")

    def case_connections_closed_a_moment_ago_do_not_share_the_port(self):
        code = "import socket as s\nl=s.socket()\nl.setsockopt(s.SOL_SOCKET,s.SO_REUSEADDR,1)\nl.bind(('127.0.0.1',8201))\nl.listen()\n" \
               "c=s.create_connection(('127.0.0.1',8201))\na,_=l.accept()\na.close()\nc.recv(1)"
        run("ip", "netns", "exec", self.lab.netns, "python3", "-c", code)
        expect("8201" in run("ip", "netns", "exec", self.lab.netns, "ss", "-tanH", "state", "time-wait").stdout, "nothing to collide with")
        self.make("after", "-p", "8201:7000")
        self.cannot_bind(8201, ("SOCK_STREAM",))
        expect(self.host("tcp", "::1", "8201") == "refused" and self.host("tcp", "127.0.0.1", "8201") == "ok", "not as any other port")
        self.remove("after")

    def case_bound_and_not_listening_is_not_owning(self):
        code = "import socket as s,sys\nl=s.socket()\nl.setsockopt(s.SOL_SOCKET,s.SO_REUSEADDR,1)\nl.bind(('127.0.0.1',8202))\n" \
               "print('bound',flush=True)\nsys.stdin.readline()\ntry:\n l.listen()\n print('listens')\nexcept OSError as e:\n print(e.strerror)"
        command = ["ip", "netns", "exec", self.lab.netns, "python3", "-c", code]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            expect(other.stdout.readline() == "bound\n", "no process to collide with")
            self.make("beside", "-p", "8202:7000")
            said = other.communicate("go\n", timeout=30)[0]
        expect(said == "Address already in use\n", f"the process got the port: {said}")
        self.remove("beside")

    def not_held(self):
        return [line for line in self.lab.raind("system", "check").stdout.splitlines() if "published ports" in line]

    def case_an_address_that_is_away_costs_the_other_ports_nothing(self):
        address = ["192.0.2.9/24", "dev", next(line.split()[1] for line in run("ip", "-n", self.lab.netns, "-o", "addr").stdout.splitlines()
                                               if f" {HOST4}/" in line)]
        run("ip", "-n", self.lab.netns, "addr", "add", *address)
        self.make("away", "-p", "192.0.2.9:8203:7000", "-p", "8204:7000")
        self.lab.kill_daemon()
        run("ip", "-n", self.lab.netns, "addr", "del", *address)
        self.lab.start()
        self.cannot_bind(8204, ("SOCK_STREAM",))
        lines = self.not_held()
        expect(len(lines) == 1 and lines[0].startswith("warning") and "192.0.2.9 is not an address of the host" in lines[0], f"{lines}")
        run("ip", "-n", self.lab.netns, "addr", "add", *address)
        wait_until("it is held again", lambda: not self.not_held(), 10)
        self.cannot_bind(8203, ("SOCK_STREAM",), ("0.0.0.0", "192.0.2.9"))
        self.remove("away")
        run("ip", "-n", self.lab.netns, "addr", "del", *address)

    def case_published_on_one_address(self):
        self.make("narrow", "-p", f"{HOST4}:9001:7000", "-p", "127.0.0.1:9002:7000", "-p", f"[{HOST6}]:9003:7000/udp")
        line = next(text for text in self.lab.raind("container", "ls").stdout.splitlines() if " narrow" in text)
        expect(f"{HOST4}:9001->7000/tcp,127.0.0.1:9002->7000/tcp,[{HOST6}]:9003->7000/udp" in line, line)
        expect(self.outside("tcp", HOST4, "9001") == "ok", "not on its address")
        expect(self.outside("udp", HOST6, "9003") == "ok", "not on its IPv6 address")
        expect(self.host("tcp", "127.0.0.1", "9002") == "ok", "not on loopback")
        for address, port in ((HOST6, "9001"), (HOST4, "9002"), (HOST6, "9002")):
            expect(self.outside("tcp", address, port) == "refused", f"{address} {port}: not closed")
        for address in ("127.0.0.1", self.gateways[0]):
            expect(self.host("tcp", address, "9001") == "refused", f"{address} 9001: not closed")
        self.remove("narrow")
        expect("9001" not in self.table() and len(self.published()) == 4, "something of it is left")

    def case_published_on_loopback_is_not_for_neighbours(self):
        """A neighbour on the link may send what no router would: a loopback address by the wire."""
        self.make("lo", "-p", "127.0.0.1:9090:7000", "-p", "127.0.0.1:9090:7000/udp")
        expect(self.host("udp", "127.0.0.1", "9090") == "ok", "not on loopback")

        def link(netns, name):
            return json.loads(run("ip", "-j", "-n", netns, "link", "show", name).stdout)[0]["address"]
        uplink = json.loads(run("ip", "-j", "-n", self.lab.netns, "route", "get", OUTSIDE4).stdout)[0]["dev"]
        to, sender = link(self.lab.netns, uplink), link(self.lab.outside, "eth0")
        before = self.lab.raind("container", "logs", "--line", "500", "lo").stdout

        def send(source, destination, data):
            kind, packet = frames.udp(source, destination, data, dport=9090)
            run("ip", "netns", "exec", self.lab.outside, BUILD / "tests/confine_probe", "send", "eth0", frames.ether(to, sender, kind, packet).hex())
        send(OUTSIDE4, "127.0.0.1", b"from the wire")
        send(OUTSIDE4, "127.9.9.9", b"from the wire")
        send("127.0.0.1", HOST4, b"from the wire")
        time.sleep(1)
        expect(self.lab.raind("container", "logs", "--line", "500", "lo").stdout == before, "the container got it")
        expect(not self.lab.find_records(0.5, dst__container_name="lo", src__ip=OUTSIDE4), "it is on record as allowed")
        counter = re.search(r"counter loopback \{\s+packets (\d+)", self.table())
        expect(counter and int(counter[1]) >= 3, f"not counted: {counter and counter[0]}")
        self.remove("lo")

    def case_the_daemon_may_be_killed(self):
        netns = ["nsenter", "-t", self.lab.inspect("db")["pid"], "-n"]
        self.lab.kill_daemon()
        try:
            self.everybody_reaches("without a daemon")
            got = run(*netns, BUILD / "tests/probe", "tcp", HOST4, PORT, "--timeout", "3000", check=False).stdout.strip()
            expect(got == "ok", f"db without a daemon: {got}")
        finally:
            self.lab.start()
        self.everybody_reaches("after a restart")
        self.cannot_bind()
        expect("is already published" in self.refusal("-p", f"{PORT}:1"), "the restart forgot whose port it is")

    def case_put_back_when_others_remove_it(self):
        pin = self.lab.bpffs / "raind/v1/maps/raind_publish"
        inside = ["ip", "netns", "exec", self.lab.netns]
        key = json.loads(run("bpftool", "-j", "map", "dump", "pinned", pin).stdout)[0]["key"]
        damages = {"the table": [*inside, "nft", "delete", "table", "inet", "raind_guard"],
                   "the translation": [*inside, "nft", "flush", "chain", "inet", "raind_guard", "publish"],
                   "loopback routing": [*inside, "sysctl", "-q", "-w", "net.ipv4.conf.raind0.route_localnet=0"],
                   "an entry of the map": ["bpftool", "map", "delete", "pinned", pin, "key", "hex", *(b[2:] for b in key)]}
        for what, command in damages.items():
            run(*command)
            wait_until(f"{what} is put back", lambda: len(self.published()) == 4 and "dnat ip to" in self.table()
                       and self.sysctl("net.ipv4.conf.raind0.route_localnet") == "1", 6)
            self.everybody_reaches(what)

    def case_stopping_closes_and_removal_frees(self):
        first = self.lab.inspect("web")["address"]
        source = ("--source-port", "41000")
        expect(self.outside("udp", HOST4, PORT, *source) == "ok", "before")
        self.lab.raind("container", "stop", "web")
        expect(self.published() == [] and "chain publish" not in self.table(), "a stopped container is published")
        expect(self.sysctl("net.ipv4.conf.raind0.route_localnet") == "0", "loopback is still routed")
        expect(self.outside("tcp", HOST4, PORT) == "refused", "something listens")
        expect("is already published by \"web\"" in self.refusal("-p", f"{PORT}:1"), "taken from a stopped container")
        self.lab.raind("container", "start", "web")
        wait_until("web listens", lambda: self.host("tcp", "127.0.0.1", PORT, ms="500") == "ok")
        self.everybody_reaches("started again")
        self.remove("web")
        self.make("web", "-p", f"{PORT}:7000", "-p", f"{PORT}:7000/udp")
        expect(self.lab.inspect("web")["address"] != first, "the same address: nothing to test")
        # The kernel's memory of the connection would lead to the former address.
        expect(self.outside("udp", HOST4, PORT, *source, ms="700") == "ok", "an old connection leads to the old container")
        self.everybody_reaches("the successor")

    def case_killed_at_any_step_of_create_and_remove(self):
        for step in range(6):
            words = ("create", "--name", "torn", "-p", "8400:7000", self.image, *SERVE) if step % 2 == 0 else ("rm", "torn")
            command = [BIN / "raind", "--root", self.lab.root, "container", *words]
            with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
                time.sleep(0.06 + 0.08 * step)
                self.lab.kill_daemon()
                client.wait(timeout=30)
            self.lab.start()
            there = " torn" in self.lab.raind("container", "ls").stdout
            ports = {entry["key"]["port"] for entry in self.published()}
            expect((8400 in ports) == there, f"step {step}: container {there}, ports {ports}")
            expect((". 8400" in self.table()) == there, f"step {step}: the table disagrees")
            if there != (step % 2 == 0):
                self.lab.raind("container", *words)
        self.everybody_reaches("after all that")
        expect(len(self.published()) == 4, "something is left")


main(Ports())

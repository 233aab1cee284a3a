#!/usr/bin/env python3
"""A container that sends from its first instruction is denied from its first packet."""
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from lab import SOURCE, wait_until  # noqa: E402
from slow import limit  # noqa: E402
from suite import Suite, expect, main  # noqa: E402

STARTS = 100
PORT = "7000"


class Sniffer:
    def __init__(self, prefix, interface):
        self.process = subprocess.Popen([*prefix, "python3", SOURCE / "tests/support/sniffer.py", interface, PORT],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        expect(self.process.stdout.readline().strip() == "ready", "the sniffer does not start")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return int(self.process.communicate(timeout=limit(10))[0].split()[-1])


class FirstPacket(Suite):
    name = "raind-first"

    def prepare(self):
        self.image = self.lab.make_image()
        self.lab.raind("container", "run", "-d", "--name", "victim", self.image,
                       "probe", "serve", "--tcp", PORT, "--udp", PORT, "--log")
        self.victim = self.lab.inspect("victim")
        wait_until("the victim listens", lambda: "ready" in self.output())
        self.quiet = self.output()

    def output(self):
        return self.lab.raind("container", "logs", "--line", "5000", "victim").stdout

    def sniffers(self):
        return [Sniffer(["nsenter", "-t", str(self.victim["pid"]), "-n"], "eth0"),
                Sniffer(["ip", "netns", "exec", self.lab.netns], "raind0")]

    def send_first(self, name, family):
        address = self.victim["address"] if family == 4 else self.victim["address6"]
        self.lab.raind("container", "run", "-d", "--name", name, self.image, "probe", "first", address, PORT,
                       "--timeout", "100", "--count", "2", "--interval", "5")
        wait_until(f"{name} ends", lambda: self.lab.inspect(name)["state"] == "stopped", 10)
        code = self.lab.inspect(name)["exitCode"]
        self.lab.raind("container", "rm", name)
        return code

    def case_no_packet_of_a_hundred_starts_is_seen(self):
        taps = self.sniffers()
        try:
            for number in range(STARTS):
                code = self.send_first(f"eager{number}", 4 if number % 2 == 0 else 6)
                expect(code == 1, f"start {number}: an answer came back (exit {code})")
        finally:
            seen = [tap.stop() for tap in taps]
        expect(seen == [0, 0], f"frames seen at the victim and on the bridge: {seen}")
        expect(self.output() == self.quiet, "the victim was reached")

    def case_each_of_them_is_on_record_as_denied(self):
        records = self.lab.records(10000)
        names = {r["src"].get("container_name") for r in records
                 if r["verdict"] == "deny" and r["dst"].get("container_name") == "victim"}
        missing = [n for n in range(STARTS) if f"eager{n}" not in names]
        expect(not missing, f"no denial on record for starts {missing}")
        allowed = [r for r in records if r["verdict"] == "allow" and r["dst"].get("container_name") == "victim"]
        expect(not allowed, f"allowed: {allowed[:1]}")

    def case_with_a_policy_the_first_packet_arrives(self):
        self.lab.raind("policy", "add", "--type", "ew", "-s", "friend", "-d", "victim", "--comment", "by name, before it exists")
        self.lab.raind("policy", "commit", "--yes")
        for family in (4, 6):
            taps = self.sniffers()
            code = self.send_first("friend", family)
            seen = [tap.stop() for tap in taps]
            expect(code == 0, f"IPv{family}: the permitted first packet got no answer")
            expect(seen[0] > 0, f"IPv{family}: the sniffer at the victim saw nothing, so it proves nothing")
        expect(self.output() != self.quiet, "the victim says nothing of the permitted packets")


main(FirstPacket())

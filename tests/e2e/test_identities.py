#!/usr/bin/env python3
"""Identities live as long as a container has them or a rule names them: in the maps and in the store."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from lab import run  # noqa: E402
from suite import Suite, expect, main  # noqa: E402


class Identities(Suite):
    name = "raind-identities"

    def prepare(self):
        self.image = self.lab.make_image()

    def dump(self, name):
        pinned = self.lab.bpffs / "raind/v1/maps" / name
        return json.loads(run("bpftool", "-j", "map", "dump", "pinned", pinned).stdout)

    def names(self):
        return {entry["formatted"]["value"]["name"] for entry in self.dump("raind_idname")}

    def numbers(self):
        return [{entry["formatted"]["key"] for entry in self.dump(slot)} for slot in ("ident_0", "ident_1")]

    def one_after_the_other(self, count):
        for number in range(count):
            self.lab.raind("container", "run", "--rm", "--name", f"gone{number}", self.image, "true")

    def case_containers_that_are_gone_leave_no_identity(self):
        self.lab.raind("container", "run", "-d", "--name", "stays", self.image, "sleep", "1000")
        before = self.numbers()
        self.one_after_the_other(4)
        expect(self.names() == {"stays"}, f"names: {self.names()}")
        expect(self.numbers() == before, f"numbers: {before}, then {self.numbers()}")

    def case_a_name_in_a_rule_keeps_its_number(self):
        added = self.lab.raind("policy", "add", "--type", "ew", "-s", "stays", "-d", "later", "-p", "tcp",
                               "--dport", "80").stdout.split()[1]
        self.lab.raind("policy", "commit", "--yes")
        with_rule = self.numbers()
        self.lab.raind("container", "run", "--rm", "--name", "later", self.image, "true")
        expect(self.names() == {"stays", "later"}, f"names: {self.names()}")
        expect(with_rule[0] | with_rule[1] == self.numbers()[0] | self.numbers()[1], "another number than the rule's")
        self.lab.raind("policy", "rm", added)
        self.lab.raind("policy", "commit", "--yes")
        expect(self.names() == {"stays"}, f"after the rule is gone: {self.names()}")

    def case_full_names_do_not_stop_a_container(self):
        """The map is for people who dump it; whoever fills it stops nobody."""
        pinned = self.lab.bpffs / "raind/v1/maps/raind_idname"
        value = " ".join(["61"] * 64)
        lines = [f"map update pinned {pinned} key hex {(0x00f00000 + n).to_bytes(4, 'little').hex(' ')} value hex {value}"
                 for n in range(16384)]
        batch = self.lab.dir / "batch"
        batch.write_text("\n".join(lines) + "\n")
        run("bpftool", "batch", "file", batch, check=False, timeout=120)
        self.lab.raind("container", "run", "--rm", "--name", "late", self.image, "true")
        self.lab.kill_daemon()
        self.lab.start()
        expect(len(self.dump("raind_idname")) <= 2, "a start leaves names that nobody has")


main(Identities())

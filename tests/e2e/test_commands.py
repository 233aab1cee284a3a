#!/usr/bin/env python3
"""Commands against a real daemon: `system check` prints what the user's pages show."""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from lab import SOURCE  # noqa: E402
from suite import Suite, expect, main  # noqa: E402


class Commands(Suite):
    name = "raind-commands"

    def case_the_page_shows_what_system_check_prints(self):
        page = (SOURCE / "docs/user/getting-started.md").read_text()
        shown = next(block for block in page.split("```") if "STATUS   CHECK" in block)

        def shape(text):
            """The labels of the head, then the checks; how programs are attached and what is missing is the host's."""
            head, table = text.strip().split("\n\n")
            checks = {row[9:21].strip() for row in table.splitlines()}
            ports = next(row for row in table.splitlines() if row[9:].startswith("ports "))
            return [line[:17].strip() for line in head.splitlines()], checks, re.sub("by (tcx|clsact)", "by", ports)
        real = self.lab.raind("system", "check", check=False).stdout
        expect(shape(real) == shape(shown), f"the page has {shape(shown)}, the program {shape(real)}")


main(Commands())

#!/usr/bin/env python3
"""The audit log of droplet: every command, phase and hook, failures too; bounded; never in the way."""
import json
import os
import stat
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402
from harness import Case, read  # noqa: E402


class Audit(Case):
    def setUp(self):
        super().setUp()
        self.log = self.work + "/log/audit.log"

    def audited(self, *words):
        # No pipes: those of create would stay open with the container.
        return subprocess.run([harness.DROPLET, "--root", self.root, "--audit-log", self.log, *words], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60, check=False).returncode

    def records(self):
        return [json.loads(line) for line in read(self.log).splitlines()]

    def test_one_life(self):
        def change(c):
            c["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", "cat >/dev/null; echo said"]}],
                          "poststop": [{"path": "/bin/false", "args": ["false"]}]}
        self.config(["/bin/sleep", "1000"], change)
        for words in (("create", "--bundle", self.bundle, self.id), ("start", self.id), ("kill", self.id, "KILL")):
            self.audited(*words)
        end = time.monotonic() + 10
        while self.state()["status"] != "stopped" and time.monotonic() < end:
            time.sleep(0.02)
        self.audited("delete", self.id)
        records = self.records()
        self.assertEqual([("hook", "success"), ("init", "success"), ("create", "success"), ("start", "success"),
                          ("kill", "success"), ("hook", "fail"), ("delete", "success")],
                         [(r["event"], r["result"]) for r in records])
        self.assertEqual({self.id}, {r["container_id"] for r in records})
        create = records[2]
        self.assertTrue(create["namespaces"]["user"])
        self.assertIn("CAP_CHOWN", create["capabilities"]["bounding"])
        self.assertEqual("SCMP_ACT_ALLOW", create["seccomp"]["default_action"])
        self.assertEqual("/bin/sleep", create["oci"]["process_arg0"])
        self.assertEqual(["KILL"], records[4]["signals"])
        self.assertEqual(("createRuntime", "said"), (records[0]["hook"]["phase"], records[0]["hook"]["stderr_tail"]))
        self.assertEqual(("poststop", 1), (records[5]["hook"]["phase"], records[5]["hook"]["exit_code"]))
        self.assertEqual(0o600, stat.S_IMODE(os.stat(self.log).st_mode))

    def test_failures(self):
        for words in (("create", "--bundle", "/nowhere", self.id), ("start", "unknown"), ("kill", "unknown"),
                      ("delete", "unknown"), ("exec", "unknown", "true"), ("create", "--nonsense", self.id)):
            self.audited(*words)
        records = self.records()
        self.assertEqual(["create", "start", "kill", "delete", "exec", "create"], [r["event"] for r in records])
        for record in records:
            self.assertEqual("fail", record["result"])
            self.assertTrue(record["error"]["stage"] and record["error"]["message"], record)

    def test_bounded_and_whole_lines(self):
        os.mkdir(self.work + "/log")
        with open(self.log, "w", encoding="ascii") as out:
            for number in range(17000):
                out.write(json.dumps({"number": number, "filler": "x" * 1000}) + "\n")
        self.audited("start", "unknown")
        records = self.records()
        self.assertLessEqual(os.path.getsize(self.log), 8 << 20)
        self.assertEqual("start", records[-1]["event"])
        self.assertEqual(16999, records[-2]["number"])

    def test_a_log_that_cannot_be_written_is_in_nobodys_way(self):
        self.config(["/bin/true"])
        os.mkdir(self.work + "/log")
        os.mkfifo(self.log)
        for path in (self.log, "/dev/full", "/proc/no/such", self.work + "/log"):
            self.log = path
            begin = time.monotonic()
            self.assertEqual(0, self.audited("run", "--bundle", self.bundle, self.id))
            self.assertLess(time.monotonic() - begin, 20)


if __name__ == "__main__":
    harness.main()

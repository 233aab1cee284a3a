"""The shim: output to the log, exit.json, exec and attach over its socket, whoever else is dead."""
import json
import os
import re
import signal
import socket
import struct
import subprocess
import time

import harness
from harness import DROPLET, read

RECORD = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (stdout|stderr) ([PF]) (.*)$")


class Connection:
    def __init__(self, path, request):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(path)
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        self.buffer = b""

    def fill(self):
        data = self.socket.recv(65536)
        self.buffer += data
        return bool(data)

    def line(self):
        while b"\n" not in self.buffer:
            if not self.fill():
                raise EOFError
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def frame(self):
        while True:
            if len(self.buffer) >= 5:
                kind, size = struct.unpack(">BI", self.buffer[:5])
                if len(self.buffer) >= 5 + size:
                    payload = self.buffer[5:5 + size]
                    self.buffer = self.buffer[5 + size:]
                    return kind, payload
            if not self.fill():
                raise EOFError

    def send(self, kind, payload):
        self.socket.sendall(struct.pack(">BI", kind, len(payload)) + payload)

    def collect(self):
        """All output by stream, and the ending."""
        out = {1: bytearray(), 2: bytearray()}
        while True:
            kind, payload = self.frame()
            if kind == 3:
                self.socket.close()
                return bytes(out[1]), bytes(out[2]), json.loads(payload)
            out[kind] += payload


class Shim(harness.Case):
    def setUp(self):
        super().setUp()
        self.shims = []
        self.log = self.work + "/init.log"

    def tearDown(self):
        self.droplet("delete", "--force", self.id)
        for process in self.shims:
            try:
                process.wait(15)
            finally:
                process.kill()
                process.wait()
        super().tearDown()

    def shim(self, args, change=None, options=(), start=True):
        self.config(args, change)
        read_end, write_end = os.pipe()
        process = subprocess.Popen(
            [DROPLET, "--audit-log=", "shim", "--root", self.root, "--bundle", self.bundle, "--log-path", self.log,
             "--ready-fd", str(write_end), *options, self.id], pass_fds=[write_end],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=open(self.work + "/shim.err", "w"))
        os.close(write_end)
        self.shims.append(process)
        with os.fdopen(read_end) as ready:
            answer = json.loads(ready.readline())
        if start and "pid" in answer:
            self.ok("start", self.id)
        return process, answer

    def connect(self, **request):
        return Connection(self.bundle + "/shim.sock", request)

    def records(self):
        return [RECORD.match(l).groups() for l in read(self.log).splitlines()]

    def exit_file(self):
        self.wait_for(lambda: os.path.exists(self.bundle + "/exit.json"), "exit.json")
        return json.loads(read(self.bundle + "/exit.json"))

    def process(self, *args, **more):
        return dict({"args": list(args), "cwd": "/", "env": ["PATH=/bin"],
                     "user": {"uid": 0, "gid": 0}}, **more)

    def test_output_and_exit_code(self):
        process, answer = self.shim(["/bin/sh", "-c", "echo one; echo two >&2; printf end; exit 4"])
        self.assertIn("pid", answer)
        self.assertEqual(0, process.wait(20))
        self.assertEqual({("stdout", "F", "one"), ("stderr", "F", "two"), ("stdout", "P", "end")},
                         set(self.records()))
        self.assertEqual(0o640, os.stat(self.log).st_mode & 0o7777)
        record = self.exit_file()
        self.assertEqual((4, "", False, "exited"),
                         (record["code"], record["signal"], record["oom"], record["reason"]))
        self.assertEqual(read("/proc/sys/kernel/random/boot_id").strip(), record["boot_id"])
        self.assertFalse(os.path.exists(self.bundle + "/shim.sock"))
        self.assertEqual("stopped", self.state()["status"])
        self.ok("delete", self.id)

    def test_exit_by_signal(self):
        process, _ = self.shim(["/bin/sleep", "1000"])
        waiter = self.connect(op="wait")
        self.ok("kill", self.id, "KILL")
        answer = waiter.line()
        self.assertEqual((True, 137, "KILL"),
                         (answer["ok"], answer["exit_code"], answer["signal"]))
        waiter.socket.close()
        self.assertEqual("KILL", self.exit_file()["signal"])

    def test_failed_create_is_reported(self):
        process, answer = self.shim(["nothing"])
        self.assertEqual(127, answer["code"])
        self.assertIn("executable file not found in $PATH", answer["error"])
        self.assertIn("stage", answer)
        self.assertEqual(1, process.wait(20))
        self.assertFalse(os.path.exists(self.bundle + "/shim.sock"))

    def test_the_starter_may_die(self):
        """The shim has a session of its own; TERM does not end it; the container's parent is it."""
        process, answer = self.shim(["/bin/sh", "-c", "while ! test -e /go; do sleep 0.05; done; "
                                     "echo late; exit 6"])
        self.assertEqual(process.pid, os.getsid(process.pid))
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGHUP)
        status = read("/proc/%d/status" % answer["pid"])
        self.assertIn("PPid:\t%d\n" % process.pid, status)
        self.ok("exec", self.id, "/bin/touch", "/go")
        self.assertEqual(6, self.exit_file()["code"])
        self.assertEqual(("stdout", "F", "late"), self.records()[-1])

    def test_exec_streams(self):
        self.shim(["/bin/sleep", "1000"])
        c = self.connect(op="exec", process=self.process(
            "sh", "-c", "cat; echo error >&2; exit 12"))
        answer = c.line()
        self.assertTrue(answer["ok"], answer)
        c.send(0, b"first ")
        c.send(0, b"second")
        c.send(0, b"")
        self.assertEqual((b"first second", b"error\n", {"exit_code": 12, "signal": ""}),
                         c.collect())

    def test_exec_big_output_is_complete(self):
        self.shim(["/bin/sleep", "1000"])
        c = self.connect(op="exec", process=self.process(
            "sh", "-c", "dd if=/dev/zero bs=65536 count=64 2>/dev/null"))
        self.assertTrue(c.line()["ok"])
        time.sleep(0.3)  # the client is slow; nothing may be lost for that
        out, _, ending = c.collect()
        self.assertEqual((64 * 65536, 0), (len(out), ending["exit_code"]))

    def test_exec_signal_errors_and_confinement(self):
        self.shim(["/bin/sleep", "1000"])
        c = self.connect(op="exec", exec_id="e1", process=self.process("sleep", "1000"))
        self.assertTrue(c.line()["ok"])
        answer = self.connect(op="signal", exec_id="e1", signal="KILL").line()
        self.assertTrue(answer["ok"])
        self.assertEqual({"exit_code": 137, "signal": "KILL"}, c.collect()[2])
        c = self.connect(op="exec", process=self.process("sleep", "1000"))
        self.assertTrue(c.line()["ok"])
        c.send(2, b"KILL")
        self.assertEqual(137, c.collect()[2]["exit_code"])
        for args, code in ((["nothing"], 127), (["/bin/not-executable"], 126)):
            answer = self.connect(op="exec", process=self.process(*args)).line()
            self.assertEqual((False, code), (answer["ok"], answer["code"]), answer)
        for request in ({"op": "resize"}, {"op": "frob"}, {"op": "exec"}, {"x": 1},
                        {"op": "signal", "signal": "NONE"}):
            answer = Connection(self.bundle + "/shim.sock", request).line()
            self.assertFalse(answer["ok"], request)
        c = self.connect(op="exec", process=self.process("cat", "/proc/self/status",
                                                         noNewPrivileges=True))
        self.assertTrue(c.line()["ok"])
        out = c.collect()[0].decode()
        self.assertIn("NoNewPrivs:\t1\n", out)
        self.assertIn("Seccomp:\t2\n", out)

    def test_exec_without_client_runs_on(self):
        self.shim(["/bin/sleep", "1000"])
        c = self.connect(op="exec", exec_id="lost", process=self.process(
            "sh", "-c", "while ! test -e /go; do sleep 0.05; done; echo gone; exit 8"))
        self.assertTrue(c.line()["ok"])
        c.socket.close()
        self.ok("exec", self.id, "/bin/touch", "/go")
        path = self.bundle + "/exec-lost.json"
        self.wait_for(lambda: os.path.exists(path), "exec-lost.json")
        record = json.loads(read(path))
        self.assertEqual((8, 5), (record["code"], record["dropped"]))

    def test_attach_and_slow_client(self):
        self.shim(["/bin/sh", "-c", "while ! test -e /go; do sleep 0.05; done; "
                   "i=0; while test $i -lt 20; do dd if=/dev/zero bs=65536 count=10 2>/dev/null; "
                   "sleep 0.05; i=$((i+1)); done; echo done; exit 2"])
        slow = self.connect(op="attach")
        self.assertTrue(slow.line()["ok"])
        fast = self.connect(op="attach")
        self.assertTrue(fast.line()["ok"])
        self.ok("exec", self.id, "/bin/touch", "/go")
        out, _, ending = fast.collect()
        self.assertEqual(2, ending["exit_code"])
        self.assertTrue(out.endswith(b"done\n"))
        with self.assertRaises((EOFError, ConnectionResetError)):
            slow.collect()
        self.assertEqual(2, self.exit_file()["code"])

    def test_log_rotation(self):
        process, _ = self.shim(["/bin/sh", "-c", "i=0; while test $i -lt 400; do "
                                "echo line $i; i=$((i+1)); done"],
                               options=["--log-max-size", "4096", "--log-files", "3"])
        process.wait(30)
        files = sorted(f for f in os.listdir(self.work) if f.startswith("init.log"))
        self.assertEqual(["init.log", "init.log.1", "init.log.2"], files)
        for name in files:
            self.assertLessEqual(os.stat(self.work + "/" + name).st_size, 4096)
        self.assertEqual("line 399", self.records()[-1][2])

    def test_shim_lost(self):
        """A killed shim: the container is found and removed by delete --force."""
        process, answer = self.shim(["/bin/sleep", "1000"])
        process.kill()
        process.wait()
        self.assertEqual("running", self.state()["status"])
        self.ok("delete", "--force", self.id)

    def test_long_path(self):
        deep = self.work + "/" + "d" * 100
        os.mkdir(deep)
        self.bundle = deep + "/bundle"
        os.mkdir(self.bundle)
        process, answer = self.shim(["/bin/true"])
        self.assertIn("pid", answer)
        self.assertEqual(0, self.exit_file()["code"])


if __name__ == "__main__":
    harness.main()

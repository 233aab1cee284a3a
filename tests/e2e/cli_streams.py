#!/usr/bin/env python3
"""`raind container exec` against a daemon that speaks raind.streams.v1: bytes, exit codes, signals,
and every way in which the stream can end badly."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import cli_support
from slow import limit

WORK = tempfile.TemporaryDirectory(prefix="raind-cli-")
DAEMON = cli_support.FakeDaemon(cli_support.Pki(WORK.name), WORK.name)


def echo(ws):
    while True:
        opcode, data = ws.receive()
        if opcode != 2 or data[0] != 0:
            continue
        if len(data) == 1:
            return ws.end(0)
        ws.out(data[1:])


def command(*words):
    return [cli_support.RAIND, "--root", DAEMON.root, "container", "exec", *words]


class Streams(unittest.TestCase):
    def setUp(self):
        DAEMON.reset()
        DAEMON.ok("POST", "/v1/containers/web/actions/exec", {"id": "web", "exec_id": "e1"})

    def run_with(self, streams, stdin=b"", words=("web", "cat"), timeout=60):
        DAEMON.streams = streams
        return subprocess.run(command(*words), input=stdin, capture_output=True, timeout=limit(timeout),
                              env=cli_support.clean_environment())

    def start_with(self, streams, **more):
        DAEMON.streams = streams
        return subprocess.Popen(command("web", "cat"), env=cli_support.clean_environment(), **more)

    def test_ten_megabytes_come_back_unchanged(self):
        data = random.Random(7).randbytes(10 << 20)
        begin = time.monotonic()
        done = self.run_with(echo, data)
        print("10 MiB there and back: %.2f s" % (time.monotonic() - begin))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(hashlib.sha256(done.stdout).digest(), hashlib.sha256(data).digest())
        self.assertEqual(DAEMON.requests[1][:2],
                         ("GET", "/v1/containers/web/exec/attach?exec_id=e1"))

    def test_every_byte_value_and_empty_input(self):
        data = bytes(range(256)) * 3
        self.assertEqual(self.run_with(echo, data).stdout, data)
        self.assertEqual(self.run_with(echo, b"").returncode, 0)

    def test_both_output_streams(self):
        def both(ws):
            ws.out(b"to out\n")
            ws.out(b"to err \x00\xff\n", 2)
            ws.end(3)
        done = self.run_with(both)
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (3, b"to out\n", b"to err \x00\xff\n"))

    def test_exit_codes(self):
        for code in (0, 1, 125, 126, 127, 137, 255):
            self.assertEqual(self.run_with(lambda ws: ws.end(code)).returncode, code)

    def test_why_it_could_not_be_started(self):
        done = self.run_with(lambda ws: ws.end(127, error="service failed: cat: \x1b[1mnot found"))
        self.assertEqual(done.returncode, 127)
        self.assertEqual(done.stderr, b'error: cannot run "cat" in container "web": cat: '
                                      b'\\x1b[1mnot found\n')

    def test_large_output_to_a_slow_reader(self):
        data = os.urandom(3 << 20)

        def burst(ws):
            ws.out(data)
            ws.end(5)
        process = self.start_with(burst, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        time.sleep(0.3)
        got = process.stdout.read()
        process.stdout.close()
        self.assertEqual((process.wait(30), got == data), (5, True))

    def test_output_to_a_file(self):
        data = os.urandom(1 << 20)

        def burst(ws):
            ws.out(data)
            ws.end(0)
        with tempfile.TemporaryFile() as target:
            process = self.start_with(burst, stdin=subprocess.DEVNULL, stdout=target)
            self.assertEqual(process.wait(30), 0)
            target.seek(0)
            self.assertEqual(target.read(), data)

    def test_fragments_and_pings(self):
        pongs = []

        def fragments(ws):
            ws.frame(2, b"\x01on", final=False)
            ws.frame(9, b"are you there")
            ws.frame(0, b"e\n")
            while True:
                opcode, data = ws.receive()
                if opcode == 10:
                    pongs.append(data)
                    return ws.end(0)
        done = self.run_with(fragments)
        self.assertEqual((done.stdout, pongs), (b"one\n", [b"are you there"]))

    def test_signals_are_passed_on(self):
        for number, name in ((signal.SIGTERM, b"TERM"), (signal.SIGINT, b"INT")):
            joined, seen = threading.Event(), []

            def wait_for_signal(ws):
                ws.out(b"ready\n")
                joined.set()
                while True:
                    opcode, data = ws.receive()
                    if opcode == 2 and data[0] == 2:
                        seen.append(data[1:])
                        return ws.end(128 + number)
            process = self.start_with(wait_for_signal, stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE)
            self.assertTrue(joined.wait(10))
            self.assertEqual(process.stdout.readline(), b"ready\n")
            process.send_signal(number)
            self.assertEqual(process.wait(10), 128 + number)
            process.stdout.close()
            self.assertEqual(seen, [name])

    def test_input_stays_open_while_the_command_runs(self):
        process = self.start_with(echo, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for line in (b"one\n", b"two\n"):
            process.stdin.write(line)
            process.stdin.flush()
            self.assertEqual(process.stdout.readline(), line)
        process.stdin.close()
        self.assertEqual(process.wait(10), 0)
        process.stdout.close()

    def test_closed_standard_input_is_its_end(self):
        process = self.start_with(echo, stdin=None, stdout=subprocess.PIPE,
                                  preexec_fn=lambda: os.close(0))
        self.assertEqual(process.wait(10), 0)
        process.stdout.close()

    def test_closed_standard_output_is_an_error(self):
        process = self.start_with(echo, stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                                  preexec_fn=lambda: os.close(1))
        _, errors = process.communicate(b"x", timeout=10)
        self.assertEqual(process.returncode, 125)
        self.assertIn(b"cannot write to standard output", errors)

    def test_reader_of_the_output_goes_away(self):
        def endless(ws):
            while True:
                ws.out(b"x" * 30000)
        process = self.start_with(endless, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        process.stdout.read(10)
        process.stdout.close()
        self.assertEqual(process.wait(20), 141)

    def test_connection_lost(self):
        done = self.run_with(lambda ws: ws.out(b"half"))
        self.assertEqual((done.returncode, done.stdout), (125, b"half"))
        self.assertIn(b"the connection to the daemon was lost", done.stderr)

    def test_closed_by_the_daemon(self):
        done = self.run_with(lambda ws: ws.close(1013, b"target not ready\x1b"))
        self.assertEqual(done.returncode, 125)
        self.assertIn(b"the daemon ended the stream: target not ready\\x1b", done.stderr)

    def test_broken_frames(self):
        def masked(ws):
            ws.writer.write(b"\x82\x81abcdx")
            ws.writer.flush()

        def no_number(ws):
            ws.frame(1, b'{"exit_code":"x"}')

        def out_of_range(ws):
            ws.frame(1, b'{"exit_code":256}')

        def no_json(ws):
            ws.frame(1, b"{" * 3000)

        def huge(ws):
            ws.writer.write(b"\x82\x7f" + b"\x7f" + b"\xff" * 7)
            ws.writer.flush()
        for broken in (masked, no_number, out_of_range, no_json, huge):
            done = self.run_with(broken)
            self.assertEqual(done.returncode, 125, broken.__name__)
            self.assertIn(b"answer is not understood", done.stderr)

    def test_wrong_accept_key(self):
        DAEMON.replies[("GET", "/v1/containers/web/exec/attach?exec_id=e1")] = [
            lambda handler: handler.wfile.write(
                b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n"
                b"Sec-WebSocket-Protocol: raind.streams.v1\r\n\r\n")]
        done = self.run_with(None)
        self.assertEqual(done.returncode, 125)
        self.assertIn(b"does not speak raind.streams.v1", done.stderr)


if __name__ == "__main__":
    try:
        program = unittest.main(exit=False)
    finally:
        DAEMON.stop()
        WORK.cleanup()
    sys.exit(not program.result.wasSuccessful())

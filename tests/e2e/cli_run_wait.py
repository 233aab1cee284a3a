#!/usr/bin/env python3
"""`raind container run --rm` while it waits: INT and TERM stop the container, a second one ends the command."""

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
import unittest

import cli_support
from slow import limit

WORK = tempfile.TemporaryDirectory(prefix="raind-cli-")
DAEMON = cli_support.FakeDaemon(cli_support.Pki(WORK.name), WORK.name)
ONE = "/v1/containers/01kx4m2r7vqa"


def answer(handler, data):
    text = json.dumps({"status": "success", "message": "done", "data": data}).encode()
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(text)))
    handler.end_headers()
    handler.wfile.write(text)


class RunWait(unittest.TestCase):
    def setUp(self):
        DAEMON.reset()
        self.ended = threading.Event()
        self.may_stop = threading.Event()
        self.addCleanup(self.ended.set)
        self.addCleanup(self.may_stop.set)
        DAEMON.ok("POST", "/v1/containers", {"id": "01kx4m2r7vqa"})
        DAEMON.ok("POST", ONE + "/actions/start", {"id": "01kx4m2r7vqa"})
        DAEMON.replies[("GET", ONE + "/wait")] = [self.wait]
        DAEMON.replies[("POST", ONE + "/actions/stop")] = [self.stop]

    def wait(self, handler):
        self.ended.wait(limit(60))
        answer(handler, {"exit_code": 143, "reason": ""})

    def stop(self, handler):
        self.may_stop.wait(limit(60))
        self.ended.set()
        answer(handler, {"id": "01kx4m2r7vqa"})

    def start(self):
        process = subprocess.Popen(
            [cli_support.RAIND, "--root", DAEMON.root, "container", "run", "--rm", "busybox", "sleep", "600"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=cli_support.clean_environment())
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.arrived("GET", ONE + "/wait")
        return process

    def arrived(self, method, path):
        end = time.monotonic() + limit(20)
        while (method, path) not in [request[:2] for request in DAEMON.requests]:
            self.assertLess(time.monotonic(), end, "no %s %s: %s" % (method, path, DAEMON.requests))
            time.sleep(0.02)

    def test_one_signal_stops_the_container_and_the_command_waits_for_its_end(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number):
                self.setUp()
                self.may_stop.set()
                process = self.start()
                os.kill(process.pid, number)
                out, errors = process.communicate(timeout=limit(30))
                self.assertEqual((process.returncode, errors), (143, b""))
                self.assertIn(b"container: 01kx4m2r7vqa removed", out)
                self.arrived("POST", ONE + "/actions/stop")
                # The daemon was told to remove it: nothing depends on this command.
                self.assertTrue(json.loads(DAEMON.requests[0][2])["autoRemove"])

    def test_a_second_signal_ends_the_command(self):
        process = self.start()
        os.kill(process.pid, signal.SIGINT)
        self.arrived("POST", ONE + "/actions/stop")
        self.assertIsNone(process.poll())
        os.kill(process.pid, signal.SIGTERM)
        self.assertEqual(process.wait(timeout=limit(30)), -signal.SIGTERM)

    def test_a_stop_that_fails_is_told_and_the_command_goes_on(self):
        DAEMON.replies[("POST", ONE + "/actions/stop")] = [
            (500, '{"status":"fail","message":"service failed: no room"}')]
        process = self.start()
        os.kill(process.pid, signal.SIGTERM)
        line = process.stderr.readline()
        self.assertIn(b'error: cannot stop container "01kx4m2r7vqa": no room', line)
        self.assertIsNone(process.poll())
        self.ended.set()
        self.assertEqual(process.wait(timeout=limit(30)), 143)


if __name__ == "__main__":
    unittest.main()

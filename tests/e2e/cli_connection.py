#!/usr/bin/env python3
"""How the command line finds a daemon, and that every trouble with the connection is told apart."""

import json
import os
import pwd
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest

import cli_support
import skips

FIRST = "Cannot connect to the Raind daemon. Is the raind daemon running?"
WORK = tempfile.TemporaryDirectory(prefix="raind-cli-")
PKI = cli_support.Pki(WORK.name)
DAEMON = cli_support.FakeDaemon(PKI, WORK.name)
LS = ("container", "ls")


class Connection(unittest.TestCase):
    def setUp(self):
        DAEMON.reset()
        DAEMON.ok("GET", "/v1/containers", [])
        self.folder = tempfile.TemporaryDirectory(dir=WORK.name)
        self.root = os.path.join(self.folder.name, "root")

    def tearDown(self):
        self.folder.cleanup()

    def instance(self, port=None, **more):
        certs = PKI.install(self.root, **more)
        os.makedirs(os.path.join(self.root, "run/raind"))
        with open(os.path.join(self.root, "run/raind/endpoints.json"), "w") as out:
            json.dump({"management": "127.0.0.1:%d" % (port or DAEMON.port)}, out)
        return certs

    def refused(self, *texts, first=FIRST, words=LS, root=None, code=1, **more):
        done = cli_support.run_raind("--root", root or self.root, *words, **more)
        lines = done.stderr.decode().splitlines()
        self.assertEqual(done.returncode, code, lines)
        self.assertEqual(done.stdout, b"")
        self.assertEqual(lines[0], first)
        self.assertTrue(lines[1].startswith("error: "), lines)
        self.assertTrue(lines[2].startswith("hint: "), lines)
        for text in texts:
            self.assertIn(text, lines[1])
        for word in ("routines", "SSL_", "0A0", "errno"):
            self.assertNotIn(word, "\n".join(lines))

    def test_finds_the_instance_by_root(self):
        self.instance()
        self.assertEqual(cli_support.run_raind("--root", self.root + "/", *LS).returncode, 0)
        self.assertEqual(cli_support.run_raind(*LS, "--root=" + self.root).returncode, 0)

    def test_host_beats_root_beats_environment(self):
        self.instance(port=1)
        host = "127.0.0.1:%d" % DAEMON.port
        for words in (("--root", self.root, "--host", host, *LS),
                      ("--root", self.root, *LS, "--host=https://" + host + "/"),
                      ("--root", self.root, "--host", "localhost:%d" % DAEMON.port, *LS)):
            self.assertEqual(cli_support.run_raind(*words).returncode, 0, words)
        done = cli_support.run_raind("--root", DAEMON.root, *LS,
                                     environment={"RAIND_HOST": "127.0.0.1:1"})
        self.assertEqual(done.returncode, 0)
        done = cli_support.run_raind("--root", DAEMON.root, "--host", "127.0.0.1:1", *LS)
        self.assertEqual(done.returncode, 1)

    def test_no_daemon_was_started_with_the_root(self):
        self.refused("no daemon has been started with --root", "endpoints.json is missing")

    def test_endpoints_file_is_damaged(self):
        self.instance()
        path = os.path.join(self.root, "run/raind/endpoints.json")
        for text in ("", "{", "[]", '{"management":7}', '{"management":""}'):
            with open(path, "w") as out:
                out.write(text)
            self.refused("is damaged")

    def test_daemon_is_not_running(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound, not listening: nobody else takes it
            self.instance(port=taken.getsockname()[1])
            self.refused("no daemon listens on 127.0.0.1:")
            self.refused("no daemon listens on 127.0.0.1:", words=("container", "run", "-d", "x"),
                         code=125)

    def test_files_missing(self):
        certs = self.instance()
        for name in ("raind.crt", "raindClient.crt", "raindClient.key"):
            os.rename(os.path.join(certs, name), os.path.join(certs, "away"))
            self.refused("cannot read", name, "No such file", first="sudo required")
            os.rename(os.path.join(certs, "away"), os.path.join(certs, name))

    def test_files_unreadable(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to become somebody else")
        certs = self.instance()
        os.chmod(os.path.join(certs, "raindClient.key"), 0o600)
        for path in (WORK.name, self.folder.name):
            os.chmod(path, 0o755)
        nobody = pwd.getpwnam("nobody")
        # Somebody else need not be able to reach the tree.
        program = shutil.copy(cli_support.RAIND, self.folder.name)
        done = subprocess.run(
            [program, "--root", self.root, *LS], capture_output=True,
            env=cli_support.clean_environment(),
            preexec_fn=lambda: (os.setgid(nobody.pw_gid), os.setuid(nobody.pw_uid)))
        lines = done.stderr.decode().splitlines()
        self.assertEqual((done.returncode, lines[0]), (1, "sudo required"), lines)
        self.assertIn("Permission denied", lines[1])

    def test_files_are_no_certificates(self):
        certs = self.instance()
        for name, text in (("raind.crt", "holds no certificate"),
                           ("raindClient.crt", "holds no certificate"),
                           ("raindClient.key", "does not hold the key")):
            path = os.path.join(certs, name)
            with open(path) as source:
                before = source.read()
            with open(path, "w") as out:
                out.write("rubbish")
            self.refused(text)
            with open(path, "w") as out:
                out.write(before)

    def test_own_certificate_expired(self):
        old = PKI.client_ca.issue("old", "URI:spiffe://raind/cli/admin",
                                  ("20200101000000Z", "20200201000000Z"))
        self.instance(client=old)
        self.refused("raindClient.crt expired on 2020-02-01")
        self.assertEqual(DAEMON.requests, [])

    def test_own_certificate_not_yet_valid(self):
        early = PKI.client_ca.issue("early", "URI:spiffe://raind/cli/admin",
                                    ("20900101000000Z", "20910101000000Z"))
        self.instance(client=early)
        self.refused("is valid from 2090-01-01 on")

    def test_certificate_of_another_authority(self):
        other = cli_support.Authority(self.folder.name, "otherCA")
        self.instance(client=other.issue("stranger", "URI:spiffe://raind/cli/admin"))
        self.refused("refused the certificate", "authority that the daemon does not know")
        self.refused("refused the certificate", words=("policy", "commit", "--yes"))
        self.assertEqual(DAEMON.requests, [])

    def test_server_of_another_authority(self):
        other = cli_support.Authority(self.folder.name, "otherServerCA")
        self.instance(ca=other.cert)
        self.refused("is not trusted by", "raind.crt")
        self.assertEqual(DAEMON.requests, [])

    def second_daemon(self, **more):
        folder = tempfile.mkdtemp(dir=self.folder.name)
        daemon = cli_support.FakeDaemon(PKI, folder, **more)
        self.addCleanup(daemon.stop)
        daemon.ok("GET", "/v1/containers", [])
        return daemon

    def test_server_certificate_expired(self):
        old = PKI.server_ca.issue("oldServer", "IP:127.0.0.1",
                                  ("20200101000000Z", "20200201000000Z"))
        daemon = self.second_daemon(server=old)
        self.refused("the certificate of the daemon", "has expired", root=daemon.root)

    def test_server_certificate_for_another_address(self):
        daemon = self.second_daemon(server=PKI.server_ca.issue("elsewhere", "IP:192.0.2.1"))
        self.refused("the daemon's certificate is not made for 127.0.0.1", root=daemon.root)
        self.assertEqual(daemon.requests, [])

    def test_tls_12_is_not_spoken(self):
        daemon = self.second_daemon(versions=(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2))
        self.refused("does not speak TLS 1.3", root=daemon.root)
        self.assertEqual(daemon.requests, [])

    def test_a_server_that_is_no_daemon(self):
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)

        def hang_up():
            try:
                while True:
                    server.accept()[0].close()
            except OSError:
                pass
        threading.Thread(target=hang_up, daemon=True).start()
        self.instance(port=server.getsockname()[1])
        self.refused("does not speak TLS 1.3 as a daemon does")

    def test_daemon_dies_in_the_middle(self):
        def vanish(handler):
            handler.connection.close()
            handler.close_connection = True
        self.instance()
        DAEMON.replies[("GET", "/v1/containers")] = [vanish]
        self.refused("closed the connection without an answer")
        DAEMON.replies[("POST", "/v1/policies/commit")] = [vanish]
        self.refused("may or may not have been carried out", words=("policy", "commit", "--yes"))

    def test_full_output(self):
        self.instance()
        with open("/dev/full", "wb") as full:
            done = subprocess.run([cli_support.RAIND, "--root", self.root, *LS], stdout=full,
                                  stderr=subprocess.PIPE, env=cli_support.clean_environment())
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"cannot write to standard output: No space left", done.stderr)

    def test_many_flow_records(self):
        self.instance()
        line = json.dumps({"received_ts": "2026-03-02T10:02:11.1Z", "verdict": "deny",
                           "proto": "TCP", "src": {"ip": "1.1.1.1"}, "dst": {"ip": "2.2.2.2"},
                           "pad": "x" * 300})
        DAEMON.set("GET", "/v1/logs/netflow?tail_lines=10000", 200, (line + "\n") * 10000)
        done = cli_support.run_raind("--root", self.root, "logs", "netflow", "--line", "10000")
        self.assertEqual((done.returncode, done.stdout.count(b"\n")), (0, 10000))


if __name__ == "__main__":
    try:
        program = unittest.main(exit=False)
        skips.tell(program.result)
    finally:
        DAEMON.stop()
        WORK.cleanup()
    sys.exit(not program.result.wasSuccessful())

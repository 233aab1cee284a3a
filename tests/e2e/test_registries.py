#!/usr/bin/env python3
"""Pulls through the daemon from docker-registry in four dresses, logins, private authorities, and where secrets lie."""
import base64
import json
import os
import pathlib
import pty
import signal
import stat
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from authority import Authority  # noqa: E402
from lab import BIN, Failure, wait_until  # noqa: E402
from registry import Registry  # noqa: E402
from slow import limit  # noqa: E402
from suite import Suite, expect, main  # noqa: E402

import image_builder  # noqa: E402  (its folder is in the path by way of lab)

WRONG = "wr0ng-passw0rd"
LAYERS = 6
LARGE = 25 << 20  # bytes of a layer, four of them; nothing packs them


class Registries(Suite):
    name = "raind-registries"

    def prepare(self):
        authority = Authority(self.lab.dir / "ca")
        self.plain = Registry()
        self.served = [self.plain]
        for kind, more in (("tls", {}), ("basic", {}), ("token", {"token_seconds": 5}), ("tls", {"names": "DNS:elsewhere.test"})):
            self.served.append(Registry(kind, authority=authority, share=self.plain, **more))
        _, self.tls, self.basic, self.token, self.misnamed = self.served
        self.authority = authority
        layout = image_builder.Layout(self.lab.dir / "layout")
        layout.tag("1", layout.image([image_builder.Layer().file("a", "1")]))
        layout.tag("many", layout.image([image_builder.Layer().file(f"f{i}", os.urandom(3 << 20)) for i in range(LAYERS)]))
        layout.tag("large", layout.image([image_builder.Layer().file(f"f{i}", os.urandom(LARGE)) for i in range(4)]))
        for tag in ("1", "many", "large"):
            self.plain.push(f"{layout.directory}:{tag}", f"team/app:{tag}")
        self.etc = self.lab.root / "etc/raind"
        self.logins = self.etc / "registry/credentials.json"
        self.user, self.password = self.plain.user, self.plain.password

    def close(self):
        for served in getattr(self, "served", []):
            served.__exit__()
        return super().close()

    # what the cases do

    def pull(self, served, tag="1"):
        self.lab.raind("image", "pull", f"{served.address}/team/app:{tag}", timeout=120)

    def refused(self, *words, says, exit_code=1, **more):
        """One error that says what it should; nothing secret in it."""
        done = self.lab.raind(*words, check=False, timeout=120, **more)
        expect(done.returncode == exit_code, f"{words}: exit {done.returncode}: {done.stdout}{done.stderr}")
        for part in (says,) if isinstance(says, str) else says:
            expect(part in done.stderr, f"{words}: {part!r} is not in {done.stderr!r}")
        expect(done.stderr.count("error:") == 1, done.stderr)
        expect(self.password not in done.stderr and WRONG not in done.stderr, f"a password in {done.stderr!r}")
        return done

    def pull_refused(self, served, *says):
        image = f"{served.address}/team/app:1"
        self.refused("image", "pull", image, says=(served.address, *says))
        expect(image not in self.lab.raind("image", "ls").stdout, "the image is listed")

    def login(self, served, password=None):
        return self.lab.raind("login", "-u", self.user, "--password-stdin", served.address, input=(password or self.password) + "\n")

    def trust(self, served, text=None):
        folder = self.etc / "certs.d" / served.address
        folder.mkdir(exist_ok=True)
        (folder / "ca.crt").write_text(text or self.authority.certificate.read_text())

    def known(self):
        return sorted(json.loads(self.logins.read_text())["registries"]) if self.logins.exists() else []

    def forget_images(self):
        for line in self.lab.raind("image", "ls").stdout.splitlines()[1:]:
            name, tag = line.split()[:2]
            self.lab.raind("image", "rm", f"{name}:{tag}")

    # cases

    def case_plain(self):
        self.pull(self.plain)

    def case_unknown_authority_and_wrong_name(self):
        self.pull_refused(self.tls, "of an unknown authority", f"{self.etc}/certs.d/{self.tls.address}/ca.crt")
        self.refused("login", "-u", "x", "--password-stdin", self.basic.address, input="y\n",
                     says=("of an unknown authority", f"registry {self.basic.address}"))
        self.trust(self.misnamed)
        self.pull_refused(self.misnamed, "is for another name")
        self.trust(self.tls, "no certificate\n")
        self.pull_refused(self.tls, "ca.crt", "no PEM certificate")
        (self.etc / "certs.d" / self.tls.address / "ca.crt").unlink()
        self.pull_refused(self.tls, "ca.crt is missing")

    def case_private_authority(self):
        for served in (self.tls, self.basic, self.token):
            self.trust(served)
        self.pull(self.tls)

    def case_without_login(self):
        self.pull_refused(self.basic, f"raind login {self.basic.address}")
        self.pull_refused(self.token, f"raind login {self.token.address}")

    def case_wrong_password_is_not_kept(self):
        for served in (self.basic, self.token):
            self.refused("login", "-u", self.user, "--password-stdin", served.address, input=WRONG,
                         says=("does not accept user name or password", served.address))
        self.refused("login", "-u", "nobody", "--password-stdin", self.basic.address, input=self.password, says="'nobody'")
        expect(self.known() == [], f"kept: {self.known()}")

    def case_login_and_pull(self):
        for served in (self.basic, self.token):
            done = self.login(served)
            expect(done.stdout == "Login Succeeded\n" and done.stderr == "", f"{done.stdout!r} {done.stderr!r}")
            self.pull(served)
        expect(self.known() == sorted([self.basic.address, self.token.address]), f"{self.known()}")
        # A failed login leaves the one that works.
        self.refused("login", "-u", self.user, "--password-stdin", self.basic.address, input=WRONG, says="does not accept")
        self.forget_images()
        self.pull(self.basic)

    def case_bad_words(self):
        login = ("login", "-u", self.user, self.basic.address)
        self.refused(*login, says="no terminal", exit_code=125)
        self.refused(*login, "-p", "x", "--password-stdin", says="exclude each other", exit_code=125)
        self.refused("login", "--password-stdin", self.basic.address, says="needs --username", exit_code=125, input=self.password)
        self.refused(*login, "--password-stdin", says="the password is empty", exit_code=125, input="\n")
        self.refused("login", "-u", "a:b", "--password-stdin", self.basic.address, says="colon", input="x")
        self.refused("login", "-u", "a", "--password-stdin", f"https://{self.basic.address}", says="HOST[:PORT]", input="x")
        self.refused("login", "-u", "a", "--password-stdin", self.plain.address, says="asks for no user name", input="x")
        done = self.lab.raind("login", "-u", self.user, "-p", self.password, self.basic.address)
        expect("warning:" in done.stderr and self.password not in done.stderr, done.stderr)

    def case_prompt_without_echo(self):
        leader, follower = pty.openpty()
        process = subprocess.Popen([BIN / "raind", "--root", self.lab.root, "login", self.basic.address],
                                   stdin=follower, stdout=follower, stderr=follower, start_new_session=True)
        os.close(follower)
        seen = ""

        def read_until(text):
            nonlocal seen
            while text not in seen:
                piece = os.read(leader, 4096).decode()
                seen += piece
        try:
            read_until("Username: ")
            os.write(leader, self.user.encode() + b"\n")
            read_until("Password: ")
            os.write(leader, self.password.encode() + b"\n")
            read_until("Login Succeeded")
            expect(process.wait(timeout=limit(20)) == 0, f"exit {process.returncode}")
        finally:
            process.kill()
            process.wait()
            os.close(leader)
        expect(self.user in seen and self.password not in seen, f"{seen!r}")

    def case_token_runs_out_in_the_middle(self):
        self.forget_images()
        before = len(self.token.tokens.requests)
        problems = []

        def pull():
            try:
                self.pull(self.token, "many")
            except (Failure, subprocess.SubprocessError) as problem:
                problems.append(problem)
        thread = threading.Thread(target=pull)
        blobs = self.etc / "image/blobs/sha256"
        thread.start()
        # The registry stands still until its first token is worth nothing.
        try:
            wait_until("a first layer is there", lambda: list(blobs.iterdir()), 30, 0.005)
        finally:
            self.token.process.send_signal(signal.SIGSTOP)
            complete = len(list(blobs.iterdir()))
            time.sleep(7)
            self.token.process.send_signal(signal.SIGCONT)
            thread.join()
        expect(not problems, f"{problems}")
        expect(complete < LAYERS, "the pull was over before the registry stood still")
        asked = self.token.tokens.requests[before:]
        expect(len(asked) >= 2, f"{len(asked)} tokens were asked for")
        wanted = "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        expect(all(given == wanted for _, given in asked), "a token was asked for as nobody")

    def case_restart_keeps_the_login(self):
        self.forget_images()
        stray = self.logins.with_name(f".{self.logins.name}.tmp-cut0ff")
        stray.write_text("half a file")
        self.lab.kill_daemon()
        self.lab.start()
        expect(not stray.exists(), "what a cut write left stays")
        for served in (self.basic, self.token):
            self.pull(served)

    def case_secrets_lie_in_one_file(self):
        mode = [stat.S_IMODE(os.stat(path).st_mode) for path in (self.logins, self.logins.parent)]
        expect(mode == [0o600, 0o700], f"{[oct(m) for m in mode]}")
        encoded = base64.b64encode(f"{self.user}:{self.password}".encode())
        holders = set()
        for secret in (self.password.encode(), WRONG.encode(), encoded):
            for path in self.lab.dir.rglob("*"):
                if path.is_file() and not path.is_symlink() and secret in path.read_bytes():
                    holders.add(path)
        expect(holders == {self.logins}, f"{holders}")
        audit = [json.loads(line) for line in (self.lab.root / "var/log/raind/raind_audit.jsonl").read_text().splitlines()]
        logins = [entry for entry in audit if "registry.login" in json.dumps(entry)]
        expect(len(logins) > 5 and any(self.user in json.dumps(entry) for entry in logins), "logins are not in the audit log")

    def high_water(self):
        """The most memory that the daemon ever had, in bytes."""
        status = pathlib.Path(f"/proc/{self.lab.daemon.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))) << 10

    def case_a_hundred_megabytes(self):
        self.forget_images()
        self.lab.stop_daemon()
        self.lab.start()
        self.pull(self.plain)
        before, began = self.high_water(), time.monotonic()
        self.pull(self.plain, "large")
        grown, seconds = self.high_water() - before, time.monotonic() - began
        print(f"  100 MB: {seconds:.1f} s, the daemon's memory grew by {grown >> 10} KiB", flush=True)
        expect(grown < LARGE // 4, f"the daemon's memory grew by {grown} bytes")
        expect(seconds < limit(90), f"{seconds:.1f} s")
        shown = json.loads(self.lab.raind("image", "ls", "--format", "json").stdout.splitlines()[-1])
        sizes = [path.stat().st_size for path in (self.etc / "image/layers").rglob("f*") if path.is_file()]
        expect(sizes.count(LARGE) == 4, f"{shown} {sizes}")

    def case_killed_in_the_middle(self):
        self.forget_images()
        blobs, kept = self.etc / "image/blobs/sha256", self.etc / "image/kept"
        image = f"{self.plain.address}/team/app:large"
        process = subprocess.Popen([BIN / "raind", "--root", self.lab.root, "image", "pull", image],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until("a first layer is there", lambda: list(blobs.iterdir()), 60, 0.005)
        self.lab.kill_daemon()
        expect(process.wait(timeout=limit(60)) != 0, "the pull was over before the daemon was killed")
        complete = {path.name for path in blobs.iterdir()}
        self.lab.start()
        expect(image not in self.lab.raind("image", "ls").stdout, "half an image is listed")
        expect({path.name for path in kept.iterdir()} == complete, f"{complete} were complete")
        expect(not list(blobs.iterdir()) and not list((self.etc / "image/tmp").iterdir()), "more is left")
        # They are taken, not fetched: the registry does not have them any more.
        gone = [self.plain.blob_path(name) for name in complete]
        for path in gone:
            path.rename(path.with_suffix(".away"))
        try:
            self.pull(self.plain, "large")
        finally:
            for path in gone:
                path.with_suffix(".away").rename(path)
        expect(not list(kept.iterdir()), "kept although an image has it")

    def case_damaged_store(self):
        whole = self.logins.read_text()
        self.logins.write_text('{"version": 1, "registries": {"x:1": {"password": "' + WRONG)
        self.forget_images()
        self.pull_refused(self.plain, str(self.logins), "log in again")
        self.logins.write_text(whole)
        self.pull(self.plain)

    def case_logout(self):
        self.forget_images()
        for served in (self.basic, self.token):
            done = self.lab.raind("logout", served.address)
            expect(done.stdout == f"Removing login credentials for {served.address}\n", done.stdout)
            self.pull_refused(served, f"raind login {served.address}")
        expect(not self.logins.exists(), "the file of no logins is there")
        expect("Not logged in to" in self.lab.raind("logout", self.basic.address).stdout, "a second logout")


main(Registries())

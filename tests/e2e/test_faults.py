#!/usr/bin/env python3
"""Bad input and faults: one clear error each, a non-zero exit or 4xx, and nothing changed."""
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from lab import cgroup2_mount, run, wait_until  # noqa: E402
import registry  # noqa: E402
from image_builder import Layer, Layout, base_layer  # noqa: E402
from suite import Suite, expect, main  # noqa: E402

UNKNOWN_ID = "01kx5b6g2h7j8k9m0n1p2q3r4s"


class Faults(Suite):
    name = "raind-faults"

    def prepare(self):
        self.image = self.lab.make_image()
        self.lab.raind("container", "run", "-d", "--name", "web", self.image, "probe", "sleep", "1000")
        self.lab.raind("container", "create", "--name", "idle", self.image)
        self.lab.raind("policy", "add", "--type", "ew", "-s", "web", "-d", "later", "-p", "tcp", "--dport", "80")
        self.certificates = self.lab.root / "etc/raind/cert"
        endpoints = json.loads((self.lab.root / "run/raind/endpoints.json").read_text())
        self.address = endpoints["management"]
        self.before = self.state()

    # what must not change

    def state(self):
        lists = [self.lab.raind(*words).stdout for words in
                 (("container", "ls", "--format", "json"), ("image", "ls"), ("policy", "ls"))]
        folders = [sorted(str(path.relative_to(self.lab.root)) for path in (self.lab.root / name).glob(pattern))
                   for name, pattern in (("etc/raind/container", "*"), ("etc/raind/image/blobs", "*/*"),
                                         ("etc/raind/image/layers", "*"), ("etc/raind/image/tmp", "*"),
                                         ("etc/raind/image/references", "**/*"))]
        links = [line.split(":")[1] for line in
                 run("ip", "-o", "-n", self.lab.netns, "link", "show").stdout.splitlines()]
        groups = sorted(entry.name for entry in (cgroup2_mount() / self.lab.cgroup.strip("/")).iterdir() if entry.is_dir())
        return lists, folders, links, groups

    def unchanged(self, what):
        now = self.state()
        expect(now == self.before, f"{what}: something changed: {now} instead of {self.before}")

    def refused(self, *words, code=1, says=(), **options):
        done = self.lab.raind(*words, check=False, **options)
        what = "raind " + " ".join(words)
        expect(done.returncode == code, f"{what}: exit {done.returncode}, not {code}: {done.stdout}{done.stderr}")
        lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        expect(len(lines) == 1, f"{what}: not one error line: {done.stderr!r}")
        for text in [says] if isinstance(says, str) else says:
            expect(text in done.stderr, f"{what}: {text!r} is not in {done.stderr!r}")
        expect("\x1b" not in done.stderr, f"{what}: an escape reached the terminal")
        self.unchanged(what)

    # input

    def case_unknown_container(self):
        for words in (("start", "nobody"), ("stop", "nobody"), ("kill", "nobody"), ("rm", "nobody"), ("logs", "nobody"),
                      ("inspect", "nobody")):
            self.refused("container", *words, says=("nobody", "not found"))
        self.refused("container", "exec", "nobody", "true", code=125, says="not found")

    def case_wrong_state(self):
        self.refused("container", "start", "web", says="already started")
        self.refused("container", "rm", "web", says="running")
        self.refused("container", "stop", "idle", says="created")
        self.refused("container", "exec", "idle", "true", code=125, says="not running")
        self.refused("image", "rm", self.image, says="used by container")

    def case_unknown_image(self):
        self.refused("image", "rm", "nothing/here:1", says="not found")
        self.refused("image", "pull", f"{self.lab.registry_address}/demo/absent:1", says="demo/absent")
        self.refused("container", "create", f"{self.lab.registry_address}/demo/absent:1", code=125, says="demo/absent")

    def case_unknown_policy_and_protocol(self):
        self.refused("policy", "rm", UNKNOWN_ID, says=(UNKNOWN_ID, "not found"))
        self.refused("policy", "add", "--type", "ew", "-s", "a", "-d", "b", "-p", "gre", code=125, says="gre")
        self.refused("policy", "add", "--type", "east", "-s", "a", "-d", "b", code=125, says="ew/ns-obs/ns-enf")
        self.refused("policy", "ns-mode", "closed", code=125, says="closed")

    def case_ports(self):
        self.refused("policy", "add", "--type", "ew", "-s", "a", "-d", "b", "-p", "tcp", "--dport", "70000", code=125, says="70000")
        self.refused("policy", "add", "--type", "ew", "-s", "a", "-d", "b", "--dport", "80", code=125, says="protocol")
        self.refused("policy", "add", "--type", "ew", "-s", "a", "-d", "b", "-p", "icmp", "--dport", "80", code=125)

    def case_the_api_refuses_the_same(self):
        for body, says in (({"dport": 70000, "protocol": "tcp"}, "dport"), ({"dport": 80}, "protocol"),
                           ({"protocol": "gre"}, "gre"), ({"chain": "RAIND-XX"}, "RAIND-XX"),
                           ({"source": "a/b"}, "a/b"), ({"colour": "red"}, "colour"), ({"source": "a\x1b[31m"}, "source")):
            request = {"chain": "RAIND-EW", "source": "a", "dest": "b", **body}
            status, answer = self.call("POST", "/v1/policies", json.dumps(request))
            expect(400 <= status < 500, f"{body}: status {status}: {answer}")
            expect(json.loads(answer)["status"] == "fail" and says in answer, f"{body}: {answer}")
            self.unchanged(str(body))

    def case_calls_without_a_body_refuse_one(self):
        for path in ("policies/commit", "policies/revert", "containers/web/actions/stop"):
            for body in ("garbage", '{"x":1}', "[]"):
                status, answer = self.call("POST", f"/v1/{path}", body)
                expect(status == 400, f"{path} with {body}: {status}: {answer}")
        self.unchanged("bodies where none belongs")

    def case_signals_and_words(self):
        for signal in ("NOPE", "0", "99", "SIG"):
            status, answer = self.call("POST", "/v1/containers/web/actions/kill", json.dumps({"signal": signal}))
            expect(status == 400, f"signal {signal}: {status}: {answer}")
        status, answer = self.call("POST", "/v1/containers/web/actions/exec", '{"command":["a\\u0000b"]}')
        expect(status == 400, f"NUL in a command: {status}: {answer}")
        self.unchanged("a wrong signal")

    def case_a_policy_takes_the_beginning_of_an_id(self):
        web = self.lab.inspect("web")["containerId"]
        self.lab.raind("policy", "add", "--type", "ns-obs", "-s", web[:10], "-d", "198.51.100.7")
        rows = [line for line in self.lab.raind("policy", "ls", "--type", "ns-obs").stdout.splitlines() if "198.51.100.7" in line]
        expect(len(rows) == 1 and " web " in rows[0], f"policy ls: {rows}")
        self.lab.raind("policy", "revert", "--yes", check=False)
        self.lab.raind("policy", "revert", check=False)
        self.before = self.state()

    def case_names(self):
        for name in ("a/b", "../x", "a b", "a\nb", "a\x1b[31mb", "-x", "", "x" * 65):
            self.refused("container", "create", f"--name={name}", self.image, code=125)
        self.refused("container", "create", "--name", "web", self.image, code=125, says="already used")

    def case_image_references(self):
        for reference in ("", "UPPER/case", "a//b", "x:", "x@sha256:12", "http://x/y", "x:ta g", "a" * 300):
            self.refused("image", "pull", reference, code=1 if reference else 125)

    def case_options_that_are_not_there_yet(self):
        for words in (("-t",), ("-i",), ("--network", "other"), ("--tmpfs", "/x")):
            self.refused("container", "run", *words, self.image, code=125, says=words[0])

    # images

    def push(self, tag, layers):
        layout = Layout(self.lab.dir / "odd")
        layout.tag(tag, layout.image(layers))
        registry.push(self.lab.registry_address, f"{self.lab.dir / 'odd'}:{tag}", f"odd/image:{tag}")
        return f"{self.lab.registry_address}/odd/image:{tag}"

    def case_digest_that_does_not_match(self):
        reference = self.push("corrupt", [base_layer(), Layer().file("data", "x" * 5000)])
        manifest = json.loads(run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{reference}").stdout)
        digest = manifest["layers"][1]["digest"].removeprefix("sha256:")
        blob = self.lab.dir / f"registry/store/docker/registry/v2/blobs/sha256/{digest[:2]}/{digest}/data"
        data = bytearray(blob.read_bytes())
        data[len(data) // 2] ^= 1
        blob.write_bytes(data)
        self.refused("image", "pull", reference, says="digest")

    def case_layers_that_escape(self):
        for tag, layer in (("dots", Layer().file("../../outside", "evil")),
                           ("symlink", Layer().symlink("l", "/tmp").file("l/outside", "evil")),
                           ("hardlink", Layer().hard_link("l", "../../outside"))):
            self.refused("image", "pull", self.push(tag, [base_layer(), layer]), says="outside" if tag != "symlink" else "l/outside")

    def case_registry_that_is_down(self):
        self.refused("image", "pull", f"127.0.0.1:{registry.free_port()}/demo/tools:1", says="demo/tools")

    # clients

    def call(self, method, path, body=None, certificate="raindClient", folder=None, options=()):
        folder = folder or self.certificates
        words = ["curl", "--silent", "--show-error", "--max-time", "10", "--cacert", self.certificates / "raind.crt",
                 "-X", method, "-w", "\n%{http_code}", *options]
        if certificate:
            words += ["--cert", folder / f"{certificate}.crt", "--key", folder / f"{certificate}.key"]
        if body is not None:
            words += ["-H", "Content-Type: application/json", "--data-binary", "@-"]
        done = run(*words, f"https://{self.address}{path}", check=False, input=body or "")
        answer, _, status = done.stdout.rpartition("\n")
        return int(status or 0), answer or done.stderr

    def audit(self):
        return [json.loads(line) for line in
                (self.lab.root / "var/log/raind/raind_audit.jsonl").read_text().splitlines()]

    def case_the_right_certificate_is_let_in(self):
        status, answer = self.call("GET", "/v1/containers")
        expect(status == 200 and json.loads(answer)["status"] == "success", f"{status}: {answer}")

    def handshakes(self):
        return [r["result"] for r in self.audit() if r["action"] == "tls.handshake"]

    def refused_handshake(self, before):
        wait_until("a record of the refusal", lambda: len(self.handshakes()) > before)
        expect(self.handshakes()[-1]["status"] == "deny" and self.handshakes()[-1]["reason"], f"{self.handshakes()[-1]}")

    def case_no_certificate(self):
        before = len(self.handshakes())
        status, answer = self.call("POST", "/v1/policies/commit", certificate=None)
        expect(status == 0, f"{status}: {answer}")
        self.unchanged("no certificate")
        self.refused_handshake(before)

    def case_foreign_certificate(self):
        folder = self.lab.dir / "foreign"
        folder.mkdir()
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
            "-subj", "/CN=raind-client", "-addext", "subjectAltName=URI:spiffe://raind/cli/admin",
            "-keyout", folder / "x.key", "-out", folder / "x.crt")
        status, answer = self.call("POST", "/v1/policies/commit", certificate="x", folder=folder)
        expect(status == 0, f"{status}: {answer}")
        self.unchanged("foreign certificate")
        expect(any(r["action"] == "tls.handshake" and r["result"]["status"] == "deny" for r in self.audit()),
               "the refused handshake is not audited")

    def case_certificate_of_another_role(self):
        status, answer = self.call("POST", "/v1/policies/commit", certificate="raindHookClient")
        expect(status == 403 and answer.strip() == "forbidden", f"{status}: {answer}")
        self.unchanged("wrong role")
        last = [r for r in self.audit() if r["actor"]["spiffe_id"] == "spiffe://raind/droplet/container"]
        expect(last and last[-1]["result"] == {**last[-1]["result"], "status": "deny", "code": 403},
               "the refusal is not audited")

    def case_tls_1_2(self):
        before = len(self.handshakes())
        status, answer = self.call("GET", "/v1/containers", options=("--tls-max", "1.2"))
        expect(status == 0, f"{status}: {answer}")
        self.refused_handshake(before)

    def case_body_over_the_limit(self):
        body = json.dumps({"chain": "RAIND-EW", "source": "a", "dest": "b", "comment": "x" * (2 << 20)})
        status, answer = self.call("POST", "/v1/policies", body)
        expect(status == 413, f"{status}: {answer[:200]}")
        self.unchanged("body over the limit")

    def case_the_command_line_says_what_is_wrong_with_its_certificate(self):
        key = self.certificates / "raindClient.key"
        kept = key.rename(key.with_suffix(".kept"))
        try:
            done = self.lab.raind("container", "ls", check=False)
            expect(done.returncode == 1 and done.stderr.splitlines()[0] == "sudo required", done.stderr)
        finally:
            kept.rename(key)
        done = run(*[str(w) for w in (self.bin("raind"), "--host", f"127.0.0.1:{registry.free_port()}", "--root",
                                      self.lab.root, "container", "ls")], check=False)
        expect(done.returncode == 1 and done.stderr.startswith("Cannot connect to the Raind daemon."), done.stderr)

    def bin(self, name):
        import lab
        return lab.BIN / name


main(Faults())

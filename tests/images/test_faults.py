#!/usr/bin/env python3
"""Registries that fail, stall, redirect and lie."""
import base64
import itertools
import json
import os
import subprocess
import threading
import time

import pull_case
from authority import Authority
from fault_registry import MANIFEST, FaultRegistry
from image_builder import Layer, Layout
from pull_case import PullCase
from slow import limit


BASIC = "Basic " + base64.b64encode(b"tester:s3cret:with:colons").decode()


class FaultCase(PullCase):
    certificate = None

    def setUp(self):
        super().setUp()
        self.layout = Layout(self.scratch / "layout")
        self.image = self.layout.image([Layer().file("a", os.urandom(300_000))])
        self.registry = self.serve()
        self.registry.tags["v1"] = self.image["digest"]
        self.name = f"{self.registry.address}/team/app:v1"

    def serve(self, certificate=None):
        registry = FaultRegistry(self.layout, certificate)
        self.addCleanup(registry.stop)
        return registry

    def layer_digest(self):
        manifest = json.loads((self.layout.directory / "blobs/sha256" /
                               self.image["digest"].removeprefix("sha256:")).read_bytes())
        return manifest["layers"][0]["digest"]

    def for_layer(self, action):
        """A rule that treats the layer only."""
        wanted = self.layer_digest()
        return lambda handler, name: name == wanted and action(handler, name)


def times(count, action):
    """The action for the first `count` requests, the right answer afterwards."""
    counter = itertools.count()
    return lambda handler, name: next(counter) < count and action(handler, name)


def status(code, *headers):
    def action(handler, _):
        handler.answer(code, b"", headers)
        return True
    return action


def cut(handler, name):
    """Half of the bytes, then the end of the connection."""
    body = handler.blob_bytes(name)
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[:len(body) // 2])
    handler.close_connection = True
    return True


class Passing(FaultCase):
    def test_the_server_itself(self):
        image = self.pull(self.name)
        self.assertEqual(image["manifest"], self.image["digest"])

    def test_unavailable_twice(self):
        self.registry.rules["manifest"] = times(2, status(503))
        self.registry.rules["blob"] = times(2, status(502))
        self.pull(self.name)

    def test_unavailable_for_ever_is_bounded(self):
        self.registry.rules["manifest"] = status(503)
        self.refused(self.name, status=502, says=("registry answered 503", "team/app:v1"))
        self.assertEqual(self.registry.count("manifest"), 3)

    def test_too_many_requests(self):
        self.registry.rules["manifest"] = times(1, status(429, ("Retry-After", "1")))
        begin = time.monotonic()
        self.pull(self.name)
        self.assertGreaterEqual(time.monotonic() - begin, 1)

    def test_connection_cut_in_a_layer(self):
        self.registry.rules["blob"] = self.for_layer(times(1, cut))
        self.pull(self.name)
        self.registry.rules["blob"] = self.for_layer(cut)

    def test_connection_always_cut(self):
        self.registry.rules["blob"] = self.for_layer(cut)
        self.refused(self.name, status=502, says="layer 1 of 1", PULL_RETRIES="1")

    def test_stalled_layer(self):
        def stall(handler, name):
            body = handler.blob_bytes(name)
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body[:1000])
            handler.wfile.flush()
            time.sleep(15)
            handler.close_connection = True
            return True
        self.registry.rules["blob"] = self.for_layer(stall)
        begin = time.monotonic()
        self.refused(self.name, status=502, says="layer 1 of 1", PULL_LOW_SPEED_SECONDS="2")
        self.assertLess(time.monotonic() - begin, 12)


class Kept(FaultCase):
    """What a pull that failed had completed is not fetched again."""
    def setUp(self):
        super().setUp()
        layers = [Layer().file(f"f{i}", os.urandom(200_000)) for i in range(3)]
        self.registry.tags["v1"] = self.layout.image(layers)["digest"]
        manifest = json.loads((self.layout.directory / "blobs/sha256" /
                               self.registry.tags["v1"].removeprefix("sha256:")).read_bytes())
        self.layers = [layer["digest"] for layer in manifest["layers"]]
        self.folder = self.root / "kept"

    def kept(self):
        return sorted(f"sha256:{path.name}" for path in self.folder.iterdir())

    def cut_at(self, number, action=cut, **environment):
        """A pull that fails in this layer."""
        self.registry.rules["blob"] = lambda handler, name: name == self.layers[number] and action(handler, name)
        self.refused(self.name, status=502, says=f"layer {number + 1} of 3", **{"PULL_RETRIES": "0", **environment})
        self.registry.rules.clear()

    def fetched(self):
        """The layers that a pull asks the registry for; it succeeds."""
        self.registry.requests.clear()
        image = self.pull(self.name)
        self.assertEqual(len(image["layers"]), 3)
        return [name for kind, name, _ in self.registry.requests if kind == "blob" and name in self.layers]

    def test_cut_in_the_second_layer(self):
        self.cut_at(1)
        self.assertEqual(self.kept(), self.layers[:1])
        self.assertEqual(self.command("image", self.name, self.registry.tags["v1"])["status"], 404)
        self.assertEqual(self.fetched(), self.layers[1:])
        self.assertEqual(self.kept(), [])

    def test_it_fails_again_and_again(self):
        for number in range(3):
            self.cut_at(number)
            self.assertEqual(self.kept(), sorted(self.layers[:number]))
        self.assertEqual(self.fetched(), self.layers[2:])

    def test_damaged_while_it_was_kept(self):
        self.cut_at(2)
        path = self.folder / self.layers[0].removeprefix("sha256:")
        path.write_bytes(path.read_bytes()[:-1] + b"?")
        self.assertEqual(self.fetched(), [self.layers[0], self.layers[2]])
        self.assertEqual(self.kept(), [])

    def test_bounded_by_size_and_age(self):
        self.cut_at(2, PULL_KEEP_BYTES="300000")
        self.assertEqual(len(self.kept()), 1)
        self.cut_at(2, PULL_KEEP_BYTES="10")
        self.assertEqual(self.kept(), [])
        self.cut_at(2)
        for path in self.folder.iterdir():
            os.utime(path, (time.time() - 23 * 3600,) * 2)
        self.command("recover")
        self.assertEqual(len(self.kept()), 2)
        for when in (time.time() - 25 * 3600, time.time() + 25 * 3600):
            for path in self.folder.iterdir():
                os.utime(path, (when, when))
            self.command("recover")
            self.assertEqual(self.kept(), [])
            self.cut_at(2)

    def test_refused_content_is_not_kept(self):
        def lie(handler, name):
            handler.answer(200, handler.blob_bytes(name)[:-1] + b"?")
            return True
        self.registry.rules["blob"] = lambda handler, name: name == self.layers[1] and lie(handler, name)
        self.refused(self.name, status=400, says="does not match its digest")
        self.assertEqual(self.kept(), [])

    def test_killed_in_the_second_layer(self):
        reached = threading.Event()

        def stall(handler, name):
            handler.send_response(200)
            handler.send_header("Content-Length", "200000")
            handler.end_headers()
            handler.wfile.write(handler.blob_bytes(name)[:1000])
            handler.wfile.flush()
            reached.set()
            time.sleep(3)
            handler.close_connection = True
            return True
        self.registry.rules["blob"] = lambda handler, name: name == self.layers[1] and stall(handler, name)
        process = subprocess.Popen([pull_case.PROGRAM, "pull", self.root, self.name], stdout=subprocess.DEVNULL)
        self.assertTrue(reached.wait(limit(30)))
        process.kill()
        process.wait()
        self.registry.rules.clear()
        self.assertEqual(self.command("recover"), {})
        self.assertEqual(self.kept(), self.layers[:1])
        self.assertEqual(self.leftovers(), [])
        self.assertEqual(self.fetched(), self.layers[1:])


class Documents(FaultCase):
    def manifest_rule(self, body, content_type=MANIFEST):
        def action(handler, _):
            handler.answer(200, body, [("Content-Type", content_type)])
            return True
        self.registry.rules["manifest"] = action

    def test_bad_json(self):
        for body in (b"", b"{", b"[]", b"null", b'{"schemaVersion":2}', b"[" * 5000, b"\xff\xfe"):
            with self.subTest(body[:20]):
                self.manifest_rule(body)
                self.refused(self.name)

    def test_page_instead_of_manifest(self):
        self.manifest_rule(b"<html>log in</html>", "text/html; charset=utf-8")
        self.refused(self.name, status=501, says="'text/html'")

    def test_huge_counts(self):
        descriptor = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "size": 1,
                      "digest": "sha256:" + "0" * 64}
        config = dict(descriptor, mediaType="application/vnd.oci.image.config.v1+json")
        manifest = {"schemaVersion": 2, "config": config, "layers": [descriptor] * 5000}
        self.manifest_rule(json.dumps(manifest).encode())
        self.refused(self.name, says="5000 layers, more than 127")
        manifest["layers"] = [dict(descriptor, size=1 << 62)]
        self.manifest_rule(json.dumps(manifest).encode())
        self.refused(self.name, status=404)  # its configuration is not there
        self.manifest_rule(b" " * (5 << 20))
        self.refused(self.name, status=413, says="longer than")

    def test_endless_manifest(self):
        def endless(handler, _):
            handler.send_response(200)
            handler.send_header("Content-Type", MANIFEST)
            handler.end_headers()
            for _ in range(2000):
                handler.wfile.write(b" " * 65536)
            handler.close_connection = True
            return True
        self.registry.rules["manifest"] = endless
        self.refused(self.name, status=413, says="longer than")

    def test_endless_headers(self):
        def endless(handler, _):
            handler.send_response(200)
            for i in range(5000):
                handler.send_header(f"X-Filler-{i}", "x" * 100)
            handler.end_headers()
            handler.close_connection = True
            return True
        self.registry.rules["manifest"] = endless
        self.refused(self.name, status=502)


class Redirects(FaultCase):
    def redirect(self, url, code=307):
        def action(handler, name):
            handler.answer(code, b"", [("Location", url(name))])
            return True
        return action

    def test_blob_on_another_server_without_the_token(self):
        other = self.serve()
        challenge = f'Bearer realm="http://{self.registry.address}/token",service="test, it"'
        self.registry.rules["manifest"] = lambda handler, _: \
            handler.headers.get("Authorization") != "Bearer t0ken" and \
            status(401, ("WWW-Authenticate", challenge))(handler, _)
        self.registry.rules["blob"] = self.redirect(lambda name: f"http://{other.address}/v2/x/blobs/{name}")
        self.pull(self.name)
        token = [name for kind, name, _ in self.registry.requests if kind == "token"]
        self.assertEqual(token, ["service=test%2C%20it&scope=repository%3Ateam%2Fapp%3Apull"])
        sent = {authorization for kind, _, authorization in self.registry.requests if kind == "blob"}
        self.assertEqual(sent, {"Bearer t0ken"})
        self.assertEqual({authorization for _, _, authorization in other.requests}, {None})
        self.assertEqual(other.count("blob"), 2)

    def test_loop_is_bounded(self):
        self.registry.rules["blob"] = self.redirect(lambda name: f"/v2/team/app/blobs/{name}")
        self.refused(self.name, status=502, says="more than 5 redirects")
        self.assertEqual(self.registry.count("blob"), 6)

    def test_targets_that_are_refused(self):
        for url, code, says in (("http://192.0.2.1/x", 403, "loopback addresses only"),
                                ("http://169.254.169.254/latest", 403, "loopback addresses only"),
                                ("file:///etc/passwd", 400, "http or https"),
                                ("gopher://127.0.0.1/", 400, "http or https"),
                                ("http://user:secret@127.0.0.1/", 400, "credentials"),
                                ("", 400, "")):
            with self.subTest(url):
                self.registry.rules["blob"] = self.redirect(lambda _, url=url: url)
                answer = self.command("pull", self.name)
                self.assertIn(says, answer["error"])
                self.assertNotIn("secret", answer["error"])
                self.assertEqual(self.leftovers(), [])
                if url:
                    self.assertEqual(answer["status"], code, answer["error"])


class Credentials(FaultCase):
    def challenge(self, text):
        self.registry.rules["manifest"] = status(401, ("WWW-Authenticate", text))

    def logins(self, registry=None):
        """What makes the pull know user and password for a registry."""
        file = self.scratch / "logins.json"
        entry = {"username": "tester", "password": "s3cret:with:colons"}
        file.write_text(json.dumps({"version": 1, "registries": {registry or self.registry.address: entry}}))
        return {"PULL_LOGINS": str(file)}

    def ask(self, registry, challenge, wanted):
        """Manifests and blobs only for who sends the wanted Authorization."""
        def rule(handler, name):
            return handler.headers.get("Authorization") != wanted and \
                status(401, ("WWW-Authenticate", challenge))(handler, name)
        registry.rules["manifest"] = registry.rules["blob"] = rule

    @staticmethod
    def sent(registry):
        return {authorization for _, _, authorization in registry.requests}

    def test_basic(self):
        self.ask(self.registry, 'Basic realm="test"', BASIC)
        self.refused(self.name, status=403, says=("asks for a user name and a password",
                                                  f"raind login {self.registry.address}"))
        self.refused(self.name, status=403, says="raind login", **self.logins("127.0.0.1:1"))
        self.assertEqual(self.sent(self.registry), {None})
        self.pull(self.name, **self.logins())
        self.assertEqual(self.sent(self.registry), {None, BASIC})

    def test_basic_that_is_refused(self):
        self.challenge('Basic realm="test"')
        error = self.refused(self.name, status=403, says="does not accept user name or password of 'tester'", **self.logins())
        self.assertNotIn("s3cret", error)
        self.assertEqual(self.registry.count("manifest"), 2)

    def test_a_kind_that_is_not_supported(self):
        self.challenge("Negotiate")
        self.refused(self.name, status=501, says="supported are Basic and Bearer", **self.logins())

    def test_redirect_does_not_take_the_password_along(self):
        other = self.serve()
        self.ask(self.registry, 'Basic realm="test"', BASIC)
        known = self.registry.rules["blob"]
        self.registry.rules["blob"] = lambda handler, name: known(handler, name) or status(
            307, ("Location", f"http://{other.address}/v2/x/blobs/{name}"))(handler, name)
        self.pull(self.name, **self.logins())
        self.assertEqual(self.sent(other), {None})
        # Nor when the other one asks for it, by itself or in the name of a token server.
        for challenge in ('Basic realm="give it to me"', f'Bearer realm="http://{other.address}/token"'):
            with self.subTest(challenge):
                subprocess.run(["rm", "-r", self.root], check=True)
                other.rules["blob"] = status(401, ("WWW-Authenticate", challenge))
                self.refused(self.name, status=403, says="access refused", **self.logins())
                self.assertEqual(self.sent(other), {None})
                self.assertEqual(other.count("token"), 0)

    def test_token_server_elsewhere_does_not_get_the_password_over_plain_http(self):
        other = self.serve()
        port = other.address.rpartition(":")[2]
        self.challenge(f'Bearer realm="http://localhost:{port}/token"')
        self.refused(self.name, status=403, says="not sent the password", **self.logins())
        self.assertEqual(other.requests, [])
        self.ask(self.registry, f'Bearer realm="http://{other.address}/token"', "Bearer t0ken")
        self.pull(self.name, **self.logins())
        self.assertEqual(self.sent(other), {BASIC})
        self.assertEqual(self.sent(self.registry), {None, "Bearer t0ken"})

    def test_token_server_that_refuses(self):
        self.challenge(f'Bearer realm="http://{self.registry.address}/token"')
        self.registry.rules["token"] = status(401)
        self.refused(self.name, status=403, says=("token server", "'tester'"), **self.logins())
        self.refused(self.name, status=403, says=("token server", "raind login"))

    def test_tokens_that_run_out(self):
        uses, current = itertools.count(1), []

        def token(handler, _):
            current.append(f"t{len(current)}")
            handler.answer(200, json.dumps({"token": current[-1]}).encode())
            return True

        def need(handler, name):
            good = current and handler.headers.get("Authorization") == f"Bearer {current[-1]}"
            if good and next(uses) % 2:
                return False
            return status(401, ("WWW-Authenticate",
                                f'Bearer realm="http://{self.registry.address}/token",error="invalid_token"'))(handler, name)
        self.registry.rules = {"token": token, "manifest": need, "blob": need}
        layers = [Layer().file(f"f{i}", os.urandom(1000)) for i in range(5)]
        self.registry.tags["v1"] = self.layout.image(layers)["digest"]
        self.pull(self.name)
        self.assertEqual(self.registry.count("token"), 7)  # one for the manifest and for each blob

    def test_token_that_does_not_help(self):
        self.challenge(f'Bearer realm="http://{self.registry.address}/token"')
        self.refused(self.name, status=403, says="access refused")
        self.assertEqual(self.registry.count("token"), 1)

    def test_broken_challenges(self):
        for text in ("Bearer", "Bearer realm", 'Bearer realm="x', "Bearer realm=\"ftp://x/\"", "Bearer ,,",
                     'Bearer realm="http://192.0.2.1/token"'):
            with self.subTest(text):
                self.challenge(text)
                answer = self.command("pull", self.name)
                self.assertIn("error", answer)
                self.assertIn(answer["status"], (400, 403))

    def test_tokens_that_are_none(self):
        self.challenge(f'Bearer realm="http://{self.registry.address}/token"')
        for body in (b"", b"{}", b'{"token":""}', b'{"token":"a\\r\\nX-Evil: 1"}', b'{"token":7}',
                     b'{"token":"' + b"x" * 100_000 + b'"}'):
            with self.subTest(body[:30]):
                def give(handler, _, body=body):
                    handler.answer(200, body)
                    return True
                self.registry.rules["token"] = give
                self.refused(self.name, says="token")


class Tls(FaultCase):
    def setUp(self):
        super().setUp()
        self.authority = Authority(self.scratch / "ca")
        self.plain = self.registry
        self.registry = self.secure("registry")
        self.registry.tags["v1"] = self.image["digest"]
        self.name = f"{self.registry.address}/team/app:v1"
        self.folder = self.scratch / "certs.d" / self.registry.address

    def secure(self, name, names="IP:127.0.0.1"):
        return self.serve(self.authority.issue(name, names))

    def trust(self, text=None):
        """The environment in which the registry's own authority file has this text."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "ca.crt").write_text(self.authority.certificate.read_text() if text is None else text)
        return {"PULL_AUTHORITIES": str(self.folder.parent), "PULL_RETRIES": "0"}

    def test_with_its_authority(self):
        self.pull(self.name, **self.trust())

    def test_unknown_authority_is_no_reason_for_plain_http(self):
        self.refused(self.name, status=502, says="certificate", PULL_RETRIES="0")
        self.refused(self.name, status=502, says=(f"the certificate of {self.registry.address} is of an unknown authority",
                                                  f"{self.folder}/ca.crt"),
                     PULL_AUTHORITIES=str(self.folder.parent))
        other = Authority(self.scratch / "other", "another CA").certificate.read_text()
        self.refused(self.name, status=502, says=f"which is not in {self.folder}/ca.crt", **self.trust(other))
        self.assertEqual(self.registry.requests, [])

    def test_wrong_name(self):
        self.registry = self.secure("wrong", "DNS:elsewhere.test")
        self.folder = self.folder.with_name(self.registry.address)
        self.refused(f"{self.registry.address}/team/app:v1", status=502,
                     says=(f"the certificate of {self.registry.address} is for another name",), **self.trust())
        self.assertEqual(self.registry.requests, [])

    def test_authority_files_that_are_none(self):
        good = self.authority.certificate.read_text()
        for text, says in (("", "no PEM certificate"), ("hello", "no PEM certificate"),
                           (good[:200], "broken"), (good.replace("MII", "AAA", 1), "broken"),
                           (good + good[:200], "certificate 2 in it is broken")):
            with self.subTest(text[:10]):
                self.refused(self.name, status=409, says=(f"{self.folder}/ca.crt", says), **self.trust(text))
        environment = self.trust()
        (self.folder / "ca.crt").unlink()
        self.refused(self.name, status=409, says=("ca.crt is missing", "put the authority's certificate there"), **environment)
        (self.folder / "ca.crt").mkdir()
        self.refused(self.name, status=409, says="ca.crt", **environment)
        self.assertEqual(self.registry.requests, [])

    def test_authority_rules_out_plain_http(self):
        folder = self.folder.with_name(self.plain.address)
        self.folder = folder
        self.plain.tags["v1"] = self.image["digest"]
        self.pull(f"{self.plain.address}/team/app:v1")
        self.assertNotEqual(self.plain.requests, [])
        self.plain.requests.clear()
        subprocess.run(["rm", "-r", self.root], check=True)
        self.refused(f"{self.plain.address}/team/app:v1", status=502, **self.trust())
        self.assertEqual(self.plain.requests, [])

    def test_no_way_down_to_plain_http(self):
        def down(handler, name):
            handler.answer(307, b"", [("Location", f"http://{self.plain.address}/v2/x/blobs/{name}")])
            return True
        self.registry.rules["blob"] = down
        self.refused(self.name, status=403, says="from HTTPS to plain HTTP", **self.trust())
        self.registry.rules = {"manifest": status(401, (
            "WWW-Authenticate", f'Bearer realm="http://{self.plain.address}/token"'))}
        self.refused(self.name, status=403, says="not reached over HTTPS", **self.trust())
        self.assertEqual(self.plain.requests, [])


if __name__ == "__main__":
    pull_case.main()

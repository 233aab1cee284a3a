#!/usr/bin/env python3
"""Starts Debian's docker-registry on loopback with a configuration and a store of its own.

As a module: Registry is a context manager, plain or in one of three dresses over TLS: "tls", "basic" (htpasswd) and
"token" (token server); several may share one store. As a program, for scripts, it is the plain one:

    registry.py start --dir DIR [--port N]   prints the address; DIR holds store, log and process id
    registry.py stop  --dir DIR              ends it; DIR stays
    registry.py push  --dir DIR LAYOUT:TAG NAME:TAG   copies an image of an OCI layout into it
"""
import argparse
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.parse

from authority import Authority
from slow import limit
from token_server import TokenServer

PROGRAM = "/usr/bin/docker-registry"

CONFIG = """\
version: 0.1
log:
  level: warn
storage:
  filesystem:
    rootdirectory: {store}
  delete:
    enabled: true
http:
  addr: 127.0.0.1:{port}
"""
TLS = """\
  tls:
    certificate: {certificate}
    key: {key}
"""
BASIC = """\
auth:
  htpasswd:
    realm: test
    path: {passwords}
"""
TOKEN = """\
auth:
  token:
    realm: {realm}
    service: {service}
    issuer: {issuer}
    rootcertbundle: {signers}
"""
NAMES = "DNS:localhost,DNS:registry.test,IP:127.0.0.1"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(directory, port=0, store=None, dress=""):
    """Gives the process and its address once it answers."""
    directory = pathlib.Path(directory)
    store = store or directory / "store"
    store.mkdir(parents=True, exist_ok=True)
    for _ in range(5):
        chosen = port or free_port()
        config = directory / "config.yml"
        config.write_text(CONFIG.format(store=store, port=chosen) + dress)
        with open(directory / "registry.log", "ab") as log:
            process = subprocess.Popen(
                [PROGRAM, "serve", str(config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "OTEL_TRACES_EXPORTER": "none"},
                start_new_session=True)
        if wait_ready(process, chosen, "tls:" in dress):
            return process, f"127.0.0.1:{chosen}"
        if process.poll() is None:
            end(process.pid)
        process.wait()
    raise RuntimeError("the registry does not start:\n" + (directory / "registry.log").read_text()[-2000:])


def connect(address, tls=False):
    """Without a look at the certificate: for the tests' own requests only."""
    if not tls:
        return http.client.HTTPConnection(address, timeout=limit(20))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(address, timeout=limit(20), context=context)


def wait_ready(process, port, tls, seconds=15):
    deadline = time.monotonic() + limit(seconds)
    while time.monotonic() < deadline and process.poll() is None:
        try:
            connection = connect(f"127.0.0.1:{port}", tls)
            connection.request("GET", "/v2/")
            status = connection.getresponse().status
            connection.close()
            # Another program may have taken the port meanwhile.
            return status in (200, 401) and process.poll() is None
        except OSError:
            time.sleep(0.05)
    return False


def end(pid, seconds=10):
    """Ends a process that need not be a child of ours."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                signal.pidfd_send_signal(descriptor, number)
            except ProcessLookupError:
                return
            import select
            if select.select([descriptor], [], [], limit(seconds))[0]:
                return
    finally:
        os.close(descriptor)


def push(address, layout, name, every_platform=False):
    command = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]
    command += ["--all"] if every_platform else ["--format", "oci"]
    subprocess.run(command + [f"oci:{layout}", f"docker://{address}/{name}"], check=True)


def upload(connection, repository, data, digest):
    connection.request("POST", f"/v2/{repository}/blobs/uploads/", headers={"Content-Length": "0"})
    answer = connection.getresponse()
    answer.read()
    place = urllib.parse.urlsplit(answer.headers["Location"])
    connection.request("PUT", f"{place.path}?{place.query}&{urllib.parse.urlencode({'digest': digest})}", body=data,
                       headers={"Content-Type": "application/octet-stream"})
    answer = connection.getresponse()
    answer.read()
    if answer.status != 201:
        raise RuntimeError(f"blob {digest}: {answer.status}")


def push_blobs(address, layout, descriptor, name):
    """Copies byte by byte what a descriptor of a Layout leads to, whatever it is; tools would refuse or repair it."""
    connection = connect(address)
    repository, _, tag = name.partition(":")

    def push(entry, reference):
        data = layout.read(entry)
        document = json.loads(data)
        for child in document.get("manifests", []):
            push(child, child["digest"])
        for blob in [document["config"], *document["layers"]] if "layers" in document else []:
            upload(connection, repository, layout.read(blob), blob["digest"])
        connection.request("PUT", f"/v2/{repository}/manifests/{reference}", body=data,
                           headers={"Content-Type": entry["mediaType"]})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 201:
            raise RuntimeError(f"manifest {reference} of {name}: {answer.status} {text}")

    push(descriptor, tag or "latest")
    connection.close()


class Registry:
    """A registry with a temporary store; `store` is its folder on disk. `kind` is plain, tls, basic or token."""
    user, password = "tester", "s3cret:with:colons"

    def __init__(self, kind="plain", authority=None, share=None, names=NAMES, token_seconds=60):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="raind-registry-", dir="/var/tmp"))
        self.kind, self.tokens, self.process = kind, None, None
        self.authority = authority
        self.files = share.files if share else self.directory / "store"
        try:
            dress = "" if kind == "plain" else self.dress(names, token_seconds)
            self.process, self.address = start(self.directory, store=self.files, dress=dress)
        except BaseException:
            self.__exit__()
            raise

    def dress(self, names, token_seconds):
        self.authority = self.authority or Authority(self.directory / "ca")
        certificate, key = self.authority.issue(f"registry-{self.kind}", names)
        text = TLS.format(certificate=certificate, key=key)
        if self.kind == "basic":
            passwords = self.directory / "passwords"
            with open(passwords, "wb") as out:
                subprocess.run(["htpasswd", "-niB", "-C", "4", self.user], input=self.password.encode(), stdout=out, check=True)
            text += BASIC.format(passwords=passwords)
        if self.kind == "token":
            self.tokens = TokenServer(self.authority, names, self.user, self.password, token_seconds)
            text += TOKEN.format(realm=self.tokens.realm, service=self.tokens.service, issuer=self.tokens.issuer,
                                 signers=self.tokens.signer)
        return text

    @property
    def store(self):
        return self.files / "docker/registry/v2"

    def blob_path(self, digest):
        hexdigits = digest.removeprefix("sha256:")
        return self.store / "blobs/sha256" / hexdigits[:2] / hexdigits / "data"

    def push(self, layout, name, every_platform=False):
        push(self.address, layout, name, every_platform)

    def push_blobs(self, layout, descriptor, name):
        push_blobs(self.address, layout, descriptor, name)

    def stop(self):
        if self.process is not None:
            end(self.process.pid)
            self.process.wait()
            self.process = None
        if self.tokens is not None:
            self.tokens.stop()
            self.tokens = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description="a docker-registry of one's own on loopback")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("start", "stop", "push"):
        command = commands.add_parser(name)
        command.add_argument("--dir", required=True, type=pathlib.Path)
        if name == "start":
            command.add_argument("--port", type=int, default=0)
        if name == "push":
            command.add_argument("layout")
            command.add_argument("name")
    arguments = parser.parse_args()
    pid_file = arguments.dir / "registry.pid"
    address_file = arguments.dir / "address"
    if arguments.command == "start":
        process, address = start(arguments.dir, arguments.port)
        pid_file.write_text(f"{process.pid}\n")
        address_file.write_text(f"{address}\n")
        print(address)
    elif arguments.command == "stop":
        if pid_file.exists():
            end(int(pid_file.read_text()))
            pid_file.unlink()
    else:
        push(address_file.read_text().strip(), arguments.layout, arguments.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())

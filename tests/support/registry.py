#!/usr/bin/env python3
"""Starts Debian's docker-registry on loopback with a configuration and a store of its own.

As a module: Registry is a context manager. As a program, for scripts:

    registry.py start --dir DIR [--port N]   prints the address; DIR holds store, log and process id
    registry.py stop  --dir DIR              ends it; DIR stays
    registry.py push  --dir DIR LAYOUT:TAG NAME:TAG   copies an image of an OCI layout into it
"""
import argparse
import http.client
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

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


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(directory, port=0):
    """Gives the process and its address once it answers."""
    directory = pathlib.Path(directory)
    (directory / "store").mkdir(parents=True, exist_ok=True)
    for _ in range(5):
        chosen = port or free_port()
        config = directory / "config.yml"
        config.write_text(CONFIG.format(store=directory / "store", port=chosen))
        with open(directory / "registry.log", "ab") as log:
            process = subprocess.Popen(
                [PROGRAM, "serve", str(config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "OTEL_TRACES_EXPORTER": "none"},
                start_new_session=True)
        if wait_ready(process, chosen):
            return process, f"127.0.0.1:{chosen}"
        if process.poll() is None:
            end(process.pid)
        process.wait()
    raise RuntimeError("the registry does not start:\n" + (directory / "registry.log").read_text()[-2000:])


def wait_ready(process, port, seconds=15):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/v2/")
            status = connection.getresponse().status
            connection.close()
            # Another program may have taken the port meanwhile.
            return status == 200 and process.poll() is None
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
            if select.select([descriptor], [], [], seconds)[0]:
                return
    finally:
        os.close(descriptor)


def push(address, layout, name, every_platform=False):
    command = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]
    command += ["--all"] if every_platform else ["--format", "oci"]
    subprocess.run(command + [f"oci:{layout}", f"docker://{address}/{name}"], check=True)


class Registry:
    """A registry with a temporary store; `store` is its folder on disk."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="raind-registry-", dir="/var/tmp"))
        try:
            self.process, self.address = start(self.directory)
        except BaseException:
            shutil.rmtree(self.directory, ignore_errors=True)
            raise

    @property
    def store(self):
        return self.directory / "store/docker/registry/v2"

    def blob_path(self, digest):
        hexdigits = digest.removeprefix("sha256:")
        return self.store / "blobs/sha256" / hexdigits[:2] / hexdigits / "data"

    def push(self, layout, name, every_platform=False):
        push(self.address, layout, name, every_platform)

    def stop(self):
        if self.process is not None:
            end(self.process.pid)
            self.process.wait()
            self.process = None

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

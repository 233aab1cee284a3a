#!/usr/bin/env python3
"""Odd images through the whole product: pulled and seen right by a process inside, or refused and without a trace.

What is right is in tests/images/odd_images.py; the eyes are tests/support/tree_probe.c.
"""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from lab import BUILD, registry, run, wait_until  # noqa: E402
from image_builder import Layout  # noqa: E402
import odd_images  # noqa: E402
from suite import Suite, expect, main  # noqa: E402

WATCHED = ("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/hosts")
BOUND = 300 << 20  # bytes that the store may grow by for an image of 256 MB of zeros


def fnv(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001b3) & 0xffffffffffffffff
    return f"{value:016x}"


def seen(text):
    """What tree_probe printed: path -> fields."""
    entries = {}
    for line in text.splitlines():
        fields = dict(word.split("=", 1) for word in line.split(" "))
        path = bytes.fromhex(fields.pop("path")).decode()
        fields["xattrs"] = {key.removeprefix("xattr:"): value for key, value in fields.items() if key.startswith("xattr:")}
        entries[path] = fields
    return entries


def difference(path, wanted, found):
    """The keys of one entry that are not as the catalogue says."""
    told = {"kind": found["kind"], "mode": int(found["mode"], 8), "uid": int(found["uid"]), "gid": int(found["gid"]),
            "links": int(found["links"]), "size": int(found.get("size", 0)),
            "target": bytes.fromhex(found.get("target", "")).decode(),
            "xattrs": {key: bytes.fromhex(value) if "errno" not in value else value for key, value in found["xattrs"].items()}}
    wanted = {"xattrs": {}, **wanted}
    content = wanted.pop("content", None)
    if content is not None:
        wanted |= {"size": len(content), "hash": fnv(content)}
        told["hash"] = found.get("hash")
        if told["hash"] == "errno:13" and wanted["mode"] == 0:
            wanted["hash"] = told["hash"]
    return [f"{path!r}: {key} is {told[key]!r}, not {value!r}" for key, value in wanted.items() if told[key] != value]


class OddImages(Suite):
    name = "raind-odd"

    def prepare(self):
        self.mark = f"raind-odd-{os.getpid()}"
        self.bait = pathlib.Path(f"/tmp/{self.mark}-bait")
        self.bait.write_text("bait")
        self.outside = self.look_outside()
        self.layout = Layout(self.lab.dir / "layout")
        self.builder = odd_images.Builder(self.layout, BUILD / "tests/tree_probe", self.mark)
        self.lab.registry_process, self.lab.registry_address = registry.start(self.lab.dir / "registry")
        self.pull("plain", self.builder.image())

    def close(self):
        self.bait.unlink(missing_ok=True)
        return super().close()

    def look_outside(self):
        """What the images reach for: names with the mark, and the files that links would read or change."""
        marked = [str(path) for folder in ("/tmp", "/etc", "/", "/var/tmp") for path in pathlib.Path(folder).glob(f"*{self.mark}*")]
        marked += [str(path) for path in self.lab.dir.parent.glob(f"{self.lab.name}*/{self.mark}*")]
        files = [(path, os.lstat(path)) for path in (*WATCHED, "/tmp", "/etc", str(self.bait)) if os.path.exists(path)]
        return sorted(set(marked)), [(path, s.st_ino, s.st_mode, s.st_uid) + ((s.st_nlink, s.st_size, s.st_mtime_ns)
                                     if path not in ("/tmp", "/etc") else ()) for path, s in files]

    def pull(self, name, image, check=True):
        registry.push_blobs(self.lab.registry_address, self.layout, image, f"odd/{name}:1")
        self.reference = f"{self.lab.registry_address}/odd/{name}:1"
        return self.lab.raind("image", "pull", self.reference, check=check)

    def inside(self, *words):
        """What the image's own command, or another, prints in a container of the image pulled last."""
        self.lab.raind("container", "run", "-d", "--name", "c", self.reference, *words)
        wait_until("it ends", lambda: self.lab.inspect("c")["state"] == "stopped", 30)
        text, code = self.lab.raind("container", "logs", "c", "--line", 5000).stdout, self.lab.inspect("c")["exitCode"]
        self.lab.raind("container", "rm", "c")
        expect(code == 0, f"exit {code}: {text}")
        return text

    def store(self):
        """Everything that is in the image store, and the images that there are."""
        top = self.lab.root / "etc/raind/image"
        found = [str(path.relative_to(top)) for folder in ("blobs/sha256", "layers", "tmp") for path in (top / folder).iterdir()]
        found += [str(path.relative_to(top)) for path in (top / "references").rglob("*")]
        return sorted(found), self.lab.raind("image", "ls", "--format", "json").stdout

    def check_right(self, odd):
        self.pull(odd.name, odd.image)
        text = self.inside()
        if odd.outputs is not None:
            missing = [line for line in odd.outputs if line not in text.splitlines()]
            expect(not missing, f"not there: {missing} in {text}")
            return
        found = seen(text)
        problems = [f"{path!r} is missing" for path in odd.catalogue if path not in found]
        problems += [f"{path!r} is there" for path in found if path not in odd.catalogue]
        for path in odd.catalogue.keys() & found.keys():
            problems += difference(path, odd.catalogue[path], found[path])
        expect(not problems, "; ".join(problems))

    def check_refused(self, odd):
        before = self.store()
        done = self.pull(odd.name, odd.image, check=False)
        expect(done.returncode == 1 and not done.stdout, f"exit {done.returncode}: {done.stdout}{done.stderr}")
        lines = done.stderr.splitlines()
        expect(len(lines) == 1 and lines[0].startswith(f'error: cannot pull image "{self.reference}": '), done.stderr)
        for part in odd.says:
            expect(part in lines[0], f"not told {part!r}: {lines[0]}")
        expect(self.store() == before, f"kept: {self.store()}, before: {before}")

    def every(self, check, images):
        problems = []
        for odd in images:
            try:
                check(odd)
                expect(self.look_outside() == self.outside, f"changed outside: {self.look_outside()}, was {self.outside}")
            except Exception as problem:  # noqa: BLE001: told with its image, and the rest is still looked at
                problems.append(f"{odd.name}: {problem}")
                self.lab.remove_containers()
        expect(not problems, "\n  ".join(["", *problems]))

    def case_right_images(self):
        self.every(self.check_right, odd_images.right_images(self.builder))

    def case_refused_images(self):
        self.every(self.check_refused, odd_images.refused_images(self.builder))

    def case_harmless_images(self):
        self.every(self.check_right, odd_images.harmless(self.builder))

    def case_a_bomb_is_bounded_and_goes(self):
        reference = f"{self.lab.registry_address}/odd/bomb:1"

        def used():
            return int(run("du", "-s", "-B1", self.lab.root / "etc/raind/image").stdout.split()[0])
        grown = used()
        expect(grown < BOUND, f"the store holds {grown} bytes")
        self.lab.raind("image", "rm", reference)
        expect(used() < grown - (200 << 20), f"{used()} bytes are left of {grown}")

    def case_everything_goes_and_the_daemon_works(self):
        for line in self.lab.raind("image", "ls").stdout.splitlines()[1:]:
            name, tag = line.split()[:2]
            self.lab.raind("image", "rm", f"{name}:{tag}")
        found, images = self.store()
        expect(found == [] and images.split() == [], f"left: {found}, {images}")
        self.pull("plain", self.builder.image())
        expect(list(seen(self.inside())) == ["/t"], "the plain image")


main(OddImages())

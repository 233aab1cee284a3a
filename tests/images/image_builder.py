#!/usr/bin/env python3
"""Builds container images as OCI layouts, the same bytes on every run.

As a module: Layer makes one layer from entries (hostile ones included), Layout writes images. As a
program it makes the small image of the tests and the demo:

    image_builder.py LAYOUT TAG [--busybox PATH] [--file SOURCE:DEST]... [--env K=V]... [--cmd WORD]...
"""
import argparse
import gzip
import hashlib
import io
import json
import pathlib
import platform
import subprocess
import sys
import tarfile

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
TYPES = {
    "oci": {"index": INDEX, "manifest": MANIFEST, "config": "application/vnd.oci.image.config.v1+json",
            "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
            "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
            "none": "application/vnd.oci.image.layer.v1.tar"},
    "docker": {"index": "application/vnd.docker.distribution.manifest.list.v2+json",
               "manifest": "application/vnd.docker.distribution.manifest.v2+json",
               "config": "application/vnd.docker.container.image.v1+json",
               "gzip": "application/vnd.docker.image.rootfs.diff.tar.gzip",
               "zstd": "application/vnd.docker.image.rootfs.diff.tar.zstd",
               "none": "application/vnd.docker.image.rootfs.diff.tar"},
}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def to_json(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def host_arch():
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


class Layer:
    """Entries are written in the order and under the names in which they are given."""

    def __init__(self, packing="gzip"):
        self.packing = packing
        self._bytes = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._bytes, mode="w", format=tarfile.PAX_FORMAT)

    def _add(self, name, kind, data=b"", mode=0o644, uid=0, gid=0, target="", xattrs=None, mtime=0,
             device=(0, 0)):
        info = tarfile.TarInfo(name)
        info.devmajor, info.devminor = device
        info.type, info.mode, info.uid, info.gid, info.mtime = kind, mode, uid, gid, mtime
        info.linkname, info.size = target, len(data)
        info.pax_headers = {f"SCHILY.xattr.{key}": value for key, value in (xattrs or {}).items()}
        self._tar.addfile(info, io.BytesIO(data))
        return self

    def file(self, name, data, mode=0o644, **more):
        return self._add(name, tarfile.REGTYPE, data.encode() if isinstance(data, str) else data,
                         mode, **more)

    def folder(self, name, mode=0o755, **more):
        return self._add(name, tarfile.DIRTYPE, mode=mode, **more)

    def symlink(self, name, target, **more):
        return self._add(name, tarfile.SYMTYPE, mode=0o777, target=target, **more)

    def hard_link(self, name, target):
        return self._add(name, tarfile.LNKTYPE, target=target)

    def fifo(self, name, mode=0o644, **more):
        return self._add(name, tarfile.FIFOTYPE, mode=mode, **more)

    def device(self, name, kind=tarfile.CHRTYPE, major=0, minor=0, mode=0o666):
        return self._add(name, kind, mode=mode, device=(major, minor))

    def whiteout(self, name):
        parent, _, leaf = name.rpartition("/")
        return self.file(f"{parent}/.wh.{leaf}" if parent else f".wh.{leaf}", b"")

    def opaque(self, folder):
        return self.file(f"{folder}/.wh..wh..opq", b"")

    def tar(self):
        if not self._tar.closed:
            self._tar.close()
        return self._bytes.getvalue()


def compress(data, packing="gzip"):
    if packing == "zstd":
        return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return gzip.compress(data, mtime=0) if packing == "gzip" else data


class Layout:
    """A folder in the OCI image layout; several images side by side, each under a tag."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        (self.directory / "blobs/sha256").mkdir(parents=True, exist_ok=True)
        (self.directory / "oci-layout").write_bytes(to_json({"imageLayoutVersion": "1.0.0"}))
        self._tagged = {}
        index = self.directory / "index.json"
        if index.exists():
            for entry in json.loads(index.read_bytes())["manifests"]:
                self._tagged[entry["annotations"]["org.opencontainers.image.ref.name"]] = entry

    def blob(self, data, media_type):
        digest = sha256(data)
        (self.directory / "blobs/sha256" / digest.removeprefix("sha256:")).write_bytes(data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def image(self, layers, config=None, arch=None, variant=None, system="linux", diff_ids=None,
              change_manifest=None, form="oci"):
        """Layers are Layer objects, or pairs (uncompressed, compressed) for broken ones."""
        descriptors, real_ids, types = [], [], TYPES[form]
        for layer in layers:
            tar, packed = layer if isinstance(layer, tuple) else (None, None)
            packing = "gzip"
            if tar is None:
                tar, packing = layer.tar(), layer.packing
                packed = compress(tar, packing)
            real_ids.append(sha256(tar))
            descriptors.append(self.blob(packed, types[packing]))
        document = {"architecture": arch or host_arch(), "os": system,
                    "created": "1970-01-01T00:00:00Z", "config": config or {},
                    "rootfs": {"type": "layers", "diff_ids": diff_ids or real_ids}}
        if variant:
            document["variant"] = variant
        manifest = {"schemaVersion": 2, "mediaType": types["manifest"],
                    "config": self.blob(to_json(document), types["config"]), "layers": descriptors}
        if change_manifest:
            change_manifest(manifest)
        descriptor = self.blob(to_json(manifest), types["manifest"])
        descriptor["platform"] = {"architecture": document["architecture"], "os": system}
        if variant:
            descriptor["platform"]["variant"] = variant
        return descriptor

    def index(self, images, form="oci"):
        kind = TYPES[form]["index"]
        return self.blob(to_json({"schemaVersion": 2, "mediaType": kind, "manifests": images}), kind)

    def read(self, descriptor):
        return (self.directory / "blobs/sha256" / descriptor["digest"].removeprefix("sha256:")).read_bytes()

    def tag(self, name, descriptor):
        entry = {key: value for key, value in descriptor.items() if key != "platform"}
        entry["annotations"] = {"org.opencontainers.image.ref.name": name}
        self._tagged[name] = entry
        (self.directory / "index.json").write_bytes(
            to_json({"schemaVersion": 2, "manifests": list(self._tagged.values())}))
        return descriptor


def base_layer(busybox="/bin/busybox"):
    layer = Layer()
    for folder in ("bin", "dev", "etc", "home", "proc", "root", "run", "sbin", "sys", "usr", "usr/bin",
                   "usr/sbin", "var"):
        layer.folder(folder, 0o700 if folder == "root" else 0o755)
    layer.folder("tmp", 0o1777)
    layer.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home:/bin/sh\n")
    layer.file("etc/group", "root:x:0:\nuser:x:1000:\n")
    layer.file("bin/busybox", pathlib.Path(busybox).read_bytes(), 0o755)
    names = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout
    for name in sorted(set(names.split()) - {"busybox"}):
        layer.symlink(f"bin/{name}", "busybox")
    return layer


def small_image(layout, tag, busybox="/bin/busybox", files=(), env=(), cmd=("/bin/sh",)):
    """busybox in one layer, the given files (source, destination) in a second."""
    layers = [base_layer(busybox)]
    if files:
        extra = Layer()
        for source, destination in files:
            extra.file(destination.lstrip("/"), pathlib.Path(source).read_bytes(), 0o755)
        layers.append(extra)
    config = {"Env": [f"PATH={PATH}", *env], "Cmd": list(cmd), "WorkingDir": "/"}
    return layout.tag(tag, layout.image(layers, config))


def main():
    parser = argparse.ArgumentParser(description="builds the small image of tests and demo")
    parser.add_argument("layout", help="folder of the OCI layout, made when it is missing")
    parser.add_argument("tag")
    parser.add_argument("--busybox", default="/bin/busybox", help="a static busybox")
    parser.add_argument("--file", action="append", default=[], metavar="SOURCE:DEST")
    parser.add_argument("--env", action="append", default=[], metavar="K=V")
    parser.add_argument("--cmd", action="append", default=[], metavar="WORD")
    arguments = parser.parse_args()
    files = [tuple(pair.split(":", 1)) for pair in arguments.file]
    image = small_image(Layout(arguments.layout), arguments.tag, arguments.busybox, files,
                        arguments.env, arguments.cmd or ["/bin/sh"])
    print(image["digest"])
    return 0


if __name__ == "__main__":
    sys.exit(main())

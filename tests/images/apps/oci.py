"""Layers and images in an OCI layout, from the upper folders of overlays."""
import gzip
import hashlib
import json
import os
import pathlib
import stat
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from image_builder import MANIFEST, PATH, TYPES, Layout, compress, host_arch, sha256, to_json  # noqa: E402

CONFIG, LAYER_GZIP = TYPES["oci"]["config"], TYPES["oci"]["gzip"]
COMPRESSION = "4"  # gzip: a third of the time of 6 for a twentieth more bytes


def mark_whiteouts(folder):
    """What overlayfs says by devices 0:0 and by an attribute, in the words of the image format."""
    for path, folders, files in os.walk(folder):
        try:
            if os.getxattr(path, "trusted.overlay.opaque") == b"y":
                pathlib.Path(path, ".wh..wh..opq").touch(mode=0o644)
        except OSError:
            pass
        for name in files:
            full = os.path.join(path, name)
            info = os.lstat(full)
            if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
                os.unlink(full)
                pathlib.Path(path, f".wh.{name}").touch(mode=0o644)


def write_layer(layout, folder):
    """Packs a folder as a layer; gives its descriptor and the digest of the plain tar."""
    names = sorted(os.listdir(folder))
    if not names:
        names = ["."]
    tar = subprocess.Popen(
        ["tar", "--create", "--directory", str(folder), "--sort=name", "--numeric-owner", "--format=posix",
         "--pax-option=delete=atime,delete=ctime,exthdr.name=%d/PaxHeaders/%f", "--xattrs",
         "--xattrs-include=security.capability", "--xattrs-include=user.*", "--exclude=dev/*", "--", *names],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    scratch = layout.directory / "layer.tmp"
    plain = hashlib.sha256()
    with open(scratch, "wb") as packed:
        gzip = subprocess.Popen(["gzip", "-n", f"-{COMPRESSION}"], stdin=subprocess.PIPE, stdout=packed)
        while block := tar.stdout.read(1 << 20):
            plain.update(block)
            gzip.stdin.write(block)
        gzip.stdin.close()
        if tar.wait() != 0 or gzip.wait() != 0:
            raise RuntimeError(f"packing {folder}: tar {tar.returncode}, gzip {gzip.returncode}")
    with open(scratch, "rb") as packed:
        digest = hashlib.file_digest(packed, "sha256").hexdigest()
    size = scratch.stat().st_size
    os.replace(scratch, layout.directory / "blobs/sha256" / digest)
    return {"descriptor": {"mediaType": LAYER_GZIP, "digest": f"sha256:{digest}", "size": size},
            "diff_id": f"sha256:{plain.hexdigest()}"}


def write_small_layer(layout, layer):
    tar = layer.tar()
    return {"descriptor": layout.blob(compress(tar), LAYER_GZIP), "diff_id": sha256(tar)}


def write_image(layout, tag, layers, config):
    config = {"Env": [f"PATH={PATH}"]} | config
    document = {"architecture": host_arch(), "os": "linux", "created": "1970-01-01T00:00:00Z", "config": config,
                "rootfs": {"type": "layers", "diff_ids": [layer["diff_id"] for layer in layers]}}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": layout.blob(to_json(document), CONFIG),
                "layers": [layer["descriptor"] for layer in layers]}
    return layout.tag(tag, layout.blob(to_json(manifest), MANIFEST))


def manifest_of(directory, tag):
    """Digest and document of a tagged image, or None when it is not there whole."""
    index = pathlib.Path(directory) / "index.json"
    if not index.exists():
        return None
    for entry in json.loads(index.read_text())["manifests"]:
        if entry["annotations"]["org.opencontainers.image.ref.name"] == tag:
            document = json.loads(blob_path(directory, entry["digest"]).read_text())
            blobs = [document["config"], *document["layers"]]
            whole = all(blob_path(directory, blob["digest"]).exists() for blob in blobs)
            return (entry["digest"], document) if whole else None
    return None


def other_form(directory, tag, into, packing, form):
    """The same image with layers packed otherwise, or in Docker's form, in another layout; gives its descriptor."""
    _, manifest = manifest_of(directory, tag)
    types, layers = TYPES[form], []
    for layer in manifest["layers"]:
        data = blob_path(directory, layer["digest"]).read_bytes()
        if packing != "gzip":
            data = compress(gzip.decompress(data), packing)
        layers.append(into.blob(data, types[packing]))
    config = into.blob(blob_path(directory, manifest["config"]["digest"]).read_bytes(), types["config"])
    return into.blob(to_json({"schemaVersion": 2, "mediaType": types["manifest"], "config": config, "layers": layers}), types["manifest"])


def blob_path(directory, digest):
    return pathlib.Path(directory) / "blobs/sha256" / digest.removeprefix("sha256:")


__all__ = ["Layout", "blob_path", "manifest_of", "mark_whiteouts", "other_form", "write_image", "write_layer", "write_small_layer"]

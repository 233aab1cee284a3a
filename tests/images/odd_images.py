"""The odd images: what every runtime meets sooner or later, and what somebody builds to break one.

Right are images that must be laid out exactly, each with a catalogue of what a process inside finds below /t. Refused
are those whose pull must fail with an error that names the fault; harmless ones are pulled and have no effect outside.
Every image is made by script from real tar archives and begins with a layer that holds the program tree_probe.
"""
import dataclasses
import pathlib
import random
import struct
import tarfile

from image_builder import PATH, TYPES, Layer, compress, host_arch, sha256, to_json

PROBE = "/.probe/tree_probe"
SHOW = [PROBE, "tree", "/t"]
OVERFLOW = 65534  # what an id that the container has not looks like inside
NET_BIND = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)  # security.capability: cap_net_bind_service=ep


@dataclasses.dataclass
class Odd:
    name: str
    image: dict  # descriptor, as Layout gives it
    catalogue: dict = None  # path -> what has to be so; the paths are all that there is
    says: tuple = ()  # parts of the error of a pull that is refused
    outputs: list = None  # lines of the image's own command, instead of the catalogue


def folder(mode=0o755, uid=0, gid=0, **more):
    return {"kind": "d", "mode": mode, "uid": uid, "gid": gid, **more}


def plain(content, mode=0o644, uid=0, gid=0, **more):
    data = content.encode() if isinstance(content, str) else content
    return {"kind": "f", "mode": mode, "uid": uid, "gid": gid, "content": data, **more}


def link(target):
    return {"kind": "l", "target": target}


class Builder:
    """Makes images in a Layout; `mark` is a word that names every file that must not appear outside."""

    def __init__(self, layout, probe, mark):
        self.layout, self.mark = layout, mark
        self.base = Layer("none")
        for name, mode in ((".probe", 0o755), ("dev", 0o755), ("proc", 0o755), ("sys", 0o755), ("etc", 0o755), ("tmp", 0o1777)):
            self.base.folder(name, mode)
        self.base.file(PROBE[1:], pathlib.Path(probe).read_bytes(), 0o755).folder("t")
        self.base.tar()

    def image(self, *layers, config=None, **more):
        config = {"Env": [f"PATH={PATH}"], "Cmd": SHOW, **(config or {})}
        return self.layout.image([self.base, *layers], config, **more)

    def right(self, name, layers, catalogue, **more):
        return Odd(name, self.image(*layers, **more), {"/t": folder(), **catalogue})

    def refused(self, name, layers, *says, **more):
        return Odd(name, self.image(*layers, **more), says=says)


# Right

def whiteouts(b):
    lower = Layer().file("t/file", "x").file("t/keep", "k").folder("t/full").file("t/full/old", "o")
    lower.folder("t/full/sub").file("t/full/sub/deep", "d").file("t/turned", "was a file")
    lower.folder("t/tree").file("t/tree/a", "a").file("t/back", "first").folder("t/again").file("t/again/old", "o")
    lower.folder("t/swap").file("t/swap/old", "o").folder("t/pair").file("t/pair/old", "o")
    upper = Layer().whiteout("t/file").whiteout("t/missing").folder("t/full").opaque("t/full").file("t/full/new", "n")
    upper.folder("t/turned").file("t/turned/in", "i").file("t/tree", "was a folder").whiteout("t/back").whiteout("t/again")
    # Removed and made anew by one layer, in both orders in which tools write it.
    upper.whiteout("t/swap").folder("t/swap").file("t/swap/new", "n")
    upper.folder("t/pair").file("t/pair/new", "n").whiteout("t/pair")
    # Nothing is there to be hidden, or it is hidden already.
    upper.file("t/fresh/in", "i").whiteout("t/fresh/missing").whiteout("t/fresh/deep/missing")
    upper.file("t/both/in", "i").whiteout("t/both/old").whiteout("t/both/deep/old").opaque("t/both")
    lower.file("t/both/old", "o").file("t/both/deep/old", "o")
    top = Layer().file("t/back", "second").folder("t/again").file("t/again/new", "n")
    return b.right("whiteouts", [lower, upper, top], {
        "/t/keep": plain("k"), "/t/full": folder(), "/t/full/new": plain("n"), "/t/turned": folder(),
        "/t/turned/in": plain("i"), "/t/tree": plain("was a folder"), "/t/back": plain("second"), "/t/again": folder(),
        "/t/again/new": plain("n"), "/t/swap": folder(), "/t/swap/new": plain("n"), "/t/pair": folder(),
        "/t/pair/new": plain("n"), "/t/fresh": folder(), "/t/fresh/in": plain("i"), "/t/fresh/deep": folder(), "/t/both": folder(),
        "/t/both/in": plain("i"), "/t/both/deep": folder()})


def links(b):
    lower = Layer().file("t/one", "shared", 0o640, uid=7, gid=8).hard_link("t/two", "t/one").folder("t/sub")
    lower.hard_link("t/sub/three", "./t/one").symlink("t/absolute", "/t/one").symlink("t/relative", "sub/../one")
    lower.symlink("t/dangling", "/nowhere/at/all").symlink("t/climbs", "../../../../etc/shadow")
    lower.folder("t/real").symlink("t/alias", "real").file("t/alias/below", "through").file("t/changed", "old")
    lower.hard_link("t/unchanged", "t/changed")
    lower.file("t/apart", "across", 0o4711, uid=5, gid=6).symlink("t/sub/home", "/t/real").symlink("t/soft", "one")
    upper = Layer().file("t/changed", "new").file("t/pair", "p").hard_link("t/twin", "t/pair")
    # Through links of the layer below, and hard links to its files.
    upper.file("t/alias/above", "through").file("t/sub/home/rooted", "through").hard_link("t/near", "t/apart")
    upper.hard_link("t/alias/nearer", "t/apart").hard_link("t/softer", "t/soft")
    shared = plain("shared", 0o640, 7, 8, links=3)
    across = plain("across", 0o4711, 5, 6, links=3)
    return b.right("links", [lower, upper], {
        "/t/one": shared, "/t/two": shared, "/t/sub": folder(), "/t/sub/three": shared, "/t/absolute": link("/t/one"),
        "/t/relative": link("sub/../one"), "/t/dangling": link("/nowhere/at/all"),
        "/t/climbs": link("../../../../etc/shadow"), "/t/real": folder(), "/t/alias": link("real"),
        "/t/real/below": plain("through"), "/t/changed": plain("new"), "/t/unchanged": plain("old"),
        "/t/pair": plain("p", links=2), "/t/twin": plain("p", links=2), "/t/real/above": plain("through"),
        "/t/real/rooted": plain("through"), "/t/sub/home": link("/t/real"), "/t/apart": across, "/t/near": across,
        "/t/real/nearer": across, "/t/soft": link("one"), "/t/softer": link("one")})


def unlisted(b):
    """Layers that do not list the folders they put something into."""
    lower = Layer().folder("t/sticky", 0o1777).folder("t/owned", 0o2750, uid=33, gid=34, xattrs={"user.mark": "m"})
    lower.folder("t/owned/deep", 0o700, uid=1).folder("t/gone", 0o700)
    upper = Layer().file("t/sticky/new", "n").file("t/owned/deep/new", "n").whiteout("t/owned/nothing").whiteout("t/gone")
    top = Layer().file("t/gone/back", "b").file("t/owned/deep/top", "t")
    return b.right("unlisted", [lower, upper, top], {
        "/t/sticky": folder(0o1777), "/t/sticky/new": plain("n"), "/t/owned": folder(0o2750, 33, 34, xattrs={"user.mark": b"m"}),
        "/t/owned/deep": folder(0o700, 1, 0), "/t/owned/deep/new": plain("n"), "/t/owned/deep/top": plain("t"),
        "/t/gone": folder(), "/t/gone/back": plain("b")})


def modes(b):
    layer = Layer().file("t/setuid", "u", 0o4755).file("t/setgid", "g", 0o2711, gid=20).file("t/both", "b", 0o6750, uid=1, gid=2)
    layer.folder("t/sticky", 0o1777).folder("t/inherits", 0o2775, gid=50).file("t/nothing", "", 0).file("t/owned", "o", uid=1000, gid=1001)
    layer.file("t/last", "l", uid=65535, gid=65535).file("t/foreign", "f", uid=100_000, gid=100_000)
    layer.file("t/capable", "c", 0o755, xattrs={"security.capability": NET_BIND.decode("ascii")})
    layer.file("t/noted", "n", xattrs={"user.note": "a value", "trusted.overlay.opaque": "y", "user.overlay.redirect": "/etc"})
    layer.folder("t/marked", xattrs={"user.mark": "m"}).fifo("t/pipe", 0o640, uid=3, gid=4)
    layer.symlink("t/link", "owned", uid=9, gid=10)
    layer.device("t/null", major=1, minor=3)
    return b.right("modes", [layer], {
        "/t/setuid": plain("u", 0o4755), "/t/setgid": plain("g", 0o2711, 0, 20), "/t/both": plain("b", 0o6750, 1, 2),
        "/t/sticky": folder(0o1777), "/t/inherits": folder(0o2775, 0, 50), "/t/nothing": plain("", 0),
        "/t/owned": plain("o", uid=1000, gid=1001), "/t/last": plain("l", uid=65535, gid=65535),
        "/t/foreign": plain("f", uid=OVERFLOW, gid=OVERFLOW),
        "/t/capable": plain("c", 0o755, xattrs={"security.capability": NET_BIND}),
        "/t/noted": plain("n", xattrs={"user.note": b"a value"}), "/t/marked": folder(xattrs={"user.mark": b"m"}),
        "/t/pipe": {"kind": "p", "mode": 0o640, "uid": 3, "gid": 4}, "/t/link": {**link("owned"), "uid": 9, "gid": 10}})


def names(b):
    long, path = "n" * 255, "/".join(["p" * 100] * 3)
    odd = ["a space", " both ", "gr\u00fc\u00dfe \u65e5\u672c", "it's \"quoted\"", "new\nline", "back\\slash", "star*", long, "-rf", "...", ".wh"]
    layer, catalogue = Layer(), {}
    for name in odd:
        layer.file(f"t/{name}", name)
        catalogue[f"/t/{name}"] = plain(name)
    layer.file("./t/./a//./b", "dots").file("t/not/listed/at/all", "here").file(f"t/{path}", "300 bytes").file("/t/rooted", "r")
    catalogue |= {"/t/a": folder(), "/t/a/b": plain("dots"), "/t/rooted": plain("r"), f"/t/{path}": plain("300 bytes"),
                  "/t/not/listed/at/all": plain("here")}
    for parent in ("not", "not/listed", "not/listed/at", path[:100], path[:201]):
        catalogue[f"/t/{parent}"] = folder()
    return b.right("names", [layer], catalogue)


def packings(b):
    layers = [Layer(packing).file(f"t/{packing}", packing * 2000) for packing in ("gzip", "zstd", "none")]
    mixed = b.right("compress", layers, {f"/t/{p}": plain(p * 2000) for p in ("gzip", "zstd", "none")})
    zstd = b.right("zstd", [Layer("zstd").file("t/z", "z" * 100_000)], {"/t/z": plain("z" * 100_000)})
    return [mixed, zstd]


def counts(b):
    empty = [Layer(), Layer().file("t/a", "1"), Layer(), Layer(packing="none"), Layer().file("t/b", "2"), Layer()]
    yield b.right("empty-layers", empty, {"/t/a": plain("1"), "/t/b": plain("2")})

    def first():
        return Layer().file("t/a", "first").file("t/own", "1")
    yield b.right("same-layer-twice", [first(), Layer().file("t/a", "second").whiteout("t/own"), first()],
                  {"/t/a": plain("first"), "/t/own": plain("1")})
    many = [Layer().file(f"t/{i}", str(i)).file("t/last", str(i)) for i in range(120)]
    yield b.right("many-layers", many, {"/t/last": plain("119"), **{f"/t/{i}": plain(str(i)) for i in range(120)}})


def configuration(b):
    users = Layer().file("etc/passwd", "root:x:0:0::/root:\nweb:x:33:34::/srv:\n").file("etc/group", "root:x:0:\ndata:x:44:\n")
    config = {"User": "web:data", "WorkingDir": "/not/there/yet", "Env": [f"PATH={PATH}", "EMPTY=", "EQUALS=a=b"],
              "Entrypoint": [PROBE, "self", "from the image"], "Cmd": ["one", "two words", ""],
              "ExposedPorts": {"80": {}, "443/tcp": {}, "53/udp": {}}, "Volumes": {"/t/volume": {}},
              "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1_000_000_000, "Retries": 3},
              "Labels": {"empty": "", "text": "l\u00e4ngs"}, "StopSignal": "SIGINT"}
    wanted = ["uid=33", "gid=44", *(f"{key}={text.encode().hex()}" for key, text in (
        ("folder", "/not/there/yet"), ("variable", "EMPTY="), ("variable", "EQUALS=a=b"), ("word", "from the image"),
        ("word", "one"), ("word", "two words"), ("word", "")))]
    return Odd("config", b.image(users, config=config), outputs=wanted)


def platforms(b, form):
    """Five platforms and more than images: what build tools write beside them."""
    def one(arch, system="linux", variant=None):
        layer = Layer().file("t/arch", f"{system}/{arch}")
        return b.image(layer, arch=arch, system=system, variant=variant, form=form)
    own = host_arch()
    others = [(arch, variant) for arch, variant in (("arm64", "v8"), ("amd64", None), ("s390x", None), ("arm", "v7"))
              if arch != own][:3]
    entries = [one(own, "windows"), *(one(arch, variant=variant) for arch, variant in others), one(own)]
    entries[0]["platform"]["os.version"] = "10.0.17763.5329"
    statement = b.image(Layer().file("t/arch", "attestation"), arch="unknown", system="unknown", form=form)
    statement["annotations"] = {"vnd.docker.reference.type": "attestation-manifest",
                                "vnd.docker.reference.digest": entries[-1]["digest"]}
    entries.append(statement)
    name = "multi-list" if form == "docker" else "multi"
    return Odd(name, b.layout.index(entries, form), {"/t": folder(), "/t/arch": plain(f"linux/{own}")})


def forms(b):
    catalogue = {"/t/a": plain("a" * 5000, 0o750, 3, 4), "/t/l": link("a"), "/t/d": folder(0o1777), "/t/d/new": plain("n")}
    for name, packing, form in (("form-schema2", "gzip", "docker"), ("form-zstd", "zstd", "oci"), ("form-plain", "none", "oci"),
                                ("docker", "none", "docker")):
        lower = Layer(packing).file("t/a", "a" * 5000, 0o750, uid=3, gid=4).symlink("t/l", "a").folder("t/d", 0o1777).file("t/d/old", "o")
        yield b.right(name, [lower, Layer(packing).whiteout("t/d/old").file("t/d/new", "n").folder("t/d", 0o1777)], catalogue, form=form)


# Harmless: pulled, and nothing of it outside, nor anything usable inside

def harmless(b):
    yield b.right("absolute", [Layer().file(f"/tmp/{b.mark}", "evil").file(f"/etc/{b.mark}", "evil").file("t/a", "1")], {"/t/a": plain("1")})
    # A link of a layer below leads where it would lead a process inside.
    up, both = "../" * 12, plain("evil", links=2)
    nowhere = {"/t/not": folder(), "/t/not/there": folder(), f"/t/not/there/{b.mark}": both}
    for name, target, path, made in (("symlink-out", "/t/../tmp", "/tmp", {}), ("symlink-out-relative", f"{up}tmp", "/tmp", {}),
                                     ("symlink-etc", "/etc", "/etc", {}), ("symlink-nowhere", f"{up}t/not/there", "/t/not/there", nowhere)):
        upper = Layer().file(f"t/l/{b.mark}", "evil").whiteout(f"t/l/{b.mark}-bait").hard_link("t/twin", f"{path}/{b.mark}")
        yield b.right(f"{name}-two-layers", [Layer().symlink("t/l", target), upper], {"/t/l": link(target), "/t/twin": both, **made})
    yield b.right("hardlink-through-link", [Layer().symlink("t/l", "/etc"), Layer().file(f"etc/{b.mark}", "own").hard_link("t/x", f"t/l/{b.mark}")],
                  {"/t/l": link("/etc"), "/t/x": plain("own", links=2)})
    nodes = Layer().device("t/disk", tarfile.BLKTYPE, 8, 0).device("t/mem", major=1, minor=1).device("t/kmsg", major=1, minor=11)
    yield b.right("device", [nodes.file("t/a", "1")], {"/t/a": plain("1")})
    zeros = b"\0" * (256 << 20)
    yield b.right("bomb", [Layer("zstd").file("t/zeros", zeros)], {"/t/zeros": {**plain(""), "content": None, "size": len(zeros)}})


# Refused

def escapes(b):
    up = "../" * 12
    stays = Layer().file("t/stays", "1")
    yield b.refused("dotdot", [stays, Layer().file(f"{up}tmp/{b.mark}", "evil")], "layer 3 of 3", "entry '../", "leaves the layer")
    yield b.refused("dotdot-inside", [Layer().file(f"t/a/b/{up}etc/{b.mark}", "evil")], "layer 2 of 2", "leaves the layer")
    for name, target in (("symlink-out", "/tmp"), ("symlink-out-relative", f"{up}tmp"), ("symlink-etc", "/etc")):
        yield b.refused(name, [stays, Layer().symlink("t/l", target).file(f"t/l/{b.mark}", "evil")],
                        "layer 3 of 3", f"entry 't/l/{b.mark}'", "symbolic link in its path leaves the layer")
    yield b.refused("whiteout-through-link", [stays, Layer().symlink("t/l", "/tmp").whiteout(f"t/l/{b.mark}-bait")],
                    "layer 3 of 3", "leaves the layer")
    yield b.refused("symlink-circle", [stays, Layer().symlink("t/l", "m").symlink("t/m", "l").file(f"t/l/{b.mark}", "evil")],
                    "layer 3 of 3", f"entry 't/l/{b.mark}'", "too many symbolic links")
    for name, target, says in (("hardlink-out", f"{up}etc/passwd", "leaves the layer"),
                               ("hardlink-absolute", "/etc/passwd", "neither this layer nor one below it has")):
        yield b.refused(name, [stays, Layer().hard_link("t/stolen", target)], "layer 3 of 3", "entry 't/stolen'", "hard link to", says)
    yield b.refused("hardlink-out-through-link", [Layer().symlink("t/l", "/etc").hard_link("t/stolen", "t/l/passwd")],
                    "entry 't/stolen'", "leaves the layer")
    for name, entry, says in (("whiteout-out", f"{up}tmp/.wh.{b.mark}-bait", "leaves the layer"),
                              ("whiteout-dot", "t/.wh..", "whiteout of the folder itself or of the one above"),
                              ("whiteout-dotdot", "t/.wh...", "whiteout of the folder itself or of the one above"),
                              ("whiteout-root", ".wh...", "whiteout of the folder itself or of the one above")):
        yield b.refused(name, [stays, Layer().file(entry, "")], "layer 3 of 3", ".wh.", says)


def broken(b):
    good = Layer().file("t/a", random.Random(1).randbytes(200_000))
    packed, tar = compress(good.tar()), good.tar()
    false = "sha256:" + "a" * 64
    yield b.refused("wrong-diffid", [Layer().file("t/a", "1")], "layer 2 of 2", "the configuration states " + false[:20],
                    diff_ids=[sha256(b.base.tar()), false])
    yield b.refused("truncated", [(tar, packed[:len(packed) // 2])], "layer 2 of 2", "truncated gzip")
    zstd = compress(tar, "zstd")
    yield b.refused("truncated-zstd", [(tar, zstd[:len(zstd) // 2])], "layer 2 of 2", "truncated zstd")
    yield b.refused("truncated-tar", [(tar[:100_000], compress(tar[:100_000]))], "layer 2 of 2", "tar")
    yield b.refused("garbage", [(b"", random.Random(2).randbytes(50_000))], "layer 2 of 2", "not a valid tar archive")
    yield b.refused("garbage-gzip", [(b"", b"\x1f\x8b\x08" + bytes(7) + b"\xff" * 5000)], "layer 2 of 2", "not valid gzip")
    yield b.refused("names-deep", [Layer().file("t/" + "d/" * 1500 + "x", "1")], "layer 2 of 2", "folders deep")
    yield b.refused("names-long", [Layer().file("t/" + "n" * 300, "1")], "layer 2 of 2", "longer than 255 bytes")


def without_ours(b):
    foreign = [b.image(Layer().file("t/a", arch), arch=arch, system=system, variant=variant) for arch, system, variant in (
        ("s390x", "linux", None), ("arm", "linux", "v7"), (host_arch(), "windows", None))]
    says = (f"no image for platform linux/{host_arch()}", f"there is: linux/s390x, linux/arm/v7, windows/{host_arch()}")
    yield Odd("index-without-ours", b.layout.index(foreign), says=says)
    yield Odd("index-empty", b.layout.index([]), says=("no image for platform", "none with a platform"))
    yield Odd("other-platform", foreign[0], says=("no image for platform", "there is: linux/s390x"))
    kind = TYPES["oci"]["manifest"]
    nothing = {"schemaVersion": 2, "mediaType": kind, "config": b.layout.blob(to_json({}), TYPES["oci"]["config"]), "layers": []}
    yield Odd("no-configuration", b.layout.blob(to_json(nothing), kind), says=("the configuration lacks rootfs",))


def right_images(b):
    yield from (whiteouts(b), links(b), unlisted(b), modes(b), names(b), *packings(b), *counts(b), configuration(b),
                platforms(b, "oci"), platforms(b, "docker"), *forms(b))


def refused_images(b):
    yield from (*escapes(b), *broken(b), *without_ours(b))

#!/usr/bin/env python3
"""Pulls from a real docker-registry: whole images, odd ones, hostile ones, and faults of the disk."""
import json
import os
import pathlib
import signal
import stat
import subprocess
import time

import pull_case
from pull_case import PullCase
from image_builder import Layer, Layout, base_layer, compress, sha256, small_image
from registry import Registry, free_port


class RegistryCase(PullCase):
    @classmethod
    def setUpClass(cls):
        cls.registry = Registry()
        cls.addClassCleanup(cls.registry.__exit__)

    def setUp(self):
        super().setUp()
        self.layout = Layout(self.scratch / "layout")

    def push(self, name, descriptor, every_platform=False):
        self.layout.tag("t", descriptor)
        self.registry.push(f"{self.layout.directory}:t", name, every_platform)
        return f"{self.registry.address}/{name}"

    def push_layers(self, name, *layers, **more):
        return self.push(name, self.layout.image(layers, **more))


class Pull(RegistryCase):
    def test_small_image(self):
        descriptor = small_image(self.layout, "small", files=[("/bin/busybox", "/bin/probe")],
                                 env=["GREETING=hello"], cmd=["/bin/sh", "-c", "echo $GREETING"])
        self.registry.push(f"{self.layout.directory}:small", "team/small:v1")
        image = self.pull(f"{self.registry.address}/team/small:v1")
        self.assertEqual(image["manifest"], descriptor["digest"])
        self.assertEqual(image["fetched"], descriptor["digest"])
        self.assertIn("GREETING=hello", image["env"])
        self.assertEqual(image["cmd"], ["/bin/sh", "-c", "echo $GREETING"])
        self.assertEqual(len(image["layers"]), 2)
        self.assertEqual(len(image["downloaded"]), 2)
        top, base = image["layers"]
        self.assertTrue(os.access(f"{top}/bin/probe", os.X_OK))
        self.assertEqual(os.readlink(f"{base}/bin/sh"), "busybox")
        self.assertEqual(stat.S_IMODE(os.stat(f"{base}/tmp").st_mode), 0o1777)
        done = subprocess.run(["chroot", base, "/bin/echo", "runs"], capture_output=True, check=True)
        self.assertEqual(done.stdout, b"runs\n")
        with open(f"{image['directory']}/manifest.json", "rb") as file:
            self.assertEqual(sha256(file.read()), descriptor["digest"])
        self.assertTrue(os.path.exists(f"{image['directory']}/config.json"))
        self.assertEqual(os.listdir(self.root / "tmp"), [])

    def test_builder_is_deterministic(self):
        digests = {small_image(Layout(self.scratch / name), "t")["digest"] for name in ("a", "b")}
        self.assertEqual(len(digests), 1)

    def test_second_pull_downloads_nothing(self):
        name = self.push_layers("twice", Layer().file("a", "1"), Layer().file("b", "2"))
        first = self.pull(name)
        self.assertEqual(len(first["downloaded"]), 2)
        second = self.pull(name)
        self.assertEqual(second["downloaded"], [])
        self.assertEqual(len(second["present"]), 2)
        self.assertEqual(first["layers"], second["layers"])
        # An image that shares the base fetches only what it adds.
        third = self.pull(self.push_layers("third", Layer().file("a", "1"), Layer().file("c", "3")))
        self.assertEqual(len(third["downloaded"]), 1)
        self.assertEqual(third["layers"][1], first["layers"][1])
        self.assertNotEqual(third["layers"][0], first["layers"][0])

    def test_same_layer_twice_and_by_digest(self):
        descriptor = self.layout.image([Layer().file("a", "1"), Layer().file("a", "1")])
        name = self.push("same", descriptor)
        image = self.pull(f"{name}@{descriptor['digest']}")
        self.assertEqual(len(set(image["layers"])), 2)
        self.assertIn("/_digest/", image["directory"])
        self.refused_keeps(f"{name}@sha256:{'0' * 64}", 404, "not found")

    def refused_keeps(self, reference, status, says):
        before = self.leftovers()
        answer = self.command("pull", reference)
        self.assertEqual(answer.get("status"), status, answer)
        self.assertIn(says, answer["error"])
        self.assertEqual(self.leftovers(), before)

    def test_whiteouts_between_layers(self):
        image = self.pull(self.push_layers(
            "whiteouts",
            Layer().file("dir/gone", "x").file("dir/stays", "y").file("full/old", "z"),
            Layer().whiteout("dir/gone").opaque("full").file("full/new", "n")))
        top = image["layers"][0]
        gone = os.lstat(f"{top}/dir/gone")
        self.assertTrue(stat.S_ISCHR(gone.st_mode) and gone.st_rdev == 0)
        self.assertEqual(os.getxattr(f"{top}/full", "trusted.overlay.opaque"), b"y")
        # And what the kernel makes of it.
        merged = self.scratch / "merged"
        merged.mkdir()
        script = f'mount -t overlay none -o lowerdir={":".join(image["layers"])} {merged} && ' \
                 f'cd {merged} && find . -type f | sort'
        seen = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True,
                              check=True)
        self.assertEqual(seen.stdout.split(), ["./dir/stays", "./full/new"])

    def test_index_with_platforms(self):
        def one(arch, variant=None):
            return self.layout.image([Layer().file("arch", arch)], arch=arch, variant=variant)
        images = [one("amd64"), one("arm64", "v8")]
        self.layout.tag("multi", self.layout.index(images))
        self.registry.push(f"{self.layout.directory}:multi", "multi:all", every_platform=True)
        name = f"{self.registry.address}/multi:all"
        for arch, wanted in (("amd64", images[0]), ("arm64", images[1])):
            image = self.pull(name, arch)
            self.assertEqual(image["arch"], arch)
            self.assertEqual(image["manifest"], wanted["digest"])
            self.assertNotEqual(image["fetched"], wanted["digest"])
            self.assertTrue(os.path.exists(f"{image['directory']}/manifest.selected.json"))
            with open(f"{image['layers'][0]}/arch", encoding="ascii") as file:
                self.assertEqual(file.read(), arch)
        self.refused_keeps_arch(name, "s390x", "there is: linux/amd64, linux/arm64/v8")

    def refused_keeps_arch(self, name, arch, says):
        answer = self.command("pull", name, arch)
        self.assertEqual(answer.get("status"), 404, answer)
        self.assertIn(says, answer["error"])

    def test_wrong_platform_without_index(self):
        name = self.push("foreign", self.layout.image([Layer().file("a", "1")], arch="s390x"))
        self.refused(name, "amd64", status=404, says="there is: linux/s390x")

    def check_forms(self, name):
        image = self.pull(name)
        for (file, content), layer in zip((("a", "1" * 5000), ("b", "2")), reversed(image["layers"])):
            with open(f"{layer}/{file}", encoding="ascii") as laid_out:
                self.assertEqual(laid_out.read(), content)
        again = self.command("image", name, image["manifest"])
        self.assertEqual(again["layers"], image["layers"])
        self.assertEqual(self.command("collect", image["manifest"])["layers"], 0)

    def test_forms_as_another_tool_writes_them(self):
        self.layout.tag("t", self.layout.image([Layer().file("a", "1" * 5000), Layer().file("b", "2")]))
        for form, words in (("schema2", ["--format", "v2s2"]),
                            ("zstd", ["--format", "oci", "--dest-compress-format", "zstd"])):
            with self.subTest(form):
                name = f"{self.registry.address}/form/{form}"
                subprocess.run(["skopeo", "--insecure-policy", "copy", "--quiet", *words, "--dest-tls-verify=false",
                                f"oci:{self.layout.directory}:t", f"docker://{name}"], check=True)
                self.check_forms(name)

    def test_docker_forms_and_packings_mixed(self):
        for form in ("oci", "docker"):
            with self.subTest(form):
                layers = [Layer(packing="none").file("a", "1" * 5000), Layer(packing="zstd").file("b", "2"),
                          Layer().file("c", "3")]
                name = f"mixed/{form}"
                self.registry.push_blobs(self.layout, self.layout.image(layers, form=form), name)
                self.check_forms(f"{self.registry.address}/{name}")

    def test_many_layers(self):
        layers = [Layer().file(f"f{i}", str(i)) for i in range(60)]
        image = self.pull(self.push_layers("many", *layers))
        self.assertEqual(len(image["layers"]), 60)
        self.assertTrue(os.path.exists(f"{image['layers'][0]}/f59"))

    def test_parallel_pulls(self):
        name = self.push_layers("parallel", base_layer(), Layer().file("b", "2"))
        other = self.scratch / "other"
        # One process owns a root; a second one is told so.
        processes = [subprocess.Popen([pull_case.PROGRAM, "pull", root, name], stdout=subprocess.PIPE)
                     for root in (self.root, self.root, other)]
        answers = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
        errors = [answer for answer in answers if "error" in answer]
        self.assertLessEqual(len(errors), 1)
        for answer in errors:
            self.assertIn("locked by another process", answer["error"])


class Collect(RegistryCase):
    def test_remove_keeps_what_is_used(self):
        one = self.pull(self.push_layers("one", Layer().file("shared", "s"), Layer().file("1", "1")))
        two = self.pull(self.push_layers("two", Layer().file("shared", "s"), Layer().file("2", "2")))
        name = f"{self.registry.address}/one"
        self.command("forget", name)
        self.assertFalse(os.path.exists(one["directory"]))
        self.assertEqual(self.command("collect", two["manifest"]), {"blobs": 3, "layers": 1})
        again = self.command("image", f"{self.registry.address}/two", two["manifest"])
        self.assertEqual(again["layers"], two["layers"])
        self.assertFalse(os.path.exists(one["layers"][0]))
        self.assertTrue(os.path.exists(two["layers"][1]))
        self.command("forget", f"{self.registry.address}/two")
        self.command("collect")
        self.assertEqual(self.leftovers(), [])

    def test_unreadable_manifest_removes_nothing(self):
        self.pull(self.push_layers("kept", Layer().file("a", "1")))
        before = self.leftovers()
        answer = self.command("collect", "sha256:" + "1" * 64)
        self.assertIn("error", answer)
        self.assertEqual(self.leftovers(), before)

    def test_damaged_blob_is_fetched_again(self):
        image = self.pull(self.push_layers("damaged", Layer().file("a", "1" * 1000)))
        layer = image["downloaded"][0].removeprefix("sha256:")
        blob = self.root / "blobs/sha256" / layer
        blob.write_bytes(blob.read_bytes()[:-1] + b"?")
        subprocess.run(["rm", "-r", image["layers"][0]], check=True)
        answer = self.command("image", image["familiar"], image["manifest"])
        self.assertEqual(answer["status"], 404)
        self.assertIn("pull it again", answer["error"])
        self.assertEqual(self.pull(image["familiar"])["downloaded"], image["downloaded"])


class Refused(RegistryCase):
    def test_registry_down(self):
        port = free_port()
        self.refused(f"127.0.0.1:{port}/some/app:v1", status=502,
                     says=(f"image 127.0.0.1:{port}/some/app:v1", f"registry 127.0.0.1:{port}",
                           "connect"), PULL_RETRIES="1")

    def test_missing_image_and_tag(self):
        self.refused(f"{self.registry.address}/nothing/here", status=404, says="not found")
        name = self.push_layers("there", Layer().file("a", "1"))
        self.refused(f"{name}:nothere", status=404, says="manifest nothere not found")

    def test_malformed_reference(self):
        self.refused("Upper/Case", says="upper-case")

    def test_layer_digest_mismatch(self):
        descriptor = self.layout.image([Layer().file("a", "1"), Layer().file("b", "2" * 5000)])
        name = self.push("corrupt", descriptor)
        layer = compress(Layer().file("b", "2" * 5000).tar())
        path = self.registry.blob_path(sha256(layer))
        path.write_bytes(layer[:-9] + bytes([layer[-9] ^ 1]) + layer[-8:])
        self.refused(name, says=("layer 2 of 2", sha256(layer), "does not match its digest"))
        path.write_bytes(layer + b"more")
        self.refused(name, says="longer than")
        path.write_bytes(layer[:-10])
        self.refused(name, says="states")

    def test_manifest_and_configuration_mismatch(self):
        descriptor = self.layout.image([Layer().file("c", "3")])
        name = self.push("badconfig", descriptor)
        manifest = self.registry.blob_path(descriptor["digest"])
        whole = manifest.read_bytes()
        config = self.registry.blob_path(json.loads(whole)["config"]["digest"])
        good = config.read_bytes()
        config.write_bytes(good.replace(b"linux", b"linuX"))
        self.refused(name, says=("configuration", "does not match its digest"))
        config.write_bytes(good)
        manifest.write_bytes(whole.replace(b"sha256", b"sha257", 1))
        self.refused(f"{name}@{descriptor['digest']}", says="does not match its digest")

    def test_wrong_diff_id(self):
        self.refused(self.push_layers("diffid", Layer().file("a", "1"),
                                      diff_ids=["sha256:" + "a" * 64]),
                     says=("layer 1 of 1", "the configuration states sha256:aaa"))

    def test_layer_counts_differ(self):
        self.refused(self.push_layers("counts", Layer().file("a", "1"),
                                      diff_ids=["sha256:" + "a" * 64] * 2),
                     says="1 layers in the manifest, 2 in the configuration")

    def test_broken_streams(self):
        tar = Layer().file("a", os.urandom(100_000)).tar()
        packed = compress(tar)
        self.refused(self.push_layers("truncated", (tar, packed[:len(packed) // 2])), says="truncated")
        self.refused(self.push_layers("garbage", (b"x", b"\x1f\x8b\x08" + bytes(7) + b"\xff" * 5000)), says="not valid gzip")
        self.refused(self.push_layers("notar", (b"text", compress(b"text" * 400))), says="tar")
        self.refused(self.push_layers("trailing", (tar, packed + b"junkjunkjunk")), says="gzip")

    def test_escaping_layers(self):
        outside = self.scratch / "outside"
        target = str(outside)
        attacks = {
            "dotdot": Layer().file("../../outside", "evil"),
            "dotdot-deep": Layer().file("a/b/../../../../outside", "evil"),
            "symlink-absolute": Layer().symlink("l", str(self.scratch)).file("l/outside", "evil"),
            "symlink-relative": Layer().symlink("l", "../..").file("l/outside", "evil"),
            "hardlink": Layer().hard_link("l", "../../outside"),
            "hardlink-absolute": Layer().hard_link("l", "/etc/passwd"),
            "whiteout-dots": Layer().file(".wh...", ""),
            "whiteout-dot": Layer().file("a/.wh..", ""),
        }
        for kind, layer in attacks.items():
            with self.subTest(kind):
                error = self.refused(self.push_layers(kind, Layer().file("base", "1"), layer))
                self.assertIn("layer 2 of 2", error)
                self.assertIn("entry '", error)
                self.assertFalse(os.path.lexists(target))
        # Two layers: the link of the lower one leads where it would lead a process inside.
        image = self.pull(self.push_layers("two-step", Layer().symlink("l", str(self.scratch)),
                                           Layer().file("l/outside", "contained")))
        self.assertFalse(os.path.lexists(target))
        self.assertTrue(os.path.exists(f"{image['layers'][0]}{target}"))
        self.assertFalse(os.path.lexists(f"{image['layers'][0]}/l"))

    def test_devices_do_not_appear(self):
        image = self.pull(self.push_layers("device", Layer().device("dev/mem").file("a", "1")))
        self.assertFalse(os.path.lexists(f"{image['layers'][0]}/dev/mem"))

    def test_a_file_of_zeros_is_no_bomb(self):
        image = self.pull(self.push_layers("zeros", Layer().file("zeros", b"\0" * (256 << 20))))
        self.assertEqual(os.stat(f"{image['layers'][0]}/zeros").st_size, 256 << 20)

    def test_limit_of_layer_size(self):
        name = self.push_layers("large", Layer().file("a", os.urandom(50_000)))
        self.refused(name, status=413, says="over the limits", PULL_MAX_LAYER="10000")

    def test_kinds_that_are_refused_by_name(self):
        def retype(media_type):
            def change(manifest):
                manifest["layers"][0]["mediaType"] = media_type
            return change
        for media_type, says in (("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "non-distributable"),
                                 ("application/x-lzma", "'application/x-lzma' is not supported")):
            with self.subTest(media_type):
                name = self.push("kind", self.layout.image([Layer().file("a", "1")], change_manifest=retype(media_type)))
                self.refused(name, status=501, says=says)

    def test_disk_full(self):
        name = self.push_layers("full", Layer().file("a", os.urandom(4 << 20)))
        self.root.mkdir()
        script = f'mount -t tmpfs -o size=3m none {self.root} && "$@"; code=$?; ' \
                 f'find {self.root}/blobs {self.root}/layers {self.root}/tmp -type f; exit $code'
        done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", pull_case.PROGRAM, "pull",
                               self.root, name], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        lines = done.stdout.splitlines()
        self.assertEqual(json.loads(lines[0])["status"], 507, lines[0])
        self.assertEqual(lines[1:], [])


class Killed(RegistryCase):
    def test_kill_leaves_nothing_after_recovery(self):
        layers = [Layer().file(f"f{i}", os.urandom(3 << 20)) for i in range(4)]
        name = self.push_layers("killed", *layers)
        states = set()
        for wanted in range(8):
            process = subprocess.Popen([pull_case.PROGRAM, "pull", self.root, name],
                                       stdout=subprocess.DEVNULL)
            while process.poll() is None and len(self.leftovers()) < wanted:
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
            process.wait()
            states.add(len(self.leftovers()))
            self.assertEqual(self.command("recover"), {})
            self.assertEqual(os.listdir(self.root / "tmp"), [])
            self.assertEqual(os.listdir(self.root / "layers"), [])
            self.assertEqual(os.listdir(self.root / "blobs/sha256"), [])
        self.assertGreater(len(states), 1, "every kill came before or after the pull")
        # Nothing of this kept the image from being pulled.
        image = self.pull(name)
        self.command("recover", image["manifest"])
        self.assertEqual(self.command("image", name, image["manifest"])["layers"], image["layers"])

    def test_references_without_a_record_go(self):
        names = [self.push_layers(name, Layer().file("f", name)) for name in ("kept", "lost", "deep/lost")]
        folders = [pathlib.Path(self.pull(name)["directory"]) for name in names]
        self.command("keep", names[0])
        self.assertEqual([folder.exists() for folder in folders], [True, False, False])
        self.assertTrue((folders[0] / "manifest.json").exists())
        self.command("keep")
        self.assertEqual(os.listdir(self.root / "references"), [])


if __name__ == "__main__":
    pull_case.main()

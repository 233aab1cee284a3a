#!/usr/bin/env python3
"""Named volumes and binds on real containers: content and owners, read-only, sharing, removal, kill -9 while filling."""
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import registry  # noqa: E402
from lab import BIN, Failure, run, wait_until  # noqa: E402
from suite import Suite, expect, main  # noqa: E402

import image_builder  # noqa: E402  (its folder is in the path by way of lab)

MANY = 2000  # files, so that a fill takes long enough to be cut


def data_layer():
    layer = image_builder.Layer()
    layer.folder("data", 0o2750, uid=33, gid=44)
    layer.file("data/plain", "of the image\n", 0o640, uid=1000, gid=1001, mtime=1000000)
    layer.file("data/suid", "x", 0o4755)
    layer.file("data/marked", "x", 0o755, xattrs={"user.mark": "yes"})
    layer.file("data/gone", "of the lower layer")
    layer.folder("data/sub", 0o1777, uid=5, gid=6)
    layer.file("data/sub/deep", "deep\n", uid=65535, gid=65535)
    layer.hard_link("data/twin", "data/plain")
    layer.symlink("data/link", "/etc/passwd", uid=7, gid=8)
    layer.symlink("escape", "/etc")
    layer.symlink("climb", "../../../../../../../../tmp/climbed")
    layer.symlink("kernel", "/proc").symlink("devices", "/dev").symlink("settings", "/sys/fs").symlink("root-again", "tmp/../")
    layer.folder("foreign").file("foreign/far", "f", 0o600, uid=100_000)
    layer.file("afile", "a file\n")
    return layer


def many_layer():
    layer = image_builder.Layer()
    layer.folder("many", 0o755, uid=9, gid=9)
    for number in range(MANY):
        layer.file(f"many/f{number:05}", f"{number}\n" * 40, uid=9)
    return layer.file("many/zz-last", "last\n")


class Volumes(Suite):
    name = "raind-volumes"

    def prepare(self):
        layout = image_builder.Layout(self.lab.dir / "layout")
        upper = image_builder.Layer().folder("data", 0o2750, uid=33, gid=44).whiteout("data/gone").file("data/upper", "of the upper layer\n")
        layout.tag("1", layout.image([image_builder.base_layer(), data_layer(), upper, many_layer()],
                                     {"Cmd": ["/bin/sh"], "Volumes": {"/declared": {}}}))
        self.lab.registry_process, self.lab.registry_address = registry.start(self.lab.dir / "registry")
        registry.push(self.lab.registry_address, f"{layout.directory}:1", "demo/volumes:1")
        self.image = f"{self.lab.registry_address}/demo/volumes:1"
        self.lab.raind("image", "pull", self.image)
        self.volumes = self.lab.root / "etc/raind/volume"
        self.host = self.lab.dir / "host"
        self.host.mkdir()

    # helpers

    def sh(self, *options, script="true", name=None, check=True):
        """Runs a script in a container and gives what it printed; the container stays when it has a name."""
        chosen = name or f"c{random.randrange(1 << 32):08x}"
        done = self.lab.raind("container", "run", "-d", "--name", chosen, *options, self.image, "sh", "-c", script, check=check)
        if done.returncode != 0:
            return done
        wait_until(f"{chosen} ends", lambda: self.lab.inspect(chosen)["state"] == "stopped", 30)
        output = self.lab.raind("container", "logs", chosen).stdout
        code = self.lab.inspect(chosen)["exitCode"]
        if name is None:
            self.lab.raind("container", "rm", chosen)
        expect(not check or code == 0, f"{script}: exit {code}: {output}")
        return output

    def refused(self, *options, text):
        done = self.lab.raind("container", "create", *options, self.image, "true", check=False)
        if done.returncode == 0:
            self.lab.raind("container", "rm", done.stdout.split()[1])
        expect(done.returncode == 125 and text in done.stderr, f"{options}: exit {done.returncode}: {done.stdout}{done.stderr}")

    def audit(self):
        return [json.loads(line) for line in (self.lab.root / "var/log/raind/raind_audit.jsonl").read_text().splitlines()]

    def volume(self, name):
        return json.loads(self.lab.raind("volume", "inspect", name).stdout)[0]

    def remove(self, *names):
        self.lab.raind("volume", "rm", *names)

    # cases

    def case_an_empty_volume_takes_the_folder_of_the_image(self):
        shown = self.sh("-v", "filled:/data", script="cd /data; stat -c '%n %u:%g %a' . plain suid sub sub/deep link; cat plain sub/deep upper; ls gone 2>&1; true")
        for line in (". 33:44 2750", "plain 1000:1001 640", "suid 0:0 4755", "sub 5:6 1777", "sub/deep 65535:65535 644", "link 7:8 777",
                     "of the image", "deep", "of the upper layer"):
            expect(line in shown.splitlines(), f"{line}: {shown}")
        expect("gone: No such file" in shown, f"a whiteout was ignored: {shown}")
        disk = self.volumes / "filled"
        for name, owner, mode in ((".", (33, 44), 0o2750), ("plain", (1000, 1001), 0o640), ("suid", (0, 0), 0o4755), ("sub/deep", (65535, 65535), 0o644)):
            info = (disk / name).lstat()
            expect(((info.st_uid, info.st_gid), info.st_mode & 0o7777) == (owner, mode), f"{name} on disk: {info}")
        expect((disk / "plain").stat().st_ino == (disk / "twin").stat().st_ino, "a hard link became two files")
        expect(int((disk / "plain").stat().st_mtime) == 1000000, "the time of a file")
        expect(os.readlink(disk / "link") == "/etc/passwd", "the link was followed")
        expect(os.getxattr(disk / "marked", "user.mark") == b"yes", "the attribute is lost")
        expect(self.volume("filled")["state"] == "ready", "its state")

    def case_owners_are_the_same_inside_and_on_the_host(self):
        self.sh("-v", "filled:/data", script="echo mine >/data/mine; echo his >/data/his; chown 1000:1000 /data/his")
        mine, his = (self.volumes / "filled/mine").stat(), (self.volumes / "filled/his").stat()
        expect((mine.st_uid, mine.st_gid, his.st_uid) == (0, 44, 1000), f"{mine} {his}")
        (self.volumes / "filled/hosts").write_text("of the host\n")
        os.chown(self.volumes / "filled/hosts", 1000, 5)
        shown = self.sh("-v", "filled:/data", script="stat -c '%u:%g' /data/hosts; cat /data/mine /data/hosts")
        expect(shown.split("\n")[:3] == ["1000:5", "mine", "of the host"], shown)

    def case_a_volume_is_filled_once(self):
        (self.volumes / "filled/plain").write_text("changed\n")
        (self.volumes / "filled/upper").unlink()
        shown = self.sh("-v", "filled:/data", script="cat /data/plain; ls /data")
        expect("changed" in shown and "upper" not in shown.split(), f"filled again: {shown}")
        self.sh("-v", "filled:/many", script="test ! -e /many/f00000")
        self.sh("-v", "bare:/data:nocopy", script="test -z \"$(ls /data)\"")
        expect(self.volume("bare")["state"] == "empty", "nothing was put into it")
        self.remove("filled", "bare")

    def case_read_only(self):
        script = "cat /data/plain; echo x >/data/new && echo WRITTEN; mount -o remount,rw /data 2>&1; rm /data/plain; chmod 777 /data && echo CHANGED; true"
        shown = self.sh("-v", "ro:/data:ro", script=script)
        expect("of the image" in shown and "WRITTEN" not in shown and "CHANGED" not in shown, shown)
        expect((self.volumes / "ro/plain").exists(), "removed through a read-only mount")
        below = self.host / "tree/below"
        below.mkdir(parents=True)
        other = self.host / "other"
        other.mkdir()
        run("mount", "--bind", other, below)  # a tmpfs cannot be id-mapped before 6.3
        try:
            (below / "file").write_text("below\n")
            shown = self.sh("-v", f"{self.host / 'tree'}:/data:ro", script="cat /data/below/file; echo x >/data/below/new && echo WRITTEN; true")
        finally:
            run("umount", below)
        expect("below" in shown.splitlines() and "WRITTEN" not in shown, f"what is mounted below is not read-only: {shown}")
        self.remove("ro")

    def case_binds(self):
        folder = self.host / "bind"
        folder.mkdir()
        (folder / "file").write_text("of the host\n")
        os.chown(folder / "file", 12, 34)
        shown = self.sh("-v", f"{folder}:/data", script="stat -c '%u:%g' /data/file; ls /data; echo made >/data/made; mknod /data/null c 1 3; true")
        expect(shown.split("\n")[0] == "12:34" and "plain" not in shown, f"a bind is never filled: {shown}")
        expect((folder / "made").stat().st_uid == 0 and not (folder / "null").exists(), "what the container made")
        shown = self.sh("-v", f"{folder / 'file'}:/etc/one:ro", "-v", f"{folder}:/made/on/the/way", script="cat /etc/one; ls /made/on/the/way")
        expect("of the host" in shown and "made" in shown.split(), shown)
        shutil.copy("/bin/busybox", folder / "busybox")
        os.chmod(folder / "busybox", 0o4755)
        shown = self.sh("-v", f"{folder}:/data", "-u", "1000", script="/data/busybox id -u")
        expect(shown.split() == ["1000"], f"a set-id program of a bind has power: {shown}")

    def case_two_containers_share_a_volume(self):
        self.lab.raind("container", "run", "-d", "--name", "writer", "-v", "shared:/data", self.image, "sh", "-c",
                       "i=0; while true; do i=$((i+1)); echo $i >/data/.n && mv /data/.n /data/n; sleep 0.1; done")
        self.lab.raind("container", "run", "-d", "--name", "reader", "-v", "shared:/in:ro", self.image, "sleep", "1000")
        first = int(wait_until("a number", lambda: self.lab.raind("container", "exec", "reader", "cat", "/in/n", check=False).stdout.strip()))
        wait_until("a later number", lambda: int(self.lab.raind("container", "exec", "reader", "cat", "/in/n").stdout) > first)
        expect(self.volume("shared")["users"] == ["reader", "writer"], "its users")
        mounts = self.lab.inspect("reader")["mounts"]
        expect([(m["type"], m["name"], m["destination"], m["readOnly"]) for m in mounts] == [("volume", "shared", "/in", True)], f"{mounts}")

    def case_a_volume_in_use_stays_and_outlives_its_containers(self):
        done = self.lab.raind("volume", "rm", "shared", check=False)
        expect(done.returncode == 1 and "used by container reader, writer" in done.stderr, f"{done}")
        for name in ("writer", "reader"):
            self.lab.raind("container", "kill", name)
            wait_until("it ends", lambda n=name: self.lab.inspect(n)["state"] == "stopped")
            expect(self.lab.raind("volume", "rm", "shared", check=False).returncode == 1, "removed under a stopped container")
            self.lab.raind("container", "rm", name)
        expect(int(self.sh("-v", "shared:/data", script="cat /data/n")) > 0, "the content is gone")
        self.remove("shared")
        expect(not (self.volumes / "shared").exists(), "files of a removed volume")
        expect(self.lab.raind("volume", "rm", "shared", check=False).returncode == 1, "removed twice")

    def case_commands(self):
        made = self.lab.raind("volume", "create", "-l", "a=b", "named").stdout.strip()
        drawn = self.lab.raind("volume", "create").stdout.strip()
        expect(made == "named" and len(drawn) == 26, f"{made} {drawn}")
        expect(self.lab.raind("volume", "create", "named", check=False).returncode == 1, "made twice")
        expect(set(self.lab.raind("volume", "ls", "-q").stdout.split()) >= {"named", drawn}, "the list")
        shown = self.volume("named")
        expect((shown["labels"], shown["state"], shown["users"]) == ({"a": "b"}, "empty", []), f"{shown}")
        expect(pathlib.Path(shown["mountpoint"]) == self.volumes / "named" and (self.volumes / "named").is_dir(), "its folder")
        for name in ("../up", "a/b", "", ".x", "x" * 129):
            done = self.lab.raind("volume", "create", name, check=False) if name else self.lab.raind("volume", "inspect", "%2e%2e", check=False)
            expect(done.returncode == 1, f"{name}: {done}")
        self.remove("named", drawn)
        actions = [record["action"] for record in self.audit()]
        expect({"volume.create", "volume.list", "volume.info", "volume.delete"} <= set(actions), f"audit: {set(actions)}")

    def case_bad_input(self):
        (self.host / "link").symlink_to(self.host)
        for source in ("/", "/etc", "/proc", "/sys/fs", "/dev/null", "/run", "/root", "/usr/bin", "/usr", self.lab.root, self.lab.root / "etc/raind/cert",
                       self.lab.root / "run/raind", self.host / "link", self.host / "missing"):
            self.refused("-v", f"{source}:/data", text=f"invalid mount source: {source}")
        for target in ("/", "/proc/self", "/sys", "/dev/shm", "/run", "/boot"):
            self.refused("-v", f"v:{target}", text=f"invalid mount destination: {target}")
        self.refused("-v", "v:/a/../b", text="invalid mount destination: /a/../b")
        self.refused("-v", "v:/data", "-v", "w:/data/", text="given twice")
        self.refused("-v", "v:/data:rx", text="invalid mount option: rx")
        self.refused("-v", "-x:/data", text="invalid volume name")
        self.refused("-v", "v:/data/plain", text="Not a directory")
        self.refused("-v", f"{self.host}:/afile", text="Not a directory")
        expect(self.lab.raind("volume", "ls", "-q").stdout == "", "a refused create left a volume")
        expect(not any(self.volumes.iterdir()), "a refused create left a folder")

    def case_links_of_the_image_end_inside(self):
        shown = self.sh("-v", "esc:/escape", script="mount | grep -c ' /etc type'; cat /proc/self/mountinfo | cut -d' ' -f5")
        expect("/etc" in shown.split(), f"not on the link's aim inside: {shown}")
        shown = self.sh("-v", "esc:/climb", script="cut -d' ' -f5 /proc/self/mountinfo")
        expect("/tmp/climbed" in shown.split() and not os.path.exists("/tmp/climbed"), shown)
        for path, folder in (("/kernel", "/proc"), ("/devices", "/dev"), ("/settings", "/sys")):
            self.refused("-v", f"esc:{path}", text=f"nothing may be mounted inside of {folder}")
            self.refused("-v", f"{self.host}:{path}", text=f"nothing may be mounted inside of {folder}")
        self.refused("-v", "esc:/root-again", text="nothing may be mounted on the root")
        self.remove("esc")

    def case_owners_that_containers_do_not_have(self):
        self.refused("-v", "far:/foreign", text="far: its user or group is above 65535: containers have none")
        expect("far" not in self.lab.raind("volume", "ls", "-q").stdout, "the volume is left")

    def case_a_source_that_became_a_link(self):
        """A container that may write above the source of another's bind cannot send it elsewhere."""
        inner = self.host / "outer/inner"
        inner.mkdir(parents=True)
        self.sh("-v", f"{inner}:/data", name="bound", script="ls /data")
        self.sh("-v", f"{self.host / 'outer'}:/data", script="cd /data; mv inner away; ln -s /usr/share inner")
        done = self.lab.raind("container", "start", "bound", check=False)
        expect(done.returncode == 1 and "invalid mount source" in done.stderr, f"{done}")
        self.lab.raind("container", "rm", "bound")

    def case_a_file_system_that_cannot_be_mapped(self):
        folder = self.host / "ramfs"
        folder.mkdir()
        run("mount", "-t", "ramfs", "ramfs", folder)
        try:
            self.refused("-v", f"{folder}:/data", text="cannot be id-mapped by this kernel")
            answer = [record["result"]["code"] for record in self.audit() if record["action"] == "container.create"][-1]
            expect(answer == 400, f"the API answered {answer}")
        finally:
            run("umount", folder)

    def case_volume_of_the_image_is_no_mount(self):
        shown = self.sh(script="mkdir -p /declared; cut -d' ' -f5 /proc/self/mountinfo")
        expect("/declared" not in shown.split() and self.lab.raind("volume", "ls", "-q").stdout == "", shown)

    def case_killed_while_filling(self):
        """The daemon dies at any moment of a create: the volume is gone, or it is whole when it is used again."""
        cut = 0
        for number, count in enumerate((1, 200, 1000, 1900)):
            self.create_in_background(f"k{number}")
            folder = self.volumes / "many"
            try:
                wait_until(f"{count} files", lambda n=count: folder.exists() and len(os.listdir(folder)) >= n, 20, 0.002)
            except Failure:
                pass
            self.lab.kill_daemon()
            self.helper.wait()
            self.lab.helpers.remove(self.helper)
            cut += folder.exists() and len(os.listdir(folder)) <= MANY
            self.lab.start()
            known = self.lab.raind("volume", "ls", "-q").stdout.split()
            expect(folder.exists() == ("many" in known), f"round {number}: folder and store differ")
            expect(not known or self.volume("many")["state"] in ("empty", "ready"), "its state")
            if self.helper.returncode != 0:
                expect(not known, f"round {number}: an undone create left its volume")
            self.check_whole(number)
        expect(cut > 0, "no kill met a fill")

    def create_in_background(self, name):
        self.helper = subprocess.Popen(
            [BIN / "raind", "--root", self.lab.root, "container", "create", "--name", name, "-v", "many:/many", self.image, "true"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.lab.helpers.append(self.helper)

    def check_whole(self, number):
        shown = self.sh("-v", "many:/many", script="ls /many | wc -l; cat /many/zz-last; stat -c %u /many /many/f00000; cat /many/f* | wc -l")
        expect(shown.split() == [str(MANY + 1), "last", "9", "9", str(MANY * 40)], f"round {number}: {shown}")
        self.lab.raind("container", "rm", f"k{number}", check=False)
        self.remove("many")


if __name__ == "__main__":
    main(Volumes())

#!/usr/bin/env python3
"""What an image's configuration says about its process, and the options that say otherwise."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from lab import registry, wait_until  # noqa: E402
from image_builder import PATH, Layer, Layout, base_layer  # noqa: E402
from suite import Suite, expect, main  # noqa: E402

PASSWD = ("root:x:0:0:root:/root:/bin/sh\nwww:x:33:34:www:/srv/www:/bin/sh\nfar:x:70000:1::/:/bin/sh\n"
          "grouped:x:50:50::/:/bin/sh\n")
GROUP = "root:x:0:\nbin:x:1:root\nweb:x:34:\nmedia:x:44:www,other\nssl:x:45:www\nfar:x:90000:grouped\n"
SHOW = 'id -u; id -g; id -G; echo "$HOME"; pwd; echo "[$EMPTY]"; echo "$0 $*"; echo told > /dev/stdout'
STOP = "trap 'echo got QUIT; exit 9' QUIT; trap 'exit 8' TERM; trap 'exit 7' USR1; while :; do sleep 0.1; done"

IDS = "echo $(id -u):$(id -g) $(id -G) $HOME"


def layer(passwd=PASSWD):
    return Layer().file("etc/passwd", passwd).file("etc/group", GROUP).folder("srv/www", 0o755)


class ImageConfig(Suite):
    name = "raind-icfg"

    def prepare(self):
        self.layout = Layout(self.lab.dir / "layout")
        self.lab.registry_process, self.lab.registry_address = registry.start(self.lab.dir / "registry")
        config = {"User": "www", "WorkingDir": "/made/here", "Env": [PATH_ENV, "EMPTY=", "A=image"], "StopSignal": "SIGQUIT",
                  "Entrypoint": ["sh", "-c", SHOW, "entry"], "Cmd": ["one", "two words"]}
        self.image = self.push("config", [base_layer(), layer()], config)

    def push(self, tag, layers, config):
        self.layout.tag(tag, self.layout.image(layers, config))
        registry.push(self.lab.registry_address, f"{self.lab.dir / 'layout'}:{tag}", f"demo/config:{tag}")
        return f"{self.lab.registry_address}/demo/config:{tag}"

    def output(self, *words, image=None, code=0):
        """The lines that a container prints, by its options and the words after its image."""
        options, command = (words[:words.index("--")], words[words.index("--") + 1:]) if "--" in words else (words, ())
        self.lab.raind("container", "run", "-d", "--name", "c", *options, image or self.image, *command)
        wait_until("it ends", lambda: self.lab.inspect("c")["state"] == "stopped")
        text, got = self.lab.raind("container", "logs", "c").stdout, self.lab.inspect("c")["exitCode"]
        self.lab.raind("container", "rm", "c")
        expect(got == code, f"exit {got}: {text}")
        return text.splitlines()

    def refused(self, *options, image=None):
        tried = self.lab.raind("container", "run", "-d", "--name", "c", *options, image or self.image, check=False)
        expect(tried.returncode == 125 and tried.stderr.count("error:") == 1, f"exit {tried.returncode}: {tried.stderr}")
        expect("running" not in self.lab.raind("container", "ls").stdout, "a refused container runs")
        return tried.stderr

    def case_everything_of_the_configuration(self):
        lines = self.output()
        expect(lines == ["33", "34", "34 44 45", "/srv/www", "/made/here", "[]", "entry one two words", "told"], f"{lines}")

    def case_the_working_directory_is_made_for_the_user(self):
        lines = self.output("-w", "/new/one", "--", "sh", "-c", "pwd; stat -c %u:%g /new/one; touch /new/one/x && echo mine")
        expect(lines == ["/new/one", "33:34", "mine"], f"{lines}")
        # One that is there stays as it is.
        lines = self.output("-w", "/srv/www", "--", "sh", "-c", "pwd; stat -c %u:%g .")
        expect(lines == ["/srv/www", "0:0"], f"{lines}")

    def case_options_replace_it(self):
        for user, wanted in (("root", "0:0 0 1 /root"), ("www:media", "33:44 44 /srv/www")):
            lines = self.output("-u", user, "--", "sh", "-c", IDS)
            expect(lines == [wanted], f"{user}: {lines}")
        lines = self.output("-e", "A=mine", "-e", "EMPTY=full", "--", "sh", "-c", "echo $A $EMPTY")
        expect(lines == ["mine full"], f"{lines}")
        lines = self.output("--entrypoint", "echo", "--", "only", "this")
        expect(lines == ["only this"], f"{lines}")

    def case_exec_takes_names_too(self):
        self.lab.raind("container", "run", "-d", "--name", "e", self.image, "sleep", "100")
        for user, wanted in (("", "33:34 34 44 45 /srv/www"), ("root", "0:0 0 1 /root"), ("0", "0:0 0 1 /root"),
                             ("www:ssl", "33:45 45 /srv/www"), ("33", "33:34 34 44 45 /srv/www"), ("1234", "1234:0 0 /"),
                             ("1234:77", "1234:77 77 /"), ("www:0", "33:0 0 /srv/www")):
            got = self.lab.raind("container", "exec", *(("-u", user) if user else ()), "e", "sh", "-c",
                                 IDS + "; echo x > /dev/stdout")
            expect(got.stdout.split("\n")[0] == wanted and "x" in got.stdout.split(), f"{user}: {got.stdout}")
        tried = self.lab.raind("container", "exec", "-u", "nobody-here", "e", "true", check=False)
        expect(tried.returncode != 0 and "unable to find user nobody-here" in tried.stderr, tried.stderr)
        pid = self.lab.inspect("e")["pid"]
        shift = self.lab.inspect("e")["userns"]["first"]
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        uids = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
        expect(set(uids) == {str(shift + 33)} and shift >= 0x20000000, f"ids on the host: {uids}")
        self.lab.raind("container", "stop", "e")
        self.lab.raind("container", "rm", "e")

    def case_users_that_are_not_there(self):
        expect("unable to find user nobody-here" in self.refused("-u", "nobody-here"), "user")
        expect("unable to find group none" in self.refused("-u", "www:none"), "group")
        for user in ("far", "grouped", "www:far"):  # ids that no container has
            self.refused("-u", user)
        for user in ("70000", "a b", "1:2:3", "www:"):
            self.refused("-u", user)
        self.refused("-w", "relative")

    def case_the_root_has_the_mode_and_owner_of_the_image(self):
        for tag, layers, wanted in (("rooted", [Layer().folder(".", 0o1751, uid=5, gid=6), Layer().file("x", "x")], "1751 5:6"),
                                    ("top", [Layer().folder(".", 0o700, uid=5), Layer().folder(".", 0o711)], "711 0:0"),
                                    ("unlisted", [Layer().file("x", "x")], "755 0:0")):
            image = self.push(tag, [base_layer(), *layers], {"Cmd": ["stat", "-c", "%a %u:%g", "/"]})
            got = self.output(image=image)
            expect(got == [wanted], f"{tag}: {got}")
        # What the container makes of it stays.
        self.lab.raind("container", "run", "-d", "--name", "root", image, "sh", "-c", "stat -c %a:%u /; chmod 750 /; chown 7 /")
        for _ in range(2):
            wait_until("it ends", lambda: self.lab.inspect("root")["state"] == "stopped", 30)
            self.lab.raind("container", "start", "root")
        wait_until("it ends", lambda: self.lab.inspect("root")["state"] == "stopped", 30)
        shown = self.lab.raind("container", "logs", "root").stdout.split()
        expect(shown == ["755:0", "750:7", "750:7"], f"{shown}")
        self.lab.raind("container", "rm", "root")

    def case_links_in_the_image_end_inside(self):
        for tag, target in (("climb", "../../../../../../etc/shadow"), ("magic", "/proc/1/root/etc/passwd"), ("fd", "/proc/self/fd/0")):
            hostile = Layer().symlink("etc/passwd", target).file("etc/group", GROUP)
            image = self.push(tag, [base_layer(), Layer().whiteout("etc/passwd"), hostile], {"User": "daemon", "Cmd": ["true"]})
            expect("unable to find user daemon" in self.refused(image=image), tag)
        inner = Layer().symlink("etc/passwd", "/usr/lib/../lib/names").folder("usr/lib").file("usr/lib/names", PASSWD).file("etc/group", GROUP)
        image = self.push("inner", [base_layer(), Layer().whiteout("etc/passwd"), inner], {"User": "www", "Cmd": ["id", "-u"]})
        expect(self.output(image=image) == ["33"], "a link within the image")
        fifo = self.push("folder", [base_layer(), Layer().whiteout("etc/passwd"), Layer().folder("etc/passwd")],
                         {"User": "www", "Cmd": ["true"]})
        expect("unable to find user www" in self.refused(image=fifo), "a folder as passwd")

    def stopped(self, *options):
        self.lab.raind("container", "run", "-d", "--name", "s", *options, self.image, "sh", "-c", STOP)
        wait_until("the traps are set", lambda: "sleep" in self.lab.raind("container", "exec", "s", "ps").stdout, 10)
        self.lab.raind("container", "stop", "s")
        info = self.lab.inspect("s")
        self.lab.raind("container", "rm", "s")
        return info["exitCode"]

    def case_stop_signals(self):
        expect(self.stopped() == 9, "the image's stop signal")
        expect(self.stopped("--stop-signal", "TERM") == 8, "--stop-signal")
        expect(self.stopped("--stop-signal", "10") == 7, "--stop-signal by number")
        expect(self.stopped("--stop-signal", "WINCH", "--stop-timeout", "1") == 137, "--stop-timeout, then KILL")

    def case_a_restart_keeps_all_of_it(self):
        self.lab.raind("container", "create", "--name", "r", "-u", "www:media", self.image)
        for _ in range(2):
            self.lab.raind("container", "start", "r")
            wait_until("it ends", lambda: self.lab.inspect("r")["state"] == "stopped")
        lines = self.lab.raind("container", "logs", "r").stdout.splitlines()
        expect(lines[:8] == lines[8:] and lines[:3] == ["33", "44", "44"], f"{lines}")
        info = self.lab.inspect("r")
        expect(info["user"] == "www:media" and info["stopSignal"] == "SIGQUIT", f"{info}")
        self.lab.raind("container", "rm", "r")


PATH_ENV = f"PATH={PATH}"
main(ImageConfig())

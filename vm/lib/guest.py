"""One run of a guest: its folder, virtiofsd, QEMU, output, exit code, and the end of all of them."""
import ctypes
import fcntl
import os
import pathlib
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time

import kernel
from kernel import Problem

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parents[1]
TIMED_OUT = 124
BROKEN = 125
BOOT_SECONDS = 300
LAST_LINES = 40
LOCK, KEPT = "lock", "kept"  # files in the folder of a run
# loglevel 5: up to warnings, as those of WARN() are.
KERNEL_ARGUMENTS = ("console=ttyS0 quiet loglevel=5 panic=-1 mitigations=off nokaslr norandmaps clocksource=tsc "
                    "tsc=reliable no_timer_check random.trust_cpu=on cryptomgr.notests apparmor=1 security=apparmor "
                    "sysrq_always_enabled=1")
DEATH = re.compile(r"Kernel panic|Oops|BUG:")
# WARN() names the CPU at the beginning, from 7.x on at the end.
WARNING = re.compile(r"BUG:|Oops|WARNING: (?:CPU: |.*CPU#)\d|Call Trace|rcu.*stall|Out of memory|Kernel panic")
KEPT_VARIABLES = re.compile(r"^(PATH|CI|RAIND_.*)$")
DISK_MB = 8192


class TimedOut(Problem):
    pass


def say(text):
    print(f"vm: {text}", file=sys.stderr, flush=True)


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def mount_point(path):
    path = os.path.realpath(path)
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return path


def kvm_works():
    if not os.path.exists("/dev/kvm"):
        return False
    probe = subprocess.Popen(["qemu-system-x86_64", "-M", "none", "-accel", "kvm", "-nodefaults", "-display", "none"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        probe.wait(timeout=1)
        return False
    except subprocess.TimeoutExpired:
        probe.kill()
        probe.wait()
        return True


def make_disk(path, megabytes):
    with open(path, "wb") as file:
        file.truncate(megabytes << 20)
    kernel.run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1", path)


def make_run_folder():
    """A folder and its lock, which is held as long as this process lives. Folders of runs that were killed are removed before."""
    runs = kernel.cache_folder() / "runs"
    runs.mkdir(exist_ok=True)
    with kernel.Locked("runs"):  # a folder is never seen without its lock being held
        for folder in filter(pathlib.Path.is_dir, runs.iterdir()):
            with open(folder / LOCK, "a", encoding="ascii") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                if not (folder / KEPT).exists():
                    shutil.rmtree(folder, ignore_errors=True)
        folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=runs))
        lock = open(folder / LOCK, "a", encoding="ascii")
        fcntl.flock(lock, fcntl.LOCK_EX)
    return folder, lock


class Guest:
    """`options` are those of vm/run. Use with `with`: the end removes processes and folder."""

    def __init__(self, options, command, terminal=False):
        self.options = options
        self.command = command
        self.terminal = terminal
        self.children = []
        self.boot_seconds = None
        self.accelerator = "kvm" if kvm_works() else "tcg"

    def __enter__(self):
        self.kernel, self.release = kernel.prepare(self.options.kernel)
        self.folder, self.lock = make_run_folder()
        self.share = self.folder / "share"
        self.share.mkdir()
        self.console = pathlib.Path(self.options.console or self.folder / "console")
        return self

    def __exit__(self, *_):
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.wait()
        if self.options.keep:
            (self.folder / KEPT).touch()
            say(f"kept: {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.lock.close()

    # preparation

    def check_paths(self):
        """What is not there is said by its name, not by what fails over it."""
        for path in (self.options.root, *self.options.ro, *self.options.rw):
            os.stat(path)
        self.console.touch()

    def write_command(self):
        lines = [f"export {name}={shlex.quote(value)}" for name, value in os.environ.items()
                 if KEPT_VARIABLES.match(name)]
        if self.terminal and os.isatty(1):
            columns, rows = os.get_terminal_size(1)
            lines.append(f"stty rows {rows} cols {columns}")
        lines += ["export IN_VM=1", f"export TERM={shlex.quote(os.environ.get('TERM', 'dumb'))}",
                  f"cd {shlex.quote(os.getcwd())} || exit 125", "exec " + shlex.join(self.command)]
        (self.share / "command").write_text("\n".join(lines) + "\n")

    def write_settings(self):
        covered = ("/tmp/", "/var/tmp/")
        shared = (str(TREE), os.getcwd(), *map(os.path.realpath, [*self.options.ro, *self.options.rw]))
        inside = [p for p in shared if (p + "/").startswith(covered)]
        settings = {
            "release": self.release, "modules": self.kernel / "root/lib/modules" / self.release,
            "keep": " ".join(dict.fromkeys(inside)), "channel": "console" if self.terminal else "port",
        }
        text = "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in settings.items())
        (self.share / "settings").write_text(text)
        (self.share / "writable").write_text("".join(f"{p}\n" for p in self.writable()))
        shutil.copy(HERE / "stage2", self.share / "stage2")

    def writable(self):
        return [str(self.share), *(os.path.realpath(p) for p in self.options.rw)]

    def disk(self):
        if self.options.disk:
            path = pathlib.Path(self.options.disk)
            if not path.exists():
                make_disk(path, DISK_MB)
            return path
        path = self.folder / "disk"
        make_disk(path, self.options.scratch)
        return path

    # processes

    def start(self, *words, **options):
        child = subprocess.Popen([str(w) for w in words], preexec_fn=die_with_parent, **options)
        self.children.append(child)
        return child

    def start_files(self):
        """virtiofsd in a mount namespace of its own, where everything but the writable folders is read-only."""
        root = self.folder / "root"
        root.mkdir()
        source = os.path.realpath(self.options.root)
        steps = ["set -e", f"mount --bind {shlex.quote(source)} {root}", f"mount -o remount,bind,ro {root}"]
        needed = [TREE, kernel.cache_folder(), os.getcwd(), *self.options.ro]
        for point in dict.fromkeys(mount_point(p) for p in needed):
            if point != mount_point(source):
                steps += [f"mount --bind {shlex.quote(point)} {shlex.quote(f'{root}{point}')}",
                          f"mount -o remount,bind,ro {shlex.quote(f'{root}{point}')}"]
        for folder in self.writable():
            steps.append(f"mount --bind {shlex.quote(folder)} {shlex.quote(f'{root}{folder}')}")
        steps.append("exec /usr/lib/qemu/virtiofsd --socket-path=" + shlex.quote(str(self.folder / "fs.sock")) +
                     f" -o source={root},cache=always,sandbox=chroot,xattr,modcaps=+sys_admin --thread-pool-size=0 -f")
        log = open(self.folder / "virtiofsd.log", "wb")
        daemon = self.start("unshare", "-m", "--propagation", "private", "sh", "-c", "\n".join(steps),
                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 20
        while not (self.folder / "fs.sock").exists():
            if daemon.poll() is not None or time.monotonic() > end:
                lines = (self.folder / "virtiofsd.log").read_text(errors="replace").strip().splitlines()
                raise Problem(f"virtiofsd: {lines[-1] if lines else 'does not start'}")
            time.sleep(0.02)

    def start_qemu(self):
        memory = f"{self.options.mem}M"
        if self.accelerator == "kvm":
            acceleration, cpu = "kvm", "host"
        else:
            threads = "multi" if self.options.smp > 2 else "single"
            acceleration, cpu = f"tcg,thread={threads},tb-size=512", "max,la57=off"
        arguments = f"{KERNEL_ARGUMENTS} raind.run={self.share} {self.options.append}"
        words = ["nice", "-n", "10", "qemu-system-x86_64", "-M", "q35,memory-backend=mem", "-nodefaults", "-display",
                 "none", "-no-reboot", "-accel", acceleration, "-cpu", cpu, "-smp", self.options.smp, "-m", memory,
                 "-object", f"memory-backend-memfd,id=mem,size={memory},share=on",
                 "-kernel", self.kernel / "vmlinuz", "-initrd", self.kernel / "initramfs", "-append", arguments,
                 "-serial", f"file:{self.console}", "-device", "virtio-rng-pci",
                 "-chardev", f"socket,id=fs,path={self.folder}/fs.sock",
                 "-device", "vhost-user-fs-pci,chardev=fs,tag=root",
                 "-drive", f"file={self.disk()},if=none,id=disk,format=raw,cache=unsafe,discard=unmap",
                 "-device", "virtio-blk-pci,drive=disk", "-device", "virtio-serial-pci", "-nic", "none"]
        if self.terminal:
            words += ["-chardev", "stdio,id=ch,signal=off", "-device", "virtconsole,chardev=ch"]
        else:
            words += ["-chardev", f"socket,id=ch,path={self.folder}/out.sock", "-device",
                      "virtserialport,chardev=ch,name=raind"]
        log = open(self.folder / "qemu.log", "wb")
        return self.start(*words, stdin=None if self.terminal else subprocess.DEVNULL,
                          stdout=None if self.terminal else log, stderr=log)

    # the run

    def run(self):
        """The command's exit code."""
        self.check_paths()
        self.write_command()
        self.write_settings()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.folder / "out.sock"))
        listener.listen(1)
        self.start_files()
        began = time.monotonic()
        qemu = self.start_qemu()
        if self.terminal:
            self.attend(qemu, began)
        else:
            self.stream(listener, qemu, began)
        return self.result()

    def attend(self, qemu, began):
        """A person's terminal is QEMU's meanwhile, which may end in any way."""
        before = termios.tcgetattr(0) if os.isatty(0) else None
        try:
            while qemu.poll() is None:
                self.note_start(began)
                self.check_time(began)
                time.sleep(0.05)
        finally:
            qemu.kill()
            qemu.wait()
            if before:
                termios.tcsetattr(0, termios.TCSADRAIN, before)

    def note_start(self, began):
        if self.boot_seconds is None:
            passed = time.monotonic() - began
            if (self.share / "started").exists():
                self.boot_seconds = passed
            elif passed > BOOT_SECONDS:
                raise Problem(f"the guest did not start within {BOOT_SECONDS} s")

    def check_time(self, began):
        limit = self.options.timeout
        if limit is not None and self.boot_seconds is not None and time.monotonic() - began - self.boot_seconds > limit:
            raise TimedOut(f"timed out after {limit} s")

    def stream(self, listener, qemu, began):
        """Output as it comes, until QEMU ends; limits for the boot and for the command."""
        sources = [listener]
        reader = select.poll()
        reader.register(1, 0)  # tells that nobody reads any more, also when there is nothing to write
        while True:
            for ready in select.select(sources, [], [], 0.1)[0]:
                if ready is listener:
                    sources[:] = [listener.accept()[0]]
                elif not self.forward(ready):
                    sources.clear()
            self.note_start(began)
            if qemu.poll() is not None:
                while sources and sources[0] is not listener and self.forward(sources[0]):
                    pass
                return
            if reader.poll(0):
                raise BrokenPipeError
            self.check_time(began)

    @staticmethod
    def forward(connection):
        data = connection.recv(1 << 16)
        while data:
            data = data[os.write(1, data):]
            if not data:
                return True
        return False

    def result(self):
        code = self.share / "code"
        if code.exists() and code.read_text().strip().isdigit():
            return int(code.read_text())
        problem = self.share / "problem"
        if problem.exists():
            raise Problem(problem.read_text().strip())
        log = self.folder / "qemu.log"
        lines = log.read_text(errors="replace").strip().splitlines()
        raise Problem("the guest died" + (f" ({' '.join(lines[-2:])})" if lines else ""))

    # the console

    def console_lines(self):
        if not self.console.exists():
            return []
        return [line.rstrip("\r") for line in self.console.read_text(errors="replace").splitlines()]

    def console_at_death(self):
        """From the first word of the fault on; the last lines alone would be registers."""
        lines = self.console_lines()
        for number, line in enumerate(lines):
            if DEATH.search(line):
                return lines[number:number + LAST_LINES]
        return lines[-LAST_LINES:]

    def kernel_warnings(self):
        return [line for line in self.console_lines() if WARNING.search(line)]

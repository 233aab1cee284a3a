"""Debian's kernels, fetched and unpacked into the cache without installing them.

A prepared kernel is a folder: vmlinuz, root/lib/modules/RELEASE, initramfs, release (text).
apt runs with folders of its own, so that suites can be used that the machine has not configured.
"""
import fcntl
import os
import pathlib
import re
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
MATRIX = HERE.parent / "kernels"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
PACKAGES = "qemu-system-x86 qemu-system-common busybox-static kmod cpio xz-utils zstd e2fsprogs apparmor".split()
# What the initramfs has to load before the root file system is there.
BOOT_MODULES = "virtio_pci virtio_console virtio_blk virtio_rng virtiofs overlay ext4".split()
INITRAMFS_VERSION = "1"


class Problem(Exception):
    """Something that is not the fault of the command in the guest."""


class Unavailable(Problem):
    """This machine cannot get what a guest needs: nothing is wrong with the tree."""


def run(*words, **options):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, **options)
    if done.returncode != 0:
        tail = (done.stderr or done.stdout).strip().splitlines()
        raise Problem(f"{words[0]}: {tail[-1] if tail else f'exit {done.returncode}'}")
    return done.stdout


def cache_folder():
    base = os.environ.get("RAIND_TESTBED_CACHE")
    if not base:
        base = os.path.join(os.environ.get("XDG_CACHE_HOME") or "/var/cache", "raind-vm")
    path = pathlib.Path(base).resolve()
    path.mkdir(parents=True, exist_ok=True)
    return path


def matrix():
    """[(series, suite)] of vm/kernels."""
    found = []
    for number, line in enumerate(MATRIX.read_text().splitlines(), 1):
        words = line.split("#")[0].split()
        if words and len(words) != 2:
            raise Problem(f"vm/{MATRIX.name}, line {number}: a kernel is a series and a Debian suite, for example \"6.12 trixie\"")
        found += [(words[0], words[1])] if words else []
    if not found:
        raise Problem(f"vm/{MATRIX.name} names no kernel")
    return found


class Locked:
    """One preparation at a time on this machine."""

    def __init__(self, name):
        self.path = cache_folder() / f"{name}.lock"

    def __enter__(self):
        self.file = open(self.path, "w", encoding="ascii")
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_):
        self.file.close()


def install_packages():
    """Does nothing (and needs no network) when everything is there."""
    install = HERE.parents[1] / "cmake" / "install-deps"
    with Locked("packages"):
        done = subprocess.run([install, *PACKAGES], check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise Unavailable("install packages: " + (done.stdout.strip().splitlines() or ["no reason given"])[-1])


class Apt:
    """apt with sources, lists and cache below one folder."""

    def __init__(self, suite):
        self.folder = cache_folder() / "apt" / suite
        self.suite = suite
        for part in ("lists/partial", "cache/archives/partial", "none"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        (self.folder / "sources.list").write_text("".join(
            f"deb [signed-by={KEYRING}] {base} {suite} main\n" for base in self.bases()))
        none = self.folder / "none"
        (self.folder / "apt.conf").write_text(
            f'Dir::Etc::sourcelist "{self.folder}/sources.list";\nDir::Etc::sourceparts "{none}";\n'
            f'Dir::Etc::preferencesparts "{none}";\nDir::State::lists "{self.folder}/lists";\n'
            f'Dir::State::status "{self.folder}/status";\nDir::Cache "{self.folder}/cache";\n'
            'APT::Sandbox::User "root";\nAcquire::Languages "none";\n')
        self.environment = dict(os.environ, APT_CONFIG=str(self.folder / "apt.conf"), LC_ALL="C.UTF-8")

    def bases(self):
        """The archives that this machine uses: security updates have one of their own."""
        text = run("apt-get", "indextargets", "--format", "$(SUITE) $(REPO_URI) $(SIGNED_BY)")
        security = self.suite.endswith("-security")
        found = []
        for line in text.splitlines():
            suite, base = line.split()[:2]
            if "debian" in line and suite.endswith("-security") == security and base not in found:
                found.append(base)
        if not found:
            raise Unavailable(f"this machine's apt has no archive for {self.suite}")
        return found[:1]

    def run(self, *words, **options):
        return run(*words, env=self.environment, **options)

    def update(self):
        try:
            self.run("apt-get", "update", "-qq")
        except Problem as problem:
            raise Unavailable(f"no package lists of {self.suite}: {problem}") from None

    def newest(self, series):
        """The newest release of a series that can be downloaded, as (sort key, release)."""
        pattern = re.compile(rf"^linux-image-({re.escape(series)}\.\d.*)-cloud-amd64$")
        names = self.run("apt-cache", "--generate", "pkgnames", f"linux-image-{series}.").splitlines()
        releases = [m.group(1) for m in map(pattern.match, names) if m]
        releases.sort(key=lambda text: [int(n) for n in re.findall(r"\d+", text)], reverse=True)
        for release in releases:
            if self.candidate(f"linux-image-{release}-cloud-amd64"):
                return f"{release}-cloud-amd64"
        return None

    def candidate(self, package):
        shown = self.run("apt-cache", "policy", package)
        return "Candidate:" in shown and "Candidate: (none)" not in shown

    def download(self, package, folder, seen):
        """The package and what it needs of the kernel's own packages (a kernel of 7.x comes in four)."""
        if package in seen or not self.candidate(package):
            return
        seen.add(package)
        self.run("apt-get", "download", "-qq", package, cwd=folder)
        for line in self.run("apt-cache", "depends", package).splitlines():
            match = re.match(r"^\s*\|?(?:Pre)?Depends: (linux-(?:base|binary|modules|image)-\S+)$", line)
            if match:
                self.download(match.group(1), folder, seen)


def unpack(folder, release):
    """From the downloaded packages: vmlinuz and modules where depmod looks for them."""
    tree = folder / "tree"
    for package in sorted(folder.glob("*.deb")):
        run("dpkg-deb", "-x", package, tree)
        package.unlink()
    modules = folder / "root" / "lib" / "modules" / release
    modules.parent.mkdir(parents=True)
    for place in ("lib/modules", "usr/lib/modules"):
        if (tree / place / release / "kernel").exists():
            (tree / place / release).rename(modules)
    if not modules.exists():
        raise Problem(f"the packages of {release} hold no modules")
    for place in (tree / f"boot/vmlinuz-{release}", modules / "vmlinuz", tree / f"usr/lib/modules/{release}/vmlinuz"):
        if place.exists():
            shutil.copy(place, folder / "vmlinuz")
    if not (folder / "vmlinuz").exists():
        raise Problem(f"the packages of {release} hold no kernel")
    if not (modules / "modules.builtin").exists():  # depmod and modprobe need it
        raise Problem(f"the packages of {release} do not say what is built in")
    shutil.rmtree(tree)
    for packed in modules.rglob("*.ko.xz"):
        run("xz", "-d", packed)
    for packed in modules.rglob("*.ko.zst"):
        run("zstd", "-q", "-d", "--rm", packed)
    run("depmod", "-b", folder / "root", release)


def boot_modules(folder, release):
    """Files in load order. What is built in differs between kernels, so modprobe is asked."""
    found = []
    for name in BOOT_MODULES:
        for line in run("modprobe", "-d", folder / "root", "-S", release, "--show-depends", name).splitlines():
            words = line.split()
            if words[0] == "insmod" and words[1] not in found:
                found.append(words[1])
    return found


def make_initramfs(folder, release):
    tree = folder / "initramfs.d"
    shutil.rmtree(tree, ignore_errors=True)
    for part in ("bin", "dev", "proc", "sys", "mod", "lower", "upper", "new"):
        (tree / part).mkdir(parents=True)
    shutil.copy("/bin/busybox", tree / "bin/busybox")
    shutil.copy(HERE / "init", tree / "init")
    (tree / "init").chmod(0o755)
    for number, module in enumerate(boot_modules(folder, release)):
        shutil.copy(module, tree / "mod" / f"{number:02d}-{os.path.basename(module)}")
    names = "\n".join(str(p.relative_to(tree)) for p in sorted(tree.rglob("*")))
    packed = subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=tree, input=names.encode(),
                            capture_output=True, check=False)
    if packed.returncode != 0:
        raise Problem("pack the initramfs: " + packed.stderr.decode(errors="replace").strip())
    (folder / "initramfs").write_bytes(packed.stdout)
    shutil.rmtree(tree)


def fetch(series, suite, folder):
    part = folder.with_suffix(".part")
    with Locked(f"apt-{suite}"):  # another series may come from the same suite at the same time
        apt = Apt(suite)
        apt.update()
        release = apt.newest(series)
        if release is None:
            raise Unavailable(f"no kernel package for {series} in {suite}")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        apt.download(f"linux-image-{release}", part, set())
    unpack(part, release)
    (part / "release").write_text(release + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


def prepare(series):
    """The folder of a prepared kernel; needs no network when it is in the cache."""
    suites = dict(matrix())
    if series not in suites:
        raise Problem(f"no kernel package for {series} (matrix: {' '.join(suites)})")
    install_packages()
    folder = cache_folder() / "kernels" / f"k{series}"
    with Locked(f"kernel-{series}"):
        if not (folder / "release").exists():
            fetch(series, suites[series], folder)
        release = (folder / "release").read_text().strip()
        stamp = INITRAMFS_VERSION + (HERE / "init").read_text()
        made = folder / "initramfs.stamp"
        if not made.exists() or made.read_text() != stamp:
            make_initramfs(folder, release)
            made.write_text(stamp)
    return folder, release

"""Root file systems from Debian packages: the first by mmdebstrap, each further layer as the upper folder of an overlay.

Everything runs in mount and process namespaces of its own: what maintainer scripts start ends with the step, and nothing
that is mounted for it is seen by the host. They run as root in a chroot, with the host's network for apt alone.
"""
import os
import pathlib
import subprocess
import tempfile
import time

from recipe import RecipeError, Unavailable

SUITE = "bookworm"
LISTS_AGE = 12 * 3600
APT_FAILED = 100  # the exit code of apt-get
NAMESPACES = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL"]
# The first package lists what no container needs; it stays in the image, for the layers above it.
EXCLUDED = ("doc/*", "man/*", "locale/*", "info/*", "lintian/*")

# $1 lower folders, $2 upper, $3 work, $4 root, $5 folder with lists, archives, sources.list and step.sh
ENTER = r"""
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2,workdir=$3,index=off,redirect_dir=off,metacopy=off" "$4"
mount -t proc proc "$4/proc"
mount -t tmpfs -o mode=755 dev "$4/dev"
for name in null zero full random urandom tty; do
    : > "$4/dev/$name"
    mount --bind "/dev/$name" "$4/dev/$name"
done
mkdir "$4/dev/pts" "$4/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$4/dev/pts"
mount -t tmpfs -o mode=1777 shm "$4/dev/shm"
ln -s pts/ptmx "$4/dev/ptmx"
ln -s /proc/self/fd "$4/dev/fd"
mount -t tmpfs -o mode=1777 tmp "$4/tmp"
mount --bind "$5/lists" "$4/var/lib/apt/lists"
mount --bind "$5/archives" "$4/var/cache/apt/archives"
mount --bind "$5/sources.list" "$4/etc/apt/sources.list"
mount --bind "$(realpath /etc/resolv.conf)" "$4/etc/resolv.conf"
cp "$5/step.sh" "$4/tmp/step.sh"
exec chroot "$4" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    sh -eu /tmp/step.sh
"""

CLEAN = r"""
rm -rf /var/log/apt/* /var/log/dpkg.log /var/log/alternatives.log /var/log/bootstrap.log /var/cache/ldconfig/aux-cache
rm -rf /var/cache/debconf/*-old /var/lib/dpkg/*-old /root/.bash_history /var/cache/apt/*.bin
"""


def debian_sources():
    """The Debian sources of this machine, for the release that images are made of."""
    shown = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)"],
                           check=True, capture_output=True, text=True).stdout
    lines = {tuple(line.split()) for line in shown.splitlines() if len(line.split()) == 3}
    wanted = [f"deb {uri} {suite} {component}" for uri, suite, component in sorted(lines)
              if suite in (SUITE, f"{SUITE}-security", f"{SUITE}-updates") and component == "main"]
    if not wanted:
        raise Unavailable(f"this machine has no apt source for {SUITE}")
    return wanted


def ask_sources():
    """Whether the sources answer, asked when something failed that has used them: the release files are enough."""
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "lists/partial").mkdir(parents=True)
        pathlib.Path(folder, "sources.list").write_text("".join(line + "\n" for line in debian_sources()))
        options = {"Dir::Etc::sourcelist": f"{folder}/sources.list", "Dir::Etc::sourceparts": "/dev/null", "Dir::State::lists": f"{folder}/lists",
                   "Dir::Cache": folder, "APT::Sandbox::User": "root", "APT::Update::Error-Mode": "any", "Acquire::Languages": "none",
                   "Acquire::IndexTargets::deb::Packages::DefaultEnabled": "false", "Acquire::http::Timeout": "20"}
        words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        done = subprocess.run(["apt-get", *words, "update", "-qq"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unavailable("a package source cannot be reached: " + (done.stderr.strip().splitlines() or ["no reason given"])[0])


def shell(words, log, what, of_apt=lambda code: False):
    """Runs it, its output in the log; `of_apt`: whether an exit code may come from sources that cannot be reached."""
    with open(log, "ab") as output:
        done = subprocess.run([str(w) for w in words], stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False)
    if done.returncode != 0:
        if of_apt(done.returncode):
            ask_sources()
        tail = pathlib.Path(log).read_text(errors="replace").splitlines()[-15:]
        raise RecipeError(f"{what}: exit {done.returncode}\n" + "\n".join(tail) + f"\n(all of it: {log})")


def bootstrap(tree, packages, log):
    """The first layer, by mmdebstrap, into a folder that does not exist yet."""
    options = [f"--dpkgopt=path-exclude=/usr/share/{pattern}" for pattern in EXCLUDED]
    options += ["--dpkgopt=path-include=/usr/share/doc/*/copyright", "--dpkgopt=force-unsafe-io"]
    hooks = [word for name in ("setup00.sh", "essential00.sh") for word in
             (f"--{name[:-5]}-hook=/usr/share/mmdebstrap/hooks/merged-usr/{name}",)]
    shell(NAMESPACES + ["mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory", "--skip=check/qemu",
                        *options, *hooks, f"--include={','.join(packages)}", SUITE, tree, *debian_sources()], log, "mmdebstrap",
          of_apt=bool)
    for name, text in (("etc/resolv.conf", ""), ("etc/apt/sources.list", ""), ("etc/hostname", "")):
        (tree / name).write_text(text)
    subprocess.run(["chroot", str(tree), "sh", "-c", CLEAN], check=True)


def step_script(step, lists_are_old):
    lines = ["printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d", "chmod 755 /usr/sbin/policy-rc.d"]
    if step.packages:
        if lists_are_old:
            lines.append("apt-get update -qq")
        lines.append("apt-get install -y -qq --no-install-recommends -o APT::Keep-Downloaded-Packages=true "
                     "-o APT::Sandbox::User=root -o Dpkg::Use-Pty=0 " + " ".join(step.packages))
    lines.append("rm /usr/sbin/policy-rc.d")
    for number, (name, text) in enumerate(step.files.items()):
        mark = f"END_OF_FILE_{number}"
        lines += [f"mkdir -p '{os.path.dirname(name)}'", f"cat > '{name}' <<'{mark}'", text.rstrip("\n"), mark]
        lines.append(f"chmod {'755' if text.startswith('#!') else '644'} '{name}'")
    return "\n".join(lines + [step.run, CLEAN])


def run_step(step, lowers, folder, work, log):
    """Makes folder the upper layer of the step; lowers are the folders below it, the highest first."""
    for name in ("lists", "archives"):
        (work / name).mkdir(parents=True, exist_ok=True)
    stamp = work / "lists.stamp"
    old = not stamp.exists() or time.time() - stamp.stat().st_mtime > LISTS_AGE
    (work / "sources.list").write_text("".join(line + "\n" for line in debian_sources()))
    (work / "step.sh").write_text(step_script(step, old))
    scratch, root = work / "overlay", work / "root"
    for path in (folder, scratch, root):
        path.mkdir(parents=True, exist_ok=True)
    os.chmod(folder, 0o755)
    shell(NAMESPACES + ["sh", "-euc", ENTER, "enter", ":".join(map(str, lowers)), folder, scratch, root, work], log,
          f"step {step.key}", of_apt=lambda code: step.packages and code == APT_FAILED)
    if step.packages and old:
        stamp.touch()

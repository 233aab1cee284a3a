#!/usr/bin/env python3
"""The guest's power is cut in the middle of work (QEMU is killed); after the next boot with the same disk nothing that was acknowledged
is lost, no packet passes that no rule permits, and the kernel has not warned."""
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(SOURCE / "vm" / "lib"), str(SOURCE / "tests" / "support")]
import guest  # noqa: E402
import kernel  # noqa: E402
import kernel_log  # noqa: E402

KERNEL = os.environ.get("RAIND_VM_KERNEL", "6.12")
ROUNDS = int(os.environ.get("RAIND_VM_ROUNDS", "1"))
SEED = int(os.environ.get("RAIND_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)
WORK_LIMIT = 900


def boot(folder, mode):
    environment = dict(os.environ, RAIND_SLOW="1" if guest.kvm_works() else "10",
                       PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    return subprocess.Popen(
        [SOURCE / "vm/run", "--kernel", KERNEL, "--disk", folder / "disk", "--rw", folder / "shared", "--timeout", str(WORK_LIMIT),
         "--console", folder / mode, "--", "/usr/bin/python3", SOURCE / "tests/vm/power_cut_guest.py", mode, folder / "shared"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def qemus(disk):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if str(disk).encode() in (entry / "cmdline").read_bytes() and "qemu" in (entry / "comm").read_text():
                    found.append(int(entry.name))
            except OSError:
                pass
    return found


def cut(folder, after):
    """Kills QEMU once that many notes were taken, at no particular moment between two."""
    process = boot(folder, "work")
    notes = folder / "shared/acknowledged"
    end = time.monotonic() + WORK_LIMIT
    while not notes.exists() or notes.read_text().count("\n") < after:
        if process.poll() is not None or time.monotonic() > end:
            process.terminate()
            raise AssertionError(f"the work ended by itself: {process.communicate()[0][-3000:]}")
        time.sleep(0.05)
    time.sleep(random.uniform(0, 1.5))
    for pid in qemus(folder / "disk"):
        os.kill(pid, signal.SIGKILL)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 125 and "vm: the guest died" in output, f"cut: {process.returncode} {output}"
    return output


def one_round(number):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="raind-cut-", dir="/var/tmp"))
    (folder / "shared").mkdir()
    try:
        after = random.randrange(9, 25)
        worked = cut(folder, after)
        process = boot(folder, "check")
        output = process.communicate(timeout=WORK_LIMIT + 400)[0]
        print(f"round {number}, cut after {after} notes: {output}", end="", flush=True)
        warnings = [f"{mode}: {line}" for mode, said in (("work", worked), ("check", output))
                    for line in kernel_log.surprising(kernel_log.console_lines(folder / mode), said)]
        print("".join(f"kernel warning: {line}\n" for line in warnings), end="", flush=True)
        return process.returncode == 0 and not warnings
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main():
    if os.geteuid() != 0:
        print("SKIP: needs root")
        return 77
    try:
        kernel.prepare(KERNEL)
    except kernel.Unavailable as reason:
        print(f"SKIP: {reason}")
        return 77
    print(f"RAIND_SEED={SEED}")
    random.seed(SEED)
    return 0 if all([one_round(number) for number in range(1, ROUNDS + 1)]) else 1


sys.exit(main())

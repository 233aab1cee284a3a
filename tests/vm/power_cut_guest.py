"""The two halves of the power cut inside the guest: `work FOLDER` changes things until the power is gone, `check FOLDER` looks after
the next boot. FOLDER is the machine's; the state is on the disk at /var/lib/raind.

What was acknowledged is a line of FOLDER/acknowledged: {"container": NAME, "step": ...}, {"policy": COMMENT} or {"volume": NAME}. The first
container has the volume, in which it notes each boot at its start, and a published port.
"""
import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import agreement  # noqa: E402
from lab import BUILD, Failure, Lab, run, wait_until  # noqa: E402

LAB = Lab("raind-cut", "/var/lib/raind/cut")
BOOT = pathlib.Path("/proc/sys/kernel/random/boot_id")
# After the cut no process is left: what ran has stopped.
PORT = "8080"
SERVE = f"cat {BOOT}; cat {BOOT} >>/data/boots && sync /data/boots && exec probe serve --tcp 80 --tcp 81"
STATES = {"create": {"created", "stopped"}, "start": {"stopped"}, "stop": {"stopped"}, "rm": {None}}


def expect(condition, text):
    if not condition:
        raise Failure(text)


def work(folder):
    LAB.prepare()
    LAB.start()
    image = LAB.make_image()
    with open(folder / "acknowledged", "a", encoding="utf-8") as notes:

        def note(**what):
            notes.write(json.dumps(what) + "\n")
            notes.flush()
            os.fsync(notes.fileno())

        note(boot=BOOT.read_text().strip(), image=image)
        LAB.raind("container", "run", "-d", "--name", "server", "-v", "kept:/data", "-p", f"{PORT}:80", image, "sh", "-c", SERVE)
        note(container="server", step="start")
        wait_until("the server has written", lambda: "ready" in LAB.raind("container", "logs", "server").stdout)
        note(volume="kept")
        LAB.raind("policy", "add", "--type", "ew", "-s", "witness", "-d", "server", "-p", "tcp", "--dport", "80", "--comment", "first")
        LAB.raind("policy", "commit", "--yes")
        note(policy="first")
        number = 0
        while True:
            number += 1
            name = f"c{number}"
            for step in (("create", "--name", name, image, "probe", "sleep", "1000"), ("start", name), ("stop", name),
                         ("rm", name))[:1 + number % 4]:
                LAB.raind("container", *step)
                note(container=name, step=step[0])
            LAB.raind("policy", "add", "--type", "ew", "-s", name, "-d", "server", "--comment", f"of {name}")
            LAB.raind("policy", "commit", "--yes")
            note(policy=f"of {name}")


def check_acknowledged(notes):
    states = {c["name"]: c["state"] for c in agreement.containers(LAB)}
    last = {}
    for entry in notes:
        if "container" in entry:
            last[entry["container"]] = entry["step"]
    final = next(entry for entry in reversed(notes) if "container" in entry)["container"]
    for name, step in last.items():
        # The step after the last note of all may have been done, too.
        allowed = STATES[step] | ({"stopped", None} if name == final else set())
        expect(states.get(name) in allowed, f"{name}: {states.get(name)} after {step}")
    comments = {policy["comment"] for policy in agreement.policies(LAB).values()}
    lost = {entry["policy"] for entry in notes if "policy" in entry} - comments
    expect(not lost, f"lost policies: {lost}")
    volumes = set(LAB.raind("volume", "ls", "-q").stdout.split())
    expect({entry["volume"] for entry in notes if "volume" in entry} <= volumes, f"volumes: {volumes}")
    return len(last), len(comments)


def attempt(name, *words):
    """Exit code of a container that is started for one attempt."""
    LAB.raind("container", "run", "-d", "--name", name, *words)
    wait_until(f"{name} ends", lambda: LAB.inspect(name)["state"] == "stopped", 15)
    code = LAB.inspect(name)["exitCode"]
    LAB.raind("container", "rm", name)
    return code


def published():
    """What a process of the host gets at the port."""
    return run("ip", "netns", "exec", LAB.netns, BUILD / "tests/probe", "tcp", "127.0.0.1", PORT, "--timeout", "3000", check=False).stdout.strip()


def check_enforcement(image, boot):
    """From the very first packet of the first container of this boot on."""
    forwards = [(f["source"], f["destination"], f["protocol"]) for f in LAB.inspect("server")["forwards"]]
    expect(forwards == [(int(PORT), 80, "tcp")] and published() == "refused", f"ports of a stopped container: {forwards} {published()}")
    LAB.raind("container", "start", "server")
    boots = [boot, BOOT.read_text().strip()]
    wait_until("the server listens", lambda: "ready" in LAB.raind("container", "logs", "server").stdout.partition(boots[1])[2])
    expect(published() == "ok", f"the port is not published again: {published()}")
    noted = LAB.raind("container", "exec", "server", "cat", "/data/boots").stdout.split()
    expect(noted == boots, f"content of the volume: {noted}, not {boots}")
    address = LAB.inspect("server")["address"]
    expect(attempt("eager", image, "probe", "first", address, "80", "--timeout", "1500", "--count", "2") == 1, "a packet without a rule")
    expect(attempt("eager", image, "probe", "tcp", address, "80", "--timeout", "3000") != 0, "a connection without a rule")
    expect(attempt("witness", image, "probe", "tcp", address, "80", "--timeout", "20000") == 0, "the rule is lost")
    expect(attempt("witness", image, "probe", "tcp", address, "81", "--timeout", "3000") != 0, "the rule is wider")


def check(folder):
    notes = [json.loads(line) for line in (folder / "acknowledged").read_text().splitlines()]
    expect(BOOT.read_text().strip() != notes[0]["boot"], "this is the same boot")
    LAB.prepare()
    LAB.start(60)
    expect((LAB.bpffs / "raind/v1/maps").exists(), "nothing is in the kernel")
    running = [c["name"] for c in agreement.containers(LAB) if c["state"] == "running"]
    expect(not running, f"runs before it was started: {running}")
    counts = check_acknowledged(notes)
    found = agreement.disagreements(LAB)
    expect(not found, f"after the cut: {found}; {agreement.policies(LAB)}; {notes[-3:]}")
    check_enforcement(notes[0]["image"], notes[0]["boot"])
    found = agreement.disagreements(LAB)
    expect(not found, f"at work again: {found}")
    problems = LAB.close()
    expect(not problems, f"removal: {problems}")
    wait_until("nothing is left", lambda: not LAB.leftovers(), 10)
    print(f"{counts[0]} containers, {counts[1]} policies as acknowledged, kernel {os.uname().release}")


def main():
    try:
        {"work": work, "check": check}[sys.argv[1]](pathlib.Path(sys.argv[2]))
    except Failure as problem:
        print(f"failed: {problem}\n{LAB.log_tail(30)}", flush=True)
        return 1
    return 0


sys.exit(main())

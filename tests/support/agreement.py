"""Whether the list of containers, the kernel and the disk say the same about an instance at rest."""
import json
import os

from lab import cgroup2_mount, run

ATTACHED = ("created", "running")


def dump(lab, name):
    text = run("bpftool", "-j", "map", "dump", "pinned", lab.bpffs / "raind/v1/maps" / name).stdout
    return [entry.get("formatted", entry) for entry in json.loads(text)]


def containers(lab):
    lines = lab.raind("container", "ls", "--format", "json").stdout.splitlines()
    return [lab.inspect(json.loads(line)["name"]) for line in lines if line.strip()]


def policies(lab):
    lines = lab.raind("policy", "ls", "--format", "json").stdout.splitlines()
    return {entry["id"]: entry for entry in map(json.loads, filter(str.strip, lines)) if "id" in entry}


def kernel_policies(lab):
    """Ids of the policies with an entry in the slot that decides."""
    value = dump(lab, "raind_active")[0]["value"]
    slot = (value if isinstance(value, int) else next(iter(value.values()))) & 0xFF
    names = {entry["key"]: entry["value"]["policy"] for entry in dump(lab, "raind_rulename")}
    return {names[entry["value"]["rule"]] for entry in dump(lab, f"policy_{slot}") if entry["value"]["rule"] >= 256}


def links(lab):
    shown = run("ip", "-o", "-n", lab.netns, "link", "show").stdout.splitlines()
    return {name for name in (line.split(":")[1].strip().split("@")[0] for line in shown) if name.startswith("rd_")}


def folders(path):
    return {entry.name for entry in path.iterdir() if entry.is_dir()} if path.exists() else set()


def permanent_neighbours(lab):
    shown = run("ip", "-n", lab.netns, "neigh", "show", "dev", "raind0", "nud", "permanent").stdout
    return {line.split()[0] for line in shown.splitlines()}


def disagreements(lab):
    """One line for each difference; none when all is well."""
    found = []
    known = containers(lab)
    alive = [c for c in known if c["state"] in ATTACHED]

    def same(what, seen, wanted):
        if seen != wanted:
            found.append(f"{what}: too many {sorted(seen - wanted)}, missing {sorted(wanted - seen)}")

    ids = {c["containerId"] for c in alive}
    same("interfaces", links(lab), {c["hostInterface"] for c in alive})
    groups = folders(cgroup2_mount() / lab.cgroup.strip("/"))
    same("cgroups", {name.removeprefix("shim.") for name in groups}, ids)
    same("endpoints", {entry["value"]["ep_id"] for entry in dump(lab, "raind_ep")}, {c["endpoint"] for c in alive})
    same("pinned links", {pin.name.rsplit("_", 1)[0] for pin in (lab.bpffs / "raind/v1/links").iterdir()},
         {c["hostInterface"] for c in alive})
    same("neighbours", permanent_neighbours(lab), {c[key] for c in alive for key in ("address", "address6")})
    same("container folders", folders(lab.root / "etc/raind/container"), {c["containerId"] for c in known})
    same("droplet's state", folders(lab.root / "run/raind/droplet") - {".seccomp"}, ids)
    for key in ("address", "address6", "mac", "hostInterface", "endpoint"):
        values = [c[key] for c in alive]
        if len(values) != len(set(values)):
            found.append(f"{key} given twice: {sorted(values)}")
    firsts = [c["userns"]["first"] for c in known]
    if len(firsts) != len(set(firsts)):
        found.append(f"id ranges given twice: {firsts}")
    for container in alive:
        if not os.path.exists(f"/proc/{container['pid']}"):
            found.append(f"{container['name']}: {container['state']} without a process")
    rules = policies(lab)
    # Whatever was committed: a name without a container has its rules in force already, for the container to come.
    committed = {key for key, entry in rules.items() if entry["status"] != "before_commit"}
    same("policies in the kernel", kernel_policies(lab), committed)
    temporary = lab.root / "etc/raind/image/tmp"
    if temporary.exists() and list(temporary.iterdir()):
        found.append(f"unfinished images: {[entry.name for entry in temporary.iterdir()]}")
    return found

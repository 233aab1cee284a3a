"""A test over real software: a Lab whose registry serves the application images of the cache."""
import json
import os
import pathlib
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[3]
for folder in ("tests/support", "tests/images", "tests/images/apps"):
    sys.path.insert(0, str(SOURCE / folder))
import oci  # noqa: E402
import recipe  # noqa: E402
import registry  # noqa: E402
import skips  # noqa: E402
from lab import Failure, run, wait_until  # noqa: E402
from slow import FACTOR, limit  # noqa: E402
from suite import Suite, expect, main  # noqa: E402



class AppSuite(Suite):
    """Names the images it runs in `apps`; they are pulled through a real registry under the tag 1."""
    apps = ()

    def __init__(self):
        super().__init__()
        self.images = {}

    def run(self):
        reason = missing_images(self.apps)
        if reason:
            print(f"SKIP: {reason}")
            return 77
        return super().run()

    def prepare(self):
        layout = recipe.cache_folder() / "layout"
        directory = self.lab.dir / "registry"
        for name in self.apps:
            publish(layout, recipe.Recipe(name).tag, directory / "store", f"apps/{name}", "1")
        self.lab.registry_process, self.lab.registry_address = registry.start(directory)
        for name in self.apps:
            self.images[name] = f"{self.lab.registry_address}/apps/{name}:1"
            self.lab.raind("image", "pull", self.images[name], timeout=120)

    def start(self, name, app, *words, options=()):
        # A server writes down what it has when it is stopped; the three seconds of the default are for a real machine.
        patience = ("--stop-timeout", str(int(limit(3))))
        self.lab.raind("container", "run", "-d", "--name", name, *patience, *options, self.images[app], *words, timeout=30)
        return self.lab.inspect(name)

    def start_client(self, name, app, options=()):
        """A container of the same image that only waits, for commands of exec."""
        return self.start(name, app, "-c", "trap 'exit 0' TERM; sleep 100000 & wait", options=("--entrypoint", "sh", *options))

    def inside(self, name, *words, check=True, seconds=60, **options):
        return self.lab.raind("container", "exec", name, *words, check=check, timeout=seconds, **options)

    def log(self, name):
        shown = self.lab.raind("container", "logs", "--line", "5000", name)
        return shown.stdout + shown.stderr

    def wait_log(self, name, text, seconds=30):
        def there():
            if self.lab.inspect(name)["state"] == "stopped":
                raise Failure(f"{name} ended:\n{self.log(name)[-1500:]}")
            return text in self.log(name)
        wait_until(f"{name} says '{text}'", there, seconds, 0.2)

    def allow(self, source, destination, port):
        self.lab.raind("policy", "add", "--type", "ew", "-s", source, "-d", destination, "-p", "tcp", "--dport", port)
        self.lab.raind("policy", "commit", "--yes")

    def remove_policies(self, destination=None):
        for line in self.lab.raind("policy", "ls", "--type", "ew", "--format", "json").stdout.splitlines():
            policy = json.loads(line)
            if destination in (None, policy["destination"]["container_name"]):
                self.lab.raind("policy", "rm", policy["id"])
        self.lab.raind("policy", "commit", "--yes")

    def expect_record(self, source, destination, port, verdict):
        found = self.lab.find_records(5.0, src__container_name=source, dst__container_name=destination,
                                      dst__port=port, verdict=verdict)
        expect(found, f"no record of {source} to {destination}:{port} with verdict {verdict}")


def missing_images(apps):
    """Why the images cannot be used, or nothing. Builds them when RAIND_BUILD_IMAGES is 1."""
    layout = recipe.cache_folder() / "layout"
    missing = [name for name in apps if not oci.manifest_of(layout, recipe.Recipe(name).tag)]
    if missing and os.environ.get("RAIND_BUILD_IMAGES") == "1":
        done = subprocess.run([SOURCE / "tests/images/apps/build", *missing], check=False, stdout=subprocess.PIPE, text=True)
        print(done.stdout, end="", flush=True)
        if done.returncode == skips.EXIT_CODE:
            return skips.first_reason(done.stdout)
        done.check_returncode()
        missing = []
    if missing:
        return f"images not built: {' '.join(missing)} (tests/images/apps/build builds them, RAIND_BUILD_IMAGES=1 here too)"
    return None


def publish(layout, tag, store, name, new_tag):
    """Lays an image into the store of a docker-registry by links: no blob is copied or hashed again."""
    digest, manifest = oci.manifest_of(layout, tag)
    root = store / "docker/registry/v2"
    blobs = [manifest["config"]["digest"], *(layer["digest"] for layer in manifest["layers"])]
    for blob in [digest, *blobs]:
        hexdigits = blob.removeprefix("sha256:")
        data = root / "blobs/sha256" / hexdigits[:2] / hexdigits / "data"
        if not data.is_symlink():
            data.parent.mkdir(parents=True, exist_ok=True)
            data.symlink_to(oci.blob_path(layout, blob))
    repository = root / "repositories" / name
    links = [(repository / "_layers/sha256" / blob.removeprefix("sha256:"), blob) for blob in blobs]
    manifests = repository / "_manifests"
    hexdigits = digest.removeprefix("sha256:")
    links += [(manifests / "revisions/sha256" / hexdigits, digest), (manifests / "tags" / new_tag / "current", digest),
              (manifests / "tags" / new_tag / "index/sha256" / hexdigits, digest)]
    for folder, target in links:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "link").write_text(target)


__all__ = ["FACTOR", "AppSuite", "Failure", "expect", "limit", "main", "oci", "recipe", "registry", "run", "wait_until"]

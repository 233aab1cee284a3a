#!/usr/bin/env python3
"""nginx: pages whole and in order, logs through standard output, an orderly end."""
import re
import time

from support import AppSuite, expect, limit, main, oci, recipe, registry, wait_until

REQUESTS = 2000
# A connection for each request and no new process: bash's own sockets.
MANY = r"""
good=0
for ((i = 0; i < $2; i++)); do
    exec 3<>"/dev/tcp/$1/80" || exit 1
    printf 'GET /index.html?%d HTTP/1.0\r\n\r\n' "$i" >&3
    mapfile -t lines <&3
    exec 3>&-
    [[ "${lines[*]}" == *"200 OK"*"<h1>served by nginx</h1>"* ]] && good=$((good + 1))
done
echo "$good"
"""


class Nginx(AppSuite):
    name = "raind-nginx"
    apps = ("nginx", "busybox")

    def prepare(self):
        super().prepare()
        self.web = self.start("web", "nginx")
        self.start_client("client", "busybox")
        self.start_client("many", "nginx")
        wait_until("nginx has workers", lambda: len(self.processes("web")) >= 2, 20)

    def processes(self, name):
        text = self.inside(name, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '", check=False).stdout
        return re.findall(r"nginx: (?:master|worker) process", text)

    def get(self, path, check=True):
        return self.inside("client", "wget", "-q", "-O", "-", f"http://{self.web['address']}{path}", check=check)

    def case_workers_changed_their_user(self):
        text = self.inside("web", "sh", "-c", "grep -H ^Uid: /proc/[0-9]*/status; id -u www-data").stdout.splitlines()
        user = text[-1].strip()
        owners = {line.split()[1] for line in text[:-1]}
        expect(owners >= {"0", user}, f"users of the processes: {text}")

    def case_denied_without_a_policy(self):
        began = time.monotonic()
        expect(self.get("/", check=False).returncode != 0, "served without a policy")
        expect(time.monotonic() - began < limit(8), "the denial was silent: the client waited for its own limit")
        self.expect_record("client", "web", 80, "deny")

    def case_pages_come_whole(self):
        self.allow("client", "web", 80)
        self.allow("many", "web", 80)
        expect("<h1>served by nginx</h1>" in self.get("/").stdout, "the page")
        expect(self.get("/large.txt").stdout == "x" * 1000000, "a file of a megabyte")
        missing = self.get("/nothing", check=False)
        expect(missing.returncode != 0 and "404" in missing.stderr, f"a missing page: {missing.stderr}")
        self.expect_record("client", "web", 80, "allow")

    def case_many_requests(self):
        answer = self.inside("many", "bash", "-c", MANY, "many", self.web["address"], REQUESTS, seconds=60)
        expect(answer.stdout.strip() == str(REQUESTS), f"answers: {answer.stdout}")

    def case_logs_arrive(self):
        text = self.log("web")
        seen = set(re.findall(r"GET /index.html\?(\d+) HTTP/1.0\" 200", text))
        expect(len(seen) == REQUESTS, f"requests in the log: {len(seen)}")
        expect("/var/www/nothing" in text, "the error log")

    def case_an_orderly_end(self):
        self.lab.raind("container", "stop", "web", timeout=30)
        expect(self.lab.inspect("web")["exitCode"] == 0, f"exit code {self.lab.inspect('web')['exitCode']}")

    def case_other_forms_of_the_image(self):
        for name in ("web", "many"):
            if self.lab.inspect(name)["state"] == "running":
                self.lab.raind("container", "stop", name, timeout=30)
            self.lab.raind("container", "rm", name)
        original = self.images["nginx"]
        layout = oci.Layout(self.lab.dir / "forms")
        for name, packing, form in (("schema2", "gzip", "docker"), ("zstd", "zstd", "oci"), ("plain", "none", "oci")):
            # Their layers are the same once they are laid out: the one before must be gone, or nothing is unpacked.
            self.lab.raind("image", "rm", original)
            image = oci.other_form(recipe.cache_folder() / "layout", recipe.Recipe("nginx").tag, layout, packing, form)
            registry.push_blobs(self.lab.registry_address, layout, image, f"forms/{name}:1")
            self.images[name] = original = f"{self.lab.registry_address}/forms/{name}:1"
            self.lab.raind("image", "pull", original, timeout=120)
            self.web = self.start(name, name)
            self.allow("client", name, 80)
            wait_until("nginx answers", lambda: "<h1>served by nginx</h1>" in self.get("/", check=False).stdout, 20, 0.3)
            expect(self.get("/large.txt").stdout == "x" * 1000000, f"{name}: a file of a megabyte")
            self.lab.raind("container", "stop", name, timeout=30)
            self.lab.raind("container", "rm", name)


main(Nginx())

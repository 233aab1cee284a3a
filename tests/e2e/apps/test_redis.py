#!/usr/bin/env python3
"""redis: a server and its clients in two containers, thousands of connections, every value right."""
import hashlib
import re

from support import AppSuite, expect, main, wait_until

PORT = 6379
CONNECTIONS = 4000


class Redis(AppSuite):
    name = "raind-redis"
    apps = ("redis",)

    def prepare(self):
        super().prepare()
        self.server = self.start("store", "redis")
        self.start_client("client", "redis")
        self.wait_log("store", "Ready to accept connections")

    def cli(self, *words, container="client", **options):
        return self.inside(container, "redis-cli", "-h", self.server["address"], *words, **options)

    def info(self, section, key):
        text = self.cli("info", section, container="store").stdout
        return int(re.search(rf"^{key}:(\d+)", text, re.MULTILINE).group(1))

    def case_the_server_is_what_the_image_says(self):
        status = self.inside("store", "cat", "/proc/1/status").stdout
        user = self.inside("store", "id", "-u", "redis").stdout.strip()
        expect(re.search(rf"^Uid:\s+{user}\b", status, re.MULTILINE), f"not user redis ({user}): {status}")
        expect(self.inside("store", "readlink", "/proc/1/cwd").stdout.strip() == "/data", "working directory")
        warnings = [line for line in self.log("store").splitlines() if re.search(r"denied|not permitted|Failed", line)]
        expect(not warnings, f"the server complains: {warnings}")

    def case_denied_without_a_policy(self):
        answer = self.cli("ping", check=False, seconds=20)
        expect(answer.returncode != 0 and "PONG" not in answer.stdout, f"answered: {answer.stdout}{answer.stderr}")
        self.expect_record("client", "store", PORT, "deny")

    def case_thousands_of_connections(self):
        self.allow("client", "store", PORT)
        expect(self.cli("ping").stdout.strip() == "PONG", "no answer with the policy")
        before = self.info("stats", "total_connections_received")
        self.inside("client", "redis-benchmark", "-q", "-h", self.server["address"], "-k", "0", "-c", "50",
                    "-n", CONNECTIONS, "INCR", "counter", seconds=60)
        expect(self.cli("get", "counter").stdout.strip() == str(CONNECTIONS), f"counter: {self.cli('get', 'counter').stdout}")
        made = self.info("stats", "total_connections_received") - before
        expect(made >= CONNECTIONS, f"only {made} connections")
        self.expect_record("client", "store", PORT, "allow")

    def case_large_values_come_back_whole(self):
        script = ("head -c 3000000 /dev/urandom | base64 -w 0 > /tmp/value && sha256sum < /tmp/value && "
                  f"redis-cli -h {self.server['address']} -x set blob < /tmp/value && "
                  f"redis-cli -h {self.server['address']} get blob | tr -d '\\n' | sha256sum")
        lines = self.inside("client", "sh", "-c", script).stdout.split()
        expect(lines[0] == lines[3] and lines[2] == "OK", f"value differs: {lines}")

    def case_many_keys_on_one_connection(self):
        script = (f"for i in $(seq 20000); do echo SET key:$i value-$((i * 7)); done | redis-cli -h {self.server['address']} --pipe "
                  f"&& seq 1 199 20000 | sed 's/^/get key:/' | redis-cli -h {self.server['address']}")
        text = self.inside("client", "sh", "-c", script).stdout
        expect("errors: 0, replies: 20000" in text, f"insertion: {text[:300]}")
        values = text.splitlines()[-len(range(1, 20001, 199)):]
        expect(values == [f"value-{i * 7}" for i in range(1, 20001, 199)], f"values: {values[:5]}")

    def case_data_survive_a_restart(self):
        expect(self.cli("save").stdout.strip() == "OK", "save")
        digest = hashlib.sha256(self.cli("get", "key:42").stdout.encode()).hexdigest()
        self.lab.raind("container", "stop", "store", timeout=60)
        expect(self.lab.inspect("store")["exitCode"] == 0, f"exit code {self.lab.inspect('store')['exitCode']}")
        expect("User requested shutdown" in self.log("store") or "ready to exit" in self.log("store"), "it did not end by itself")
        self.lab.raind("container", "start", "store")
        wait_until("it answers again", lambda: self.cli("ping", check=False).stdout.strip() == "PONG", 20, 0.3)
        expect(hashlib.sha256(self.cli("get", "key:42").stdout.encode()).hexdigest() == digest, "the value after a restart")
        expect("keys=2000" in self.cli("info", "keyspace").stdout, "keys after a restart")

    def case_removed_policy_denies_again(self):
        self.remove_policies()
        expect(self.cli("ping", check=False, seconds=20).returncode != 0, "answered after the policy was removed")


main(Redis())

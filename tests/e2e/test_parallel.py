#!/usr/bin/env python3
"""Many clients at once: the outcome is that of some order, nothing is given twice, nobody gets another's answer."""
import concurrent.futures
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from agreement import containers, disagreements, kernel_policies, policies  # noqa: E402
from lab import Failure, wait_until  # noqa: E402
from suite import Suite, expect, main  # noqa: E402

CLIENTS = 8
CONTAINERS = 16
EXECS = 200
POLICIES = 24


class Parallel(Suite):
    name = "raind-par"

    def prepare(self):
        self.image = self.lab.make_image()
        self.lab.raind("container", "run", "-d", "--name", "base", self.image, "probe", "sleep", "1000")

    def all(self, calls):
        """The results of raind with each list of words, run by CLIENTS threads."""
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            return list(pool.map(lambda words: self.lab.raind(*words, check=False, timeout=120), calls))

    def good(self, calls):
        for words, done in zip(calls, self.all(calls)):
            expect(done.returncode == 0, f"raind {' '.join(words)}: exit {done.returncode}: {done.stdout}{done.stderr}")

    def one_wins(self, calls, says):
        results = self.all(calls)
        won = [done for done in results if done.returncode == 0]
        expect(len(won) == 1, f"{calls[0]}: {len(won)} of {len(results)} succeeded")
        for done in results:
            if done.returncode != 0:
                expect(any(text in done.stderr for text in says), f"{calls[0]}: {done.stderr}")

    def agree(self):
        try:
            wait_until("agreement", lambda: not disagreements(self.lab), 4, 0.3)
        except Failure:
            raise Failure("; ".join(disagreements(self.lab))) from None

    def case_one_name_is_given_once(self):
        self.one_wins([("container", "create", "--name", "same", self.image, "probe", "sleep", "1000")] * CLIENTS, ("already used",))
        self.one_wins([("container", "start", "same")] * CLIENTS, ("already started", "running"))
        self.one_wins([("container", "stop", "same")] * CLIENTS, ("not running", "stopped", "created"))
        self.one_wins([("container", "rm", "same")] * CLIENTS, ("not found",))
        self.agree()

    def case_many_containers_come_and_go(self):
        names = [f"n{number}" for number in range(CONTAINERS)]
        self.good([("container", "run", "-d", "--name", name, self.image, "probe", "sleep", "1000") for name in names])
        alive = containers(self.lab)
        expect(len(alive) == CONTAINERS + 1 and all(c["state"] == "running" for c in alive), f"{len(alive)} containers")
        self.agree()
        self.good([("container", "stop", name) for name in names])
        self.good([("container", "rm", name) for name in names])
        expect(len(containers(self.lab)) == 1, "containers are left")
        self.agree()

    def case_every_exec_gets_its_own_answer(self):
        calls = [("container", "exec", "base", "sh", "-c", f"echo out{n}; echo err{n} >&2; exit {n % 120}") for n in range(EXECS)]
        wrong = [(n, done.returncode, done.stdout, done.stderr) for n, done in enumerate(self.all(calls))
                 if (done.returncode, done.stdout, done.stderr) != (n % 120, f"out{n}\n", f"err{n}\n")]
        expect(not wrong, f"{len(wrong)} of {EXECS}: {wrong[:3]}")

    def case_pulls_of_one_image(self):
        self.lab.raind("container", "stop", "base")
        self.lab.raind("container", "rm", "base")
        self.lab.raind("image", "rm", self.image)
        self.good([("image", "pull", self.image)] * CLIENTS)
        self.lab.raind("container", "run", "-d", "--name", "base", self.image, "probe", "sleep", "1000")
        self.agree()

    def case_policies_from_many_hands(self):
        self.lab.raind("container", "run", "-d", "--name", "other", self.image, "probe", "sleep", "1000")
        add = [("policy", "add", "--type", "ew", "-s", "base", "-d", "other", "-p", "tcp", "--dport", str(2000 + n)) for n in range(POLICIES)]
        mixed = [words for one in add for words in (one, ("policy", "commit", "--yes"))]
        results = self.all(mixed)
        for words, done in zip(mixed, results):
            # Also a commit that finds that another has already taken everything over.
            expect(done.returncode == 0, f"raind {' '.join(words)}: {done.stdout}{done.stderr}")
        self.lab.raind("policy", "commit", "--yes")
        now = policies(self.lab)
        expect(len(now) == POLICIES and {e["dport"] for e in now.values()} == set(range(2000, 2000 + POLICIES)), f"{len(now)} policies")
        expect(kernel_policies(self.lab) == set(now), "the kernel has other policies")
        self.agree()

    def case_an_address_is_not_given_again_at_once(self):
        seen = set()
        for number in range(6):
            self.lab.raind("container", "run", "-d", "--name", f"r{number}", self.image, "probe", "sleep", "1000")
            one = self.lab.inspect(f"r{number}")
            expect(one["address"] not in seen and one["endpoint"] not in seen, f"again: {one['address']} {one['endpoint']}")
            seen |= {one["address"], one["endpoint"]}
            self.lab.raind("container", "stop", f"r{number}")
            self.lab.raind("container", "rm", f"r{number}")
        self.agree()


main(Parallel())

"""Runs the cases of one end-to-end test: methods named case_*, in the order in which they stand."""
import os
import subprocess
import sys
import time
import traceback

import skips
from lab import Failure, Lab, wait_until

# Our own guests have what other machines may lack: there its absence is a failure.
IN_GUEST = "IN_VM" in os.environ


def expect(condition, text):
    if not condition:
        raise Failure(text)


class Skipped(Exception):
    """A case that cannot run here."""


def skip(reason):
    raise Skipped(reason)


class Suite:
    """A test over one Lab. Give `prepare` what has to be there before the first case."""
    name = "raind-test"

    def __init__(self):
        self.lab = Lab(f"{self.name}-{os.getpid()}")

    def prepare(self):
        pass

    def cases(self):
        return [(key, getattr(self, key)) for key in type(self).__dict__ if key.startswith("case_")]

    def run(self):
        if os.geteuid() != 0:
            print("SKIP: needs root")
            return skips.EXIT_CODE
        passed, failed, skipped = 0, [], []
        self.lab.prepare()
        try:
            self.lab.start()
            self.prepare()
            for key, case in self.cases():
                began = time.monotonic()
                try:
                    case()
                    passed += 1
                    print(f"passed: {key[5:]} ({time.monotonic() - began:.1f} s)", flush=True)
                except Skipped as reason:
                    skipped.append(key[5:])
                    print(f"SKIP: {key[5:].replace('_', ' ')}: {reason}", flush=True)
                except (Failure, OSError, KeyError, IndexError, ValueError, subprocess.SubprocessError) as problem:
                    failed.append(key[5:])
                    print(f"failed: {key[5:]}: {problem}", flush=True)
                    if not isinstance(problem, Failure):
                        traceback.print_exc()
        except (Failure, OSError, subprocess.SubprocessError) as problem:
            failed.append("preparation")
            print(f"failed: preparation: {problem}\n{self.lab.log_tail()}")
        finally:
            if failed:
                print(self.lab.log_tail(30))
            failed += self.close()
        print(f"{passed} passed, {len(failed)} failed, {len(skipped)} skipped")
        if skipped and not passed and not failed:
            return skips.EXIT_CODE
        return 1 if failed or not passed else 0

    def close(self):
        problems = self.lab.close()
        try:
            wait_until("nothing is left", lambda: not self.lab.leftovers(), 10)
        except Failure:
            problems.append(f"left behind: {self.lab.leftovers()}")
        for text in problems:
            print(f"failed: clean-up: {text}")
        return problems


def main(suite):
    sys.exit(suite.run())

"""What the pull tests share: a store in a temporary folder and the program that pulls into it."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))

from slow import limit  # noqa: E402

PROGRAM = None


class PullCase(unittest.TestCase):
    def setUp(self):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="raind-pull-", dir="/var/tmp"))
        self.addCleanup(shutil.rmtree, self.scratch, ignore_errors=True)
        self.root = self.scratch / "image"

    def command(self, *words, **environment):
        done = subprocess.run([PROGRAM, words[0], self.root, *words[1:]], capture_output=True, text=True,
                              env={"LC_ALL": "C.UTF-8", **environment}, timeout=limit(120), check=False)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        answer = json.loads(done.stdout)
        self.assertEqual("error" in answer, done.returncode == 1)
        return answer

    def pull(self, reference, *more, **environment):
        answer = self.command("pull", reference, *more, **environment)
        self.assertNotIn("error", answer)
        return answer

    def refused(self, reference, *more, status=400, says=(), **environment):
        """The pull fails with one error that says what it should, and leaves nothing."""
        answer = self.command("pull", reference, *more, **environment)
        self.assertIn("error", answer)
        for part in (says,) if isinstance(says, str) else says:
            self.assertIn(part, answer["error"])
        self.assertEqual(answer["status"], status, answer["error"])
        self.assertEqual(self.leftovers(), [])
        return answer["error"]

    def leftovers(self):
        """Everything that is in the store."""
        found = []
        for folder in ("blobs/sha256", "layers", "references", "tmp"):
            if (self.root / folder).exists():
                found += [f"{folder}/{path.name}" for path in (self.root / folder).iterdir()]
        return sorted(found)


def main():
    global PROGRAM
    for tool in ("/usr/bin/docker-registry", "/usr/bin/skopeo", "/bin/busybox"):
        if not os.path.exists(tool):
            print(f"SKIP: {tool} is missing")
            sys.exit(77)
    if os.geteuid() != 0:
        print("SKIP: laying out layers needs root")
        sys.exit(77)
    PROGRAM = sys.argv.pop(1)
    unittest.main(module="__main__", verbosity=2)

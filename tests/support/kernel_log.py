"""Warnings of the kernel of a guest, and which of them a test has announced by a line "expected kernel warning: TEXT"."""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "vm" / "lib"))
from guest import WARNING  # noqa: E402

ANNOUNCED = re.compile(r"^expected kernel warning: (.+)$", re.MULTILINE)
CONSOLE_TIME = re.compile(r"\[\s*(\d+\.\d+)\]")


def surprising(lines, output):
    """Those of the lines that are warnings and that nothing in the output of the tests announced."""
    announced = ANNOUNCED.findall(output)
    return [line for line in lines if WARNING.search(line) and not any(text in line for text in announced)]


def console_lines(path, after=0.0):
    """Lines of a console that are younger than a time of the kernel's clock, in seconds."""
    lines, path = [], pathlib.Path(path)
    for line in path.read_text(errors="replace").splitlines() if path.exists() else []:
        stamp = CONSOLE_TIME.match(line)
        if stamp and float(stamp.group(1)) > after:
            lines.append(line.rstrip("\r"))
    return lines

"""How a test says that it, or a part of it, did not run: a line `SKIP: REASON`. With exit code 77 it is the whole test, in one that
passed it is a part; both are counted and listed in the summary."""
import re

EXIT_CODE = 77
LINE = re.compile(r"^\s*SKIP: *(.+?)\s*$", re.MULTILINE)


def reasons(output):
    return LINE.findall(output)


def tell(unittest_result):
    """The same lines for what unittest skipped."""
    for _, reason in unittest_result.skipped:
        print(f"SKIP: {reason}", flush=True)


def first_reason(output):
    return next(iter(reasons(output)), "no reason given")

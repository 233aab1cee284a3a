"""Time limits of tests. In a guest without KVM all takes much longer; RAIND_SLOW, set there, says how much."""
import os

FACTOR = float(os.environ.get("RAIND_SLOW") or 1)


def limit(seconds):
    """How long to wait at most for what takes less than `seconds` on a real machine."""
    return seconds if FACTOR <= 1 or seconds is None else seconds * FACTOR + 5

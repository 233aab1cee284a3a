"""One run at a time in a build tree: two would write the same reports and the same folders of guests."""
import fcntl
import pathlib


def hold_run_lock(path):
    """Waits until nobody else holds the file's lock; it is held as long as the result lives."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = open(path, "a", encoding="utf-8")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"== waiting for another run that holds {path}", flush=True)
        fcntl.flock(handle, fcntl.LOCK_EX)
    return handle

"""What this process has open, whatever other tests have left behind."""

import gc
import os
from contextlib import suppress


def open_files() -> dict[int, str]:
    """Give each open descriptor with what it stands for.

    Garbage is collected first: a socket of another test that ends only with a cycle
    would otherwise close between two looks and be taken for one of the test's own.
    """
    gc.collect()
    found = {}
    for fd in map(int, os.listdir("/proc/self/fd")):
        with suppress(FileNotFoundError):  # the one that listed them
            found[fd] = os.readlink(f"/proc/self/fd/{fd}")
    return found

"""How the C library keeps memory between the epochs of a training run."""

from __future__ import annotations

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's `mallopt` (malloc.h)."""

KEPT_BYTES = 2**31 - 1


def keep_freed_memory() -> bool:
    """Lets this process reuse freed memory in place of giving it back to the system.

    glibc maps every large block anew and unmaps it when it is freed, so that each epoch pays again
    for the pages of its activations. Results do not change; the process keeps the memory of its
    peak. To be called before the first large tensor.

    Returns:
        Whether anything was set: other C libraries are left alone.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all(mallopt(name, KEPT_BYTES) == 1 for name in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD))

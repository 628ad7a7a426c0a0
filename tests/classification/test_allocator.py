"""The C library keeps freed memory: pages are not paid for again."""

import platform
import subprocess
import sys

import pytest

from hfkg_assets.classification import allocator

FAULTS = """
import resource, sys
import numpy as np
from hfkg_assets.classification.allocator import keep_freed_memory

if sys.argv[1] == "kept":
    assert keep_freed_memory()
def fill():
    np.ones(8_000_000)
fill()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    fill()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(way: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, way], stdout=subprocess.PIPE, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_large_blocks_cost_their_pages_once():
    assert page_faults("kept") * 10 < page_faults("left")


def test_other_c_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not allocator.keep_freed_memory()

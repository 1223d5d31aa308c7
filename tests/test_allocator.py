"""What is freed stays: the next batch finds its memory mapped."""

import subprocess
import sys

import pytest

pytest.importorskip("resource", reason="page faults are counted on Unix")
CODE = """
import resource
import numpy as np
from drive_il.allocator import keep_freed_memory

kept = keep_freed_memory()
assert keep_freed_memory() is kept
before = 0
for k in range(25):
    if k == 5:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(4 << 20)
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_arrays_of_32_mb_come_without_page_faults() -> None:
    run = [sys.executable, "-c", CODE]
    kept, faults = subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()
    if kept != "True":
        pytest.skip("this C library keeps no freed memory")
    assert int(faults) < 20 * (32 << 20) // 4096 // 100  # of those that mapping afresh costs

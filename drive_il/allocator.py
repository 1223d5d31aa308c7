"""Freed memory stays with the process, where the C library lets one say so."""

from __future__ import annotations

import ctypes
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h
_MOST = 2**31 - 1
_BLOCKS = (1 << 30, 32 << 20)  # [bytes] older libraries take no more than the second


@cache
def keep_freed_memory() -> bool:
    """Tells glibc to keep freed blocks for the next batch; once per process, changes no bit.

    By default every large array is mapped afresh, filled with zeros page by page when it is
    written to, and unmapped again: a third of a gradient step on pictures. The process then
    keeps the most memory that it ever used.

    Returns:
        Whether that was possible; other libraries are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return False
    taken = any(mallopt(_MMAP_THRESHOLD, size) == 1 for size in _BLOCKS)
    return taken and mallopt(_TRIM_THRESHOLD, _MOST) == 1

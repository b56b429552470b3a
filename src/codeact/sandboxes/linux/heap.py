"""The zygote's free memory, filled before the first fork: what a session makes lies together, on pages of its own.

An import leaves holes all over the heap. A session that puts its objects there has to copy a page for each of them,
most of which is the zygote's; what it makes behind all that the zygote has costs a page for many. The filling stays for
good, and is shared by all sessions.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from typing import Any

_CLASS = re.compile(rb"^ +\d+ +(\d+) +\d+ +\d+ +(\d+) *$", re.MULTILINE)  # size of its blocks, and how many are free
_BYTES = sys.getsizeof(b"")  # of a bytes object, beside what it holds
_LARGEST = 64 << 10  # bytes of a hole that is filled; what is larger is few
_MOST = 32 << 20  # bytes in all, for an allocator that does not grow upwards

_filled: list[Any] = []


def fill() -> None:
    """Fill them. Where this is not the CPython, or the libc, that we know, some of them stay."""
    _fill_heap()
    _fill_pools()


def _fill_pools() -> None:
    """CPython's own, for objects of at most 512 bytes."""
    for size, free in _free_blocks():
        small = size <= _BYTES + 1  # the shortest bytes objects are made once, for all
        _filled.extend([object() if size <= 16 else float(n) if small else bytes(size - _BYTES) for n in range(free)])


def _free_blocks() -> list[tuple[int, int]]:
    """The sizes of blocks, and how many of each are free in pools that are begun: told on standard error."""
    ours = os.dup(2)
    told = os.memfd_create("blocks")
    try:
        os.dup2(told, 2)
        try:
            sys._debugmallocstats()
        finally:
            os.dup2(ours, 2)
        return [(int(size), int(free)) for size, free in _CLASS.findall(os.pread(told, 1 << 16, 0))]
    finally:
        os.close(told)
        os.close(ours)


def _fill_heap() -> None:
    """Those of malloc: what it gives is of a hole until it lies above all that it gave before."""
    malloc = ctypes.CDLL(None).malloc
    malloc.restype, malloc.argtypes = ctypes.c_size_t, [ctypes.c_size_t]
    size, top, left = _LARGEST, 0, _MOST
    while size >= 16 and left > 0:
        place = malloc(size)
        left -= size
        if place > top:
            top = place
            size -= max(16, size // 16 & ~15)

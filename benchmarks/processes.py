"""Which processes belong to one, and how much memory they take: PSS, where what is shared is divided by its sharers."""

from __future__ import annotations

import contextlib
from pathlib import Path


def below(pid: int) -> set[int]:
    """All processes that it started, and that those did."""
    found: set[int] = set()
    todo = [pid]
    while todo:
        children = Path(f"/proc/{todo.pop()}/task").glob("*/children")
        with contextlib.suppress(OSError):  # it ended meanwhile
            todo += (new := [int(child) for file in children for child in file.read_text().split()])
            found.update(new)
    return found


def pss(pid: int) -> float:
    """MiB of a process; raises PermissionError for one that this user may not look into."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024

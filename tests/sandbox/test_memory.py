"""What a session has of its own in memory, and what is done for that before the first fork."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from talk import at

from codeact.cells import Cells
from codeact.core.execution import Imports, Policy
from codeact.sandboxes.linux import LinuxSandbox, heap, hot

LITTLE = 5_000_000  # bytes


@pytest.mark.skipif(os.geteuid() != 0, reason="a session's memory is looked at by root alone")
async def test_a_session_with_numpy_and_pandas_has_less_than_five_megabytes_of_its_own() -> None:
    at("full")
    wall, policy = LinuxSandbox("full"), Policy(imports=Imports(("numpy", "pandas")))
    async with Cells(wall, policy), Cells(wall, policy) as cells:
        assert (await cells.run("x = 1")).ok
        assert own(cells) < LITTLE


def own(cells: Cells) -> int:
    guest = cells._interpreter._guest
    assert guest is not None
    lines = Path(f"/proc/{guest.pipe._ways.process.pid}/smaps_rollup").read_text().splitlines()  # type: ignore[attr-defined]
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Private_"))


def test_holes_in_the_heap_are_filled() -> None:
    objects = [bytes(size) for size in (60, 90, 200, 400) for _ in range(5000)]
    del objects[::2]
    before = sum(free for _, free in heap._free_blocks())
    heap.fill()
    assert before > 9000 and sum(free for _, free in heap._free_blocks()) < before / 3


def test_code_that_ran_is_laid_together_and_is_what_it_was() -> None:
    def outer(factor: int) -> list[int]:
        return [factor * number for number in (1, 2)] + inner()

    def inner() -> list[int]:
        return [len(told)]

    told: list[int] = []
    marked, old = {inner.__code__}, (outer.__code__, inner.__code__)
    watch = hot.Watch()
    with watch.watching():
        before = outer(3)
    hot.lay_together(json.dumps([*watch._seen]).encode())
    assert outer(3) == before == [3, 6, 0]
    assert (outer.__code__, inner.__code__) == old
    assert outer.__code__ is not old[0] and inner.__code__ is not old[1]
    assert next(iter(marked)) is inner.__code__


def test_where_nothing_was_told_nothing_is_moved() -> None:
    old = own.__code__
    hot.lay_together(b"")
    assert own.__code__ is old

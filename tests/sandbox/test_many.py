"""Five hundred sessions that live at once, each with a namespace of its own, and nothing left when they close."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from canaries import mounts
from talk import at, descendants, until

from codeact.cells import Cells
from codeact.core.execution import Limits, Policy
from codeact.sandboxes.linux import LinuxSandbox

MANY = 500
AT_A_TIME = 10
MEMORY = 8 << 20  # bytes of each, with room
DESCRIPTORS = 8  # of the host for each
PROCESSES = 2


@pytest.fixture
def room() -> Iterator[None]:
    """What so many need; without it the test is skipped, and says what is missing."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    if free < MANY * MEMORY:
        pytest.skip(f"{MANY} sessions need {MANY * MEMORY >> 20:,} MiB of memory, {free >> 20:,} are free")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < MANY * DESCRIPTORS:
        pytest.skip(f"{MANY} sessions need {MANY * DESCRIPTORS:,} descriptors, {hard:,} are allowed")
    most, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if os.geteuid() and 0 <= most < 2 * MANY * PROCESSES:
        pytest.skip(f"{MANY} sessions need {2 * MANY * PROCESSES:,} processes, {most:,} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.timeout(300)
async def test_five_hundred_sessions_live_at_once_and_close_without_a_trace(room: None) -> None:
    at("full")
    wall, policy = LinuxSandbox(), Policy(Limits(threads=4))
    async with Cells(wall, policy):
        pass
    processes, open_ones = descendants(), len(os.listdir("/proc/self/fd"))
    mounted = mounts()
    turns = asyncio.Semaphore(AT_A_TIME)
    stacks = [AsyncExitStack() for _ in range(MANY)]

    async def start(number: int) -> Cells:
        async with turns:
            cells = await stacks[number].enter_async_context(Cells(wall, policy))
            assert (await cells.run(f"mine = {number}")).ok
            return cells

    try:
        everyone = await asyncio.gather(*map(start, range(MANY)))
        assert len(descendants() - processes) >= MANY
        answers = await asyncio.gather(*(cells.run("mine") for cells in everyone))
        assert [answer.value for answer in answers] == [str(number) for number in range(MANY)]
    finally:
        began = time.monotonic()
        await asyncio.gather(*(stack.aclose() for stack in stacks))
        print(f"closed in {time.monotonic() - began:.2f} s")
    assert until(lambda: descendants() <= processes, 60)
    assert len(os.listdir("/proc/self/fd")) == open_ones
    assert mounts() == mounted

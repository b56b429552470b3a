"""Sessions that stand ready before they are asked for: nobody can tell them from others, and nothing is left."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from talk import GUEST, HERE, at, descendants, session, until

from codeact.assemble import tool
from codeact.cells import Cells
from codeact.core.execution import Imports, Limits, Policy
from codeact.sandboxes.linux import LinuxSandbox
from codeact.sandboxes.linux.environment import find
from codeact.sandboxes.linux.launchers import SHIPPED, Parts, launcher
from codeact.sandboxes.linux.pool import POOL, Kind, Pool

READY = 2
PROCESSES = {"full": 2, "plain": 1}  # of a session: its init at the level full, and itself


@pytest.fixture(params=("full", "plain"))
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    POOL.empty()
    yield str(request.param)
    POOL.empty()


def pooled(level: str) -> LinuxSandbox:
    at(level)
    entry = SHIPPED.entry if level == "full" else Path(at(level)._parts.entry)
    return LinuxSandbox(ready=READY, _parts=Parts(entry, GUEST))


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def ask_once(wall: LinuxSandbox, source: str = "result = 1", **limits: Any) -> Any:
    async with session(wall, **limits) as ask:
        return await ask(source)


async def stand_ready(wall: LinuxSandbox, level: str) -> set[int]:
    """Ask twice and wait until the shelf is full: the processes of those that wait on it."""
    await ask_once(wall)
    before = descendants()
    await ask_once(wall)
    looks: deque[set[int]] = deque(maxlen=5)

    def stands() -> bool:
        """The one that was asked, too, has gone: the same are there, look after look."""
        looks.append(descendants() - before)
        return len(looks) == 5 and all(look == looks[0] for look in looks) and len(looks[0]) == READY * PROCESSES[level]

    assert await asyncio.to_thread(until, stands)
    return looks[0]


async def test_what_is_asked_for_once_is_not_pooled(level: str) -> None:
    wall = pooled(level)
    await ask_once(wall, memory=300 << 20)
    processes, open_ones = descendants(), descriptors()
    await ask_once(wall, memory=301 << 20)
    await ask_once(wall, memory=302 << 20)
    assert until(lambda: descendants() <= processes)
    assert descriptors() == open_ones


async def test_what_is_asked_for_again_stands_ready_and_is_given_once(level: str) -> None:
    wall = pooled(level)
    waiting = await stand_ready(wall, level)
    async with session(wall) as ask:
        assert ask.pipe.level == level
        assert await ask("kept = 1; result = open('left', 'w').write('x')") == 1
    assert until(lambda: len(waiting - descendants()) == PROCESSES[level])
    for _ in range(4):
        assert await ask_once(wall, "import os; result = ['kept' in globals(), os.path.exists('left')]") == [
            False,
            False,
        ]


async def test_one_of_the_shelf_says_what_it_writes_and_how_it_ends(level: str) -> None:
    wall = pooled(level)
    await stand_ready(wall, level)
    async with session(wall) as ask:
        await ask("import os; os.write(1, b'out'); os.write(2, b'err')")
        assert ask.written == {"stdout": b"out", "stderr": b"err"}
        await ask.tell("os._exit(3)")
        assert (await ask.pipe.ended()).detail == "status 3"


async def test_other_limits_are_another_shelf(level: str) -> None:
    wall = pooled(level)
    await stand_ready(wall, level)
    bound = "import resource; result = resource.getrlimit(resource.RLIMIT_FSIZE)[0]"
    assert await ask_once(wall, bound, scratch=3 << 20) == 3 << 20
    assert await ask_once(wall, bound) == Limits().scratch


async def test_more_at_once_than_stand_ready_are_all_served(level: str) -> None:
    wall = pooled(level)
    await stand_ready(wall, level)
    async with AsyncExitStack() as stack:
        asks = [await stack.enter_async_context(session(wall)) for _ in range(3 * READY)]
        for number, ask in enumerate(asks):
            await ask(f"mine = {number}")
        assert [await ask("result = mine") for ask in asks] == list(range(3 * READY))


async def test_emptied_it_leaves_no_process_and_no_descriptor(level: str) -> None:
    wall = pooled(level)
    await ask_once(wall)
    processes, open_ones = descendants(), descriptors()
    for _ in range(5):
        await ask_once(wall)
    POOL.empty()
    assert until(lambda: descendants() <= processes)
    assert descriptors() == open_ones


def test_it_serves_one_event_loop_after_the_other(level: str) -> None:
    wall = pooled(level)
    asyncio.run(stand_ready(wall, level))
    for number in range(5):
        assert asyncio.run(ask_once(wall, f"result = {number}")) == number


async def test_a_launcher_that_dies_with_its_shelf_is_replaced(level: str) -> None:
    wall = pooled(level)
    waiting = await stand_ready(wall, level)
    mine = {pid for pid in descendants() if _stat(pid)[1] == str(os.getpid())}
    launchers = {pid for pid in mine if waiting & descendants(pid)}
    assert launchers
    for pid in launchers:
        os.kill(pid, signal.SIGKILL)
    assert until(lambda: all(_state(str(pid)) in ("", "Z", "X") for pid in launchers | waiting))
    assert await ask_once(wall, "result = 'again'") == "again"
    assert until(lambda: not waiting & descendants())


async def test_a_shelf_that_nobody_asks_of_is_emptied(level: str) -> None:
    wall = pooled(level)
    async with session(wall) as ask:
        assert ask.pipe.level == level
        processes, open_ones = descendants(), descriptors()
        pool = Pool(idle=0.2)
        bounds = (("memory", 1 << 29), ("threads", 8), ("scratch", 1 << 20), ("inodes", 100))
        kind = Kind(launcher(find(None), wall._parts), "plain", bounds)
        assert (pool.take(kind, 1), pool.take(kind, 1)) == (None, None)
        assert until(lambda: len(descendants() - processes) == PROCESSES[level])
        assert until(lambda: descendants() <= processes and descriptors() == open_ones)
        assert pool.take(kind, 1) is None


async def test_several_are_made_at_once_and_one_that_does_not_stand_yet_may_be_taken(level: str) -> None:
    wall = pooled(level)
    async with session(wall):
        pool = Pool()
        bounds = (("memory", 1 << 29), ("threads", 8), ("scratch", 1 << 20), ("inodes", 100))
        kind = Kind(launcher(find(None), wall._parts), "plain", bounds)
        processes, open_ones = descendants(), descriptors()
        assert (pool.take(kind, 2), pool.take(kind, 2)) == (None, None)
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        try:
            assert until(lambda: len(pool._shelves[kind].ready) == 2)
            taken = pool.take(kind, 2)
            assert taken is not None
            taken.close()
            assert until(lambda: len(pool._shelves[kind].ready) == 2)
        finally:
            for pid in processes:
                os.kill(pid, signal.SIGCONT)
        assert until(lambda: pool.settled() and all(ends.word for ends in pool._shelves[kind].ready))
        pool.empty()
        assert until(lambda: descendants() <= processes and descriptors() == open_ones)


async def test_a_forked_copy_of_the_host_fills_a_shelf_of_its_own(level: str) -> None:
    wall = pooled(level)
    waiting = await stand_ready(wall, level)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = sum(asyncio.run(ask_once(wall, "result = 14")) for _ in range(3))
        finally:
            POOL.empty()
            os._exit(code)
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    assert os.waitstatus_to_exitcode(status) == 42
    assert waiting <= descendants()
    assert await ask_once(wall, "result = 'alive'") == "alive"


HOST = """
import asyncio, sys
sys.path[:0] = {paths!r}
from test_pool import descendants, pooled, stand_ready
asyncio.run(stand_ready(pooled({level!r}), {level!r}))
print(*descendants(), flush=True)
{last}
"""


@pytest.mark.parametrize(
    "last", ["", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"], ids=["left", "killed"]
)
def test_when_the_host_goes_its_shelf_goes(level: str, last: str) -> None:
    at(level)
    program = HOST.format(paths=[str(HERE), str(HERE.parents[1] / "src")], level=level, last=last)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert not done.stderr
    pids = done.stdout.split()
    assert pids
    assert until(lambda: all(_state(pid) in ("", "Z") for pid in pids))  # who reaps orphans is not us


def _state(pid: str) -> str:
    try:
        return _stat(int(pid))[0]
    except OSError:
        return ""


def _stat(pid: int) -> list[str]:
    """From the third field on: the state, the parent."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def with_guest(level: str) -> LinuxSandbox:
    """The same, with the guest that ships in place of one that says what it is told to."""
    return LinuxSandbox(ready=READY, _parts=Parts(pooled(level)._parts.entry))


async def stands(told: bool) -> None:
    """Wait until the shelf is full of sessions that have heard their first word, or of such that have not."""

    def full() -> bool:
        (shelf,) = POOL._shelves.values()
        return len(shelf.ready) == READY and all((ends.told is not None) == told for ends in shelf.ready)

    assert await asyncio.to_thread(until, full)


async def test_who_asks_for_the_same_again_finds_it_told_already_and_other_tools_are_not_mixed_up(level: str) -> None:
    wall = with_guest(level)

    async def ask(*tools: Any, imports: tuple[str, ...] = ()) -> str | None:
        async with Cells(wall, Policy(imports=Imports(imports)), [tool(one) for one in tools]) as cells:
            named = "sorted(name for name in ('first', 'second') if name in vars(__builtins__))"
            outcome = await cells.run(f"{named}, {tools[0].__name__}()" if tools else named)
            assert outcome.ok, outcome.error
            return outcome.value

    def first() -> int:
        return 1

    def second() -> int:
        return 2

    for _ in range(2 + READY):
        assert await ask(first) == "(['first'], 1)"
    await stands(told=True)
    assert await ask(first) == "(['first'], 1)"
    await stands(told=True)
    assert await ask(second) == "(['second'], 2)"
    assert await ask() == "[]"
    assert await ask(first) == "(['first'], 1)"
    for one, other in [(second, "(['second'], 2)"), (first, "(['first'], 1)")] * 3:
        assert await ask(one) == other


async def test_a_session_that_was_told_and_killed_on_the_shelf_is_not_given_away(level: str) -> None:
    wall = with_guest(level)
    for _ in range(2 + READY):
        async with Cells(wall, Policy()) as cells:
            assert (await cells.run("1")).value == "1"
    await stands(told=True)
    (shelf,) = POOL._shelves.values()
    for ends in list(shelf.ready):
        assert ends.process is not None
        ends.process.signal(signal.SIGKILL)
        assert await asyncio.to_thread(until, lambda ends=ends: ends.ended)
    async with Cells(wall, Policy()) as cells:
        assert (await cells.run("2")).value == "2"


async def test_the_first_cell_of_a_session_that_stood_ready_may_print_more_than_a_pipe_holds(level: str) -> None:
    wall = with_guest(level)
    for _ in range(2 + READY):
        async with Cells(wall, Policy()) as cells:
            outcome = await cells.run("print('x' * 500_000)")
            assert len(outcome.stdout) == 500_001

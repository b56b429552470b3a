"""Time travel behind the real wall: what a snapshot holds, what a fork shares, and that nothing is left of either."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from sessions import LEVELS
from talk import descendants, until

from codeact.cells import Cells
from codeact.core.errors import SandboxUnavailable, SnapshotRefused
from codeact.core.execution import ALL, Limits, Policy
from codeact.interpreter import Interpreter
from codeact.sandboxes.linux import LinuxSandbox

LIMITS = Limits(seconds=20, grace=0.3, memory=1 << 29, scratch=16 << 20)
FULL = LEVELS["full"]
# what lies in the scratch, but for a checkout of ours that is below its path and so is shown there
LISTED = f"sorted(set(os.listdir()) - {set(Path(sys.prefix).parts[2:3])!r})"


@asynccontextmanager
async def python(limits: Limits = LIMITS, wall: LinuxSandbox = FULL, *, snapshots: bool = True) -> AsyncIterator[Cells]:
    """An interpreter that can be copied; afterwards nothing is left of it."""
    try:
        async with Cells(wall, Policy(limits)):
            pass
    except SandboxUnavailable as unavailable:
        pytest.skip(f"this machine has no level full: {unavailable}")
    before, files = descendants(), len(os.listdir("/proc/self/fd"))
    async with Cells(wall, Policy(limits, imports=ALL, snapshots=snapshots)) as cells:
        if snapshots and wall is FULL and "snapshots" not in cells.level.split("+"):
            pytest.skip(f"this machine lets no fork be watched: {cells._interpreter._guest.pipe.obstacle}")  # type: ignore[union-attr]
        launchers = zygotes()
        yield cells
    if launchers != zygotes():
        return  # a new one stands, which is there to stay
    assert until(lambda: descendants() <= before), descendants() - before
    assert len(os.listdir("/proc/self/fd")) == files


def zygotes() -> list[int]:
    """The launchers, all of whose sessions end with them."""
    found = []
    for pid in descendants():
        with contextlib.suppress(OSError):
            if "entry.py" in Path(f"/proc/{pid}/cmdline").read_text():
                found.append(pid)
    return found


async def value(cells: Cells, code: str) -> Any:
    """The value of a cell that must run to its end."""
    outcome = await cells.run(code)
    assert outcome.ok, outcome.error and outcome.error.traceback
    return None if outcome.value is None else ast.literal_eval(outcome.value)


async def run(cells: Cells, code: str) -> None:
    await value(cells, f"{code}\nNone")


# What is made before a snapshot, what is done after it, and what is there again: by name.
HELD: dict[str, tuple[str, str, str, Any]] = {
    "values": ("x = {'a': [1, 2]}", "x['a'].append(3); del x", "x", {"a": [1, 2]}),
    "a function and what it closed over": (
        "def counter(n):\n def up():\n  nonlocal n; n += 1; return n\n return up\nup = counter(0); up()",
        "up(); up()",
        "up()",
        2,
    ),
    "a generator in the middle": ("g = (i * i for i in range(10)); next(g), next(g)", "list(g)", "next(g)", 4),
    "an instance of a class": (
        "class P:\n    def __init__(self): self.n = 1\np = P()",
        "p.n = 5; P.n = 9; del P",
        "p.n, type(p) is P",
        (1, True),
    ),
    "a module's state": (
        "import decimal; decimal.getcontext().prec = 7",
        "decimal.getcontext().prec = 3",
        "decimal.getcontext().prec",
        7,
    ),
    "a file that was changed": (
        "open('a', 'w').write('before')",
        "open('a', 'w').write('after that')",
        "open('a').read()",
        "before",
    ),
    "a file that was deleted, and one that was made": (
        "import os; os.makedirs('d/e'); open('d/e/a', 'w').write('here'); os.symlink('d/e/a', 'link')",
        "import shutil; shutil.rmtree('d'); os.unlink('link'); os.mkdir('other'); open('other/new', 'w').write('x')",
        f"{LISTED}, open('link').read(), os.readlink('link')",
        (["d", "link", "outputs"], "here", "d/e/a"),
    ),
    "a folder where a file was, and a file where a folder was": (
        "import os; open('a', 'w').write('a'); os.mkdir('b'); open('b/c', 'w').write('c')",
        "os.unlink('a'); os.mkdir('a'); open('a/x', 'w').close(); os.unlink('b/c'); os.rmdir('b'); open('b', 'w')",
        "open('a').read() + open('b/c').read()",
        "ac",
    ),
    "modes and times": (
        "import os; open('a', 'w').write('a'); os.utime('a', (1000, 1000)); os.mkdir('b'); open('b/c', 'w').close(); "
        "os.chmod('b/c', 0); os.chmod('b', 0)",
        "os.chmod('b', 0o700); os.unlink('b/c'); os.chmod('a', 0o777); open('a', 'w').write('b')",
        "[os.stat('a').st_mtime, os.stat('a').st_mode & 0o777, os.stat('b').st_mode & 0o777, os.chmod('b', 0o700), "
        "os.stat('b/c').st_mode & 0o777]",
        [1000.0, 0o644, 0, None, 0],
    ),
    "the working directory": (
        "import os; os.mkdir('sub'); os.chdir('sub')",
        "os.chdir('..'); os.rmdir('sub')",
        "os.path.basename(os.getcwd()), os.listdir()",
        ("sub", []),
    ),
    "an open file, where it stood": (
        "f = open('lines', 'w+'); f.write('one\\ntwo\\nthree\\n'); f.seek(0); f.readline()",
        "f.seek(0); f.truncate(); f.write('nothing'); f.close(); import os; os.unlink('lines')",
        "f.readline(), f.readline()",
        ("two\n", "three\n"),
    ),
    "an open file that was being written": (
        "f = open('log', 'w'); f.write('first, '); f.flush(); f.write('second')",
        "f.write(' and never'); f.close()",
        "[f.write(', third'), f.close(), open('log').read()][-1]",
        "first, second, third",
    ),
    "a file without a name": (
        "import tempfile; t = tempfile.TemporaryFile(); t.write(b'0123456789'); t.seek(4)",
        "t.seek(0); t.write(b'xxxxxxxxxxxx'); t.close()",
        "t.read()",
        b"456789",
    ),
    "two files whose names were swapped": (
        "import os; open('a', 'w').write('a'); open('b', 'w').write('b')",
        "os.rename('a', 'c'); os.rename('b', 'a'); os.rename('c', 'b')",
        "open('a').read() + open('b').read()",
        "ab",
    ),
    "a file that became another's second name": (
        "import os; open('a', 'w').write('a'); open('b', 'w').write('b')",
        "os.unlink('b'); os.link('a', 'b')",
        "open('a').read() + open('b').read()",
        "ab",
    ),
    "a database": (
        "import sqlite3; db = sqlite3.connect('data.db'); db.execute('create table t (n)'); "
        "db.executemany('insert into t values (?)', [(n,) for n in range(100)]); db.commit()",
        "db.execute('delete from t'); db.commit(); db.execute('vacuum'); db.close()",
        "[db.execute('insert into t values (100)'), db.commit(), db.execute('select count(*) from t').fetchone()[0], "
        "sqlite3.connect('data.db').execute('pragma integrity_check').fetchone()[0]][2:]",
        [101, "ok"],
    ),
    "an event loop, with what waits in it": (
        "import asyncio\nasync def late():\n    await asyncio.sleep(0.01)\n    return 'late'\n"
        "task = asyncio.create_task(late()); gate = asyncio.Event(); queue = asyncio.Queue(); await queue.put(1)",
        "print(await task); await queue.get(); del task",
        "await task, await queue.get(), await asyncio.to_thread(len, 'abc')",
        ("late", 1, 3),
    ),
    "a thread pool of the event loop that has nothing to do": (
        "import asyncio; await asyncio.to_thread(len, 'abc')",
        "await asyncio.to_thread(len, 'abc')",
        "await asyncio.to_thread(len, 'abc')",
        3,
    ),
    "where output goes": ("import sys; old = sys.stdout", "sys.stdout = None", "sys.stdout is old", True),
    "the import policy and the tools": (
        "import builtins",
        "del builtins.final_answer; builtins.__import__ = None",
        "callable(final_answer)",
        True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", HELD)
async def test_a_snapshot_holds(what: str) -> None:
    before, change, question, expected = HELD[what]
    async with python() as cells:
        await run(cells, before)
        point = await cells.snapshot()
        for _ in range(2):
            await run(cells, change)
            await cells.restore(point)
            assert await value(cells, question) == expected
            await cells.restore(point)
        outcome = await cells.run("import os; os._exit(3)")
        assert (outcome.ended, outcome.kept) == ("exit", False)
        await cells.restore(point)
        assert await value(cells, question) == expected


@pytest.mark.skipif(not find_spec("numpy"), reason="numpy is not installed")
async def test_a_snapshot_holds_arrays_and_their_threads_do_not_matter() -> None:
    async with python() as cells:
        await run(cells, "import numpy as np; a = np.arange(1e6); b = np.ones((300, 300)); s = (b @ b).sum()")
        point = await cells.snapshot()
        await run(cells, "a[:] = 0; b[:] = 0; b @ b")
        await cells.restore(point)
        assert await value(cells, "float(a.sum()), float((b @ b).sum()) == float(s)") == (499999500000.0, True)
        async with await cells.fork() as other:
            assert await value(other, "float((b @ b).sum()) == float(s)") is True


DEAF = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
while True: pass
"""
GREEDY = """
keep = []
while True:
    try:
        while True: keep.append(b"x" * 4096 + bytes(4096))
    except BaseException: pass
"""
DEATHS = {
    "killed": ("import os; os.kill(os.getpid(), 9)", "signal"),
    "left": ("import os; os._exit(0)", "exit"),
    "too long": (DEAF, "timeout"),
    "too large": (GREEDY, "memory"),
    "crashed": ("import ctypes; ctypes.string_at(0)", "signal"),
}


@pytest.mark.parametrize("how", DEATHS)
async def test_after_any_death_the_snapshot_is_there(how: str) -> None:
    code, ended = DEATHS[how]
    async with python(Limits(seconds=1, grace=0.2, memory=1 << 28)) as cells:
        await run(cells, "x = 41; open('f', 'w').write('kept')")
        point = await cells.snapshot()
        for _ in range(2):
            outcome = await cells.run(code)
            if how != "too large":  # which of the ways there it takes is the kernel's choice
                assert (outcome.ended, outcome.kept) == (ended, False), outcome
            await cells.restore(point)
            assert await value(cells, "x + 1, open('f').read()") == (42, "kept")


async def test_restored_and_forked_interpreters_draw_other_numbers() -> None:
    draw = (
        "import random, uuid, ssl, os, secrets\n"
        "str((random.random(), uuid.uuid4(), uuid.uuid1(), ssl.RAND_bytes(8), os.urandom(8), secrets.token_hex(8)))"
    )
    async with python() as cells:
        await run(cells, draw)
        point = await cells.snapshot()
        drawn = [await value(cells, draw)]
        for _ in range(3):
            await cells.restore(point)
            drawn.append(await value(cells, draw))
        async with await cells.fork() as other:
            drawn += [await value(other, draw), await value(cells, draw)]
        assert len({part for each in drawn for part in each.split(", ")}) == 6 * len(drawn)


@pytest.mark.parametrize("collects", [True, False])
async def test_garbage_is_collected_behind_a_copy_as_it_was_before(collects: bool) -> None:
    async with python() as cells:
        await run(cells, f"import gc; gc.{'enable' if collects else 'disable'}()")
        point = await cells.snapshot()
        await run(cells, f"gc.{'disable' if collects else 'enable'}()")
        await cells.restore(point)
        assert await value(cells, "gc.isenabled()") is collects
        async with await cells.fork() as other:
            assert await value(other, "gc.isenabled()") is collects


# -- forks -------------------------------------------------------------------------------------------------------------


async def test_a_fork_has_files_of_its_own() -> None:
    async with python() as cells:
        await run(cells, "import os, tempfile; open('f', 'w').write('one'); log = open('log', 'w'); os.mkdir('d')")
        await run(cells, "tempfile.gettempdir()")
        point = await cells.snapshot()
        async with await cells.fork() as other:
            await run(other, "open('f', 'w').write('two'); log.write('other'); log.flush(); open('d/new', 'w').close()")
            await run(cells, "log.write('this'); log.flush()")
            seen = f"open('f').read(), open('log').read(), {LISTED}, os.listdir('d')"
            assert await value(other, seen) == ("two", "other", ["d", "f", "log", "outputs"], ["new"])
            assert await value(cells, seen.replace(LISTED, "['d', 'f', 'log']")) == (
                "one", "this", ["d", "f", "log"], [],
            )  # fmt: skip
            told = "os.environ['HOME'] == os.environ['TMPDIR'] == tempfile.gettempdir() == os.getcwd()"
            assert await value(other, told) is True
            theirs = await other.snapshot()
            await cells.restore(point)
            await run(other, "open('f', 'w').write('three')")
            await other.restore(theirs)
            assert await value(other, "open('f').read()") == "two"
            assert await value(cells, "open('f').read(), open('log').read()") == ("one", "")
        second = await cells.fork()
        assert await value(cells, "[name[-1] for name in os.listdir() if name[0] == '.']") == ["2"]
        assert await value(second, LISTED) == ["d", "f", "log", "outputs"]


async def test_a_fork_lives_on_when_the_other_dies_and_either_way_round() -> None:
    async with python() as cells:
        await run(cells, "import os; x = 1")
        other = await cells.fork()
        third = await other.fork()
        assert (await other.run("os._exit(5)")).ended == "exit"
        assert (await cells.run("os.kill(os.getpid(), 9)")).ended == "signal"
        assert await value(third, "x") == 1
        fourth = await third.fork()
        await third.close()
        ended = await fourth.run("os._exit(6)")
        assert ended.gone is not None and ended.gone.why == "the interpreter left by itself (status 6)"
        with pytest.raises(RuntimeError, match="was closed"):
            await third.run("1")
        assert await value(cells, "'x' in globals()") is False


async def test_both_sides_of_a_fork_wait_and_work_at_once() -> None:
    async with python() as cells:
        await run(
            cells,
            "import asyncio; start = asyncio.Event(); t = asyncio.ensure_future(start.wait()); await asyncio.sleep(0)",
        )
        async with await cells.fork() as other:
            both = "start.set(); await t; [await asyncio.to_thread(sum, range(n)) for n in range(20)][-1]"
            assert await asyncio.gather(*(value(each, both) for each in (cells, other))) == [171, 171]
            outcomes = await asyncio.gather(*(each.run("for i in range(300): print(i)") for each in (cells, other)))
            assert [outcome.stdout for outcome in outcomes] == ["".join(f"{i}\n" for i in range(300))] * 2


async def test_an_interrupt_is_of_the_one_that_it_is_meant_for() -> None:
    async with python() as cells, await cells.fork() as other:
        endless = asyncio.ensure_future(other.run("while True: pass"))
        assert await value(cells, "6 * 7") == 42
        other.interrupt()
        stopped = await endless
        assert stopped.error is not None and stopped.kept


# -- bounds ------------------------------------------------------------------------------------------------------------


async def test_a_thread_that_still_runs_is_counted_and_nothing_is_copied() -> None:
    looks = "import sys\n'write' in vars(sys.stdout)"  # at who prints: where threads of earlier cells live
    async with python() as cells:
        assert not await value(cells, looks)
        await run(
            cells, "import threading; go = threading.Event(); ts = [threading.Thread(target=go.wait) for _ in 'ab']"
        )
        await run(cells, "[t.start() for t in ts]")
        assert await value(cells, looks)
        with pytest.raises(SnapshotRefused, match="2 threads of the cells are still running: wait for them first"):
            await cells.snapshot()
        await run(cells, "go.set(); [t.join() for t in ts]")
        await cells.restore(await cells.snapshot())
        assert not await value(cells, looks)


async def test_a_thread_that_python_does_not_know_is_counted_too() -> None:
    code = (
        "import ctypes\nc = ctypes.CDLL(None)\nt = ctypes.c_ulong()\n"
        "assert c.pthread_create(ctypes.byref(t), None, ctypes.cast(c.pause, ctypes.c_void_p), None) == 0"
    )
    async with python() as cells:
        await run(cells, code)
        with pytest.raises(SnapshotRefused, match="1 thread of a library is still running"):
            await cells.snapshot()
        assert await value(cells, "1") == 1


async def test_snapshots_are_bounded_in_number_and_in_memory() -> None:
    async with python(Limits(snapshots=2, snapshot_memory=64 << 20)) as cells:
        points = [await cells.snapshot() for _ in range(2)]
        with pytest.raises(SnapshotRefused, match="2 snapshots and 0 forks are held"):
            await cells.snapshot()
        for point in points:
            await point.drop()
        await run(cells, "data = bytearray(40 << 20)")
        point = await cells.snapshot()
        with pytest.raises(SnapshotRefused, match=r"the snapshots would hold \d+ MiB, and 64 MiB are allowed"):
            await cells.snapshot()
        await point.drop()
        await cells.snapshot()


async def test_a_scratch_that_does_not_fit_is_refused_and_all_go_on() -> None:
    async with python() as cells:
        point = await cells.snapshot()
        await run(cells, "x = 1\nfor name in 'ab': open(name, 'w').truncate(10 << 20)")
        for _ in range(3):
            with pytest.raises(SnapshotRefused, match="more than fit into a snapshot: delete some first"):
                await cells.snapshot()
        assert await value(cells, "x") == 1
        await cells.restore(point)


async def test_ten_that_replace_each_other_leave_nothing() -> None:
    async with python() as cells:
        wall, policy = FULL, Policy(LIMITS, imports=ALL, snapshots=True)
        async with Interpreter(wall, policy, keep=True) as kept:

            async def cell(number: int, code: str) -> Any:
                return await kept.run(number, code, bytes(16), None, lambda delta: None)  # type: ignore[arg-type]

            await cell(1, "x = 0")
            await kept.settled()
            processes, files = len(descendants()), len(os.listdir("/proc/self/fd"))
            for number in range(2, 12):
                assert (await cell(number, f"x += 1; open('f', 'w').write('{number}')")).ok
                await kept.settled()
                assert (kept.kept_at, kept.unkept) == (number, "")
            assert len(descendants()) <= processes + 1  # the last one to end is taken away at the next copy
            assert len(os.listdir("/proc/self/fd")) == files
            for number in range(12, 22):
                outcome = await cell(number, "import os; os._exit(1)")
                assert outcome.kept and outcome.gone is not None and outcome.gone.restored == 11
            assert len(descendants()) <= processes + 1
            assert len(os.listdir("/proc/self/fd")) == files
            assert (await cell(22, "x, open('f').read(), os.listdir()")).error is not None
            assert (await cell(23, f"import os; x, open('f').read(), {LISTED}")).value == "(10, '11', ['f', 'outputs'])"
        assert await value(cells, "1") == 1


# -- what cannot be copied says so -------------------------------------------------------------------------------------


async def test_where_snapshots_were_not_asked_for_the_error_says_how() -> None:
    async with python(snapshots=False) as cells:
        assert cells.level == "full"
        with pytest.raises(SnapshotRefused, match="make it with snapshots=True"):
            await cells.snapshot()


async def test_at_the_level_plain_the_interpreter_starts_and_a_snapshot_is_refused() -> None:
    async with python(wall=LEVELS["plain"]) as cells:
        assert cells.level == "plain"
        with pytest.raises(SnapshotRefused, match="snapshots need the level full"):
            await cells.snapshot()
        assert await value(cells, "6 * 7") == 42


async def test_the_level_is_stamped() -> None:
    async with python() as cells:
        assert cells.level == "full+snapshots"


# -- nothing outlives its masters --------------------------------------------------------------------------------------


async def test_when_the_zygote_is_killed_all_copies_go_with_it() -> None:
    async with python() as cells:
        await run(cells, "x = 1")
        point = await cells.snapshot()
        other = await cells.fork()
        standing = {each for pid in zygotes() for each in descendants(pid)}
        assert len(standing) >= 4
        for pid in zygotes():
            with contextlib.suppress(ProcessLookupError):  # it went with its parent
                os.kill(pid, signal.SIGKILL)
        assert until(lambda: not standing & descendants())
        assert not (await cells.run("while True: pass")).kept
        assert not (await other.run("while True: pass")).kept
        with pytest.raises(SnapshotRefused, match="cannot be restored"):
            await cells.restore(point)
        assert await value(cells, "'x' in globals()") is False

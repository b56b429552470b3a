"""What the wall costs: a session's start from the pool and from the zygote, a cell, a tool call, a copy, memory.

Each beside the plain thing on the same machine: starting `python -I -S -c pass`, starting a Python that imports numpy
and pandas, a line run by a plain CPython over pipes, a bare round trip, a fork of a plain CPython that holds the same
objects, and the memory of such a process. The memory is PSS: what is shared is divided by those who share it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path

import beside
import pairs
from processes import below, pss

from codeact import Interpreter, SnapshotRefused
from codeact.cells import Cells
from codeact.core.execution import Imports, Policy
from codeact.sandboxes.linux import LinuxSandbox

ECHO = "import json, sys\nfor line in sys.stdin: print(json.dumps(json.loads(line)), flush=True)"
BREATH = 0.05  # seconds between two sessions: what the pool needs to stand ready again


async def at_once(text: str) -> str:
    return text


def a_start(loop: asyncio.Runner, ready: int, names: tuple[str, ...]) -> Callable[[], float]:
    """The time until the first cell of a session is done; its end is not counted."""
    wall, policy = LinuxSandbox(ready=ready), Policy(imports=Imports(names))

    async def start() -> float:
        await asyncio.sleep(BREATH)
        clock = asyncio.get_running_loop().time
        began = clock()
        async with Cells(wall, policy) as cells:
            assert (await cells.run("x = 1")).ok
            return clock() - began

    return lambda: loop.run(start())


def one_after_another(loop: asyncio.Runner, ready: int, count: int) -> Callable[[], float]:
    """The time of a whole session, its end included, where the next one is asked for at once."""
    wall, policy = LinuxSandbox(ready=ready), Policy()

    async def all_of_them() -> None:
        for _ in range(count):
            async with Cells(wall, policy) as cells:
                assert (await cells.run("x = 1")).ok

    return lambda: pairs.timed(lambda: loop.run(all_of_them()))() / count


def a_program(code: str) -> Callable[[], float]:
    """The time of a plain CPython that is started for this alone."""
    flags = ["-I", "-S"] if code == "pass" else ["-I"]
    return pairs.timed(lambda: subprocess.run([sys.executable, *flags, "-c", code], check=True))


async def memory_of_sessions(count: int, names: tuple[str, ...]) -> float:
    """PSS of a session in MiB, the median of so many that live at once and have run a cell."""
    wall, policy = LinuxSandbox(), Policy(imports=Imports(names))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(Cells(wall, policy))
        before = below(os.getpid())
        for _ in range(count):
            cells = await stack.enter_async_context(Cells(wall, policy))
            assert (await cells.run("x = 1")).ok
        taken = sorted(map(pss, below(os.getpid()) - before))
    return statistics.median(taken[-count:])  # not the inits, which are far smaller


def memory_of_a_program(code: str) -> float:
    """PSS in MiB of a plain CPython after this code."""
    plain = pairs.Plain()
    plain.run(code)
    taken = max(pss(pid) for pid in below(os.getpid()) if b"for line in sys.stdin" in commandline(pid))
    plain.close()
    return taken


def commandline(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


A_FORK = (
    "import os, time; began = time.perf_counter(); child = os.fork(); child or os._exit(0); os.waitpid(child, 0); "
    "answer = time.perf_counter() - began"
)


def copies(size: int, options: argparse.Namespace) -> None:
    """To take a snapshot and to go back to it, with so many MiB of small objects; a plain fork ends at once."""
    objects = f"data = [str(n) for n in range({size * 15_600})]"
    with Interpreter(sandbox=options.sandbox, seconds=300, memory="4GiB") as python:
        plain = pairs.Plain()
        try:
            point = python.snapshot()
        except SnapshotRefused as refused:
            print(f"\nNo copies: {refused}")
            return
        point.drop()
        assert python.run(objects).ok
        plain.run(objects)

        def snapshot() -> float:
            began = time.perf_counter()
            taken = python.snapshot()
            spent = time.perf_counter() - began
            taken.drop()
            return spent

        kept = python.snapshot()
        back = pairs.timed(lambda: python.restore(kept))
        fork: Callable[[], float] = lambda: float(plain.run(A_FORK))  # noqa: E731
        taken = [
            pairs.compare("a snapshot", snapshot, fork, options.rounds),
            pairs.compare("back to it", back, fork, options.rounds),
        ]
        pairs.show(f"With {size} MiB of objects, level {python.level}", taken, "a bare fork")
        plain.close()


def main() -> None:
    more = (
        ("--with-neighbours", "install other interpreters of Python for agents and measure them in the same run"),
        ("--picture", "draw that as an SVG to this file"),
    )
    options = pairs.arguments(
        __doc__, rounds=20, scale="how many calls a round makes, and sessions for memory", more=more
    )
    if options.with_neighbours:
        beside.main(options.rounds, options.scale, options.picture)
        return
    names = tuple(name for name in ("numpy", "pandas") if find_spec(name))
    both = f"import {', '.join(names)}" if names else "pass"
    with asyncio.Runner() as loop:
        starts = [("from the pool", 2, ()), ("from the zygote", 0, ()), ("from the pool, with numpy, pandas", 2, names)]
        taken = []
        for what, ready, wanted in starts:
            plain = a_program(both if wanted else "pass")
            taken.append(pairs.compare(what, a_start(loop, ready, wanted), plain, options.rounds))
        pairs.show("Until the first cell is done", taken, "a fresh CPython")
        whole = one_after_another(loop, 2, max(5, round(20 * options.scale)))
        taken = [pairs.compare("a session with one cell", whole, a_program("pass"), options.rounds)]
        pairs.show("One after another, to the end of each", taken, "a fresh CPython")

    def echo(calls: int) -> Callable[[], float]:
        cell = (
            "import time\nstart = time.perf_counter()\n"
            f"for _ in range({calls}): at_once('0123456789')\ntaken = (time.perf_counter() - start) / {calls}"
        )

        def take() -> float:
            assert python.run(cell).ok
            return float(python.get("taken"))

        return take

    with Interpreter(tools=[at_once], sandbox=options.sandbox) as python:
        plain_line, bare = pairs.Plain(), pairs.Plain(ECHO)
        calls = max(1, round(300 * options.scale))
        trip = pairs.timed(lambda: [bare.run(json.dumps(["echo", "0123456789"])) for _ in range(calls)])
        cell = pairs.compare(
            "a cell", pairs.timed(lambda: python.run("x = 1")), pairs.timed(lambda: plain_line.run("x = 1")), 200
        )
        call = pairs.compare("a tool call", echo(calls), lambda: trip() / calls, options.rounds)
        pairs.show(f"At work, level {python.level}", [cell, call], "over pipes")
        plain_line.close(), bare.close()

    for size in (10, 500):
        copies(max(1, round(size * options.scale)), options)

    print(f"\nMemory of a session in MiB\n{'':32}{'codeact':>12}{'a process of its own':>24}{'ratio':>10}")
    for what, wanted, code in (("bare", (), "pass"), ("with numpy, pandas", names, both)):
        try:
            ours = asyncio.run(memory_of_sessions(max(2, round(50 * options.scale)), wanted))
        except PermissionError:
            print(f"{what:32}{'not to be seen by this user':>36}")
            continue
        theirs = memory_of_a_program(code)
        print(f"{what:32}{ours:>12.3g}{theirs:>24.3g}{ours / theirs:>10.3g}")


if __name__ == "__main__":
    main()

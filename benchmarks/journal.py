"""What it costs to keep a run: its share of a step, an event, a long run read again, a hundred runs at once.

Each journal beside the one in memory. Postgres is a server of the tests' own, where one can be started; it and the file
lie below `--folder`, by default that for what is temporary.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import json
import sqlite3
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import journal_step
from agent_step import Instant, play
from kept import stores

from codeact import CodeAgent
from codeact.core.events import (
    CodeRan,
    CodeStarted,
    Event,
    ModelAsked,
    ModelReplied,
    RunStarted,
    SandboxReady,
    TaskGiven,
    ToolCalled,
    ToolReturned,
)
from codeact.core.execution import Limits, Outcome, Returned
from codeact.core.messages import Reply, Usage
from codeact.core.state import State, after
from codeact.testing import FakeSandbox

STEP = 6  # events of a step with one tool call
LONG = 10_000  # events of a run that is read again; goal: a second


def events(count: int) -> Iterator[Event]:
    """A run of so many events, about."""
    yield RunStarted("benchmark", "linux", limits=Limits(steps=count))
    yield SandboxReady("full", "3.11.0")
    yield TaskGiven("Look at all of them.", steps=count)
    for step in range(1, count // STEP + 1):
        source, key = f"seen_{step % 40} = look({step})\nprint(seen_{step % 40})", f"{step:032x}"
        text = f"I look at number {step}.\n```python\n{source}\n```"
        yield ModelAsked(step)
        yield ModelReplied(Reply(text, usage=Usage(2000, 40, requests=1)))
        yield CodeStarted(step, source, bytes(16))
        yield ToolCalled(key, step, "look", {"number": step})
        yield ToolReturned(key, Returned({"number": step, "text": "what there is to be seen " * 8}))
        yield CodeRan(step, Outcome("done", stdout="what there is to be seen\n" * 8, seconds=0.01))


async def appended(kept: Any, run: str, count: int) -> float:
    """Microseconds an event."""
    journal = kept.create(run)
    made = list(events(count))
    began = time.perf_counter()
    for event in made:
        await journal.append(event)
    took = time.perf_counter() - began
    journal.close()
    return took / len(made) * 1e6


async def together(kept: Any, runs: int) -> float:
    """Seconds of so many runs at once."""
    agent = CodeAgent(model=Instant(), sandbox=FakeSandbox(play), max_steps=5, journal=kept)
    began = time.perf_counter()
    await asyncio.gather(*(agent.arun("Do the work.") for _ in range(runs)))
    return time.perf_counter() - began


def read(kept: Any, run: str) -> tuple[float, float]:
    """Seconds until a run stands again as it stood, without its cells; and those of them in which we were at work."""
    began, worked = time.perf_counter(), time.process_time()
    functools.reduce(after, (entry.event for entry in kept.entries(run)), State())
    return time.perf_counter() - began, time.process_time() - worked


def plainly(file: Path, run: str) -> float:
    """Seconds at work to read the same rows by sqlite3 and json alone: nothing is checked, and nothing made of them."""
    worked = time.process_time()
    with contextlib.closing(sqlite3.connect(file)) as rows:
        for (line,) in rows.execute("SELECT line FROM entries WHERE run = ? ORDER BY seq", (run,)):
            json.loads(line)
    return time.process_time() - worked


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--folder", help="where the file and the server lie")
    parser.add_argument("--sandbox", default="linux", help="the sandbox of the step (default: linux)")
    options = parser.parse_args()
    count, runs = max(30, int(LONG * options.scale)), max(4, int(100 * options.scale))
    table: dict[str, list[float]] = {}
    plain = float("nan")
    with stores(options.folder) as found:
        print(journal_step.table(found, options.rounds, options.scale, options.sandbox, options.folder), flush=True)
        for name, made in found.items():
            times, at_once, again, work = [], [], [0.0], [0.0]
            for round in range(options.rounds):
                times.append(asyncio.run(appended(made(), f"round {round}", count // 5)))
                at_once.append(asyncio.run(together(made(), runs)))
            if name != "memory":
                asyncio.run(appended(made(), "long", count))
                again, work = map(list, zip(*(read(made(), "long") for _ in range(options.rounds)), strict=True))
            if name == "SQLite":
                plain = min(plainly(made().path, "long") for _ in range(options.rounds))
            middle = statistics.median
            table[name] = [middle(times), middle(at_once), middle(again), min(work)]
    print(f"\n| journal | an event | {runs} runs at once | {count:,} events read again |")
    print("| --- | ---: | ---: | ---: |")
    for name, (event, several, whole, worked) in table.items():
        ratio = several / table["memory"][1]
        whole_said = f"{whole:.2f} s, {worked:.2f} s at work" if whole else "–"
        print(f"| {name} | {event:.0f} µs | {several:.2f} s, ratio {ratio:.2f} | {whole_said} |")
    ratio = table["SQLite"][3] / plain
    print(f"\nthe same rows by sqlite3 and json alone, unchecked: {plain:.3f} s at work, ratio {ratio:.1f}")
    print(f"the goal is a second for {LONG:,} events")


if __name__ == "__main__":
    main()

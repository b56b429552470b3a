"""What it costs to keep a run: its share of a step, an event, a long run read again, a hundred runs at once.

Each journal beside the one in memory. Postgres is a server of the tests' own, where one can be started; it and the file
lie below `--folder`, by default that for what is temporary.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import statistics
import time
from collections.abc import Iterator
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


def read(kept: Any, run: str) -> float:
    """Seconds until a run stands again as it stood, without its cells."""
    began = time.perf_counter()
    functools.reduce(after, (entry.event for entry in kept.entries(run)), State())
    return time.perf_counter() - began


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
    with stores(options.folder) as found:
        print(journal_step.table(found, options.rounds, options.scale, options.sandbox, options.folder), flush=True)
        for name, made in found.items():
            times, at_once, again = [], [], []
            for round in range(options.rounds):
                times.append(asyncio.run(appended(made(), f"round {round}", count // 5)))
                at_once.append(asyncio.run(together(made(), runs)))
            if name != "memory":
                asyncio.run(appended(made(), "long", count))
                again = [read(made(), "long") for _ in range(options.rounds)]
            middle = statistics.median
            table[name] = [middle(times), middle(at_once), middle(again) if again else float("nan")]
    print(f"\n| journal | an event | {runs} runs at once | {count:,} events read again |")
    print("| --- | ---: | ---: | ---: |")
    for name, (event, several, whole) in table.items():
        ratio = several / table["memory"][1]
        whole_said = "–" if whole != whole else f"{whole:.2f} s"
        print(f"| {name} | {event:.0f} µs | {several:.2f} s, ratio {ratio:.2f} | {whole_said} |")
    print(f"\nthe goal is a second for {LONG:,} events")


if __name__ == "__main__":
    main()

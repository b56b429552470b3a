"""What it costs to keep a run: an event, its share of a step, a long run read again, a hundred runs at once.

Each journal beside the one in memory. Postgres is a server of the tests' own, where one can be started; it and the file
lie below `--folder`, by default that for what is temporary. The model of the step takes a second, as real ones do.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from agent_step import Instant, play

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
from codeact.core.messages import Prompt, Reply, Usage
from codeact.core.state import State, after
from codeact.stores import store
from codeact.testing import FakeSandbox

STEP = 6  # events of a step with one tool call
LONG = 10_000  # events of a run that is read again; goal: a second
SHARE = 0.05  # of a step that the journal may take


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


class Slow(Instant):
    """A model that takes its time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    async def ask(self, prompt: Prompt, emit: Any) -> Reply:
        await asyncio.sleep(self.seconds)
        return await super().ask(prompt, emit)


class Timed:
    """A store that counts the seconds for which anybody waits for it."""

    def __init__(self, kept: Any) -> None:
        self.kept = kept
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.kept, name)

    def create(self, run: str, parent: str | None = None) -> Any:
        journal = self.kept.create(run, parent)
        append = journal.append

        async def timed(event: Event) -> Any:
            began = time.perf_counter()
            try:
                return await append(event)
            finally:
                self.seconds += time.perf_counter() - began

        journal.append = timed
        return journal

    def open(self, run: str) -> Any:
        return self.kept.open(run)


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


def share(kept: Any, steps: int, seconds: float) -> float:
    """What part of a step is spent waiting for the journal."""
    timed = Timed(kept)
    agent = CodeAgent(model=Slow(seconds), sandbox=FakeSandbox(play), max_steps=steps, journal=timed)
    began = time.perf_counter()
    agent.run("Do the work.")
    return timed.seconds / (time.perf_counter() - began)


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


@contextlib.contextmanager
def stores(folder: str | None) -> Iterator[dict[str, Callable[[], Any]]]:
    """The journals that there are here, by name."""
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)), "journal.db")
        found: dict[str, Callable[[], Any]] = {"memory": lambda: store("memory"), "SQLite": lambda: store(place)}
        sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
        with contextlib.suppress(Exception):  # no server, no client: a dash
            from journals.postgres import server

            url = stack.enter_context(server(durable=True, folder=folder)).url
            found["Postgres"] = lambda: store(url)
        yield found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--folder")
    options = parser.parse_args()
    count, seconds = max(30, int(LONG * options.scale)), min(1.0, options.scale)
    steps, runs = max(2, int(5 * seconds)), max(4, int(100 * options.scale))
    table: dict[str, list[float]] = {}
    with stores(options.folder) as found:
        for name, made in found.items():
            times, at_once, again = [], [], []
            for round in range(options.rounds):
                times.append(asyncio.run(appended(made(), f"round {round}", count // 5)))
                at_once.append(asyncio.run(together(made(), runs)))
            if name != "memory":
                asyncio.run(appended(made(), "long", count))
                again = [read(made(), "long") for _ in range(options.rounds)]
            middle = statistics.median
            part = share(made(), steps, seconds)
            table[name] = [middle(times), part, middle(at_once), middle(again) if again else float("nan")]
    print(f"| journal | an event | of a step of {seconds:g} s | {runs} runs at once | {count:,} events read again |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, (event, part, several, whole) in table.items():
        ratio = several / table["memory"][2]
        whole_said = "–" if whole != whole else f"{whole:.2f} s"
        print(f"| {name} | {event:.0f} µs | {part:.2%} | {several:.2f} s, ratio {ratio:.2f} | {whole_said} |")
    print(f"\nthe goal is {SHARE:.0%} of a step, and a second for {LONG:,} events")


if __name__ == "__main__":
    main()

"""What a step of an agent costs beside its model and its code: time and memory after 10, 100 and 800 steps.

The model says its next line at once, and the guest answers every cell at once without running it, so that what is left
is the agent: events, state, prompt, parsing, the wire. A step must not cost more the more there were before.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
import tracemalloc
from typing import Any

import pairs

from codeact import CodeAgent
from codeact.core.events import Event, ModelAsked
from codeact.core.messages import Prompt, Reply
from codeact.guest import values, wire
from codeact.testing import FakeGuest, FakeSandbox

CODE = "\n".join(f"total_{i} = sum(range({i})) + len('a line of code as a model writes it')" for i in range(12))
REPLY = f"I will go on with part {{step}} of the work.\n```python\nstep = {{step}}\n{CODE}\n```"
OUTPUT = b"a line of output, as code prints it\n" * 12
GOAL = 50_000  # bytes a step
ROOM = 20_000  # tokens of a prompt, where it is bounded


class Instant:
    """A model that always has the next cell ready."""

    name = "instant"

    async def ask(self, prompt: Prompt, emit: Any) -> Reply:
        await asyncio.sleep(0)
        return Reply(REPLY.format(step=prompt.answered))


async def play(guest: FakeGuest) -> None:
    """A guest that has done every cell before it was asked."""
    await guest.hear()
    guest.say(wire.Ready("3.11.0"))
    while True:
        run = await guest.hear()
        guest.print(OUTPUT)
        value = values.encode("42")
        guest.say(wire.Done(run.nonce, "done", 12, value, value, None, None, [], None))


def run(steps: int, **arguments: Any) -> list[float]:
    """The seconds of each step, from one question to the model to the next."""
    asked: list[float] = []

    def note(event: Any) -> None:
        if isinstance(event, ModelAsked):
            asked.append(time.perf_counter())

    agent = CodeAgent(model=Instant(), sandbox=FakeSandbox(play), max_steps=steps + 1, listeners=[note], **arguments)
    result = agent.run("Do the work.")
    assert result.stop_reason == "max_steps", result.error
    return [after - before for before, after in itertools.pairwise(asked)]


def kept(steps: int) -> int:
    """Bytes that a finished run of so many steps holds, its result included."""
    agent = CodeAgent(model=Instant(), sandbox=FakeSandbox(play), max_steps=steps)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        events: tuple[Event, ...] = agent.run("Do the work.").events
        assert events
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


def rows(at: list[int], runs: list[list[float]], plain: float) -> None:
    """What the steps took at these places: the tenth of them before each."""
    first = 0.0
    for steps in at:
        window = slice(max(0, steps - max(2, steps // 10)), steps)
        step = statistics.mean(statistics.mean(one[window]) for one in runs)
        first = first or step
        shown = f"{pairs.duration(step):>12}{pairs.duration(plain):>24}{step / plain:>10.3g}{step / first:>14.3g}"
        print(f"{f'step {steps}':32}{shown}")


def main() -> None:
    options = pairs.arguments(__doc__, rounds=5, scale="how many steps there are")
    at = [max(2, round(steps * options.scale)) for steps in (10, 100, 800)]
    run(at[0])
    runs = [run(at[-1]) for _ in range(options.rounds)]
    short = [run(at[-1], context_tokens=ROOM) for _ in range(options.rounds)]
    plain = statistics.median(pairs.timed(lambda: exec(compile(CODE, "cell", "exec"), {}))() for _ in range(200))
    print(
        f"\nA step of the agent\n{'':32}{'codeact':>12}{'plain exec of its code':>24}{'ratio':>10}{'to the first':>14}"
    )
    rows(at, runs, plain)
    print(f"with a prompt of at most {ROOM:,} tokens:")
    rows(at, short, plain)
    kept(2)
    print(f"\nMemory\n{'':32}{'kept':>12}{'a step':>12}   (goal: at most {GOAL / 1000:.0f} KB a step)")
    for steps in at:
        size = kept(steps)
        print(f"{f'{steps} steps':32}{size / 1000:>9,.0f} KB{size / steps / 1000:>9.1f} KB")


if __name__ == "__main__":
    main()

"""A run goes on from its journal: its variables are built again by running its cells, answered by the journal.

What is run again is what the namespace held: the cells that `State.alive` names, and then the one that was cut off. A
cell that does not do what it had done stops it, before anything is called or written.
"""

from __future__ import annotations

import ast
import itertools
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ..core.approvals import Decision
from ..core.errors import InterpreterDied, ReplayDivergence, RunDiffers
from ..core.events import (
    ClockRead,
    CodeContinued,
    CodeRan,
    CodeStarted,
    Connected,
    Event,
    InputsGiven,
    RunStarted,
    SandboxReady,
    TaskEnded,
)
from ..core.execution import Failure, Outcome, Returned, ToolCall
from ..core.likeness import LIMITS, compare
from ..core.moments import Span
from ..core.reads import Again, Reads
from ..core.recovery import Failed, Happened, Retry
from ..core.state import State
from ..core.untrusted import inline
from ..core.waiting import waiting
from ..crashpoints import crashpoint
from ..guest import display
from ..ports import Delegating, Knows, Recovering, Store
from ..secrets import Secret, Vault, sealed_in
from .agent import Agent
from .served import Served

_READY = 600.0  # seconds that an interpreter stands ready at most, before it is taken
Rerun: TypeAlias = Callable[[int, str, bytes, Again], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Resume:
    """How a run is taken up again.

    knows: what became of a call that was cut off, where its tool cannot say. decisions: answers to approvals, by key.
    fresh: with an empty interpreter, running nothing again. anyway: also with other parts than it was made of.
    secrets: those that it was given, by name, since no journal keeps them.
    """

    run: str
    knows: Knows | None = None
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    fresh: bool = False
    anyway: bool = False
    secrets: Mapping[str, str | Secret] = field(default_factory=dict, repr=False)


def action_of(state: State) -> int:
    """The number of the cell, or of the action, that is to go on."""
    return state.running.cell if state.running is not None else state.cell + 1


async def settle(agent: Agent, served: Served, cell: int, knows: Knows | None, store: Store) -> tuple[ToolCall, ...]:
    """Find out what became of the calls that were cut off, by their tools or whoever knows; what is left is unknown."""
    tools = {tool.spec.name: tool for tool in agent.tools}
    left: list[ToolCall] = []
    for call in served.unknown(cell):
        crashpoint("settle")
        tool = tools.get(call.tool)
        below = await tool.settle(call, store, knows) if isinstance(tool, Delegating) else (call,)
        found = Retry() if not below else await tool.recover(call, store) if isinstance(tool, Recovering) else None
        if found is None and knows is not None:
            found = await knows(call)
        match found:
            case None:
                left += below
            case Retry():
                served.settle(call.key, None)
            case Happened(value):
                served.settle(call.key, Returned(value))
            case Failed(reason):
                served.settle(call.key, Returned(failure=Failure("RuntimeError", reason or f"{call.tool}() failed")))
    return tuple(left)


def keep_again(vault: Vault, run: str, events: Iterable[Event], given: Mapping[str, str | Secret]) -> None:
    """Have the secrets that a run was given, which no journal keeps. Raises UsageError with those that are missing."""
    needed = [sealed_in(event.variables) for event in events if isinstance(event, InputsGiven)]
    vault.check(run, set().union(*needed), given)


def nobody_knows(calls: Sequence[ToolCall]) -> str:
    """What is said of a run that waits for somebody who knows what became of these."""
    named = ", ".join(f"{call.name} (key {call.key})" for call in calls)
    return f"nobody knows whether these calls took effect: {named}"


def nobody_answered(events: Sequence[Event]) -> str:
    """What is said of a run that waits for an answer."""
    asked = ", ".join(f"{one.tool} (key {one.key})" for one in waiting(events))
    return f"nobody has answered yet: {asked or 'a question of an agent below'}"


async def rebuild(
    events: Sequence[Event],
    state: State,
    fresh: bool,
    given: Callable[[InputsGiven], Awaitable[None]],
    run: Rerun,
    moments: Sequence[float] = (),
) -> tuple[int, ...]:
    """Give an interpreter again what the user gave, and run again the cells whose effects it held, in their order.

    A `fresh` one gets what was given alone. Returns the cells that put out the same in another order.
    """
    alive = frozenset() if fresh else frozenset(state.alive)
    started: CodeStarted | None = None
    read: Reads = ()
    sources: list[str] = []
    otherwise: list[int] = []
    begun, ends = time.time(), _left_at(events)
    for place, event in enumerate(events):
        match event:
            case InputsGiven():
                await given(event)
                crashpoint("given again")
            case CodeStarted():
                started, read = event, ()
            case ClockRead(_, reads):
                read += reads
            case CodeContinued(_, source) if started is not None:
                started = replace(started, source=started.source + source)
            case Connected(_, host) if started is not None and started.cell in alive:
                raise ReplayDivergence(started.cell, "what it reaches", inline(host, 80), "not asked again")
            case CodeRan(cell, outcome) if started is not None and cell in alive:
                source = started.source
                if outcome.ended in LIMITS:
                    source = beginning(source, outcome.complete)
                sources.append(source)
                crashpoint("run again")
                now = await run(cell, source, started.seed, Again(read + outcome.clock))
                if now.gone is not None:  # it had not died then: that says nothing of what it does
                    raise InterpreterDied(
                        f"{now.gone.why}, while cell {cell} was run again: nothing was called and nothing is lost. "
                        "Resume it once more, or with `fresh` to go on without its variables"
                    )
                if not compare(cell, outcome, now, sources, _at_work(moments[: place + 1], begun)):
                    otherwise.append(cell)
                crashpoint("ran again")
                started = None
            case TaskEnded(complete=int(complete)) if started is not None and place in ends and started.cell in alive:
                sources.append(beginning(started.source, complete))
                await _begin_again(started, complete, Again(read, ended=False), run, sources)
                started = None
    return tuple(otherwise)


async def begun_again(
    cut: CodeStarted | None, complete: int | None, events: Sequence[Event], served: Served | None, run: Rerun
) -> None:
    """Run again what a cell had done that nobody goes on with, in an interpreter that stands as it did before it."""
    if cut is not None and complete is not None and served is not None:
        served.known = True
        try:
            await _begin_again(cut, complete, read_by(events, cut.cell), run)
        finally:
            served.known = False


async def _begin_again(
    started: CodeStarted, complete: int, again: Again, run: Rerun, sources: Sequence[str] = ()
) -> None:
    """Run the first statements of a cell again, whose task ended behind them and is not gone on with."""
    source = beginning(started.source, complete)
    unended = Outcome("timeout", complete=complete)  # as one that was stopped: nothing is known of its end
    compare(started.cell, unended, await run(started.cell, source, started.seed, again), sources or (source,))


def _left_at(events: Sequence[Event]) -> set[int]:
    """The places of those ends of tasks that cut off a cell for good: the last, where nothing went on with it."""
    cell, ends = 0, dict[int, int]()
    for place, event in enumerate(events):
        match event:
            case CodeStarted(cell):
                pass
            case CodeRan(cell):
                ends.pop(cell, None)
            case TaskEnded():
                ends[cell] = place
            case _:
                pass
    return {*ends.values()}


def _at_work(moments: Sequence[float], begun: float) -> tuple[Span, Span]:
    """When the run was at work up to here, and when it is now; an interpreter may have been ready for a while."""
    first, last = (moments[0], moments[-1]) if moments else (begun, begun)
    return (first - _READY, last + 1), (begun - _READY, time.time() + 1)


def read_by(events: Iterable[Event], cell: int) -> Again:
    """What a cell that was cut off has read of the clock."""
    reads = (event.reads for event in events if isinstance(event, ClockRead) and event.cell == cell)
    return Again(tuple(itertools.chain.from_iterable(reads)), ended=False)


def beginning(source: str, statements: int) -> str:
    """The first top-level statements of a cell, as they stand.

    >>> beginning("a = 1\\nb = 2; c = 3", 2)
    'a = 1\\nb = 2'
    """
    body = ast.parse(source).body
    if statements >= len(body):
        return source
    if statements == 0:
        return ""
    last = body[statements - 1]
    lines = source.splitlines(keepends=True)
    end = lines[(last.end_lineno or 1) - 1].encode()[: last.end_col_offset].decode()
    return "".join(lines[: (last.end_lineno or 1) - 1]) + end


def check_parts(run: str, was: RunStarted, now: RunStarted) -> None:
    """Whether this run may go on with these parts. Raises RunDiffers with all that is another."""
    differences = []
    for what in ("model", "sandbox", "imports", "network", "mounts", "python", "action", "carrier", "lesson", "parts"):
        before, here = getattr(was, what), getattr(now, what)
        if before != here:
            differences.append(f"{what}: it was {_said(before)}, and is {_said(here)}")
    signatures = {tool.name: tool.signature for tool in now.tools}
    for tool in was.tools:
        if tool.name not in signatures:
            differences.append(f"tools: {tool.name}() is not there")
        elif signatures[tool.name] != tool.signature:
            differences.append(f"tools: {tool.name} took {tool.signature}, and takes {signatures[tool.name]}")
    if differences:
        raise RunDiffers(run, differences)


def check_stands(run: str, events: Sequence[Event], level: str, python: str) -> None:
    """Whether the interpreter that stands is as strong as the one before, and of the same Python."""
    ready = [event for event in events if isinstance(event, SandboxReady)]
    if not ready:
        return
    differences = []
    if ready[-1].level != level:
        differences.append(f"sandbox level: it was {ready[-1].level!r}, and is {level!r}")
    if ready[-1].python.rsplit(".", 1)[0] != python.rsplit(".", 1)[0]:
        differences.append(f"Python inside: it was {ready[-1].python}, and is {python}")
    if differences:
        raise RunDiffers(run, differences)


def _said(value: object) -> str:
    return inline(display.show(value)[1], 120)

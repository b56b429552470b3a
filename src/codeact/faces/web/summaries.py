"""A run as a list shows it, and as its own page does: what was to be done, where it stands, what it cost."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from codeact.core import waiting
from codeact.core.budget import cost
from codeact.core.events import (
    ApprovalAsked,
    Charged,
    Entry,
    FilesCollected,
    ModelReplied,
    RunStarted,
    SandboxReady,
    Summarised,
    TaskEnded,
    ToolCalled,
)
from codeact.core.messages import NO_USAGE, Usage
from codeact.journals import codec
from codeact.journals.summary import Summary

from .conversation import Conversation, state_of
from .feed import Placed
from .shelf import grown


@dataclass(frozen=True, slots=True)
class Whole:
    """What all entries of a run come to."""

    summary: Summary
    started: RunStarted | None = None
    level: str | None = None
    usage: Usage = NO_USAGE
    cost: float | None = 0.0
    ended: TaskEnded | None = None
    files: tuple[dict[str, Any], ...] = ()
    asked: tuple[ApprovalAsked, ...] = ()
    called: tuple[ToolCalled, ...] = ()  # calls that began, and whose end was not recorded


def whole(run: str, family: Iterable[Placed]) -> Whole:
    """Read a run from its beginning; what those below it ask is asked of the same person."""
    found, runs = Whole(Summary(run)), waiting.NOBODY
    for placed in family:
        runs = waiting.family(runs, placed.entry)
        if placed.entry.run == run:
            found = _read(replace(found, summary=grown(found.summary, placed.entry)), placed.entry)
    return replace(found, asked=tuple(waiting.asked_in(runs).values()), called=waiting.called_in(runs))


def _read(found: Whole, entry: Entry) -> Whole:
    match entry.event:
        case RunStarted():
            return replace(found, started=entry.event)
        case SandboxReady(level):
            return replace(found, level=level)
        case ModelReplied(reply):
            return _spent(found, reply.usage)
        case Summarised(usage=usage):
            return _spent(found, usage)
        case Charged(usage=usage, cost=price):
            total = None if found.cost is None or price is None else found.cost + price
            return replace(found, usage=found.usage + usage, cost=total)
        case TaskEnded():
            return replace(found, ended=entry.event)
        case FilesCollected(files):
            made = ({"name": one.name, "type": one.media_type, "size": len(one.data)} for one in files)
            return replace(found, files=(*found.files, *made))
        case _:
            return found


def _spent(found: Whole, usage: Usage) -> Whole:
    price = cost(found.started.price if found.started is not None else None, usage)
    total = None if found.cost is None or price is None else found.cost + price
    return replace(found, usage=found.usage + usage, cost=total)


def call_of(event: ApprovalAsked | ToolCalled) -> dict[str, Any]:
    """A call that somebody is asked about, or that was cut off."""
    return {
        key: value
        for key, value in codec.whole(Entry(0, 0.0, "", event)).items()
        if key not in ("seq", "at", "run", "event")
    }


def line(summary: Summary, live: Conversation | None) -> dict[str, Any]:
    """A run in a list."""
    return {
        "run": summary.run,
        "parent": summary.parent,
        "agent": None if live is None else live.agent,
        "task": summary.task,
        "model": summary.model,
        "state": live.state if live is not None and live.busy else state_of(summary.stop_reason),
        "stop_reason": summary.stop_reason,
        "steps": summary.steps,
        "started": summary.started,
        "changed": summary.changed,
        "entries": summary.entries,
    }


def page(found: Whole, live: Conversation | None, agent: str | None, asked: Iterable[ApprovalAsked]) -> dict[str, Any]:
    """A run by itself."""
    ended = found.ended if found.summary.stop_reason is not None else None
    return {
        **line(found.summary, live),
        "agent": agent,
        "level": found.level,
        "usage": dataclasses.asdict(found.usage),
        "cost": found.cost,
        "error": None if ended is None or ended.error is None else {"type": ended.error_type, "message": ended.error},
        "waiting": [call_of(one) for one in asked],
        "unknown": [] if live is not None and live.busy else [call_of(one) for one in found.called],
        "files": list(found.files),
    }

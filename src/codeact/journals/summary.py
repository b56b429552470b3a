"""What a list of runs tells of each: kept beside its events, with each of them, so that a list does not read them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, replace
from typing import Any

from ..core.events import (
    Charged,
    Event,
    ModelAsked,
    ModelReplied,
    Resumed,
    RunStarted,
    StopReason,
    Summarised,
    TaskEnded,
    TaskGiven,
)
from ..core.messages import NO_USAGE, Usage
from ..core.state import CUT_OFF

_SHOWN = 200  # characters of a task
COLUMNS = "run, parent, started, changed, rows, model, task, stop_reason, steps"  # and `usage`, since version 3


@dataclass(frozen=True, slots=True)
class Summary:
    """A run in one line. Times are seconds since the epoch; no `stop_reason` is a task that has not ended.

    `steps` are those that have a reply. `usage` is None where the run was begun by a codeact that did not keep it: then
    its events tell. `asked` says that a step awaits its reply: who goes on with a run asks again, so nobody keeps it.
    """

    run: str
    parent: str | None = None
    started: float = 0.0
    changed: float = 0.0
    entries: int = 0
    model: str = ""
    task: str = ""
    stop_reason: StopReason | None = None
    steps: int = 0
    usage: Usage | None = NO_USAGE
    asked: bool = field(default=False, compare=False)


def told(summary: Summary, event: Event) -> Summary:
    """The same once this has happened."""
    match event:
        case RunStarted():
            return replace(summary, model=_plain(event.model))
        case TaskGiven():
            summary = replace(summary, task=summary.task or _plain(event.task))
        case Resumed() | TaskEnded():
            pass
        case ModelAsked(purpose=purpose):
            return replace(summary, asked=purpose == "step")
        case ModelReplied():
            return replace(_spent(summary, event), steps=summary.steps + summary.asked, asked=False)
        case Summarised() | Charged():
            return _spent(summary, event)
        case _:
            return summary
    return replace(summary, stop_reason=stopped(summary.stop_reason, event))


def stopped(before: StopReason | None, event: Event) -> StopReason | None:
    """How the last task of a run ended; None while it goes on, also after it was cut off."""
    match event:
        case TaskGiven():
            return None
        case Resumed() if before in CUT_OFF:
            return None
        case TaskEnded(reason):
            return reason
        case _:
            return before


def _spent(summary: Summary, event: Event) -> Summary:
    return summary if summary.usage is None else replace(summary, usage=summary.usage + used(event))


def used(event: Event) -> Usage:
    """The tokens that an event tells of."""
    match event:
        case ModelReplied():
            return event.reply.usage
        case Summarised() | Charged():
            return event.usage
        case _:
            return NO_USAGE


def kept(summary: Summary) -> tuple[str, str, str | None, int, str | None]:
    """What changes with an event, as it stands in a row: the last five columns."""
    usage = None if summary.usage is None else json.dumps(astuple(summary.usage))
    return summary.model, summary.task, summary.stop_reason, summary.steps, usage


def read(row: Sequence[Any]) -> Summary:
    """A row of these columns and `usage`."""
    return replace(Summary(*row[:-1]), usage=_usage(row[-1]))


def _usage(text: object) -> Usage | None:
    """What is not to be read is not known."""
    try:
        counts = json.loads(str(text))
        if all(type(count) is int or (count is None and place != 3) for place, count in enumerate(counts)):
            return Usage(*counts)
    except (ValueError, TypeError):
        pass
    return None


def _plain(text: str) -> str:
    """What every database takes for text."""
    return text[:_SHOWN].encode("utf-8", "replace").decode().replace("\0", "")

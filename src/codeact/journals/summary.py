"""What a list of runs tells of each: kept beside its events, so that a list does not read them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..core.events import Event, ModelAsked, RunStarted, StopReason, TaskEnded, TaskGiven

_SHOWN = 200  # characters of a task


@dataclass(frozen=True, slots=True)
class Summary:
    """A run in one line. Times are seconds since the epoch; no `stop_reason` is a task that has not ended."""

    run: str
    parent: str | None = None
    started: float = 0.0
    changed: float = 0.0
    entries: int = 0
    model: str = ""
    task: str = ""
    stop_reason: StopReason | None = None
    steps: int = 0


def told(summary: Summary, event: Event) -> Summary:
    """The same once this has happened."""
    match event:
        case RunStarted():
            return replace(summary, model=_plain(event.model))
        case TaskGiven():
            return replace(summary, task=summary.task or _plain(event.task), stop_reason=None)
        case ModelAsked():
            return replace(summary, steps=summary.steps + 1)
        case TaskEnded():
            return replace(summary, stop_reason=event.stop_reason)
        case _:
            return summary


def _plain(text: str) -> str:
    """What every database takes for text."""
    return text[:_SHOWN].encode("utf-8", "replace").decode().replace("\0", "")

"""How long a task has been worked on: by the journal's clock, and without the time when nobody was at it."""

from __future__ import annotations

from collections.abc import Sequence

from .events import Event, ModelReplied, Resumed, SandboxReady, TaskGiven

CUT = "was cut off there"  # of a reply whose code ran when its process died


def worked(events: Sequence[Event], moments: Sequence[float]) -> float:
    """The seconds of the last task so far; `moments` are those of the events."""
    start = next((i for i in reversed(range(len(events))) if isinstance(events[i], TaskGiven)), None)
    if start is None:
        return 0.0
    seconds, last = 0.0, moments[start]
    for event, at in zip(events[start:], moments[start:], strict=True):
        if isinstance(event, Resumed):
            last = at  # since the last event of the life before it, it lay still
        elif not _takes_up(event):
            seconds += max(0.0, at - last)
            last = at
    return seconds


def _takes_up(event: Event) -> bool:
    """Whether this may be told when a run is taken up, before it goes on."""
    return isinstance(event, SandboxReady) or (isinstance(event, ModelReplied) and event.broken == CUT)

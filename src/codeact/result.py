"""What came of a task."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .core.errors import NoAnswer
from .core.events import Event, FilesCollected, ModelReplied, StopReason, TaskEnded
from .core.messages import Usage
from .core.state import State
from .files import Files


@dataclass(frozen=True, slots=True)
class RunResult:
    """What came of a task: `output` is the answer, and `str(result)` its text."""

    run_id: str
    stop_reason: StopReason
    steps: int
    usage: Usage
    events: tuple[Event, ...] = field(repr=False)
    error: str | None = None
    error_type: str | None = None
    answer: Any = None
    files: Files = field(default_factory=Files)

    @property
    def output(self) -> Any:
        """The value given to `final_answer`; raises NoAnswer when the task ended without one."""
        if self.stop_reason != "final_answer":
            raise NoAnswer(self.stop_reason, self.error or "")
        return self.answer

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write the files that code made into this folder, and say where; what is there is not overwritten."""
        return self.files.save(folder)

    def __str__(self) -> str:
        if self.stop_reason != "final_answer":
            return f"(no answer: {self.stop_reason})"
        return str(self.answer)


def result_of(
    run_id: str, state: State, events: Sequence[Event], read: Callable[[Any], Any] | None = None
) -> RunResult:
    """The result of the task that these are the events of, and that left this state."""
    ended = state.ended
    made = [event for event in events if isinstance(event, FilesCollected)]
    return RunResult(
        run_id=run_id,
        stop_reason=ended.stop_reason if ended else "cancelled",
        steps=sum(isinstance(event, ModelReplied) for event in events),
        usage=state.usage,
        events=tuple(events),
        error=ended.error if ended else None,
        error_type=ended.error_type if ended else None,
        answer=_answer(ended, read),
        files=Files(
            (file for event in made for file in event.files), (one for event in made for one in event.left_out)
        ),
    )


def _answer(ended: TaskEnded | None, read: Callable[[Any], Any] | None) -> Any:
    if ended is None or ended.stop_reason != "final_answer" or read is None:
        return ended.output if ended else None
    return read(ended.output)

"""What came of a task."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from ..core.errors import NoAnswer
from ..core.events import ApprovalAsked, Event, FilesCollected, StopReason, TaskEnded
from ..core.execution import Answer, ToolCall
from ..core.messages import Usage
from ..core.program import program
from ..core.state import State
from ..core.steps import Step, steps_in, steps_of
from ..core.waiting import waiting
from ..files import Files


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
    answered: bool = False
    kept: object = field(default=None, repr=False, compare=False)  # what `after=result` goes on from
    unknown: tuple[ToolCall, ...] = ()
    cost: float | None = None  # by the prices that were given; None where one, or what was used, is not known

    @property
    def output(self) -> Any:
        """The value given to `final_answer`, or a last answer; raises NoAnswer when the task ended without one."""
        if not self.answered:
            raise NoAnswer(self.stop_reason, self.error or "")
        return self.answer

    @property
    def step_list(self) -> tuple[Step, ...]:
        """The steps one by one: what the model replied, what ran, and what came of it."""
        return steps_of(self.events)

    @property
    def code(self) -> str:
        """All code that ran in this task, as one program."""
        return program(self.events)

    @property
    def waiting(self) -> tuple[ApprovalAsked, ...]:
        """The questions that nobody has answered yet, where the task is paused for them."""
        return waiting(self.events)

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write the files that code made into this folder, and say where; what is there is not overwritten."""
        return self.files.save(folder)

    def _repr_html_(self) -> str:
        """What a notebook shows of it: the answer, and folded all that led to it."""
        tokens = [count for count in (self.usage.input_tokens, self.usage.output_tokens) if count is not None]
        told = f"{self.stop_reason}, {self.steps} steps" + (f", {sum(tokens):,} tokens" if tokens else "")
        why = f"no answer: {self.stop_reason}" + (f": {self.error}" if self.error else "")
        drawn: str = import_module("codeact.listeners.notebook.page").html_of_result(
            self.answer, self.answered, why, told, self.events
        )
        return drawn

    def __str__(self) -> str:
        if not self.answered:
            return f"(no answer: {self.stop_reason})"
        return str(self.answer)


def result_of(
    run_id: str,
    state: State,
    events: Sequence[Event],
    read: Callable[[Any], Any] | None = None,
    unknown: tuple[ToolCall, ...] = (),
) -> RunResult:
    """The result of the task that these are the events of, and that left this state."""
    ended = state.ended
    answer = _answer(ended, read)
    made = [event for event in events if isinstance(event, FilesCollected)]
    return RunResult(
        run_id=run_id,
        stop_reason=ended.stop_reason if ended else "cancelled",
        steps=steps_in(events),
        usage=state.usage,
        cost=state.cost,
        events=tuple(events),
        error=ended.error if ended else None,
        error_type=ended.error_type if ended else None,
        answer=answer.value if answer else None,
        answered=answer is not None,
        unknown=unknown,
        files=Files(
            (file for event in made for file in event.files), (one for event in made for one in event.left_out)
        ),
    )


def _answer(ended: TaskEnded | None, read: Callable[[Any], Any] | None) -> Answer | None:
    if ended is None:
        return None
    answer = Answer(ended.output) if ended.stop_reason == "final_answer" else ended.last
    return answer if answer is None or read is None else Answer(read(answer.value))

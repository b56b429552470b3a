"""What came of a task."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .core.errors import NoAnswer
from .core.events import Event, StopReason
from .core.messages import Usage
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

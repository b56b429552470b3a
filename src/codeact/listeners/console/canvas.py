"""What a run is drawn with. What is given to a canvas may come from a model or its code: it shows it escaped."""

from __future__ import annotations

from typing import Protocol


class Canvas(Protocol):
    """The strokes of a drawing, from top to bottom."""

    def task(self, text: str, variables: list[str]) -> None:
        """What is to be done."""

    def turn(self, title: str) -> None:
        """Another turn of the model begins: a step, a plan."""

    def thought(self, text: str) -> None:
        """More of what the model says."""

    def end_thought(self) -> None:
        """The model has spoken."""

    def draft(self, text: str) -> None:
        """More of the code that the model writes."""

    def code(self, cell: int, source: str) -> None:
        """A cell that is about to run."""

    def output(self, stream: str, text: str) -> None:
        """More of what the cell prints."""

    def end_output(self) -> None:
        """The cell prints no more."""

    def call(self, call: str, result: str, *, failed: bool) -> None:
        """A tool was called."""

    def value(self, text: str) -> None:
        """The value of the cell's last expression."""

    def failure(self, text: str) -> None:
        """The cell's traceback."""

    def note(self, text: str) -> None:
        """Something worth knowing."""

    def trouble(self, text: str) -> None:
        """Something that went wrong around the cells."""

    def below(self, who: str, text: str) -> None:
        """A line of what an agent does that code has called."""

    def answer(self, text: str) -> None:
        """The final answer."""

    def closing(self, text: str) -> None:
        """The last line."""

    def wait(self, for_what: str | None) -> None:
        """What is being waited for from now on; None: nothing."""

    def close(self) -> None:
        """Leave everything in order."""

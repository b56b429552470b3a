"""Code that runs while it is being written: it is drawn in stretches, each by what it did."""

from __future__ import annotations

from collections.abc import Callable

from codeact.core.events import CodeContinued, CodeStarted, Delta, Event, ModelReplied, ReasoningDelta, TextDelta


class Ahead:
    """`draw(cell, source)` draws a stretch; `runs` says that the code of this reply ran before the reply was whole."""

    def __init__(self, draw: Callable[[int, str], None]) -> None:
        self._draw = draw
        self._cell = 0
        self._code = ""
        self.runs = False

    def begin(self) -> None:
        """The model is asked."""
        self.runs = False

    def hear(self, news: Event | Delta) -> bool:
        """Whether this is code that has its place here; anything else that shows ends the stretch."""
        match news:
            case CodeStarted(cell, source):
                self._cell, self._code, self.runs = cell, source, True
                return True
            case CodeContinued(_, source):
                self._code += source
                return True
            case TextDelta() | ReasoningDelta() | ModelReplied():
                return False
            case _:
                self.show()
                return False

    def show(self) -> None:
        """Draw what has not been drawn."""
        if self._code.strip():
            self._draw(self._cell, self._code)
        self._code = ""

"""A reply that is still being written, and what of its code is whole already."""

from __future__ import annotations

from .actions import Reader
from .marks import PYTHON
from .statements import Loops, Statements


class Growing:
    """Reads a reply as it comes. `feed` gives the parts of its code that may run now, each once and in order."""

    def __init__(self, loops: Loops) -> None:
        self._loops = loops
        self._begin()

    def _begin(self) -> None:
        self._reader = Reader()
        self._statements = Statements(self._loops)
        self._seen = 0  # characters of the code that the statements have
        self._closed = 0  # blocks
        self.given = ""
        self.recalled = False  # what was given turned out to be thinking: nothing more is given

    def feed(self, text: str) -> list[str]:
        """More of the reply."""
        if self.recalled:
            return []
        self._reader.feed(text)
        if "\n" not in text and "\r" not in text:
            return []  # it reads by lines
        blocks = [block for block in self._reader.blocks if block.tag == PYTHON]
        source = "".join(block.source for block in blocks)
        if not source.startswith(self.given):
            self.recalled = True
            return []
        if len(source) < self._seen:  # it was thinking, and none of it was given
            self._statements, self._seen, self._closed = Statements(self._loops), 0, 0
        if len(source) > self._seen and blocks[-1].turn and not blocks[-1].closed:
            return []  # another's turn, made up in a block that was never closed? Its end will tell
        parts: list[str] = []
        *lines, _ = source[self._seen :].split("\n")  # all whole: the reader gives no others
        for line in lines:
            parts += self._statements.feed(f"{line}\n")
        self._seen = len(source)
        closed = sum(block.closed for block in blocks)
        if closed > self._closed:
            self._closed = closed
            parts += self._statements.end_of_block()
        self.given += "".join(parts)
        return parts

    def discard(self) -> None:
        """What came does not count: the reply begins anew."""
        self._begin()

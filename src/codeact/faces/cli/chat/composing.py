"""What a person says in one turn: a line, or several. Typed at a terminal, or read from a pipe."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from .. import keyboard

_QUOTES = '"""'
Reading: TypeAlias = Callable[[], "str | None"]  # the next turn; None at the end of input


class Composed:
    r"""Lines up to the end of a turn: one that ends with a backslash goes on, and so does what begins with \"\"\"."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._quoted = False

    @property
    def empty(self) -> bool:
        """Whether nothing was said yet."""
        return not self._lines

    def add(self, line: str) -> str | None:
        """One more line; the whole turn, when it is one."""
        if not self._lines and line.lstrip().startswith(_QUOTES):
            self._quoted, line = True, line.lstrip()[len(_QUOTES) :]
        if self._quoted:
            if not line.rstrip().endswith(_QUOTES):
                self._lines.append(line)
                return None
            return self._whole(line.rstrip()[: -len(_QUOTES)])
        if line.endswith("\\"):
            self._lines.append(line[:-1])
            return None
        return self._whole(line)

    def end(self) -> str | None:
        """What was said when the input ends in the middle of it."""
        return self._whole("") if self._lines else None

    def _whole(self, last: str) -> str:
        lines = [*self._lines, last]
        self._lines, self._quoted = [], False
        return "\n".join(lines).strip()


@contextmanager
def typed_in() -> Iterator[Reading]:
    """Somebody at the keyboard: what was said before comes back with the arrow keys."""
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM", "dumb") == "dumb"
    first = "> " if plain else "\001\033[1;36m\002>\001\033[0m\002 "
    with keyboard.history("chat_history"):
        keyboard.pasted_whole()

        def read() -> str | None:
            try:
                with keyboard.on_interrupt(signal.default_int_handler):
                    return _read(first)
            except KeyboardInterrupt:  # twice at once
                return None

        yield read


def _read(first: str) -> str | None:
    said, warned = Composed(), False
    while True:
        try:
            whole = said.add(input(first if said.empty else ". "))
        except EOFError:
            print()
            return None
        except KeyboardInterrupt:
            if said.empty and not keyboard.typed_so_far():
                if warned:
                    print()
                    return None
                print("\n(Ctrl-C again leaves, and so does Ctrl-D)")
                warned = True
            else:
                print()
                said, warned = Composed(), False
            continue
        if whole:
            return whole


def typed_lines() -> str | None:
    """The same from a pipe."""
    said = Composed()
    for line in sys.stdin:
        if whole := said.add(line.rstrip("\r\n")):
            return whole
    return said.end()

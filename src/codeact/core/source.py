"""What a text is as Python: where its string literals begin and end, and whether it is whole.

`Strings` knows just enough of the grammar to tell code from text in code, and looks at each character once.
"""

from __future__ import annotations

import ast
import re
import warnings
from typing import NamedTuple

LOOK = 256 << 10  # characters of code that the host parses; longer code still runs

_ENDS = {quote: re.compile(rf"\\(?:.|$)|{quote}", re.DOTALL) for quote in ("'", '"', "'''", '"""')}
_BEGINS = r"\"\"\"|'''|[\"'#]"


class Hit(NamedTuple):
    """Where a closer stands on a line; at the end of a comment it is not `sure` that it is one."""

    start: int
    stop: int
    sure: bool


class Closer:
    """What ends a block where it stands outside a string, such as a run of three backticks or `</code>`."""

    __slots__ = ("after_comment", "token")

    def __init__(self, pattern: str) -> None:
        self.token = re.compile(f"{_BEGINS}|(?P<closer>{pattern})", re.IGNORECASE)
        self.after_comment = re.compile(rf"(?P<closer>{pattern})[ \t]*$", re.IGNORECASE)


class Strings:
    """Whether the code read so far ends inside a string literal; `open` is its quote, or empty."""

    __slots__ = ("open",)

    def __init__(self) -> None:
        self.open = ""

    def read(self, line: str, at: int, closer: Closer) -> Hit | None:
        """Read a line from `at`, up to the first closer that stands in no string."""
        while True:
            if self.open:
                end = self._end(line, at)
                if end is None:
                    return None
                at = end
            found = closer.token.search(line, at)
            if found is None:
                return None
            if found["closer"] is not None:
                return Hit(*found.span("closer"), sure=True)
            if found[0] == "#":
                last = closer.after_comment.search(line, found.end())
                return Hit(*last.span("closer"), sure=False) if last else None
            self.open, at = found[0], found.end()

    def _end(self, line: str, at: int) -> int | None:
        """Where the open string ends on this line; None where the line ends first."""
        quote = self.open
        for found in _ENDS[quote].finditer(line, at):
            if found[0] == quote:
                self.open = ""
                return found.end()
            if found[0] == "\\":  # the line end is escaped: every kind of string goes on
                return None
        if len(quote) == 1:
            self.open = ""  # a plain string does not outlive its line; CPython will say so
        return None


def compiles(source: str) -> bool:
    """Whether this is Python. What is too much for the host's parser counts as such: the sandbox will judge it."""
    if len(source) > LOOK:
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of invalid escapes: they are the model's, and the cell will show them
            ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    except (MemoryError, RecursionError):
        return True
    return True

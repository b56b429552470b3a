"""A tool's failure, a type's name and a message, as an exception that code can catch."""

from __future__ import annotations

import ast
import builtins

from .interrupts import Interrupted


class ToolError(Exception):
    """A tool failed with an exception that is not one of Python's own; its class has the name of that exception."""


ToolError.__module__ = "builtins"

# These mean something to the interpreter itself: raised by name they would end a generator, a thread or the cell.
_NOT_RAISED = (StopIteration, StopAsyncIteration)
_OWN = {
    name: kind
    for name, kind in vars(builtins).items()
    if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, _NOT_RAISED)
}


class Failures:
    """One class for each name, so that what was caught once is caught again."""

    def __init__(self) -> None:
        self._classes: dict[str, type[BaseException]] = {"ToolError": ToolError, "Interrupted": Interrupted}

    def exception(self, name: str, message: str) -> BaseException:
        """The exception to raise."""
        kind = self._classes.get(name) or _OWN.get(name) or self._made(name, ToolError)
        try:
            return kind(_key(message) if kind is KeyError else message)
        except TypeError:  # built from other parts than a message, such as UnicodeDecodeError
            bases = (ToolError, ValueError) if issubclass(kind, ValueError) else (ToolError,)
            return self._made(name, *bases)(message)

    def _made(self, name: str, *bases: type[BaseException]) -> type[BaseException]:
        if not name.isidentifier() or len(name) > 100:
            return ToolError
        kind = self._classes[name] = type(
            name, bases, {"__module__": "builtins", "__doc__": f"A tool failed with {name}."}
        )
        return kind


def _key(message: str) -> object:
    """A KeyError's message is the repr of its key: give the key back where that is plain."""
    try:
        return ast.literal_eval(message)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return message

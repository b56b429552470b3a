"""An exception as the cell's error: CPython's own text, with the cell's frames and those below them, and bounded."""

from __future__ import annotations

import linecache
import os
import traceback
from collections.abc import Iterator
from types import TracebackType

from .interrupts import CELL
from .kept import Kept

MAX_TRACEBACK = 8 << 10  # characters
MAX_MESSAGE = 4 << 10
FIRST, LAST = 50, 1500  # frames looked at: enough for a recursion of the default depth
_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_CACHE = linecache.cache


class Sources:
    """The text of every cell, for tracebacks and for `inspect.getsource`."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[int, None, list[str], str]] = {}
        self._kept = Kept(traceback), Kept(linecache)

    def add(self, name: str, source: str) -> None:
        """Keep a cell's text."""
        lines = [line + "\n" for line in source.split("\n")]
        self._entries[name] = _CACHE[name] = (len(source), None, lines, name)

    def forget(self) -> None:
        """Keep none of them any more."""
        for name in self._entries:
            _CACHE.pop(name, None)
        self._entries.clear()

    def put_back(self) -> None:
        """Undo what a cell did to the modules that render tracebacks."""
        for kept in self._kept:
            kept.put_back()
        _CACHE.update(self._entries)


def describe(error: BaseException, stood: TracebackType | None = None) -> list[str]:
    """Type, message and traceback of a cell's error; `stood` is where the cell stood, if the traceback lacks that.

    Whatever the exception's own methods do, there is a description.
    """
    name = "SystemExit" if isinstance(error, SystemExit) else type.__dict__["__name__"].__get__(type(error))[:200]
    return [name, _message(error), _text(error, name, stood)]


def describe_uncompiled(error: BaseException) -> list[str]:
    """The same for source that does not compile: there is no frame yet."""
    name = type(error).__name__
    if isinstance(error, SyntaxError) and error.text is None and error.lineno:  # the compiler looked for a file
        error.text = linecache.getline(error.filename or "", error.lineno) or None
    text = "".join(traceback.TracebackException(type(error), error, None, compact=True).format_exception_only())
    message = error.msg if isinstance(error, SyntaxError) and isinstance(error.msg, str) else _message(error)
    return [name, cut(message, MAX_MESSAGE), cut(text, MAX_TRACEBACK)]


def cut(text: str, limit: int) -> str:
    """The first and the last part of a text that is too long, whole lines where it has them."""
    if len(text) <= limit:
        return text
    half = limit // 2
    head, tail = text[:half], text[-half:]
    head = head[: head.rfind("\n") + 1] or head
    tail = tail[tail.find("\n") + 1 :] or tail
    left_out = len(text) - len(head) - len(tail)
    return f"{head}... {left_out:,} characters left out ...\n{tail}"


def _message(error: BaseException) -> str:
    try:
        return cut(str(error), MAX_MESSAGE)
    except BaseException as failed:
        return f"<its str() raised {type(failed).__name__}>"


def _text(error: BaseException, name: str, stood: TracebackType | None) -> str:
    try:
        steps = _trimmed(error.__traceback__, stood)
        BaseException.with_traceback(error, steps)  # a cell that kept the error may show it again
        whole = traceback.TracebackException(type(error), error, steps, limit=-LAST, compact=True)
        _without_ours(whole)
        return cut("".join(whole.format()), MAX_TRACEBACK)
    except BaseException as failed:
        return f"{name}: its traceback cannot be shown: {type(failed).__name__}\n"


def _trimmed(first: TracebackType | None, stood: TracebackType | None) -> TracebackType | None:
    """The traceback from the cell's first frame on, without ours, and of bounded length."""
    steps = [step for step in _walk(first) if not step.tb_frame.f_code.co_filename.startswith(_HERE)]
    start = next((i for i, step in enumerate(steps) if step.tb_frame.f_code.co_filename.startswith(CELL)), None)
    if start is None:
        return stood
    steps = steps[start:]
    if len(steps) > FIRST + LAST:
        steps = steps[:FIRST] + steps[-LAST:]
    trimmed = None
    for step in reversed(steps):
        trimmed = TracebackType(trimmed, step.tb_frame, *_place(step))
    return trimmed


def _place(step: TracebackType) -> tuple[int, int]:
    if step.tb_lineno:
        return step.tb_lasti, step.tb_lineno
    lines = (line for _, _, line in step.tb_frame.f_code.co_lines() if line)  # it has not begun: line 0
    return -1, next(lines, 1)


def _walk(step: TracebackType | None) -> Iterator[TracebackType]:
    while step is not None:
        yield step
        step = step.tb_next


def _without_ours(whole: traceback.TracebackException) -> None:
    """Take our frames out of the causes, contexts and groups too."""
    todo: list[traceback.TracebackException | None] = [whole]
    seen: set[int] = set()
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if one.stack is not None:
            one.stack[:] = [entry for entry in one.stack if not entry.filename.startswith(_HERE)]
        todo += [one.__cause__, one.__context__, *(one.exceptions or ())]

"""What is another of an event loop and of pools of threads each time, made the same when a cell runs again.

Tasks and futures are hashed by their number in the cell, not by where they lie in memory: a set of them, such as
`asyncio.wait` gives, is gone through in the same order. And the clock of a loop, where code of the session's own reads
it, is read as any clock; the loop itself goes by the real one.
"""

from __future__ import annotations

import asyncio
import asyncio.tasks
import itertools
import sys
from asyncio.base_events import BaseEventLoop
from typing import Any

from .clock import CLOCK, NS

_frame = sys._getframe
_call_at: Any = BaseEventLoop.call_at
_now: Any = BaseEventLoop.time
_SOON = 0.05  # seconds: no loop asks itself for a moment that has passed for longer


class Task(asyncio.Task[Any]):
    """A task of an event loop, as CPython's own."""

    _codeact_number = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._codeact_number = next(CLOCK.futures)
        super().__init__(*args, **kwargs)

    def __hash__(self) -> int:
        return self._codeact_number


def install() -> None:
    """Have all event loops be such ones, once, before any session."""
    real = asyncio.Task
    Task.__module__, Task.__qualname__, Task.__doc__ = real.__module__, real.__qualname__, real.__doc__
    asyncio.Task = asyncio.tasks.Task = Task  # type: ignore[misc]
    behind = 0.0

    def time(self: Any) -> Any:
        nonlocal behind
        read = CLOCK.read("m", _frame(1))
        if read is None:
            return _now(self)
        behind = max(0.0, _now(self) - read / NS)
        return read / NS

    def call_at(self: Any, when: float, callback: Any, *args: Any, **kwargs: Any) -> Any:
        if behind > _SOON and when < _now(self) - _SOON:  # reckoned from what was read, in a cell that runs again
            when += behind
        return _call_at(self, when, callback, *args, **kwargs)

    for name, function, is_now in (("time", time, _now), ("call_at", call_at, _call_at)):
        function.__qualname__, function.__module__, function.__doc__ = (
            is_now.__qualname__,
            is_now.__module__,
            is_now.__doc__,
        )
        setattr(BaseEventLoop, name, function)


def follow_futures(module: Any) -> None:
    """The same of what pools of threads are given to do; `as_completed` gives what is over in the order of its end."""
    future = module.Future
    real, result, exception = future.__init__, future.set_result, future.set_exception
    found = module._yield_finished_futures
    ends = itertools.count(1)

    def __init__(self: Any) -> None:
        real(self)
        self._codeact_number = next(CLOCK.futures)

    def __hash__(self: Any) -> int:
        return getattr(self, "_codeact_number", 0)

    def set_result(self: Any, *args: Any, **kwargs: Any) -> None:
        self._codeact_end = next(ends)
        result(self, *args, **kwargs)

    def set_exception(self: Any, *args: Any, **kwargs: Any) -> None:
        self._codeact_end = next(ends)
        exception(self, *args, **kwargs)

    def in_order(fs: Any, *args: Any, **kwargs: Any) -> Any:
        fs.sort(key=lambda one: getattr(one, "_codeact_end", 0), reverse=True)  # they are taken from its end
        return found(fs, *args, **kwargs)

    for function, was in ((__init__, real), (set_result, result), (set_exception, exception)):
        function.__qualname__, function.__doc__ = was.__qualname__, was.__doc__
        setattr(future, was.__name__, function)
    future.__hash__, module._yield_finished_futures = __hash__, in_order

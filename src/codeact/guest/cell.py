"""Run one cell, part by part, in the one namespace: the namespace of a real `__main__` module."""

from __future__ import annotations

import asyncio
import builtins
import contextvars
import selectors
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from inspect import CO_COROUTINE
from itertools import islice
from types import CodeType, CoroutineType, ModuleType, TracebackType
from typing import Any, NamedTuple

from .imports import Imports
from .interrupts import CELL, Finished, Interrupts, open_to_interrupts, shut_to_interrupts
from .kept import Kept
from .parts import Compiled, Following, Parts, Uncompiled
from .tracebacks import Sources, describe

_eval: Any = eval


class Ran(NamedTuple):
    """What came of a cell: its error, or the repr and the preview of its last value; and how many statements ended."""

    complete: int
    error: list[str] | None = None
    value: tuple[str, str] | None = None


class Cells:
    """The session's namespace and what runs in it."""

    def __init__(self, imports: Imports, interrupts: Interrupts, show: Callable[[Any], tuple[str, str]]) -> None:
        self.module = ModuleType("__main__")
        self.namespace = vars(self.module)
        self.namespace.update(__annotations__={}, __cached__=None)  # what CPython's own __main__ has besides
        self.sources = Sources()
        self._imports = imports
        self._interrupts = interrupts
        self._show = show
        self._context = contextvars.copy_context()
        self._run = self._context.run
        self._complete = 0
        self._parts: Parts
        self._part: Compiled | None = None  # that runs, or has run last
        self._kept: Kept | None = None
        self.sought: Callable[[Iterable[CodeType]], dict[str, Any]] | None = None  # builtins that come when used
        self._stood: TracebackType | None = None  # where a cell that awaits was left
        self._loop: asyncio.AbstractEventLoop | None = None

    def within(self, act: Callable[[], None]) -> None:
        """Do this in the context that all cells run in."""
        self._run(act)

    def run(self, number: int, source: str, following: Following | None = None) -> Ran:
        """Run a cell to its end, whatever that is; with `following` the source is the first part of it."""
        name = f"{CELL}{number}>"
        self.namespace["__file__"] = name
        self.namespace.pop("__warningregistry__", None)  # it knows the line numbers of another cell
        value = self._stood = None
        self._complete = 0
        self._parts = Parts(name, self.sources, self._imports, following)
        self._part = None
        try:
            if following is not None and self._has_tasks():
                source = self._parts.up_to_an_await(source)
            self._part = part = self._parts.first(source)
            try:
                if self.sought is not None:
                    self._seek(part)
                value = self._evaluate(part)
            finally:
                self._put_back_builtins()  # from here on the runtime stands on them again
            return Ran(self._complete, None, None if value is None else self._run(_show, value, self._show))
        except Uncompiled as error:
            return Ran(self._complete, error.described)
        except Finished as error:
            return Ran(max(self._complete, _reached(error, self._part, self._stood)))
        except BaseException as error:
            self._put_back_builtins()
            self.sources.put_back()
            complete = max(self._complete, _reached(error, self._part, self._stood))
            return Ran(complete, _describe(error, self._stood))
        finally:
            self._stood = None

    def _evaluate(self, part: Compiled) -> Any:
        """The value of the last expression. The cell may have taken any builtin away: nothing here uses one."""
        self._interrupts.check()
        while True:
            if part.awaits:
                return self._drive(self._evaluate_in_loop(part))
            body: Any = (_eval, part.body, self.namespace)
            self._run(*body)  # with a star: such a call is as deep the first time as the hundredth, also in 3.11
            self._complete = part.before
            self._interrupts.check()
            value = None
            if part.last is not None:
                last: Any = (_eval, part.last, self.namespace)
                value = self._run(*last)
                self._complete = part.before + 1
                self._interrupts.check()
            following = None if self._parts.following is None else self._goes_on()
            if following is None:
                return value
            part, value = following, None  # a value that was not the last is let go before anything else runs

    @shut_to_interrupts
    async def _evaluate_in_loop(self, part: Compiled) -> Any:
        """The same, from the first part that awaits: all that follows runs in the same task."""
        while True:
            value = _eval(part.body, self.namespace)
            if part.body.co_flags & CO_COROUTINE:
                await value
            self._complete = part.before
            self._interrupts.check()
            value = None
            if part.last is not None:
                value = _eval(part.last, self.namespace)
                if part.last.co_flags & CO_COROUTINE:
                    value = await value
                self._complete = part.before + 1
                self._interrupts.check()
            following = None if self._parts.following is None else self._goes_on()
            if following is None:
                return value
            part, value = following, None

    def _goes_on(self) -> Compiled | None:
        """The next part, if there is one; to wait for it the runtime stands on its own builtins."""
        kept = self._kept
        written = kept.lift() if kept is not None else None
        part = self._parts.next()
        if part is not None:
            self._seek(part)
        if kept is not None:
            kept.lay(written)
        self._part = part or self._part
        return part

    def _has_tasks(self) -> bool:
        """Whether anything waits in the event loop, which would run before a cell that awaits."""
        loop: Any = self._loop
        if loop is None or loop.is_closed():
            return False
        waiting: tuple[Any, ...] = asyncio.all_tasks(loop), loop._ready, loop._scheduled
        return any(waiting)

    def _seek(self, cell: Compiled) -> None:
        """Bring the builtins that this cell uses and no cell before it did."""
        if self.sought is None or self._kept is None:
            return
        if found := self.sought(filter(None, (cell.body, cell.last))):
            self._kept.add(found)

    def keep_builtins(self, changed: Iterable[str]) -> None:
        """Every cell begins with these; `changed` are those that were not there before any session."""
        self._kept = Kept(builtins, changed)

    def _put_back_builtins(self) -> None:
        if self._kept is not None:
            self._kept.put_back()

    def forget(self) -> None:
        """Leave no trace of what ran here."""
        self.sources.forget()

    def dismiss_idle(self) -> None:
        """Let the threads go that the event loop keeps for work and that have none; it starts others when it has."""
        pool: Any = getattr(self._loop, "_default_executor", None)
        with suppress(AttributeError):  # a pool of the cell's own kind
            if pool is not None and pool._work_queue.empty() and pool._idle_semaphore._value >= len(pool._threads):
                pool.shutdown(wait=True)
                self._loop._default_executor = None  # type: ignore[union-attr]

    def renew(self) -> None:
        """In a copy: the event loop waits and is woken by descriptors of its own; what waits in it stays."""
        loop: Any = self._loop
        if loop is None or loop.is_closed():
            return
        shared = loop._selector
        loop._selector = own = selectors.DefaultSelector()
        for key in shared.get_map().values():
            own.register(key.fileobj, key.events, key.data)
        shared.close()
        loop._close_self_pipe()
        loop._make_self_pipe()

    def put_back(self) -> None:
        """Undo what a cell did to the module that it runs in."""
        self.namespace["__name__"] = "__main__"
        self.namespace["__builtins__"] = builtins
        sys.modules["__main__"] = self.module

    @open_to_interrupts
    def _drive(self, coroutine: Any) -> Any:
        """Run a cell that awaits, in the session's one event loop."""
        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.new_event_loop()
        task = self._loop.create_task(coroutine, context=self._context)
        try:
            return self._loop.run_until_complete(task)
        except (KeyboardInterrupt, SystemExit):  # they leave the loop at once, the cell's task where it stands
            awaited = coroutine.cr_await
            if isinstance(awaited, CoroutineType) and (frame := awaited.cr_frame) is not None:
                self._stood = TracebackType(None, frame, frame.f_lasti, frame.f_lineno)
            self._cancel_all(self._loop)
            raise

    def _cancel_all(self, loop: asyncio.AbstractEventLoop) -> None:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))


def _reached(error: BaseException, cell: Compiled | None, stood: TracebackType | None) -> int:
    """How many top-level statements had ended where the exception left the cell's own frame."""
    if cell is None:
        return 0
    step = error.__traceback__
    while step is not None and step.tb_frame.f_code is not cell.body:
        step = step.tb_next
    step = step or stood
    if step is None or step.tb_frame.f_code is not cell.body:
        return cell.start
    line, _, column, _ = next(islice(cell.body.co_positions(), step.tb_lasti // 2, None), (None,) * 4)
    at = (line or step.tb_lineno, column or 0)
    return cell.start + sum(end <= at for end in cell.ends)


@open_to_interrupts
def _describe(error: BaseException, stood: TracebackType | None) -> list[str]:
    return describe(error, stood)


@open_to_interrupts
def _show(value: Any, show: Callable[[Any], tuple[str, str]]) -> tuple[str, str]:
    return show(value)

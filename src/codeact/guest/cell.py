"""Compile and run one cell in the one namespace: the namespace of a real `__main__` module."""

from __future__ import annotations
import __future__

import ast
import asyncio
import builtins
import contextvars
import selectors
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from inspect import CO_COROUTINE
from itertools import islice
from types import CodeType, CoroutineType, ModuleType, TracebackType
from typing import Any

from .imports import ImportPolicyError, Imports
from .interrupts import CELL, Finished, Interrupts, open_to_interrupts, shut_to_interrupts
from .tracebacks import Sources, describe, describe_uncompiled

_eval: Any = eval
_FUTURE = sum({getattr(__future__, name).compiler_flag for name in __future__.all_feature_names})


@dataclass(frozen=True)
class Ran:
    """What came of a cell: its error, or the repr and the preview of its last value; and how many statements ended."""

    complete: int
    error: list[str] | None = None
    value: tuple[str, str] | None = None


@dataclass(frozen=True)
class _Compiled:
    body: CodeType
    last: CodeType | None  # the last expression, whose value is shown
    before: int  # top-level statements in the body
    awaits: bool
    ends: tuple[tuple[int, int], ...]  # line and column after each top-level statement


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
        self._builtins = vars(builtins)
        self._kept: dict[str, Any] = {}
        self.sought: Callable[[Iterable[CodeType]], dict[str, Any]] | None = None  # builtins that come when used
        self._stood: TracebackType | None = None  # where a cell that awaits was left
        self._loop: asyncio.AbstractEventLoop | None = None

    def within(self, act: Callable[[], None]) -> None:
        """Do this in the context that all cells run in."""
        self._run(act)

    def run(self, number: int, source: str) -> Ran:
        """Run a cell to its end, whatever that is."""
        name = f"{CELL}{number}>"
        self.sources.add(name, source)
        self.namespace["__file__"] = name
        self.namespace.pop("__warningregistry__", None)  # it knows the line numbers of another cell
        try:
            cell = _compile(source, name, self._imports)
        except BaseException as error:
            self.sources.put_back()
            return Ran(0, describe_uncompiled(error))
        value = self._stood = None
        self._complete = 0
        try:
            try:
                self._seek(cell)
                value = self._evaluate(cell)
            finally:
                self._builtins.update(self._kept)  # from here on the runtime stands on them again
            return Ran(self._complete, None, self._run(_show, value, self._show))
        except Finished as error:
            return Ran(max(self._complete, _reached(error, cell, self._stood)))
        except BaseException as error:
            self._builtins.update(self._kept)
            self.sources.put_back()
            complete = max(self._complete, _reached(error, cell, self._stood))
            return Ran(complete, _describe(error, self._stood))
        finally:
            self._stood = None

    def _evaluate(self, cell: _Compiled) -> Any:
        """The value of the last expression. The cell may have taken any builtin away: nothing here uses one."""
        self._interrupts.check()
        if cell.awaits:
            return self._drive(self._evaluate_in_loop(cell))
        body: Any = (_eval, cell.body, self.namespace)
        self._run(*body)  # with a star: such a call is as deep the first time as the hundredth, also in 3.11
        self._complete = cell.before
        self._interrupts.check()
        if cell.last is None:
            return None
        last: Any = (_eval, cell.last, self.namespace)
        value = self._run(*last)
        self._complete = cell.before + 1
        self._interrupts.check()
        return value

    @shut_to_interrupts
    async def _evaluate_in_loop(self, cell: _Compiled) -> Any:
        value = _eval(cell.body, self.namespace)
        if cell.body.co_flags & CO_COROUTINE:
            await value
        self._complete = cell.before
        self._interrupts.check()
        if cell.last is None:
            return None
        value = _eval(cell.last, self.namespace)
        if cell.last.co_flags & CO_COROUTINE:
            value = await value
        self._complete = cell.before + 1
        self._interrupts.check()
        return value

    def _seek(self, cell: _Compiled) -> None:
        """Bring the builtins that this cell uses and no cell before it did."""
        if self.sought is not None and (found := self.sought(filter(None, (cell.body, cell.last)))):
            self._builtins.update(found)
            self._kept.update(found)

    def keep_builtins(self) -> None:
        """Every cell begins with these."""
        self._kept = dict(self._builtins)

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


def _compile(source: str, name: str, imports: Imports) -> _Compiled:
    tree = ast.parse(source, name, type_comments=False)
    if "import" in source:
        refusals = imports.check(tree)
        if refusals:
            raise ImportPolicyError("\n".join(refusals))
    ends = tuple((node.end_lineno or 0, node.end_col_offset or 0) for node in tree.body)
    last: ast.Expression | None = None
    if tree.body and isinstance(end := tree.body[-1], ast.Expr):
        last = ast.Expression(end.value)
        del tree.body[-1]
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    body = compile(tree, name, "exec", flags, dont_inherit=True)
    if last is None:
        return _Compiled(body, None, len(ends), bool(body.co_flags & CO_COROUTINE), ends)
    shown = compile(last, name, "eval", flags | body.co_flags & _FUTURE, dont_inherit=True)
    return _Compiled(body, shown, len(ends) - 1, bool((body.co_flags | shown.co_flags) & CO_COROUTINE), ends)


def _reached(error: BaseException, cell: _Compiled, stood: TracebackType | None) -> int:
    """How many top-level statements had ended where the exception left the cell's own frame."""
    step = error.__traceback__
    while step is not None and step.tb_frame.f_code is not cell.body:
        step = step.tb_next
    step = step or stood
    if step is None or step.tb_frame.f_code is not cell.body:
        return 0
    line, _, column, _ = next(islice(cell.body.co_positions(), step.tb_lasti // 2, None), (None,) * 4)
    at = (line or step.tb_lineno, column or 0)
    return sum(end <= at for end in cell.ends)


@open_to_interrupts
def _describe(error: BaseException, stood: TracebackType | None) -> list[str]:
    return describe(error, stood)


@open_to_interrupts
def _show(value: Any, show: Callable[[Any], tuple[str, str]]) -> tuple[str, str] | None:
    return None if value is None else show(value)

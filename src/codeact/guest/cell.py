"""Compile and run one cell in the one namespace: the namespace of a real `__main__` module."""

from __future__ import annotations
import __future__

import ast
import asyncio
import builtins
import contextvars
import sys
from dataclasses import dataclass
from inspect import CO_COROUTINE
from itertools import islice
from types import CodeType, CoroutineType, ModuleType, TracebackType
from typing import Any

from .display import show
from .imports import ImportPolicyError, Imports
from .interrupts import CELL, Finished, Interrupts, open_to_interrupts
from .tracebacks import Sources, describe, describe_uncompiled

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
    ends: tuple[tuple[int, int], ...]  # line and column after each top-level statement


class Cells:
    """The session's namespace and what runs in it."""

    def __init__(self, imports: Imports, interrupts: Interrupts) -> None:
        self.module = ModuleType("__main__")
        self.namespace = vars(self.module)
        self.sources = Sources()
        self._imports = imports
        self._interrupts = interrupts
        self._context = contextvars.copy_context()
        self._stood: TracebackType | None = None  # where a cell that awaits was left
        self._loop: asyncio.AbstractEventLoop | None = None
        imports.guard(self.namespace)

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
        complete = 0
        value = self._stood = None
        try:
            self._interrupts.check()
            self._evaluate(cell.body)
            complete = len(cell.ends) - (cell.last is not None)
            self._interrupts.check()
            if cell.last is not None:
                value = self._evaluate(cell.last)
                complete += 1
                self._interrupts.check()
            return Ran(complete, None, self._context.run(_show, value))
        except Finished as error:
            return Ran(max(complete, _reached(error, cell, self._stood)))
        except BaseException as error:
            complete = max(complete, _reached(error, cell, self._stood))
            self.sources.put_back()
            return Ran(complete, _describe(error, self._stood))
        finally:
            self._stood = None

    def put_back(self) -> None:
        """Undo what a cell did to the module that it runs in."""
        self.namespace["__name__"] = "__main__"
        self.namespace["__builtins__"] = builtins
        sys.modules["__main__"] = self.module

    def _evaluate(self, code: CodeType) -> Any:
        value = self._context.run(eval, code, self.namespace)
        return self._drive(value) if code.co_flags & CO_COROUTINE else value

    @open_to_interrupts
    def _drive(self, coroutine: CoroutineType[Any, Any, Any]) -> Any:
        """Run a cell that awaits, in the session's one event loop."""
        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.new_event_loop()
        task = self._loop.create_task(coroutine, context=self._context)
        try:
            return self._loop.run_until_complete(task)
        except (KeyboardInterrupt, SystemExit):  # they leave the loop at once, the cell's task where it stands
            frame = coroutine.cr_frame
            if frame is not None:
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
    if tree.body and isinstance(shown := tree.body[-1], ast.Expr):
        last = ast.Expression(shown.value)
        del tree.body[-1]
    body = compile(tree, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    if last is None:
        return _Compiled(body, None, ends)
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | body.co_flags & _FUTURE
    return _Compiled(body, compile(last, name, "eval", flags, dont_inherit=True), ends)


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
def _show(value: Any) -> tuple[str, str] | None:
    return None if value is None else show(value)

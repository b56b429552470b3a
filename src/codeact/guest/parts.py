"""A cell, compiled part by part: what follows is asked for when what came before has run, and is the same cell.

A cell that comes whole is one part. In one that is still being written each part stands at its own lines, sees the
future imports of those before it, and counts their statements; so nobody can tell from what it does how it came.
"""

from __future__ import annotations
import __future__

import ast
from collections.abc import Callable
from inspect import CO_COROUTINE
from types import CodeType
from typing import Any, NamedTuple, TypeAlias

from .imports import ImportPolicyError, Imports
from .tracebacks import Sources, describe_uncompiled

Following: TypeAlias = "Callable[[], tuple[str, bool]]"  # waits for more of the cell, and says whether more may follow

_FUTURE = sum({getattr(__future__, name).compiler_flag for name in __future__.all_feature_names})


class Compiled(NamedTuple):
    """A part: `start` statements of the cell stand before it, `before` before its last expression."""

    body: CodeType
    last: CodeType | None  # the last expression, whose value is shown where the cell ends with it
    start: int
    before: int
    awaits: bool
    ends: list[tuple[int, int]]  # line and column after each top-level statement


class Uncompiled(BaseException):
    """A part that cannot run: `described` is what is told of it."""

    def __init__(self, described: list[str]) -> None:
        super().__init__()
        self.described = described


class Parts:
    """The parts of one cell; `following` waits for the next of them, and there is none where the cell came whole."""

    def __init__(self, name: str, sources: Sources, imports: Imports, following: Following | None = None) -> None:
        self._name = name
        self._sources = sources
        self._imports = imports
        self.following = following  # none where there is nothing to wait for
        self._text = ""
        self._count = 0  # statements so far
        self._flags = 0  # of the future imports so far
        self._opening = True  # nothing but those so far, and a docstring

    def up_to_an_await(self, source: str) -> str:
        """The first part, with all that follow up to one that awaits: what waits in the event loop runs before it."""
        part = source
        while self.following is not None and not _awaits(part):
            part, more = self.following()
            if not more:
                self.following = None
            source += part
        return source

    def first(self, source: str) -> Compiled:
        """The part that the cell begins with. Raises Uncompiled."""
        try:
            return self._compiled(source)
        except BaseException as error:
            self._sources.put_back()
            raise Uncompiled(describe_uncompiled(error)) from None

    def next(self) -> Compiled | None:
        """Wait for the next part; None at the cell's end. Raises Uncompiled, and what an interrupt raises."""
        while self.following is not None:
            source, more = self.following()
            if not more:
                self.following = None
            if source:
                part = self.first(source)
                if part.ends:
                    return part
        return None

    def _compiled(self, source: str) -> Compiled:
        above = self._text.count("\n")
        self._text += source
        self._sources.add(self._name, self._text)
        tree: Any = compile("\n" * above + source, self._name, "exec", ast.PyCF_ONLY_AST, True)
        if "import" in source:
            refusals = self._imports.check(tree)
            if refusals:
                raise ImportPolicyError("\n".join(refusals))
        start = self._count
        ends = [(node.end_lineno or 0, node.end_col_offset or 0) for node in tree.body]
        self._count += len(ends)
        if start or self.following is not None:
            self._stand_inside(tree, start)
        last: ast.Expression | None = None
        if ends and isinstance(end := tree.body[-1], ast.Expr):
            last = ast.Expression(end.value)
            del tree.body[-1]
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | self._flags
        body = compile(tree, self._name, "exec", flags, dont_inherit=True)
        self._flags |= body.co_flags & _FUTURE
        if last is None:
            return Compiled(body, None, start, start + len(ends), bool(body.co_flags & CO_COROUTINE), ends)
        shown = compile(last, self._name, "eval", flags | self._flags, dont_inherit=True)
        awaits = bool((body.co_flags | shown.co_flags) & CO_COROUTINE)
        return Compiled(body, shown, start, start + len(ends) - 1, awaits, ends)

    def _stand_inside(self, tree: ast.Module, start: int) -> None:
        """Have the compiler know that this is not the beginning: a text is no docstring, a future import too late."""
        nodes = tree.body
        if start and nodes and (not self._opening or _is_text(nodes[0])):
            nodes.insert(0, ast.copy_location(ast.Pass(), nodes[0]))
        self._opening = self._opening and all(map(_opens, nodes))


def _awaits(source: str) -> bool:
    """Also of what is no Python: there is nothing to wait for."""
    try:
        return bool(compile(source, "part", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT).co_flags & CO_COROUTINE)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True


def _opens(node: ast.stmt) -> bool:
    return _is_text(node) or (isinstance(node, ast.ImportFrom) and node.module == "__future__")


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)

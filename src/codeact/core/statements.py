"""Source that grows line by line, cut where a statement is whole: where nothing that follows can belong to it.

A simple statement is whole at its line's end, one that holds a block where the next line stands at the margin again and
does not go on with it (`else`, `except`). Whether code stands in a running event loop, as all of a cell does that
awaits somewhere, is not known before that await is read: what could tell the difference waits for it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .names import parsed
from .source import LOOK

_GOES_ON = re.compile(r"(?:else|elif|except|finally)\b|[)\]}]")
_HOLDS_A_BLOCK = re.compile(r"(?:if|for|while|with|try|def|class|async)\b|@")
_BLOCKS = (
    ast.If,
    ast.For,
    ast.While,
    ast.With,
    ast.Try,
    ast.TryStar,
    ast.Match,
    ast.FunctionDef,
    ast.ClassDef,
    ast.AsyncFunctionDef,
    ast.AsyncFor,
    ast.AsyncWith,
)
_LONG = 4096  # characters from which on not every line is worth a look


class Statements:
    """The source of one cell as it comes. What `feed` gives runs as it is, in order."""

    def __init__(self, loops: Loops) -> None:
        self._loops = loops
        self._waiting = ""
        self._head = ""  # the first line of it that says something
        self._awaits = False  # somewhere in what was given
        self._given = False
        self._patience = 0  # how long it has to be before it is looked at again

    def feed(self, line: str) -> list[str]:
        """The parts that are whole, now that this line is there."""
        found = []
        if line[0] not in " \t\f#\n" and not _GOES_ON.match(line):
            found.append(self._take())
        self._waiting += line
        if not self._head and line.strip() and line.lstrip()[0] != "#":
            self._head = line
        if self._head and line.strip() and not _HOLDS_A_BLOCK.match(self._head):
            found.append(self._take(simple=True))
        return [part for part in found if part]

    def end_of_block(self) -> list[str]:
        """The part that is whole, since no line of the same block can follow."""
        part = self._take()
        return [part] if part else []

    def _take(self, *, simple: bool = False) -> str:
        if not self._head or not self._patience <= len(self._waiting) <= LOOK:
            return ""
        tree = parsed(self._waiting)
        if tree is None or not tree.body:
            return self._later()
        if simple and isinstance(tree.body[-1], _BLOCKS):
            return ""
        if not self._given and len(tree.body) == 1 and _is_text(tree.body[0]):
            return ""  # a docstring, or the value of the whole cell
        self._awaits = self._awaits or any(map(_awaits, tree.body))
        if not self._awaits and any(map(self._loops.can_tell, tree.body)):
            return self._later()
        self._loops.saw(tree)
        part, self._waiting, self._head = self._waiting, "", ""
        self._given, self._patience = True, 0
        return part

    def _later(self) -> str:
        self._patience = len(self._waiting) * 5 // 4 if len(self._waiting) > _LONG else 0
        return ""


class Loops:
    """Which names of a session have to do with event loops, as far as its source shows."""

    def __init__(self) -> None:
        self._names = {"asyncio", "anyio", "nest_asyncio", "trio", "aio"}

    def follow(self, other: Loops) -> None:
        """What was seen there was seen here."""
        self._names |= other._names

    def can_tell(self, statement: ast.stmt) -> bool:
        """Whether it could tell if a loop runs. To import, or to define a function, is to ask nobody."""
        match statement:
            case ast.Import() | ast.ImportFrom():
                return False
            case ast.FunctionDef(decorator_list=[]) | ast.AsyncFunctionDef(decorator_list=[]):
                return False
        return self._touched(statement)

    def read(self, source: str) -> None:
        """A cell, or a part of one, runs that came otherwise."""
        if (tree := parsed(source)) is not None:
            self.saw(tree)

    def saw(self, tree: ast.Module) -> None:
        """What these statements bind has to do with loops where they do."""
        for statement in tree.body:
            if self._touched(statement):
                self._names |= set(_bound(statement))

    def _touched(self, statement: ast.stmt) -> bool:
        for node in ast.walk(statement):
            match node:
                case ast.Name(id=name) | ast.Attribute(attr=name) if name in self._names:
                    return True
                case ast.alias(name=name) if name.partition(".")[0] in self._names:
                    return True
                case ast.ImportFrom(module=str(name)) if name.partition(".")[0] in self._names:
                    return True
                case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
                    return True
        return False


def _bound(statement: ast.stmt) -> Iterator[str]:
    """The names that it binds or changes, and more: one too many makes code wait, one too few would run it wrongly."""
    for node in ast.walk(statement):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.alias(asname=str(name)):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.alias(name=name):
                yield name.partition(".")[0]
            case ast.Attribute(value=ast.Name(id=name), ctx=ast.Store()):
                yield name
            case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store()):
                yield name


def _awaits(statement: ast.stmt) -> bool:
    """Whether the statement itself awaits, and not only a function that it defines."""
    return any(_is_await(node) for node in _here(statement))


def _is_await(node: ast.AST) -> bool:
    return isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith) or (
        isinstance(node, ast.comprehension) and bool(node.is_async)
    )


def _here(statement: ast.AST) -> Iterator[ast.AST]:
    todo = [statement]
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            todo += ast.iter_child_nodes(node)


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(getattr(statement.value, "value", None), str)

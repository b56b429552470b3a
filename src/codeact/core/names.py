"""Which names a cell binds, and which it needs: read from its source, never by running it.

CPython's own symbol tables say what is local and what is global. Where code binds names in a way that no reader can
follow (a star import, `exec`, `globals()`), that is said too, and nobody is to draw conclusions.
"""

from __future__ import annotations

import ast
import builtins
import symtable
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from .source import LOOK

_HIDDEN = {"exec", "eval", "globals", "locals", "vars", "dir", "setattr", "__dict__", "__main__", "modules", "run_path"}
_LATER = {"PythonFinalizationError", "ExceptionGroup", "BaseExceptionGroup", "EncodingWarning", "aiter", "anext"}
BUILTINS = frozenset(dir(builtins)) | _LATER | {"exit", "quit", "help", "copyright", "credits", "license"}


@dataclass(frozen=True, slots=True)
class Names:
    """What a cell binds and needs in the one namespace; not `sure` where more may be bound than can be seen."""

    bound: frozenset[str] = frozenset()
    needed: frozenset[str] = frozenset()
    sure: bool = True

    def __or__(self, later: Names) -> Names:
        return Names(self.bound | later.bound, self.needed | later.needed, self.sure and later.sure)


_SCOPES = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)
UNSURE = Names(sure=False)


def parsed(source: str) -> ast.Module | None:
    """The tree of a cell; None for what is not Python here, or too long to be parsed on the host."""
    if len(source) > LOOK:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def names(source: str, tree: ast.Module | None = None) -> Names:
    """The names of a cell; unsure where it is not Python for this interpreter."""
    looked = _worth_a_look(source)
    tree = tree or (parsed(source) if looked else None)
    if len(source) > LOOK or (looked and tree is None):
        return UNSURE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            top = symtable.symtable(source, "<cell>", "exec")
        bound = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
        if looked and tree is not None:
            bound |= {node.target.id for node in ast.walk(tree) if isinstance(node, ast.NamedExpr)}
        needed = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_referenced()}
        for table in _below(top):
            for symbol in table.get_symbols():
                # a function named `top` is taken for the module by CPython's own symtable: its locals are no globals
                if symbol.is_global() and not symbol.is_local() and not symbol.is_parameter():
                    (bound if symbol.is_assigned() else needed).add(symbol.get_name())
                    if symbol.is_referenced():
                        needed.add(symbol.get_name())
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return UNSURE
    return Names(frozenset(bound), frozenset(needed), not (looked and tree and _hides(tree)))


def _worth_a_look(source: str) -> bool:
    """Whether its tree may tell more than its symbol tables do; beyond ASCII Python reads some letters as others."""
    if not source.isascii() or ":=" in source or ("*" in source and "import" in source):
        return True
    return any(word in source for word in _HIDDEN)


def made(source: str, complete: int | None = None) -> tuple[str, ...]:
    """What a cell assigns and defines, in the order of its source: no imports, nothing that it deletes at its end.

    Of its statements only the first `complete` are looked at, where that is said.

    >>> made("import json\nrows = json.load(file)\nfor row in rows: pass\ndel file")
    ('rows', 'row')
    """
    tree = parsed(source)
    found: dict[str, None] = {}
    for statement in tree.body[:complete] if tree is not None else []:
        for node in _outside_functions(statement):
            match node:
                case ast.Name(id=name, ctx=ast.Del()):
                    found.pop(name, None)
                case ast.Name(id=name, ctx=ast.Store()):
                    found[name] = None
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    found[name] = None
                case _:
                    pass
    return tuple(found)


def _outside_functions(statement: ast.AST) -> Iterator[ast.AST]:
    """The nodes that bind in the one namespace: those of functions, classes and comprehensions do not."""
    todo = [statement]
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, _SCOPES):
            todo += reversed(list(ast.iter_child_nodes(node)))


def _below(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    todo = list(table.get_children())
    while todo:
        one = todo.pop()
        yield one
        todo += one.get_children()


def _hides(tree: ast.Module) -> bool:
    looked = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "dir" and id(node) in looked:
            continue  # dir(thing) tells nothing of our names
        match node:
            case ast.ImportFrom(names=[ast.alias(name="*")]):
                return True
            case ast.Name(id=name) | ast.Attribute(attr=name) if name in _HIDDEN:
                return True
    return False

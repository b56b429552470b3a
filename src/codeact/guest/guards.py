"""What of a source its own code is ready to see fail: the body of a `try` that catches the error, and its like."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

_CONTEXTS = ("suppress", "raises", "assertRaises")


def unguarded(tree: ast.AST, catching: Collection[str]) -> Iterator[ast.AST]:
    """Every node but those, where handlers of these names count; what is never evaluated is left out as well."""
    todo = [tree]
    while todo:
        node = todo.pop()
        yield node
        if isinstance(node, (ast.Try, ast.TryStar)) and any(_catches(one.type, catching) for one in node.handlers):
            todo += [*node.handlers, *node.orelse, *node.finalbody]
        elif isinstance(node, (ast.With, ast.AsyncWith)) and any(
            _guards(one.context_expr, catching) for one in node.items
        ):
            continue
        elif isinstance(node, ast.If) and _name(node.test) == "TYPE_CHECKING":
            todo += node.orelse
        else:
            todo += reversed(list(_children(node)))


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """All but annotations, which may never be evaluated."""
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns"):
            yield from (one for one in (value if isinstance(value, list) else [value]) if isinstance(one, ast.AST))


def _guards(context: ast.expr, catching: Collection[str]) -> bool:
    if not isinstance(context, ast.Call) or _name(context.func) not in _CONTEXTS:
        return False
    return any(_catches(one, catching) for one in context.args)


def _catches(kind: ast.expr | None, catching: Collection[str]) -> bool:
    if kind is None:
        return True
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(not _name(one) or _name(one) in catching for one in kinds)  # something computed: who knows


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""

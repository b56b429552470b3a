"""A cell is looked at before a line of it runs: names that exist nowhere, tool calls that cannot bind, imports that
will be refused. All mistakes are told at once, and nothing has happened yet.

Only what is certain counts. What the code is ready to see fail (in a `try` that catches it) is left to run time, and so
is a cell whose names cannot be followed, or that is no Python for this interpreter: the one that runs it will say so.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Collection, Iterator

from ..core.catalogue import MODULE, Catalogue
from ..core.errors import nearest
from ..core.execution import Imports, ToolSpec
from ..core.names import BUILTINS, names, parsed
from ..core.reach import Reach, reach
from ..guest import advice, imports
from ..guest.guards import unguarded

_OURS = frozenset({"final_answer", "display", "ToolError", "ImportPolicyError"})
_MOST = 10  # complaints that are told
_WIDER = ("Exception", "BaseException")


def complaints(
    source: str, known: Collection[str], tools: Catalogue, allowed: Imports, *, more: bool = False
) -> list[str]:
    """What is wrong with a cell for certain, in words for its author, by line; `known` are the names of before.

    Where `more` of it may follow, that may bind any name: what is missing is left to run time.
    """
    tree = parsed(source)
    if tree is None:
        return []
    mine = names(source, tree)
    found: list[tuple[int, str]] = []
    if mine.sure and not more:
        there = {*mine.bound, *known, *BUILTINS, *_OURS, *([MODULE] if tools.specs else [])}
        missing = frozenset(name for name in mine.needed - there if not _dunder(name) and name not in tools.by_flat)
        near = [*mine.bound, *known, *tools.by_flat]
        found += _missing(tree, missing, lambda name: _in_modules(name, tools) or _hint(name, near, allowed))
    means = reach(tree, tools, known)
    if tools.specs:
        found += means.wrong(unguarded(tree, ("ImportError", "ModuleNotFoundError", "AttributeError", *_WIDER)))
    found += _calls(tree, means)
    said = [f"line {line}: {words}" for line, words in sorted(dict.fromkeys(found))]
    if said:
        policy = _policy(allowed)
        said += [words for words in policy.check(tree) if words.partition(" ")[0].partition(".")[0] in _TOLD_HERE]
    return said[:_MOST]


_TOLD_HERE = {name.partition(".")[0] for name in advice.OUTSIDE}


def _missing(tree: ast.Module, missing: frozenset[str], hint: Callable[[str], str]) -> Iterator[tuple[int, str]]:
    told: set[str] = set()
    for node in unguarded(tree, ("NameError", *_WIDER)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in missing - told:
            told.add(node.id)
            yield node.lineno, f"there is no name {node.id!r}{hint(node.id)}"


def _policy(allowed: Imports) -> imports.Imports:
    return imports.Imports(list(allowed.names), allowed.base, allowed.everything)


def _hint(name: str, near: Collection[str], allowed: Imports) -> str:
    """What was meant, as far as anybody can tell."""
    if name in sys.stdlib_module_names and _policy(allowed).allows(name):
        return f"; it is a module: write `import {name}` first"
    return nearest(name, sorted(near))


def _in_modules(name: str, tools: Catalogue) -> str:
    """Where a tool is that several groups have under this name."""
    if name and name in tools.groups:
        return f"; it is in {MODULE}: from {MODULE} import {name}"
    several = [f"{MODULE}.{spec.group}" for spec in tools.meant(name) if spec.name == name]
    return f"; it is in {' and '.join(several)}: from {several[0]} import {name}" if several else ""


def _calls(tree: ast.Module, means: Reach) -> Iterator[tuple[int, str]]:
    for node in unguarded(tree, ("TypeError", *_WIDER)):
        match node:
            case ast.Call(func=ast.Attribute(value=inner, attr="aio")) if tool := means.tool(inner):
                yield from _unbound(node, tool)
            case ast.Call(func=func) if tool := means.tool(func):
                yield from _unbound(node, tool)
            case ast.Await(value=ast.Call(func=func)) if means.tool(func):
                name = ast.unparse(func)
                yield node.lineno, f"{name}(...) gives its value at once: no await, or await {name}.aio(...)"
            case ast.Call(func=ast.Attribute(attr="gather" | "create_task" | "ensure_future"), args=args):
                called = {ast.unparse(one) for one in map(_plain, args) if one is not None and means.tool(one)}
                for name in sorted(called):
                    yield node.lineno, f"{name}(...) cannot be awaited: to have many at a time, {name}.aio(...)"


def _plain(given: ast.expr) -> ast.expr | None:
    """What is called here, or for each item here."""
    match given:
        case ast.Call(func=func):
            return func
        case ast.Starred(value=ast.ListComp(elt=one) | ast.GeneratorExp(elt=one)):
            return _plain(one)
        case _:
            return None


def _unbound(call: ast.Call, tool: ToolSpec) -> Iterator[tuple[int, str]]:
    if any(isinstance(one, ast.Starred) for one in call.args) or any(one.arg is None for one in call.keywords):
        return
    kinds = inspect._ParameterKind
    parameters = [
        inspect.Parameter(
            one.name, kinds[one.kind], default=inspect.Parameter.empty if one.default is None else one.default
        )
        for one in tool.parameters
    ]
    try:
        inspect.Signature(parameters).bind(*call.args, **{str(one.arg): one.value for one in call.keywords})
    except TypeError as error:
        words = _unknown(call, tool) or str(error)
        yield call.lineno, f"{tool.name}(): {words}; it is {tool.name}{tool.signature}"
    except ValueError:
        return  # a signature that Python itself could not have: the guest judges its calls


def _unknown(call: ast.Call, tool: ToolSpec) -> str:
    """The first argument by a name that the tool does not have: of more weight than one that is missing for it."""
    names = [one.name for one in tool.parameters]
    if any(one.kind == "VAR_KEYWORD" for one in tool.parameters):
        return ""
    unknown = next((one.arg for one in call.keywords if one.arg not in names), None)
    return f"got an unexpected keyword argument {unknown!r}" if unknown else ""


def _dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")

"""Which tools a cell means: by their flat names, through `tools`, and by what it imports from there."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from .catalogue import MODULE, SEARCH, Catalogue
from .errors import nearest
from .execution import ToolSpec


@dataclass(frozen=True)
class Reach:
    """What the names of a cell stand for: `functions` are tools, `modules` groups of them ("" is `tools` itself)."""

    catalogue: Catalogue
    taken: frozenset[str]  # names that stand for something else, here or since an earlier cell
    functions: dict[str, ToolSpec] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)

    def tool(self, node: ast.expr) -> ToolSpec | None:
        """The tool that an expression is, as far as that is certain."""
        match node:
            case ast.Name(id=name):
                if name in self.functions or name in self.taken:
                    return self.functions.get(name)
                return self.catalogue.by_flat.get(name)
            case ast.Attribute(value=value, attr=name):
                return self._member(self.module(value), name)
            case _:
                return None

    def module(self, node: ast.expr) -> str | None:
        """The group that an expression is the module of."""
        match node:
            case ast.Name(id=name):
                return self.modules.get(name)
            case ast.Attribute(value=value, attr=name) if name in self.catalogue.groups and self.module(value) == "":
                return name
            case _:
                return None

    def wrong(self, nodes: Iterable[ast.AST]) -> Iterator[tuple[int, str]]:
        """What is looked for in `tools` and is not there, by line, with the nearest."""
        for node in nodes:
            match node:
                case ast.Attribute(value=value, attr=name, ctx=ast.Load()):
                    group = self.module(value)
                    if group is not None and not self._there(group, name):
                        yield node.lineno, self._words(group, name)
                case ast.ImportFrom(module=str(path), names=names, level=0) if (group := _group(path)) is not None:
                    if group not in self.catalogue.groups and group:
                        yield node.lineno, self._no_module(group)
                    else:
                        yield from (
                            (node.lineno, self._words(group, a.name)) for a in names if self._lacks(group, a.name)
                        )
                case ast.Import(names=names):
                    groups = [group for alias in names if (group := _group(alias.name))]
                    yield from (
                        (node.lineno, self._no_module(one)) for one in groups if one not in self.catalogue.groups
                    )

    def _member(self, group: str | None, name: str) -> ToolSpec | None:
        if group is None or (group == "" and (name == SEARCH or name in self.catalogue.groups)):
            return None
        return self.catalogue.by_path.get(f"{group}.{name}" if group else name)

    def _there(self, group: str, name: str) -> bool:
        if name[:2] == "__" or self._member(group, name) is not None:
            return True
        return group == "" and (name == SEARCH or name in self.catalogue.groups)

    def _lacks(self, group: str, name: str) -> bool:
        return name != "*" and not self._there(group, name)

    def _words(self, group: str, name: str) -> str:
        members = [spec.name for spec in self.catalogue.groups.get(group, ())]
        members += [SEARCH, *filter(None, self.catalogue.groups)] if not group else []
        return f"{MODULE}{'.' if group else ''}{group} has no {name!r}{nearest(name, members) or _SEARCHED}"

    def _no_module(self, group: str) -> str:
        return f"there is no module {MODULE}.{group}{nearest(group, filter(None, self.catalogue.groups)) or _SEARCHED}"


_SEARCHED = f"; {MODULE}.{SEARCH}(...) finds what there is"


def reach(tree: ast.Module, catalogue: Catalogue, known: Collection[str]) -> Reach:
    """What the names of this cell stand for; `known` are those that earlier cells have bound, to whatever."""
    functions: dict[str, ToolSpec] = {}
    modules: dict[str, str] = {}
    bound = set(_bound(tree))
    if MODULE not in bound and MODULE not in known and catalogue.specs:
        modules[MODULE] = ""
    here = Reach(catalogue, frozenset(bound | {*known}), functions, modules)
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    group = _group(alias.name)
                    if group is not None and (called := alias.asname or MODULE) not in bound:
                        modules[called] = group if alias.asname else ""
            case ast.ImportFrom(module=str(path), names=names, level=0) if (group := _group(path)) is not None:
                for alias in names:
                    called = alias.asname or alias.name
                    if called in bound:
                        continue
                    if spec := here._member(group, alias.name):
                        functions[called] = spec
                    elif not group and alias.name in catalogue.groups:
                        modules[called] = alias.name
    return here


def _group(path: str) -> str | None:
    """The group of a module's path; "" for `tools` itself, None for what is none of ours."""
    top, _, rest = path.partition(".")
    return rest if top == MODULE else None


def _bound(tree: ast.Module) -> Iterator[str]:
    """Every name that is bound anywhere in a cell, by other means than an import of tools."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name
            case ast.MatchMapping(rest=str(name)):
                yield name
            case ast.Import(names=names):
                yield from (a.asname or a.name.partition(".")[0] for a in names if _group(a.name) is None)
            case ast.ImportFrom(module=path, names=names, level=level):
                if level or _group(path or "") is None:
                    yield from (alias.asname or alias.name for alias in names)

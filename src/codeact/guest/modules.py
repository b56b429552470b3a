"""`tools`: a module of all that code may call, with a module for each group, and a search in words.

Few tools are described when a session begins; of the others the names alone are here. Whoever touches one gets an
ordinary function all the same: the host is asked about it then, once. Nothing here is recorded as a call of a tool.
"""

from __future__ import annotations

import builtins
import difflib
import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Any

from . import stubs
from .calls import Calls

TOOLS = "tools"
_AT_ONCE = 100  # that are asked about in one question
_SHOWN = 50  # by help(module)


class Match(dict[str, Any]):
    """A tool that was found: `name`, `signature` and `doc`, its first line; it can be called as it is."""

    def __init__(self, fields: dict[str, Any], modules: Modules) -> None:
        super().__init__(fields)
        self._modules = modules

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"a match has {', '.join(self)}, and can be called; it has no {name!r}") from None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._modules.stub(self["name"])(*args, **kwargs)

    def aio(self, *args: Any, **kwargs: Any) -> Any:
        """The same call, to be awaited."""
        return self._modules.stub(self["name"]).aio(*args, **kwargs)

    def __repr__(self) -> str:
        called = f"{TOOLS}.{self['name']}" if "." in self["name"] else self["name"]
        return f"{called}{self['signature']}" + (f"  # {self['doc']}" if self["doc"] else "")


class Found(list[Match]):
    """What was found, the best first; shown with a line for each."""

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return Found(found) if isinstance(place, slice) else found

    def __repr__(self) -> str:
        return "\n".join(map(repr, self)) or "[]"


class Modules:
    """The tools of a session: `listed` are the described ones by their flat names, `flat` what other flat names mean.

    `unlisted` is {"groups": {group: names with blanks between}, "flat": {flat name: whole name}}, the latter for tools
    whose flat name is not their own.
    """

    def __init__(self, calls: Calls, specs: Sequence[dict[str, Any]], unlisted: dict[str, Any]) -> None:
        self._calls = calls
        self._stubs: dict[str, Any] = {}
        self._members: dict[str, dict[str, None]] = {"": {}}
        self._modules: dict[str, ModuleType] = {}
        self.flat: dict[str, str] = dict(unlisted.get("flat", {}))
        self.listed: dict[str, Any] = {}
        for spec in specs:
            group = spec.get("group", "")
            self._members.setdefault(group, {})[spec["name"]] = None
            self.listed[spec.get("flat") or spec["name"]] = self._made(spec)
        other = set(self.flat.values())
        for group, names in unlisted.get("groups", {}).items():
            prefix = f"{group}." if group else ""
            members = self._members.setdefault(group, {})
            for name in names.split():
                members[name] = None
                if prefix + name not in other:
                    self.flat[name] = prefix + name

    def install(self) -> None:
        """Have them be found: `tools` is a name that is there, and a module that can be imported."""
        root = self._module("", TOOLS)
        vars(root).update(search=_searching(self), __path__=[])
        sys.modules[TOOLS] = root
        for group in filter(None, self._members):
            sys.modules[f"{TOOLS}.{group}"] = self._modules[group] = self._module(group, f"{TOOLS}.{group}")
        sys.meta_path.append(_Absent([*self._members], [*self._members[""]]))
        vars(builtins)[TOOLS] = root

    # -- what code does with them ------------------------------------------------------------------------------------

    def search(self, query: str, limit: int, group: Any) -> Found:
        """The tools that some words are about."""
        if isinstance(group, ModuleType):
            group = group.__name__
        if isinstance(group, str):
            group = group.removeprefix(f"{TOOLS}.")
        return Found(Match(one, self) for one in self._calls.look("search", query, limit, group))

    def stub(self, path: str) -> Any:
        """The function of a whole name."""
        if path not in self._stubs:
            self._ask([path])
        return self._stubs[path]

    def found(self, code: Iterable[CodeType]) -> dict[str, Any]:
        """The functions that code means by flat names, of those that were not here from the beginning."""
        wanted = {name: self.flat[name] for name in _names(code) & self.flat.keys()}
        self._ask([path for path in wanted.values() if path not in self._stubs])
        return {name: self._stubs[path] for name, path in wanted.items()}

    def is_stub(self, value: Any) -> bool:
        """Whether this is a tool."""
        return any(value is one for one in self._stubs.values())

    def _ask(self, paths: list[str]) -> None:
        for at in range(0, len(paths), _AT_ONCE):
            for spec in self._calls.look("about", paths[at : at + _AT_ONCE]):
                self._made(spec)

    def _made(self, spec: dict[str, Any]) -> Any:
        group = spec.get("group", "")
        path = f"{group}.{spec['name']}" if group else spec["name"]
        self._stubs[path] = stub = stubs.make(spec, self._calls, path)
        return stub

    # -- modules -----------------------------------------------------------------------------------------------------

    def _module(self, group: str, name: str) -> ModuleType:
        members = self._members[group]
        inner = [one for one in self._members if one] if not group else []
        prefix = f"{group}." if group else ""
        every = [*dict.fromkeys([*inner, *members])]

        def __getattr__(wanted: str) -> Any:
            if wanted in inner:
                return self._modules[wanted]
            if wanted in members:
                return self.stub(prefix + wanted)
            if wanted == "__all__":
                self._ask([prefix + one for one in members if prefix + one not in self._stubs])
                return every
            near = difflib.get_close_matches(wanted, every, n=1) if wanted[:2] != "__" else []
            hint = f"; did you mean {near[0]!r}?" if near else f"; {TOOLS}.search(...) finds what there is"
            raise AttributeError(f"module {name!r} has no attribute {wanted!r}{hint}", name=wanted)

        def __dir__() -> list[str]:
            return every if group else [*dict.fromkeys([*every, "search"])]

        def __help__() -> str:
            return self._told(group, name)

        module = ModuleType(name, f"{len(members):,} tools. {TOOLS}.search('words') finds them; help(f) tells of one.")
        module.__spec__ = ModuleSpec(name, None, is_package=not group)
        vars(module).update(__getattr__=__getattr__, __dir__=__dir__, __help__=__help__)
        return module

    def _told(self, group: str, name: str) -> str:
        """What `help` prints of a module."""
        lines = [f"module {name}"]
        if not group:
            lines += [
                f"    {TOOLS}.{one}: a module of {len(members):,} tools"
                for one, members in self._members.items()
                if one
            ]
            lines.append(f"    {TOOLS}.search(words, limit=10, group=None): finds tools by what they do")
        members = self._members[group]
        if members:
            lines += [f"    {one!r}" for one in Found(self.search("", min(_SHOWN, len(members)), group))]
        if len(members) > _SHOWN:
            lines.append(
                f"    and {len(members) - _SHOWN:,} more: dir({name}), {TOOLS}.search('words', group={group!r})"
            )
        return "\n".join(lines)


def _searching(modules: Modules) -> Any:
    """The function that code calls."""

    def search(query: str = "", limit: int = 10, group: str | None = None) -> list[Match]:
        """The tools that some words are about, the best first: tools.search("open an issue").

        Each match has `name`, `signature` and `doc`, and can be called. `group` looks in one module alone; without
        words it gives all of it, at most 100.
        """
        return modules.search(query, limit, group)

    search.__module__, search.__qualname__ = TOOLS, "search"
    return search


class _Absent:
    """Says what was meant by an import of `tools.X` where there is no such module."""

    def __init__(self, groups: list[str], own: list[str]) -> None:
        self._groups = groups
        self._own = own

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        if not fullname.startswith(f"{TOOLS}."):
            return
        name = fullname.removeprefix(f"{TOOLS}.")
        if name in self._own:
            raise ModuleNotFoundError(f"{fullname} is no module: write from {TOOLS} import {name}", name=fullname)
        near = difflib.get_close_matches(name, self._groups, n=1)
        hint = f"; did you mean {TOOLS}.{near[0]}?" if near else f"; {TOOLS}.search(...) finds what there is"
        raise ModuleNotFoundError(f"No module named {fullname!r}{hint}", name=fullname)


def _names(code: Iterable[CodeType]) -> set[str]:
    """The names that code uses, whatever for."""
    found: set[str] = set()
    todo = list(code)
    while todo:
        one = todo.pop()
        found.update(one.co_names)
        todo += [inner for inner in one.co_consts if type(inner) is CodeType]
    return found

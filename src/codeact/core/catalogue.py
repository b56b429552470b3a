"""All that code may call, by whole name, by flat name and by search; and which of it a prompt has room for.

A tool with a group is `tools.GROUP.NAME` in code, one without a group a plain function. A *flat* name is the one word
that means a tool: its own where that is one tool's alone and not Python's, else with its group before it.
"""

from __future__ import annotations

import keyword
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from .errors import nearest
from .execution import ToolSpec
from .names import BUILTINS
from .searching import Index

ANSWER = "final_answer"
MODULE = "tools"  # where code finds them; also the name by which it asks about them
SEARCH = "search"  # in that module
RESERVED = BUILTINS | {ANSWER, MODULE}
LONGEST = 64  # characters of a flat name, for providers


@dataclass(frozen=True, slots=True)
class Listing:
    """What a prompt declares: tools with all their documentation, or each with its first line; the rest is found."""

    whole: tuple[ToolSpec, ...] = ()
    brief: tuple[ToolSpec, ...] = ()
    rest: tuple[ToolSpec, ...] = ()


class Catalogue:
    """The tools of an agent, in an order of their own: those without a group as given, then group by group, by name.

    So it is the same whatever order the groups came in.
    """

    def __init__(self, specs: Iterable[ToolSpec]) -> None:
        given = tuple(specs)
        self.answer = next((spec for spec in given if spec.path == ANSWER), None)
        own = [spec for spec in given if not spec.group and spec is not self.answer]
        self.specs = (*own, *sorted((spec for spec in given if spec.group), key=lambda spec: spec.path))
        self.by_path = {spec.path: spec for spec in self.specs}

    @cached_property
    def names(self) -> frozenset[str]:
        """All that a guest may call by: the whole names, `tools` for a question about them, and maybe the answer."""
        return frozenset((*self.by_path, MODULE, *([ANSWER] if self.answer is not None else [])))

    @cached_property
    def flat(self) -> Mapping[str, str]:
        """The flat name of each tool, by its whole name."""
        count = Counter(spec.name for spec in self.specs)
        found: dict[str, str] = {}
        taken = set(count)
        for spec in self.specs:
            name = spec.name
            if spec.group and (count[name] > 1 or name in RESERVED or keyword.iskeyword(name)):
                name = _free(f"{spec.group}_{name}", taken)
                taken.add(name)
            found[spec.path] = name
        return found

    @cached_property
    def by_flat(self) -> Mapping[str, ToolSpec]:
        """The tools by their flat names."""
        return {name: self.by_path[path] for path, name in self.flat.items()}

    @cached_property
    def groups(self) -> Mapping[str, tuple[ToolSpec, ...]]:
        """The tools of each group, those without one under the empty name."""
        found: dict[str, list[ToolSpec]] = {}
        for spec in self.specs:
            found.setdefault(spec.group, []).append(spec)
        return {group: tuple(members) for group, members in found.items()}

    @cached_property
    def _index(self) -> Index:
        return Index([(spec.group, spec.name, spec.doc, [one.name for one in spec.parameters]) for spec in self.specs])

    def found(self, name: str) -> ToolSpec | None:
        """The tool that is meant by a whole name, a flat one, or a name that only one group has."""
        return self.by_path.get(name.removeprefix(f"{MODULE}.")) or self.by_flat.get(name)

    def meant(self, name: str) -> list[ToolSpec]:
        """All tools that a name may mean: also one that several groups have, and a group's name for all that it has."""
        one = self.found(name)
        if one is not None:
            return [one]
        return [spec for spec in self.specs if name in (spec.name, spec.group, f"{spec.group}.*")]

    def search(self, query: str, limit: int = 10, group: str | None = None) -> list[ToolSpec]:
        """The best matches for some words, the best first; for no words all, in their order.

        Raises KeyError, with the nearest, for a group that is not there.
        """
        if group is not None and group not in self.groups:
            raise KeyError(f"there is no group {group!r}{nearest(group, self.groups)}")
        if not query.strip():
            every: Sequence[ToolSpec] = self.specs if group is None else self.groups[group]
            return list(every[:limit])
        exact = [spec for spec in self.meant(query.strip().removesuffix("()")) if group in (None, spec.group)]
        ranked = (self.specs[place] for place in self._index.ranked(query))
        found = dict.fromkeys([*exact, *(spec for spec in ranked if group in (None, spec.group))])
        return list(found)[:limit]


def _free(name: str, taken: set[str]) -> str:
    name = name[:LONGEST].rstrip("_")
    number, found = 1, name
    while found in taken or found in RESERVED:
        number += 1
        found = f"{name[: LONGEST - 1 - len(str(number))]}_{number}"
    return found


def call_of(spec: ToolSpec) -> str:
    """How code calls it: `tools.github.create_issue`, or `weather`."""
    return f"{MODULE}.{spec.path}" if spec.group else spec.name


def first_line(spec: ToolSpec) -> str:
    """What its documentation says first, bounded."""
    line = spec.doc.strip().partition("\n")[0].strip()
    return line if len(line) <= 200 else f"{line[:200].rstrip()} ..."

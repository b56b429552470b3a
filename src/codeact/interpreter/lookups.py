"""What code asks about its tools, answered from the catalogue: a search, and what there is to know of some.

No tool is called, so nothing is recorded; the questions count among the calls of a cell.
"""

from __future__ import annotations

from typing import Any

from ..core.catalogue import MODULE, Catalogue, first_line
from ..core.declared import listing
from ..core.execution import Failure, ToolSpec
from ..guest import values

NAME = MODULE  # the tool that is asked: no tool can have this name
_MOST = 100  # answers to one question


def opening(catalogue: Catalogue, room: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What a guest is told at its beginning: all about the tools that a prompt lists, the names alone of the others."""
    shown = listing(catalogue, room)
    listed = [described(catalogue, spec) for spec in (*shown.whole, *shown.brief)]
    if catalogue.answer is not None:
        listed.append(_plain(catalogue.answer))
    groups: dict[str, list[str]] = {}
    for spec in shown.rest:
        groups.setdefault(spec.group, []).append(spec.name)
    flat = {catalogue.flat[spec.path]: spec.path for spec in shown.rest if catalogue.flat[spec.path] != spec.name}
    return listed, {"groups": {group: " ".join(names) for group, names in groups.items()}, "flat": flat}


def answer(catalogue: Catalogue, packed: values.Packed) -> values.Packed | Failure:
    """The answer to a question: `["search", words, how many, group or None]`, or `["about", whole names]`."""
    try:
        match values.decode(packed):
            case [["search", str(words), int(limit), (str() | None) as group], {}]:
                if isinstance(limit, bool) or not 0 < limit <= _MOST:
                    return Failure("ValueError", f"search(): limit is from 1 to {_MOST}, not {limit!r}")
                return values.encode([_match(spec) for spec in catalogue.search(words[:1000], limit, group)])
            case [["about", list(names)], {}] if len(names) <= _MOST:
                known = [name for name in names if isinstance(name, str) and name in catalogue.by_path]
                return values.encode([described(catalogue, catalogue.by_path[name]) for name in known])
            case _:
                return Failure("TypeError", "search(query: str, limit: int = 10, group: str | None = None)")
    except KeyError as error:
        return Failure("LookupError", str(error.args[0]))
    except values.Refused as error:
        return Failure("TypeError", str(error))


def described(catalogue: Catalogue, spec: ToolSpec) -> dict[str, Any]:
    """All that a guest is to know of a tool."""
    return {**_plain(spec), "group": spec.group, "flat": catalogue.flat[spec.path]}


def _plain(spec: ToolSpec) -> dict[str, Any]:
    parameters = [[one.name, one.kind, one.default] for one in spec.parameters]
    return {"name": spec.name, "signature": spec.signature, "doc": spec.doc, "parameters": parameters}


def _match(spec: ToolSpec) -> dict[str, Any]:
    return {"name": spec.path, "signature": spec.signature, "doc": first_line(spec)}

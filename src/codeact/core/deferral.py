"""Where tools are called by name and are more than a prompt has room for: one tool finds the others, one calls them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .catalogue import Catalogue, first_line
from .declared import counted, declaration, fenced, listing
from .execution import Parameter, ToolSpec
from .messages import ToolDeclaration
from .untrusted import bounded

SEARCH_TOOLS = ToolSpec(
    "search_tools",
    "(query: str, limit: int = 10) -> str",
    "Find tools that are not shown here by what they do, with how they are called.",
    (Parameter("query", "POSITIONAL_OR_KEYWORD"), Parameter("limit", "POSITIONAL_OR_KEYWORD", "10")),
)
CALL_TOOL = ToolSpec(
    "call_tool",
    "(name: str, arguments: dict)",
    "Call a tool that was found, by its name, with its arguments by name.",
    (Parameter("name", "POSITIONAL_OR_KEYWORD"), Parameter("arguments", "POSITIONAL_OR_KEYWORD", "None")),
)
_WHOLE = 3  # matches that are told with all their documentation
_LONGEST = 1500  # characters of one
_MOST = 50


def by_flat_name(tools: Sequence[ToolSpec]) -> tuple[ToolSpec, ...]:
    """The tools under the names by which they are called, and what finds and calls those that are not shown."""
    catalogue = Catalogue(tools)
    own = tuple(replace(spec, name=name, group="") for name, spec in catalogue.by_flat.items())
    return (*(one for one in (SEARCH_TOOLS, CALL_TOOL) if one.name not in catalogue.by_flat), *own)


def written_tools(tools: Sequence[ToolSpec], room: int) -> str:
    """What a prompt says of tools that are called in plain text."""
    catalogue = Catalogue(tools)
    shown = listing(catalogue, room)
    named = catalogue.flat
    declared = [
        *(declaration(spec, named[spec.path]) for spec in shown.whole),
        *(declaration(spec, named[spec.path], first_line(spec)) for spec in shown.brief),
    ]
    parts = []
    if declared:
        more = ' Of some only the first line is shown: `Action: search_tools, "NAME"` tells all.' if shown.brief else ""
        parts.append(f"These tools are there, as Python would declare them:{more}\n\n" + fenced("\n\n".join(declared)))
    if shown.rest:
        also = " more" if declared else ""
        parts.append(
            f"There are {len(shown.rest):,}{also} tools that are not shown here: {counted(shown.rest)}. Find those you "
            'need by `Action: search_tools, "open an issue"`, and call them by the names that it gives.'
        )
    return "\n\n".join(parts)


def declarations_of_search(rest: Sequence[ToolSpec]) -> tuple[ToolDeclaration, ...]:
    """The two tools as a provider is told of them, with what there is to be found."""
    if not rest:
        return ()
    there = f"{SEARCH_TOOLS.doc} There are {len(rest):,}: {counted(rest)}."
    text, count = {"type": "string"}, {"type": "integer", "minimum": 1, "maximum": _MOST}
    return (
        ToolDeclaration(
            SEARCH_TOOLS.name,
            there,
            {"type": "object", "properties": {"query": text, "limit": count}, "required": ["query"]},
        ),
        ToolDeclaration(
            CALL_TOOL.name,
            CALL_TOOL.doc,
            {
                "type": "object",
                "properties": {"name": text, "arguments": {"type": "object"}},
                "required": ["name", "arguments"],
            },
        ),
    )


def searched(catalogue: Catalogue, arguments: dict[str, Any]) -> str:
    """What `search_tools` gives, for a model to read. Raises TypeError for arguments that it does not take."""
    match arguments:
        case {"query": str(query), **rest} if set(rest) <= {"limit"}:
            limit = rest.get("limit", 10)
        case _:
            raise TypeError("search_tools takes query, a text, and limit, a number")
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= _MOST:
        raise TypeError(f"search_tools: limit is from 1 to {_MOST}, not {limit!r}")
    found = catalogue.search(query[:1000], limit)
    if not found:
        return "Nothing was found: try other words."
    told = []
    for place, spec in enumerate(found):
        doc = bounded(spec.doc, _LONGEST) if place < _WHOLE else first_line(spec)
        told.append(declaration(spec, catalogue.flat[spec.path], doc))
    return "\n\n".join(told)

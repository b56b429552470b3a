"""The tools that a client of the Python server is offered, in the words that its model reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from mcp_types import Tool, ToolAnnotations

from codeact.core.declared import listing, tools_text
from codeact.core.errors import UsageError, nearest
from codeact.core.quantities import seconds, size

from . import results
from .workspace import Offer

_ROOM = 6_000  # characters of a description that declare tools

_TEXT = {"type": "string"}
_SCHEMAS: dict[str, dict[str, Any]] = {
    "run_python": {
        "properties": {"code": {**_TEXT, "description": "Python source: a cell, as in a notebook"}},
        "required": ["code"],
    },
    "search_tools": {
        "properties": {
            "query": {**_TEXT, "description": "what it should do, in a few words, or its name"},
            "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 10},
            "group": {**_TEXT, "description": "of this server alone"},
        },
        "required": ["query"],
    },
    "reset": {"properties": {}, "required": []},
    "put_file": {
        "properties": {
            "name": {**_TEXT, "description": "its name, without a folder"},
            "text": {**_TEXT, "description": "what is in it, as text"},
            "base64": {**_TEXT, "description": "or its bytes, in base64"},
        },
        "required": ["name"],
    },
    "get_file": {"properties": {"name": {**_TEXT, "description": "as list_files gives it"}}, "required": ["name"]},
    "list_files": {"properties": {}, "required": []},
}
_KINDS: dict[str, type] = {"string": str, "integer": int}
_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_WRITES = ToolAnnotations(destructive_hint=False, idempotent_hint=True, open_world_hint=False)
_ENDS = ToolAnnotations(destructive_hint=True, idempotent_hint=True, open_world_hint=False)


def check(name: str, arguments: Mapping[str, Any]) -> None:
    """Whether these are arguments of this tool. Raises UsageError, in words for a model."""
    schema = _SCHEMAS[name]
    for key, value in arguments.items():
        if key not in schema["properties"]:
            raise UsageError(f"{name}() takes no {key!r}{nearest(key, schema['properties'])}")
        wanted = schema["properties"][key]
        if type(value) is not _KINDS[wanted["type"]]:
            raise UsageError(f"{name}(): {key!r} must be of type {wanted['type']}")
        if not wanted.get("minimum", value) <= value <= wanted.get("maximum", value):
            raise UsageError(f"{name}(): {key!r} is from {wanted['minimum']} to {wanted['maximum']}, not {value}")
    for key in schema["required"]:
        if key not in arguments:
            raise UsageError(f"{name}() needs {key!r}")


@lru_cache(maxsize=4)
def tools(offer: Offer) -> list[Tool]:
    """What there is to call."""
    acts = ToolAnnotations(
        destructive_hint=bool(offer.tools), open_world_hint=bool(offer.tools or offer.policy.network)
    )
    made = [_tool("run_python", "Run Python", _run_python(offer), acts, results.RAN)]
    if offer.searched:
        words = (
            f"Find among {len(offer.catalogue.specs):,} functions those that are about some words: how code calls "
            "them, their signatures and documentation. Call them from run_python."
        )
        made.append(_tool("search_tools", "Search tools", words, _READS))
    return [*made, *_FILES]


def _tool(name: str, title: str, words: str, hints: ToolAnnotations, gives: dict[str, Any] | None = None) -> Tool:
    schema = {"type": "object", "additionalProperties": False, **_SCHEMAS[name]}
    return Tool(name=name, title=title, description=words, input_schema=schema, output_schema=gives, annotations=hints)


_FILES = [
    _tool(
        "reset", "Reset Python", "Forget all variables, imports and files, and begin with a fresh interpreter.", _ENDS
    ),
    _tool(
        "put_file",
        "Put a file",
        "Put a file there, for code to read as inputs/NAME. Give `text`, or bytes as `base64`.",
        _WRITES,
    ),
    _tool("get_file", "Get a file", "A file that code saved under outputs/: text, a picture, or bytes.", _READS),
    _tool("list_files", "List files", "The files that code saved under outputs/.", _READS),
]


def _run_python(offer: Offer) -> str:
    limits = offer.policy.limits
    network = offer.policy.network
    reach = f"It may reach {', '.join(map(str, network))}." if network else "It reaches no network."
    words = [
        "Run Python code in a confined interpreter and get its output, the value of its last expression, pictures and "
        "the traceback of an error. Variables, functions and imports are kept from call to call; top-level await "
        f"works. Real CPython with its standard library{_packages(offer)}. {reach} A call may take "
        f"{seconds(limits.seconds)} and {size(limits.memory)}; one that is stopped there keeps its variables where it "
        "can.",
        "Files that were given lie in inputs/; what is saved under outputs/ is handed back. Figures of matplotlib are "
        "shown as pictures.",
    ]
    if offer.secrets:
        words.append(_secrets(offer.secrets))
    if offer.tools:
        words.append(tools_text(offer.catalogue, _ROOM))
    if offer.searched and listing(offer.catalogue, _ROOM).rest:
        words.append("search_tools finds them, too, without running code.")
    return "\n\n".join(words)


def _secrets(names: Iterable[str]) -> str:
    return f"Variables whose values are not in there, to be given to tools as they are: {', '.join(names)}."


def _packages(offer: Offer) -> str:
    imports = offer.policy.imports
    if imports.everything:
        return " and every package that is installed for it"
    return f" and {', '.join(imports.names)}" if imports.names else ""


def instructions(offer: Offer) -> str:
    """What a client is told at its beginning."""
    more = " search_tools finds functions that its code may call." if offer.searched else ""
    return f"run_python runs code in a confined Python whose variables are kept from call to call.{more}"

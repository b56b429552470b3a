"""Which names a tool may have: a word that code can call and that shadows nothing."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Sequence

from ..core.errors import ToolDefinitionError
from ..ports import Tool

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}\Z")  # also what every provider takes as the name of a function
_SITE = {"help", "exit", "quit", "copyright", "credits", "license"}
_RESERVED = frozenset(dir(builtins)) | _SITE | {"final_answer"}


def check_name(name: str) -> str:
    """The name, if a tool can have it."""
    mend = "give another with @tool(name=...)"
    if not _WORD.match(name):
        rule = "ASCII letters, digits and underscores, a letter first, at most 64 in all"
        raise ToolDefinitionError(f"{name!r} cannot be the name of a tool ({rule}): {mend}")
    if keyword.iskeyword(name):
        raise ToolDefinitionError(f"{name!r} cannot be the name of a tool, it is a keyword of Python: {mend}")
    if name in _RESERVED:
        raise ToolDefinitionError(f"{name!r} cannot be the name of a tool, code needs that name for its own: {mend}")
    return name


def check_names(tools: Sequence[Tool]) -> None:
    """Refuse two tools of one name, and names that no tool can have, whoever made the tools."""
    seen = set()
    for tool in tools:
        name = check_name(tool.spec.name)
        if name in seen:
            raise ToolDefinitionError(f"two tools are named {name!r}: give one another name with @tool(name=...)")
        seen.add(name)

"""Which names a tool may have: a word that code can call and that shadows nothing."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Container, Sequence

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


def mended(text: str, taken: Container[str], stem: str = "tool") -> str:
    """The nearest name that a tool or a parameter can have and that is not taken; `stem` stands before a digit."""
    word = re.sub(r"[^A-Za-z0-9]+", "_", text.strip()).strip("_")
    word = re.sub(r"(?<=.)_+(?=_)", "", word) or stem
    word = (word if word[0].isalpha() else f"{stem}_{word}")[:64].rstrip("_")
    if keyword.iskeyword(word) or word in ("self", "cls"):
        word += "_"
    number, found = 1, word
    while found in taken:
        number += 1
        found = f"{word[: 63 - len(str(number))]}_{number}"
    return found


def is_free(name: str) -> bool:
    """Whether a tool can have this name."""
    return bool(_WORD.match(name)) and not keyword.iskeyword(name) and name not in _RESERVED


def check_names(tools: Sequence[Tool]) -> None:
    """Refuse two tools of one name, and names that no tool can have, whoever made the tools."""
    seen = set()
    for tool in tools:
        name = check_name(tool.spec.name)
        if name in seen:
            raise ToolDefinitionError(f"two tools are named {name!r}: give one another name with @tool(name=...)")
        seen.add(name)

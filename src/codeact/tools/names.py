"""Which names a tool may have: a word that code can call and that shadows nothing."""

from __future__ import annotations

import keyword
import re
from collections.abc import Container, Sequence

from ..core.catalogue import RESERVED, SEARCH
from ..core.errors import ToolDefinitionError
from ..ports import Tool

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}\Z")  # also what every provider takes as the name of a function


def check_name(name: str, group: str = "") -> str:
    """The name, if a tool can have it. In a group it may be one of Python's own: there it shadows nothing."""
    mend = "give another with @tool(name=...)"
    if not _WORD.match(name):
        rule = "ASCII letters, digits and underscores, a letter first, at most 64 in all"
        raise ToolDefinitionError(f"{name!r} cannot be the name of a tool ({rule}): {mend}")
    if keyword.iskeyword(name):
        raise ToolDefinitionError(f"{name!r} cannot be the name of a tool, it is a keyword of Python: {mend}")
    if not group and name in RESERVED:
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
    return bool(_WORD.match(name)) and not keyword.iskeyword(name) and name not in RESERVED


def group_name(text: str, taken: Container[str] = (), stem: str = "api") -> str:
    """The nearest name that a group of tools can have and that is not taken; `tools.search` is the search."""
    name = mended(text, taken, stem)
    return name if name != SEARCH else mended(f"{SEARCH}_{stem}", taken, stem)


def check_names(tools: Sequence[Tool]) -> None:
    """Refuse two tools of one name, and names that no tool can have, whoever made the tools."""
    seen = set()
    for tool in tools:
        spec = tool.spec
        check_name(spec.name, spec.group)
        if spec.group and (not _WORD.match(spec.group) or keyword.iskeyword(spec.group) or spec.group == SEARCH):
            raise ToolDefinitionError(f"{spec.group!r} cannot be the name of a group of tools: give it another one")
        if spec.path in seen:
            how = "group=..., where they come from" if spec.group else "@tool(name=...)"
            raise ToolDefinitionError(f"two tools are named {spec.path!r}: give one another name with {how}")
        seen.add(spec.path)

"""A name that is nothing by itself, and which tool was meant by it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from .catalogue import MODULE

_MOST = 3  # tools that are named
_WORD = re.compile(r"\w+")


def meant(name: str, calls: Iterable[str], source: str) -> str:
    """Where the tools are that this name is of, a group's or their own; `calls` are how code calls each tool.

    Of a group that tool is named which stands in the source.
    """
    ending = f".{name}"
    found = [call for call in calls if call.startswith(f"{MODULE}{ending}.") or call.endswith(ending)]
    if not found:
        return ""
    if not found[0].startswith(f"{MODULE}{ending}."):
        return f"{name!r} is in {MODULE}: call {' or '.join(f'{call}(...)' for call in found[:_MOST])}."
    words = set(_WORD.findall(source))
    said = next((f", or call {call}(...)" for call in found if call.rpartition(".")[2] in words), "")
    return f"{name!r} is in {MODULE}: write `from {MODULE} import {name}` first{said}."


def near(name: str, calls: Iterable[str]) -> str:
    """The tool, or the group of tools, whose name is nearest to this one; nothing where none is near."""
    whole: dict[str, str] = {}
    for call in calls:
        above, _, own = call.rpartition(".")
        whole.setdefault(own, call)
        if above:
            whole.setdefault(above.rpartition(".")[2], above)
    close = difflib.get_close_matches(name, whole, n=1)
    return f"There is no {name!r}; did you mean {whole[close[0]]!r}?" if close else ""

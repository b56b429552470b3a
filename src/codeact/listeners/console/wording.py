"""Values in words that fit on a line, or on a page."""

from __future__ import annotations

import pprint
from typing import Any

_LONGEST = 16_000  # characters of a value, a traceback or a cell


def shown(value: Any) -> str:
    """An answer as a person reads it: text as it is, other values laid out."""
    return value if isinstance(value, str) else pprint.pformat(value, width=88, sort_dicts=False)


def short(value: Any) -> str:
    """A value in at most 40 characters, without writing out a big one."""
    match value:
        case str() if len(value) > 40:
            return repr(value[:30]) + "..."
        case list() | dict() | tuple() | set() | bytes() if len(value) > 4:
            return f"{type(value).__name__} of {len(value):,}"
        case _:
            text = repr(value)
            return text if len(text) <= 40 else text[:37] + "..."


def cut(text: str) -> str:
    """What is shown of a text. A guest keeps values short by itself; one that was taken over need not."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}\n... {len(text) - _LONGEST:,} more characters"


def count(number: int, noun: str) -> str:
    """A number of things, in words."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"

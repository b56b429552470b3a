"""When an answer is the expected one, as a reader would say."""

from __future__ import annotations

import ast
import math
import re
from typing import Any

_PRICE = re.compile(r"[$€£]?\s*(-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)", re.ASCII)
_CENT = 0.005 + 1e-9  # what rounding to a cent may change


def same(answer: Any, expected: Any) -> bool:
    """Equality of values: numbers to a cent, lists and tuples alike, and a text that spells the value counts as it."""
    match expected:
        case bool():
            return str(answer).strip().lower() == str(expected).lower()
        case int() | float():
            given = _price(answer)
            return _is_number(given) and math.isfinite(given) and abs(given - expected) <= _CENT
        case str():
            return isinstance(answer, str) and _bare(answer) == expected
        case list() | tuple():
            given = _literal(answer)
            alike = isinstance(given, list | tuple) and len(given) == len(expected)
            return alike and all(same(one, other) for one, other in zip(given, expected, strict=True))
        case dict():
            given = _literal(answer)
            alike = isinstance(given, dict) and given.keys() == expected.keys()
            return alike and all(same(given[key], value) for key, value in expected.items())
        case _:
            return bool(answer == expected)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _price(answer: Any) -> Any:
    """The number that a text spells, also with the sign of a currency and commas between thousands."""
    written = _PRICE.fullmatch(answer.strip()) if isinstance(answer, str) else None
    return float(written[1].replace(",", "")) if written else _literal(answer)


def _literal(answer: Any) -> Any:
    """The value that a text spells."""
    try:
        return ast.literal_eval(answer.strip()) if isinstance(answer, str) else answer
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return answer


def _bare(text: str) -> str:
    text = text.strip()
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if quoted else text

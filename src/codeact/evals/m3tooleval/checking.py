"""When an answer is right by the paper's own program."""

from __future__ import annotations

import ast
import contextlib
from typing import Any


def verbatim(answer: Any, expected: Any) -> bool:
    """The paper's: equality, then of both as int or else as float, then of the text of the literal that it is.

    Its numbers lose what stands behind the point where the expected one is made an int, so that `161` is taken for
    161.25; a list, dict or tuple is right only where its text is the same, so that `[1, 2]` is not `[1.0, 2.0]`.
    """
    text = answer if isinstance(answer, str) else str(answer)
    if text == expected or str(text) == str(expected):
        return True
    try:
        if _number(text) == _number(expected):
            return True
        return str(ast.literal_eval(text)) == str(expected)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False


def _number(value: Any) -> Any:
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(value)
    return value

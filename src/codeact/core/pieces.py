"""What is written without a grammar, divided at its commas, and what each piece of it means."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from typing import Any, NoReturn

from .source import LOOK

__all__ = ["inside", "object_of", "pieces_of", "value_of"]


def value_of(piece: str, text: bool) -> Any:
    """What a piece means: the value of a literal, else its text; `text` where only a text is wanted."""
    piece = piece.strip()
    found, value = _literal(piece)
    return value if found and (isinstance(value, str) or not text) else piece


def _literal(piece: str) -> tuple[bool, Any]:
    if not piece or len(piece) > LOOK:
        return False, None
    try:
        return True, _JSON.decode(piece)
    except (ValueError, RecursionError):
        pass
    try:
        value = ast.literal_eval(piece)
        json.dumps(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False, None
    return True, value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are no JSON, and may be words


_JSON = json.JSONDecoder(parse_constant=_no_constant)


def object_of(text: str) -> dict[str, Any] | None:
    """The JSON object that the text begins with, or the dict of Python that it is."""
    if len(text) > LOOK:
        return None
    try:
        value, _ = _JSON.raw_decode(text)
    except (ValueError, RecursionError):
        _, value = _literal(text.strip())
    return value if isinstance(value, dict) and all(isinstance(key, str) for key in value) else None


def _outside(text: str) -> Iterator[tuple[int, str, int]]:
    """Each character that stands in no quotes, its place, and how many brackets are open there.

    A quote opens only where a value may begin, for the apostrophe of `it's` is none. Raises ValueError at an open end.
    """
    depth, quote, before, escaped = 0, "", ",", False
    for at, char in enumerate(text):
        if quote:
            if escaped or char != quote:
                escaped = char == "\\" and not escaped
                continue
            quote, before = "", char
        elif char in "\"'" and before in "([{,:=":
            quote = char
        else:
            depth = max(depth - 1, 0) if char in ")]}" else depth
            yield at, char, depth
            depth += char in "([{"
            before = before if char.isspace() else char
    if quote or depth:
        raise ValueError("open at the end")


def inside(text: str) -> str | None:
    """What stands in the brackets that the text begins with."""
    try:
        return next((text[1:at] for at, char, depth in _outside(text) if char == ")" and depth == 0), None)
    except ValueError:
        return None


def pieces_of(text: str, *, whole: bool) -> list[str]:
    """The text, divided at its commas; it ends with the line, where it is not known to be `whole`."""
    pieces, start, end = [], 0, len(text)
    try:
        for at, char, depth in _outside(text):
            if depth == 0 and char == ",":
                pieces.append(text[start:at])
                start = at + 1
            elif depth == 0 and char == "\n" and not whole:
                end = at
                break
    except ValueError:  # quotes or brackets that are none
        line = text if whole else text.partition("\n")[0]
        pieces, start, end = line.split(","), len(line), len(line)
        start = end - len(pieces.pop())
    last = text[start:end]
    return [*pieces, last] if last.strip() else pieces

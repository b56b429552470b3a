"""A value as it is shown: its repr where that is short, else its kind and size, its head and its tail.

Nothing here grows with the value: of a list of a million items a few are looked at. numpy and pandas are known by their
looks and never imported.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

PREVIEW = 4000  # characters
WHOLE = 64 << 10  # bytes
ROWS, COLUMNS = 10, 20  # of a table
FEW = 60  # rows that are all shown, where they fit
LEAST = 60  # characters an item gets, however little room there is

_BRACKETS: dict[type, tuple[str, str]] = {list: ("[", "]"), tuple: ("(", ")"), set: ("{", "}"), dict: ("{", "}")}
_UNITS: dict[Any, str] = {str: "characters", bytes: "bytes", dict: "keys"}


def show(value: Any) -> tuple[str, str]:
    """The repr, cut at 64 KiB, and a preview for the model. Whatever the value's own repr raises is raised."""
    text = ""
    for part in _parts(value, set()):
        text += part
        if len(text) > WHOLE:
            break
    whole = _cut(text)
    for looks, picture in ((_is_table, _table), (_is_array, _array)):
        if looks(value):
            return whole, _bounded(picture(value))
    return whole, text if len(text) <= PREVIEW else _bounded(_shape(value) + _sketch(value, PREVIEW - 100, set()))


def glimpse(value: Any, room: int = 300) -> str:
    """A value in a line's worth: its repr where that is short, else its kind, its size and its head."""
    text = show(value)[1]
    if len(text) <= room or len(text) > PREVIEW - 200 or _is_table(value) or _is_array(value):
        return text
    return _shape(value) + _sketch(value, room - LEAST, set())


def _cut(text: str) -> str:
    if len(text) * 4 <= WHOLE:
        return text
    return text[:WHOLE].encode("utf-8", "surrogatepass")[:WHOLE].decode("utf-8", "ignore")


def _bounded(text: str) -> str:
    if len(text) <= PREVIEW:
        return text
    half = PREVIEW // 2 - 20
    return f"{text[:half]} ... {len(text) - 2 * half:,} more ... {text[-half:]}"


# -- the whole repr, piece by piece ------------------------------------------------------------------------------------


def _parts(value: Any, inside: set[int]) -> Iterator[str]:
    """The repr of a value in pieces, so that a reader may stop early; exactly repr(value) when joined."""
    cls = type(value)
    if cls in (str, bytes) and len(value) > WHOLE:
        yield repr(value[:WHOLE])
    elif cls not in _BRACKETS or not value:
        yield repr(value)
    elif id(value) in inside:
        yield "...".join(_BRACKETS[cls])
    else:
        inside.add(id(value))
        opening, closing = _BRACKETS[cls]
        separator = opening
        for item in value:
            yield separator
            separator = ", "
            yield from _parts(item, inside)
            if cls is dict:
                yield ": "
                yield from _parts(value[item], inside)
        yield "," + closing if cls is tuple and len(value) == 1 else closing
        inside.discard(id(value))


# -- head and tail -----------------------------------------------------------------------------------------------------


def _shape(value: Any) -> str:
    cls = type(value)
    if cls in _BRACKETS or cls in _UNITS:
        return f"{cls.__name__} of {len(value):,} {_UNITS.get(cls, 'items')}: "
    return ""


def _sketch(value: Any, room: int, inside: set[int]) -> str:
    """A value in about so many characters."""
    cls = type(value)
    if cls in (str, bytes) and len(value) > room:
        half = max(room // 2 - 20, LEAST // 3)
        return f"{value[:half]!r} ... {len(value) - 2 * half:,} {_UNITS[cls]} ... {value[-half:]!r}"
    if id(value) in inside:
        return "..."
    inside.add(id(value))
    try:
        if cls in _BRACKETS:
            return _sketch_items(value, room, inside)
        if _has_plain_fields(cls):
            fields = ((name, getattr(value, name, None)) for name in _field_names(cls))
            text = ", ".join(f"{name}={_sketch(field, max(room // 4, LEAST), inside)}" for name, field in fields)
            return f"{cls.__name__}({text})"
    finally:
        inside.discard(id(value))
    text = repr(value)
    half = max(room // 2 - 15, LEAST // 3)
    return text if len(text) <= room else f"{text[:half]} ... {len(text) - 2 * half:,} more ... {text[-half:]}"


def _sketch_items(value: Any, room: int, inside: set[int]) -> str:
    opening, closing = _BRACKETS[type(value)]

    def written(item: Any) -> str:
        share = max(room // 4, LEAST)
        if type(value) is dict:
            return f"{_sketch(item[0], share, inside)}: {_sketch(item[1], share, inside)}"
        return _sketch(item, share, inside)

    items = value.items() if type(value) is dict else value
    head = _fill(items, written, room * 3 // 5, len(value))
    left = len(value) - len(head)
    tail = [] if type(value) is set else _fill(reversed(items), written, room * 2 // 5, left)[::-1]
    left -= len(tail)
    middle = [f"... {left:,} more ..."] if left else []
    return opening + ", ".join([*head, *middle, *tail]) + closing


def _fill(items: Iterable[Any], written: Callable[[Any], str], room: int, most: int) -> list[str]:
    filled: list[str] = []
    for item in islice(items, most):
        text = written(item)
        room -= len(text) + 2
        if room < 0 and filled:
            break
        filled.append(text)
    return filled


def _has_plain_fields(cls: type) -> bool:
    """Whether the repr is the one that dataclasses and named tuples are given, which shows every field whole."""
    if hasattr(cls, "__dataclass_fields__"):
        return hasattr(cls.__repr__, "__wrapped__")
    return issubclass(cls, tuple) and hasattr(cls, "_fields") and "__repr__" in vars(cls)


def _field_names(cls: Any) -> list[str]:
    if hasattr(cls, "__dataclass_fields__"):
        return [name for name, field in cls.__dataclass_fields__.items() if field.repr]
    return list(cls._fields)


# -- tables and arrays -------------------------------------------------------------------------------------------------


def _is_table(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == "pandas" and type(value).__name__ in ("DataFrame", "Series")


def _is_array(value: Any) -> bool:
    return type(value).__module__ == "numpy" and type(value).__name__ == "ndarray" and value.size > ROWS * COLUMNS


def _table(value: Any) -> str:
    if type(value).__name__ == "Series":
        head = f"Series of {len(value):,} values"
        return _fitting(head, value, lambda rows, _, __: value.to_string(max_rows=rows, dtype=True, name=True))
    rows, columns = value.shape
    kinds = [f"{name}: {kind}" for name, kind in islice(value.dtypes.items(), COLUMNS)]
    more = [f"... {columns - COLUMNS:,} more"] if columns > COLUMNS else []
    head = f"DataFrame of {rows:,} rows and {columns:,} columns ({', '.join([*kinds, *more])})"
    return _fitting(
        head[: PREVIEW // 2],
        value,
        lambda rows, columns, width: value.to_string(max_rows=rows, max_cols=columns, max_colwidth=width),
    )


def _fitting(head: str, value: Any, drawn: Callable[[int, int, int], str]) -> str:
    """A table drawn as large as there is room for: all rows where they are few, else head and tail."""
    sizes = [(ROWS, COLUMNS, 60), (ROWS, COLUMNS, 20), (ROWS, COLUMNS // 2, 20), (ROWS // 2, COLUMNS // 4, 20)]
    text = ""
    for size in ([(FEW, COLUMNS, 60)] if len(value) <= FEW else []) + sizes:
        text = f"{head}\n{drawn(*size)}"
        if len(text) <= PREVIEW:
            break
    return text


def _array(value: Any) -> str:
    edge = max(1, 4 - value.ndim) if value.ndim > 2 else 3
    shown = sys.modules["numpy"].array2string(value, threshold=ROWS * COLUMNS, edgeitems=edge)
    return f"array of {value.dtype}, shape {value.shape}:\n{shown}"

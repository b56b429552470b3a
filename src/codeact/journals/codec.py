"""An event as a line of JSON, and back: the one place that knows how a line of a journal looks.

The form is read off the events' own declarations: a frozen value is an object of its fields, without those that have
their default, so that a field added later is read from an old line as its default. What is declared `Any` crosses by
the table of values. Long texts and bytes lie beside the line as blobs, `{"$str": 0}` and `{"$bytes": 0}`, and large
values as `{"$json": 0}`. What is read may be anybody's: it is checked as it is read, and nothing in it is ever run.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import functools
import json
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..core import events
from ..core.events import Entry, Event
from ..guest import values

VERSION = 3
LONG = 1 << 12  # characters or bytes that stand in a line; what is longer lies beside it
LARGE = 1 << 16  # characters of a line; in one that is longer, values that are long by their parts lie beside it, too

Blobs = list[bytes] | None  # what lies beside a line that is written; None: nothing may
Write = Callable[[Any, Blobs], Any]
Read = Callable[[Any, Sequence[bytes], str], Any]

_PLACE = ("seq", "at", "run", "parent", "event")  # what an entry says beside its event

_EVENTS: dict[str, Any] = {kind.__name__: kind for kind in typing.get_args(events.Event)}


class Malformed(ValueError):
    """A line that no version of ours wrote; the message says where in it."""


@dataclass(frozen=True, slots=True)
class Line:
    """An event, written down."""

    text: str
    blobs: tuple[bytes, ...] = ()


class _Apart(list[bytes]):
    """What lies beside a line of which too much is values: the long ones of them do, too."""


def encode(event: Event) -> Line:
    """The line of an event. Raises values.Refused where it holds what does not cross."""
    line = _encode(event, [])
    return line if len(line.text) <= LARGE else _encode(event, _Apart())


def _encode(event: Event, blobs: list[bytes]) -> Line:
    name = type(event).__name__
    tree = {"event": name, **_form(_EVENTS[name])[0](event, blobs)}
    return Line(_text(tree), tuple(blobs))


def _text(tree: Any) -> str:
    return json.dumps(tree, separators=(",", ":"), allow_nan=False)


def decode(line: Line) -> Event:
    """The event of a line. Raises Malformed."""
    try:
        tree = _JSON.decode(line.text)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {error}") from None
    if type(tree) is not dict or type(tree.get("event")) is not str:
        raise Malformed("not an event")
    name = tree.pop("event")
    if name not in _EVENTS:
        raise Malformed(f"no event is named {name[:40]!r}")
    event: Event = _form(_EVENTS[name])[1](tree, line.blobs, name)
    return event


def whole(entry: Entry) -> dict[str, Any]:
    """An entry as one object of JSON with nothing beside it, for whoever shows it: its place, and its event's line.

    Bytes stand in it as base64. A field that is named as a part of the place is, as `Forked.run`, has a mark behind its
    name: `run_`. It is not read back.
    """
    place = {"seq": entry.seq, "at": entry.at, "run": entry.run}
    above = {} if entry.parent is None else {"parent": entry.parent}
    name = type(entry.event).__name__
    line = _form(_EVENTS[name])[0](entry.event, None)
    fields = {f"{field}_" if field in _PLACE else field: value for field, value in line.items()}
    return {**place, **above, "event": name, **fields}


def _no_constant(name: str) -> typing.NoReturn:
    raise ValueError(f"{name} is no JSON")


_JSON = json.JSONDecoder(parse_constant=_no_constant)


@functools.cache
def _form(hint: Any) -> tuple[Write, Read]:
    """How a value of this declared type is written, and read."""
    if hint is Any:
        return _write_any, _read_any
    if hint in _PLAIN:
        return _PLAIN[hint]
    if dataclasses.is_dataclass(hint):
        return _object(hint)  # type: ignore[arg-type]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return _literal(arguments)
    if origin in (typing.Union, types.UnionType):
        return _optional(arguments)
    if origin is tuple:
        return _items(arguments[0]) if arguments[1:] == (...,) else _places(arguments)
    if origin is dict and arguments == (str, Any):
        return _write_any, _read_named
    raise TypeError(f"a journal has no form for {hint!r}")


def _object(cls: type) -> tuple[Write, Read]:
    hints = typing.get_type_hints(cls)
    forms = {field.name: (*_form(hints[field.name]), field.default) for field in dataclasses.fields(cls)}

    def write(value: Any, blobs: Blobs) -> Any:
        if type(value) is not cls:
            raise TypeError(f"a {type(value).__name__} where a {cls.__name__} belongs")
        written = {}
        for name, (put, _, default) in forms.items():
            held = getattr(value, name)
            if held is not default and not (type(held) in _COMPARED and held == default):
                written[name] = put(held, blobs)
        return written

    def read(tree: Any, blobs: Sequence[bytes], path: str) -> Any:
        if type(tree) is not dict:
            raise Malformed(f"{path}: not an object")
        if unknown := tree.keys() - forms.keys():
            raise Malformed(f"{path}: there is no {min(unknown)[:40]!r}")
        given = {name: forms[name][1](held, blobs, f"{path}.{name}") for name, held in tree.items()}
        try:
            return cls(**given)
        except (TypeError, ValueError) as error:
            raise Malformed(f"{path}: {error}") from None

    return write, read


_COMPARED = (str, int, float, bool)


def _literal(choices: tuple[Any, ...]) -> tuple[Write, Read]:
    def read(tree: Any, blobs: Sequence[bytes], path: str) -> Any:
        if type(tree) is not str or tree not in choices:
            raise Malformed(f"{path}: none of {', '.join(map(str, choices))}")
        return tree

    return _as_it_is, read


def _optional(arguments: tuple[Any, ...]) -> tuple[Write, Read]:
    kinds = [one for one in arguments if one is not type(None)]
    if len(kinds) != 1 or len(kinds) == len(arguments):
        raise TypeError(f"a journal has no form for a choice of {arguments!r}")
    put, get = _form(kinds[0])

    def write(value: Any, blobs: Blobs) -> Any:
        return None if value is None else put(value, blobs)

    def read(tree: Any, blobs: Sequence[bytes], path: str) -> Any:
        return None if tree is None else get(tree, blobs, path)

    return write, read


def _items(kind: Any) -> tuple[Write, Read]:
    put, get = _form(kind)

    def write(value: Any, blobs: Blobs) -> Any:
        return [put(one, blobs) for one in value]

    def read(tree: Any, blobs: Sequence[bytes], path: str) -> Any:
        return tuple(get(one, blobs, f"{path}[{i}]") for i, one in enumerate(_list(tree, path)))

    return write, read


def _places(kinds: tuple[Any, ...]) -> tuple[Write, Read]:
    forms = [_form(kind) for kind in kinds]

    def write(value: Any, blobs: Blobs) -> Any:
        return [put(one, blobs) for (put, _), one in zip(forms, value, strict=True)]

    def read(tree: Any, blobs: Sequence[bytes], path: str) -> Any:
        items = _list(tree, path)
        if len(items) != len(forms):
            raise Malformed(f"{path}: not {len(forms)} items")
        return tuple(
            get(one, blobs, f"{path}[{i}]") for i, ((_, get), one) in enumerate(zip(forms, items, strict=True))
        )

    return write, read


def _list(tree: Any, path: str) -> list[Any]:
    if type(tree) is not list:
        raise Malformed(f"{path}: not a list")
    return tree


def _as_it_is(value: Any, blobs: Blobs) -> Any:
    return value


def _read_as(*kinds: type) -> Read:
    def read(tree: Any, blobs: Sequence[bytes], path: str) -> Any:
        if type(tree) not in kinds:
            raise Malformed(f"{path}: not {kinds[0].__name__}")
        return tree

    return read


def _write_text(value: Any, blobs: Blobs) -> Any:
    if blobs is None or len(value) <= LONG:
        return value
    blobs.append(value.encode("utf-8", "surrogatepass"))
    return {"$str": len(blobs) - 1}


def _read_text(tree: Any, blobs: Sequence[bytes], path: str) -> str:
    if type(tree) is str:
        return tree
    try:
        return _blob(tree, "$str", blobs, path).decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise Malformed(f"{path}: {error}") from None


def _write_bytes(value: Any, blobs: Blobs) -> Any:
    if blobs is None or len(value) <= LONG:
        return base64.b64encode(value).decode()
    blobs.append(value)
    return {"$bytes": len(blobs) - 1}


def _read_bytes(tree: Any, blobs: Sequence[bytes], path: str) -> bytes:
    if type(tree) is not str:
        return _blob(tree, "$bytes", blobs, path)
    try:
        return base64.b64decode(tree, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed(f"{path}: {error}") from None


def _blob(tree: Any, tag: str, blobs: Sequence[bytes], path: str) -> bytes:
    number = tree.get(tag) if type(tree) is dict and len(tree) == 1 else None
    if type(number) is int and 0 <= number < len(blobs):
        return blobs[number]
    raise Malformed(f"{path}: not a text or bytes, nor a blob that is there")


def _write_any(value: Any, blobs: Blobs) -> Any:
    packed = values.encode(value)
    if blobs is None:
        return [with_blobs(packed.tree, packed.blobs)]
    blobs += packed.blobs
    behind = [len(packed.blobs), len(blobs)] if packed.blobs else []  # its blobs are those before the last number
    if type(blobs) is not _Apart or len(text := _text(packed.tree)) <= LONG:
        return [packed.tree, *behind]
    blobs.append(text.encode())
    return [{"$json": len(blobs) - 1}, *behind]


def with_blobs(tree: Any, blobs: Sequence[bytes]) -> Any:
    """A tree of the table of values with its blobs put in: long texts as they are, long bytes in base64."""
    if type(tree) is list:
        return [with_blobs(one, blobs) for one in tree]
    if type(tree) is not dict:
        return tree
    match tree:
        case {"$str": int(number)}:
            return blobs[number].decode("utf-8", "surrogatepass")
        case {"$bytes": int(number)}:
            return {"$bytes": base64.b64encode(blobs[number]).decode()}
    return {name: with_blobs(one, blobs) for name, one in tree.items()}


def _read_any(tree: Any, blobs: Sequence[bytes], path: str) -> Any:
    match tree:
        case [held]:
            beside: Sequence[bytes] = ()
        case [held, int(count), int(end)] if 0 < count <= end <= len(blobs):
            beside = blobs[end - count : end]
        case _:
            raise Malformed(f"{path}: not a value")
    try:
        if type(held) is dict and held.keys() == {"$json"}:
            held = _JSON.decode(_blob(held, "$json", blobs, path).decode())
        return values.decode(values.Packed(held, beside))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"{path}: not JSON: {error}") from None
    except values.Refused as error:
        raise Malformed(f"{path}: {error}") from None


def _read_named(tree: Any, blobs: Sequence[bytes], path: str) -> Any:
    value = _read_any(tree, blobs, path)
    if type(value) is not dict or not all(type(name) is str for name in value):
        raise Malformed(f"{path}: not values by name")
    return value


def _read_number(tree: Any, blobs: Sequence[bytes], path: str) -> float:
    if type(tree) not in (int, float) or tree - tree != 0:
        raise Malformed(f"{path}: not a number")
    return float(tree)


_PLAIN: dict[Any, tuple[Write, Read]] = {
    str: (_write_text, _read_text),
    bytes: (_write_bytes, _read_bytes),
    bool: (_as_it_is, _read_as(bool)),
    int: (_as_it_is, _read_as(int)),
    float: (_as_it_is, _read_number),
}

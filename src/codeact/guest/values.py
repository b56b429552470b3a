"""The one table of values that cross the wall, both directions.

None, bool, str, finite float, int of 64 bits, list and dict with str keys cross as themselves. Tagged, as a dict of the
one key: `$int` (hex), `$float` (nan, inf, -inf), `$bytes`, `$tuple`, `$set`, `$frozenset`, `$dict` (pairs),
`$datetime`, `$date`, `$time`, `$timedelta`, `$decimal`, `$complex`. Strings and bytes over 64 KiB travel beside the
tree as blobs (`$str` and `$bytes` of a blob's index). Subclasses go as their base, numpy's scalars by `.item()`.
Everything else is refused with its path and a way round. What comes in is hostile: it is measured while it is read.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import decimal
from collections.abc import Callable, Sequence
from typing import Any

BLOB_FROM = 64 << 10  # bytes or characters
MAX_DEPTH = 64
MAX_NODES = 1_000_000
MAX_INT_BITS = 8 << 20


class Refused(TypeError):
    """A value that does not cross, or a tree that is not of the table; the message starts with the path."""


class Packed:
    """A value made ready to travel: a JSON tree and its blobs."""

    __slots__ = ("blobs", "tree")

    def __init__(self, tree: Any, blobs: Sequence[bytes] = ()) -> None:
        self.tree = tree
        self.blobs = tuple(blobs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Packed) and (self.tree, self.blobs) == (other.tree, other.blobs)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Packed({self.tree!r}, {len(self.blobs)} blobs)"


_HINTS = {
    "generator": "give list(...) of it",
    "map": "give list(...) of it",
    "filter": "give list(...) of it",
    "zip": "give list(...) of it",
    "range": "give list(...) of it",
    "dict_keys": "give list(...) of it",
    "dict_values": "give list(...) of it",
    "dict_items": "give list(...) of it",
    "ndarray": "give array.tolist()",
    "DataFrame": "give frame.to_dict('records')",
    "Series": "give series.to_list()",
    "Path": "give str(path)",
    "PosixPath": "give str(path)",
    "WindowsPath": "give str(path)",
    "UUID": "give str(uuid)",
    "Fraction": "give str(fraction) or float(fraction)",
    "function": "give data, not code",
    "method": "give data, not code",
    "module": "give data, not a module",
    "type": "give data, not a class",
    "coroutine": "await it first",
}


def _hint(value: object) -> str:
    cls = type(value)
    if cls.__name__ in _HINTS:
        return _HINTS[cls.__name__]
    if hasattr(cls, "__dataclass_fields__"):
        return "give dataclasses.asdict(value)"
    if hasattr(cls, "model_dump"):
        return "give value.model_dump()"
    if hasattr(cls, "_value_") or cls.__class__.__name__ == "EnumType":
        return "give its .value"
    if isinstance(value, BaseException):
        return "give str(error)"
    return "give plain data: str, numbers, list, dict ..."


class _Encoder:
    def __init__(self) -> None:
        self.blobs: list[bytes] = []
        self.nodes = 0
        self.open: set[int] = set()

    def refuse(self, path: str, what: str) -> Refused:
        return Refused(f"{path}: {what}")

    def encode(self, value: Any, path: str, depth: int) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self.refuse(path, f"more than {MAX_NODES:,} items in one value; send it in parts")
        cls = type(value)
        if cls is str:
            return self.text(value)
        if value is None or cls is bool:
            return value
        if cls is int:
            return self.integer(value, path)
        if cls is float:
            return self.real(value)
        if depth > MAX_DEPTH:
            raise self.refuse(path, f"nested deeper than {MAX_DEPTH} levels")
        plain = _SCALARS.get(cls)
        if plain is not None:
            tag, write = plain
            return {tag: write(value)}
        if cls in (bytes, bytearray):
            return self.binary(bytes(value))
        if cls in (list, tuple, set, frozenset, dict):
            return self.container(value, cls, path, depth)
        return self.other(value, path, depth)

    def text(self, value: str) -> Any:
        if len(value) <= BLOB_FROM:
            return value
        self.blobs.append(value.encode("utf-8", "surrogatepass"))
        return {"$str": len(self.blobs) - 1}

    def binary(self, value: bytes) -> Any:
        if len(value) <= BLOB_FROM:
            return {"$bytes": base64.b64encode(value).decode()}
        self.blobs.append(value)
        return {"$bytes": len(self.blobs) - 1}

    def integer(self, value: int, path: str) -> Any:
        bits = value.bit_length()
        if bits < 64:
            return value
        if bits > MAX_INT_BITS:
            raise self.refuse(path, f"an int of {bits:,} bits; at most {MAX_INT_BITS:,} cross")
        return {"$int": hex(value)}

    def real(self, value: float) -> Any:
        if value - value == 0.0:
            return value
        return {"$float": "nan" if value != value else "inf" if value > 0 else "-inf"}

    def container(self, value: Any, cls: type, path: str, depth: int) -> Any:
        if id(value) in self.open:
            raise self.refuse(path, "the value contains itself")
        self.open.add(id(value))
        try:
            if cls is dict:
                return self.mapping(value, path, depth)
            items = value
            if cls in (set, frozenset):
                items = _stable(value)
            tree = [self.encode(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(items)]
        except RuntimeError as error:  # changed by another thread while we read it
            raise self.refuse(path, str(error)) from None
        finally:
            self.open.discard(id(value))
        return tree if cls is list else {f"${cls.__name__}": tree}

    def mapping(self, value: dict[Any, Any], path: str, depth: int) -> Any:
        if all(type(key) is str and key[:1] != "$" and len(key) <= BLOB_FROM for key in value):
            return {key: self.encode(item, f"{path}.{key:.80}", depth + 1) for key, item in value.items()}
        return {
            "$dict": [
                [self.encode(key, f"{path} key", depth + 2), self.encode(item, f"{path}[{_short(key)}]", depth + 2)]
                for key, item in value.items()
            ]
        }

    def other(self, value: Any, path: str, depth: int) -> Any:
        if type(value).__module__.partition(".")[0] == "numpy" and getattr(value, "shape", None) == ():
            item = value.item()
            if type(item) is not type(value):
                return self.encode(item, path, depth)
        if _is_plain_enum(value):
            raise self.refuse(path, f"{type(value).__name__} does not cross; {_hint(value)}")
        for base, narrow in _BASES:
            if isinstance(value, base):
                return self.encode(narrow(value), path, depth)
        raise self.refuse(path, f"{type(value).__name__} does not cross; {_hint(value)}")


def _short(key: Any) -> str:
    text = repr(key) if isinstance(key, (str, int, float, bytes, tuple)) else type(key).__name__
    return text if len(text) <= 40 else text[:37] + "..."


def _is_plain_enum(value: Any) -> bool:
    return hasattr(type(value), "_member_map_") and not isinstance(value, (str, int, float))


def _stable(items: Any) -> list[Any]:
    try:
        return sorted(items)
    except TypeError:
        return sorted(items, key=repr)


def _delta(value: datetime.timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


def _when(value: datetime.datetime) -> list[Any]:
    return [value.replace(tzinfo=None).isoformat(), value.fold, *_zone(value)]


def _clock(value: datetime.time) -> list[Any]:
    return [value.replace(tzinfo=None).isoformat(), value.fold, *_zone(value)]


def _zone(value: datetime.datetime | datetime.time) -> list[Any]:
    """How the time zone travels: by its key in the zone database, else as its offset with its name."""
    if value.tzinfo is None:
        return []
    key = getattr(value.tzinfo, "key", None)
    if isinstance(key, str):
        return [key]
    offset = value.utcoffset()
    if offset is None:
        return []
    return [_delta(offset), value.tzname() or ""]


_SCALARS: dict[type, tuple[str, Callable[[Any], Any]]] = {
    datetime.datetime: ("$datetime", _when),
    datetime.date: ("$date", datetime.date.isoformat),
    datetime.time: ("$time", _clock),
    datetime.timedelta: ("$timedelta", _delta),
    decimal.Decimal: ("$decimal", str),
    complex: ("$complex", lambda value: [repr(value.real), repr(value.imag)]),
}

_BASES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (str, lambda v: str.__add__(v, "")),
    (int, int.__int__),
    (float, float.__float__),
    (complex, lambda v: complex(v.real, v.imag)),
    (bytes, lambda v: bytes.__getitem__(v, slice(None))),
    (bytearray, bytes),
    (memoryview, bytes),
    (datetime.datetime, lambda v: datetime.datetime.combine(v.date(), v.timetz())),
    (datetime.date, lambda v: datetime.date(v.year, v.month, v.day)),
    (datetime.time, lambda v: datetime.time(v.hour, v.minute, v.second, v.microsecond, v.tzinfo, fold=v.fold)),
    (datetime.timedelta, lambda v: datetime.timedelta(v.days, v.seconds, v.microseconds)),
    (decimal.Decimal, lambda v: decimal.Decimal(v.as_tuple())),
    (tuple, lambda v: tuple.__getitem__(v, slice(None))),
    (list, lambda v: list.__getitem__(v, slice(None))),
    (set, set),
    (frozenset, lambda v: frozenset(set(v))),
    (dict, lambda v: dict(v.items())),
)


def encode(value: Any) -> Packed:
    """Make a value ready to travel; raises Refused with the path of what does not cross."""
    encoder = _Encoder()
    return Packed(encoder.encode(value, "$", 0), encoder.blobs)


class _Decoder:
    def __init__(self, blobs: Sequence[bytes]) -> None:
        self.blobs = blobs
        self.nodes = 0

    def decode(self, tree: Any, path: str, depth: int) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise Refused(f"{path}: more than {MAX_NODES:,} items in one value")
        cls = type(tree)
        if cls is str or tree is None or cls is bool:
            return tree
        if cls is float:
            if tree - tree != 0.0:  # JSON's 1e999
                raise Refused(f"{path}: an untagged float that is not finite")
            return tree
        if cls is int:
            if tree.bit_length() >= 64:
                raise Refused(f"{path}: an untagged int beyond 64 bits")
            return tree
        if depth > MAX_DEPTH:
            raise Refused(f"{path}: nested deeper than {MAX_DEPTH} levels")
        if cls is list:
            return self.items(tree, path, depth)
        if len(tree) == 1:
            tag, body = next(iter(tree.items()))
            if tag[:1] == "$":
                return self.tagged(tag, body, path, depth)
        for key in tree:
            if key[:1] == "$":
                raise Refused(f"{path}: a tag beside other keys")
        return {key: self.decode(item, f"{path}.{key:.80}", depth + 1) for key, item in tree.items()}

    def items(self, tree: Any, path: str, depth: int) -> list[Any]:
        if type(tree) is not list:
            raise Refused(f"{path}: not a list")
        return [self.decode(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(tree)]

    def tagged(self, tag: str, body: Any, path: str, depth: int) -> Any:
        try:
            if tag in ("$str", "$bytes") and type(body) is int:
                if not 0 <= body < len(self.blobs):
                    raise Refused(f"{path}: no blob {body}")
                blob = self.blobs[body]
                return blob.decode("utf-8", "surrogatepass") if tag == "$str" else blob
            if tag in _SEQUENCES:
                return _SEQUENCES[tag](self.items(body, path, depth))
            if tag == "$dict":
                return self.pairs(body, path, depth)
            read = _READERS.get(tag)
            if read is None:
                raise Refused(f"{path}: an unknown tag {tag[:40]!r}")
            return read(body)
        except Refused:
            raise
        except (ValueError, TypeError, OverflowError, ArithmeticError, KeyError, binascii.Error, OSError) as error:
            raise Refused(f"{path}: a malformed {tag}: {str(error)[:200]}") from None

    def pairs(self, body: Any, path: str, depth: int) -> dict[Any, Any]:
        if type(body) is not list:
            raise Refused(f"{path}: $dict is not a list of pairs")
        result = {}
        for i, pair in enumerate(body):
            if type(pair) is not list or len(pair) != 2:
                raise Refused(f"{path}: $dict holds what is not a pair at {i}")
            result[self.decode(pair[0], f"{path} key {i}", depth + 2)] = self.decode(pair[1], f"{path}[{i}]", depth + 2)
        return result


def _text(body: Any) -> str:
    if type(body) is not str:
        raise TypeError("not a str")
    return body


def _read_int(body: Any) -> int:
    text = _text(body)
    if len(text) > MAX_INT_BITS // 4 + 4:
        raise ValueError("too long")
    return int(text, 16)


def _read_float(body: Any) -> float:
    if body not in ("nan", "inf", "-inf"):
        raise ValueError("not nan, inf or -inf")
    return float(body)


def _read_delta(body: Any) -> datetime.timedelta:
    days, seconds, microseconds = body
    if not all(type(part) is int for part in body):
        raise TypeError("not three ints")
    return datetime.timedelta(days, seconds, microseconds)


def _read_zone(parts: list[Any]) -> datetime.tzinfo | None:
    if not parts:
        return None
    if type(parts[0]) is str:
        import zoneinfo

        return zoneinfo.ZoneInfo(parts[0])
    offset, name = parts
    zone = datetime.timezone(_read_delta(offset))
    return zone if zone.tzname(None) == name or not name else datetime.timezone(_read_delta(offset), _text(name))


def _read_datetime(body: Any) -> datetime.datetime:
    text, fold, *zone = body
    return datetime.datetime.fromisoformat(_text(text)).replace(fold=fold, tzinfo=_read_zone(zone))


def _read_time(body: Any) -> datetime.time:
    text, fold, *zone = body
    return datetime.time.fromisoformat(_text(text)).replace(fold=fold, tzinfo=_read_zone(zone))


def _read_decimal(body: Any) -> decimal.Decimal:
    text = _text(body)
    if len(text) > 100_000:
        raise ValueError("too long")
    return decimal.Decimal(text)


def _read_complex(body: Any) -> complex:
    real, imag = body
    return complex(float(_text(real)), float(_text(imag)))


_SEQUENCES: dict[str, Callable[[list[Any]], Any]] = {"$tuple": tuple, "$set": set, "$frozenset": frozenset}
_READERS: dict[str, Callable[[Any], Any]] = {
    "$int": _read_int,
    "$float": _read_float,
    "$bytes": lambda body: base64.b64decode(_text(body), validate=True),
    "$datetime": _read_datetime,
    "$date": lambda body: datetime.date.fromisoformat(_text(body)),
    "$time": _read_time,
    "$timedelta": _read_delta,
    "$decimal": _read_decimal,
    "$complex": _read_complex,
}


def decode(packed: Packed) -> Any:
    """The value of a tree that came in; raises Refused for whatever is not of the table."""
    return _Decoder(packed.blobs).decode(packed.tree, "$", 0)

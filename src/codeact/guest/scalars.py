"""Scalars of the table of values: how each is written in JSON and read back, and which base a subclass goes as.

What is read is hostile: a reader may raise any ValueError, TypeError, ArithmeticError or OSError, and nothing worse.
"""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable
from typing import Any

from . import sealed
from .crossing import MAX_INT_BITS, Unreadable

_LONGEST_DECIMAL = 100_000  # characters


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
    key = _key(value.tzinfo)
    if key is not None:
        return [key]
    offset = value.utcoffset()
    if offset is None:
        return []
    return [_delta(offset), value.tzname() or ""]


def _key(zone: datetime.tzinfo) -> str | None:
    """Its key in the zone database: `key` of zoneinfo's, `zone` of pytz's."""
    key = getattr(zone, "key", None) or getattr(zone, "zone", None)
    return key if isinstance(key, str) else None


def fixed_zone(zone: datetime.tzinfo) -> list[Any]:
    """How a time zone travels without a moment in it; empty for one that has neither a key nor one offset."""
    key, offset = _key(zone), zone.utcoffset(None)
    if key is not None:
        return [key]
    return [] if offset is None else [_delta(offset), zone.tzname(None) or ""]


def _digits(value: decimal.Decimal) -> str:
    text = str(value)
    if len(text) > _LONGEST_DECIMAL:
        raise ValueError(f"of {len(text):,} characters; at most {_LONGEST_DECIMAL:,} cross; give str(value)")
    return text


SCALARS: dict[type, tuple[str, Callable[[Any], Any]]] = {
    datetime.datetime: ("$datetime", _when),
    datetime.date: ("$date", datetime.date.isoformat),
    datetime.time: ("$time", _clock),
    datetime.timedelta: ("$timedelta", _delta),
    decimal.Decimal: ("$decimal", _digits),
    sealed.Sealed: ("$secret", lambda value: value.name),
    complex: ("$complex", lambda value: [repr(value.real), repr(value.imag)]),
}

BASES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
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


def read_zone(parts: list[Any]) -> datetime.tzinfo | None:
    """The time zone of its key, or of its offset and name; None for no parts."""
    if not parts:
        return None
    if type(parts[0]) is str:
        import zoneinfo

        try:
            return zoneinfo.ZoneInfo(parts[0])
        except zoneinfo.ZoneInfoNotFoundError:
            words = f"the time zone {parts[0][:80]!r} is not known where it should arrive"
            raise Unreadable(f"{words}; give it in UTC: moment.astimezone(datetime.timezone.utc)") from None
    offset, name = parts
    zone = datetime.timezone(_read_delta(offset))
    return zone if zone.tzname(None) == name or not name else datetime.timezone(_read_delta(offset), _text(name))


def _read_datetime(body: Any) -> datetime.datetime:
    text, fold, *zone = body
    return datetime.datetime.fromisoformat(_text(text)).replace(fold=fold, tzinfo=read_zone(zone))


def _read_time(body: Any) -> datetime.time:
    text, fold, *zone = body
    return datetime.time.fromisoformat(_text(text)).replace(fold=fold, tzinfo=read_zone(zone))


def _read_decimal(body: Any) -> decimal.Decimal:
    text = _text(body)
    if len(text) > _LONGEST_DECIMAL:
        raise ValueError("too long")
    return decimal.Decimal(text)


def _read_complex(body: Any) -> complex:
    real, imag = body
    return complex(float(_text(real)), float(_text(imag)))


READERS: dict[str, Callable[[Any], Any]] = {
    "$int": _read_int,
    "$float": _read_float,
    "$datetime": _read_datetime,
    "$date": lambda body: datetime.date.fromisoformat(_text(body)),
    "$time": _read_time,
    "$timedelta": _read_delta,
    "$decimal": _read_decimal,
    "$complex": _read_complex,
    "$secret": sealed.read,
}

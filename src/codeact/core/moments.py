"""Moments in a text: those at which something was at work are taken out, such as when a file was written.

A cell that runs again writes its files anew, and what it tells of that is another time each time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

Span: TypeAlias = tuple[float, float]  # seconds since the epoch

_FORMS = re.compile(
    r"(?P<iso>\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:[.,]\d{1,9})?"
    r"|(?P<long>\b[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\b)"
    r"|\((?P<parts>\d{4}(?:, \d{1,2}){5})(?:, \d{1,6})?(?=[,)])"
    r"|(?<![\w.])(?P<number>1\d{9}(?:\d{3}|\d{6}|\d{9})?)(?:\.\d+)?\b"
)
_HALF_HOURS = range(-28, 29)  # how far a clock on a wall may be from that of Greenwich


def without_moments(text: str, spans: Sequence[Span]) -> str:
    """The same with a mark in place of every moment that lies in one of these spans, in whatever zone it is told.

    >>> without_moments("saved at 2026-11-22 20:24:52.5, of 1999-01-01 00:00:00", [(1795379000, 1795380000)])
    'saved at <now>, of 1999-01-01 00:00:00'
    """
    return _FORMS.sub(lambda found: "<now>" if _within(found, spans) else found[0], text)


def _within(found: re.Match[str], spans: Sequence[Span]) -> bool:
    if number := found["number"]:
        return _lies(int(number[:10]), spans)
    try:
        if long := found["long"]:
            at = datetime.strptime(long, "%a %b %d %H:%M:%S %Y")
        elif parts := found["parts"]:
            year, month, day, hour, minute, second = map(int, parts.split(", "))
            at = datetime(year, month, day, hour, minute, second)
        else:
            at = datetime.fromisoformat(found["iso"])
    except ValueError:
        return False
    moved = (at + timedelta(minutes=30 * n) for n in _HALF_HOURS)
    return any(_lies(one.replace(tzinfo=UTC).timestamp(), spans) for one in moved)


def _lies(at: float, spans: Sequence[Span]) -> bool:
    return any(first <= at <= last for first, last in spans)

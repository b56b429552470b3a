"""What both fuzzers start from, and the property they hold: good traffic, and what may come of any bytes."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

from codeact.guest import values, wire

_VALUES: list[Any] = [
    None,
    [True, -1, 2**70, 1.5, float("inf"), "text", b"bytes", "x" * 100_000],
    {"a": [1, (2, {3: {4}})], "b": {(1, 2): frozenset((5,))}},
    [datetime.datetime(2026, 11, 22, 9, 30), datetime.timedelta(seconds=3), decimal.Decimal("1.10"), 1 + 2j],
]
_PACKED = [values.encode(value) for value in _VALUES]

GOOD: list[bytes] = [
    wire.encode(wire.Ready("3.11.7")),
    wire.encode(wire.Bound(1, None)),
    wire.encode(wire.Next("0" * 16)),
    wire.encode(wire.Poised(4, None)),
    wire.encode(wire.Copied(4, "a thread lives")),
    wire.encode(wire.Fetched(2, None, ["NameError", "no"])),
    wire.encode(wire.Placed(5, "No space left on device")),
    wire.encode(wire.Part(6, "plots/a.png", values.encode(b"bytes"), True)),
    wire.encode(wire.Part(6, "long", values.encode(bytes(100_000)), False)),
    wire.encode(wire.Collected(6, [["link", "link"], ["big", "large"]], 1)),
    *(wire.encode(wire.Fetched(3, packed, None)) for packed in _PACKED),
    *(wire.encode(wire.Call("0" * 16, 1, "look", values.encode([[value], {"b": value}]))) for value in _VALUES),
    *(
        wire.encode(wire.Done("0" * 16, "done", 1, packed, None, ["E", "m", "t"], None, ["a note"], None))
        for packed in _PACKED
    ),
]


def digest(data: bytes, cut: int = 0) -> int:
    """Read bytes as the host does, in two parts, and every value in them; the answer is how many words they were.

    Whatever they are, nothing but ProtocolError may come of the words and Refused of the values.
    """
    decoder = wire.Decoder(wire.GUEST_WORDS)
    words = []
    try:
        words += decoder.feed(data[:cut])
        words += decoder.feed(data[cut:])
    except wire.ProtocolError:
        pass
    for word in words:
        for field in vars(word).values():
            if isinstance(field, values.Packed):
                try:
                    values.decode(field)
                except values.Refused:
                    continue
    return len(words)

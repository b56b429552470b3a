"""The header of a frame as text: ASCII JSON, no NaN, no key twice, of a bounded number of items."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

MAX_NODES = 2_000_000  # of JSON in a header
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


class ProtocolError(Exception):
    """The other end said something that is not of the protocol; the message names the word and the field."""


def _writer() -> Callable[[Any], str]:
    """What writes a header: CPython's own writer where it can be had, made once and not at each word."""
    plain = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":"), check_circular=False)
    try:
        quick: Any = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
            None, plain.default, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, False
        )
        if "".join(quick({"a": [1]}, 0)) == '{"a":[1]}':
            return lambda header: "".join(quick(header, 0))
    except (AttributeError, TypeError):  # another Python than those we know
        pass
    return plain.encode


written = _writer()


def read(header: bytes | bytearray) -> Any:
    """JSON by the strict rules of a header; raises ProtocolError."""
    if len(header) > MAX_NODES and _commas(header) > MAX_NODES and _commas(_STRINGS.sub(b"", header)) > MAX_NODES:
        raise ProtocolError("a header of too many items")
    try:
        text = header.decode("ascii")
        try:
            found, end = _scan(text, 0)
            if end == len(text):
                return found
        except StopIteration:
            pass
        return _DECODER.decode(text)  # it knows about space round it, and says what is wrong
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"a header that is not the JSON we speak: {str(error)[:100]}") from None


def _commas(header: bytes | bytearray) -> int:
    return header.count(b",") + header.count(b"[") + header.count(b"{")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key twice")
    return result


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)
_scan: Callable[[str, int], tuple[Any, int]] = _DECODER.scan_once  # type: ignore[attr-defined]

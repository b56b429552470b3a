"""Events come out the same however the bytes were cut."""

from __future__ import annotations

import pytest

from codeact.core.errors import ModelProtocolError
from codeact.models.server.sse import Events

TABLE = [
    (b"data: a\n\ndata: b\n\n", ["a", "b"], ""),
    (b"data:a\r\n\r\ndata:  b\r\n\r\n", ["a", " b"], ""),
    (b"data: a\r\rdata: b\r\r", ["a", "b"], ""),
    (b"data: a\ndata: b\n\n", ["a\nb"], ""),
    (b"data: a\r\ndata: b\r\n\r\n", ["a\nb"], ""),
    (b"\xef\xbb\xbfdata: a\n\n", ["a"], ""),
    (b": c\n\nevent: x\nid: 1\n\ndata\n\n", [""], ""),
    ("data: é€😀\n\n".encode(), ["é€😀"], ""),
    (b"data: \xe2\x82\n\n", ["\ufffd"], ""),
    (b"data: a\n\ndata: b", ["a"], "b"),
    (b"data: a\n\ndata: b\n", ["a"], "b"),
    (b"data: a\n\nda", ["a"], ""),
    (b"\n\n\n\r\n", [], ""),
    (b"", [], ""),
]


@pytest.mark.parametrize(("raw", "events", "rest"), TABLE)
def test_every_cut_of_the_bytes_gives_the_same_events(raw: bytes, events: list[str], rest: str) -> None:
    for cut in range(len(raw) + 1):
        decoder = Events(100)
        heard = [*decoder.feed(raw[:cut]), *decoder.feed(raw[cut:])]
        assert (heard, decoder.rest()) == (events, rest)
    decoder = Events(100)
    assert [e for i in range(len(raw)) for e in decoder.feed(raw[i : i + 1])] == events


@pytest.mark.parametrize("raw", [b"x" * 101, b"data: " + b"x" * 95, b"data: 123456\n" * 9, b": " + b"x" * 99])
def test_an_event_over_the_limit_is_refused(raw: bytes) -> None:
    with pytest.raises(ModelProtocolError):
        list(Events(100).feed(raw))


def test_a_stream_may_be_longer_than_an_event() -> None:
    assert len(list(Events(100).feed(b": keep alive\n" * 999 + b"data: x\n\n" * 999))) == 999


def test_whether_anything_of_the_protocol_has_come_is_known_from_half_a_line() -> None:
    for raw, begun in ((b"data", True), (b": x\n", False), (b"<html>", False), (b"\n\ndata: {", True)):
        decoder = Events(100)
        list(decoder.feed(raw))
        assert decoder.begun is begun, raw

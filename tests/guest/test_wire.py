"""Bytes to words: round trips, every cut, and bytes that no honest end would send."""

from __future__ import annotations

import json
import struct
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeact.guest import wire
from codeact.guest.values import Packed
from codeact.guest.wire import GUEST_WORDS, HOST_WORDS, Decoder, ProtocolError, TooLarge

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
packed = st.builds(Packed, json_values, st.lists(st.binary(max_size=50), max_size=3))
texts, numbers = st.text(max_size=20), st.integers(0, 2**63)
words_of_host = st.one_of(
    st.builds(
        wire.Open,
        st.dictionaries(texts, json_values, max_size=3),
        st.lists(json_values, max_size=3),
        st.just({}),
        st.lists(texts, max_size=3),
    ),
    st.builds(wire.Run, numbers, texts, texts, packed),
    st.builds(wire.Returned, numbers, st.none() | packed, st.none() | st.lists(texts, max_size=2)),
    st.builds(wire.Bind, numbers, packed),
    st.builds(wire.Fetch, numbers, texts),
    st.builds(wire.Copy, numbers, texts, numbers, st.lists(numbers)),
    st.builds(wire.Put, numbers, texts, numbers, packed, st.booleans()),
    st.builds(wire.Collect, numbers, numbers, numbers, st.booleans()),
)
words_of_guest = st.one_of(
    st.builds(wire.Ready, texts),
    st.builds(wire.Call, texts, numbers, texts, packed),
    st.builds(
        wire.Done,
        *(
            texts,
            texts,
            numbers,
            st.none() | packed,
            st.none() | packed,
            st.none() | st.lists(texts),
            st.none() | packed,
        ),
        st.lists(texts),
        st.none() | packed,
    ),
    st.builds(wire.Bound, numbers, st.none() | texts),
    st.builds(wire.Poised, numbers, st.none() | texts),
    st.builds(wire.Copied, numbers, st.none() | texts),
    st.builds(wire.Placed, numbers, st.none() | texts),
    st.builds(wire.Part, numbers, texts, packed, st.booleans()),
    st.builds(wire.Collected, numbers, st.lists(st.lists(texts, max_size=3), max_size=3), numbers),
    st.builds(wire.Fetched, numbers, st.none() | packed, st.none() | st.lists(texts)),
)


@settings(deadline=None)
@given(st.lists(words_of_host, max_size=4))
def test_what_the_host_says_arrives_as_it_was_said(words: list[Any]) -> None:
    assert Decoder(HOST_WORDS).feed(b"".join(map(wire.encode, words))) == words


@settings(deadline=None)
@given(words_of_guest)
def test_a_frame_may_be_cut_anywhere(word: Any) -> None:
    frame = wire.encode(word)
    for cut in range(len(frame)):
        decoder = Decoder(GUEST_WORDS)
        assert decoder.feed(frame[:cut]) == []
        assert decoder.feed(frame[cut:] + frame[: cut // 2]) == [word]


@settings(deadline=None)
@given(st.lists(words_of_guest, min_size=1, max_size=3))
def test_a_stream_may_come_byte_by_byte(words: list[Any]) -> None:
    decoder = Decoder(GUEST_WORDS)
    stream = b"".join(map(wire.encode, words))
    assert [word for byte in stream for word in decoder.feed(bytes([byte]))] == words


@settings(deadline=None)
@given(words_of_guest, st.integers(0), st.integers(0, 255))
def test_one_wrong_byte_is_a_protocol_error_or_another_word(word: Any, place: int, byte: int) -> None:
    frame = bytearray(wire.encode(word))
    frame[place % len(frame)] = byte
    with suppress(ProtocolError):
        Decoder(GUEST_WORDS).feed(bytes(frame))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_a_protocol_error_or_not_yet_a_word(noise: bytes) -> None:
    with suppress(ProtocolError):
        Decoder(GUEST_WORDS).feed(noise)


def _frame(header: str, rest: bytes = b"") -> bytes:
    text = header.encode("utf-8", "surrogatepass")
    return struct.pack(">II", 4 + len(text) + len(rest), len(text)) + text + rest


READY = '{"w":"Ready","b":[],"python":"3"}'


@pytest.mark.parametrize(
    "frame",
    [
        struct.pack(">II", 0, 0),
        struct.pack(">II", 0xFFFFFFFF, 10),
        struct.pack(">II", (64 << 20) + 1, 10),
        struct.pack(">II", 10 << 20, (8 << 20) + 1),
        struct.pack(">II", 10, 100),
        _frame(""),
        _frame("{}"),
        _frame("[]"),
        _frame("3"),
        _frame("null"),
        _frame("nope"),
        _frame('{"w":"Ready","b":[]}'),
        _frame('{"w":"Ready","b":[],"python":3}'),
        _frame('{"w":"Ready","b":[],"python":null}'),
        _frame('{"w":"Ready","b":[],"python":"3","more":1}'),
        _frame('{"w":"Ready","b":[],"python":"3","python":"3"}'),
        _frame('{"w":"Ready","w":"Ready","b":[],"python":"3"}'),
        _frame('{"w":"Ready","python":"3"}'),
        _frame('{"w":"Ready","b":{},"python":"3"}'),
        _frame('{"w":["Ready"],"b":[],"python":"3"}'),
        _frame('{"w":"Run","b":[],"cell":1,"nonce":"","seed":"","source":["",0,0]}'),
        _frame('{"w":"Nothing","b":[]}'),
        _frame('{"w":"Ready","b":[1],"python":"3"}'),
        _frame('{"w":"Ready","b":[-1,1],"python":"3"}'),
        _frame('{"w":"Ready","b":[true],"python":"3"}', b"x"),
        _frame('{"w":"Ready","b":[1.0],"python":"3"}', b"x"),
        _frame('{"w":"Ready","b":[],"python":"3"}', b"x"),
        _frame('{"w":"Ready","b":' + json.dumps([0] * 5000) + ',"python":"3"}'),
        _frame('{"w":"Ready","b":[],"python":"é"}'),
        _frame('{"w":"Ready","b":[],"python":NaN}'),
        _frame('{"w":"Fetched","b":[],"id":1,"value":[NaN,0,0],"failure":null}'),
        _frame('{"w":"Fetched","b":[],"id":1,"value":[Infinity,0,0],"failure":null}'),
        _frame('{"w":"Fetched","b":[],"id":1,"value":[1,0],"failure":null}'),
        _frame('{"w":"Fetched","b":[],"id":1,"value":[1,0,1],"failure":null}'),
        _frame('{"w":"Fetched","b":[],"id":1,"value":[1,-1,1],"failure":null}'),
        _frame('{"w":"Fetched","b":[],"id":1,"value":[1,false,0],"failure":null}'),
        _frame('{"w":"Fetched","b":[],"id":true,"value":null,"failure":null}'),
        _frame('{"w":"Fetched","b":[],"id":1.0,"value":null,"failure":null}'),
        _frame('{"w":"Fetched","b":[],"id":1,"value":null,"failure":"text"}'),
        _frame('{"w":"Fetched","b":[],"id":1,"value":[' + "[" * 100_000 + "]" * 100_000 + ',0,0],"failure":null}'),
        _frame('{"w":"Fetched","b":[],"id":' + "9" * 10_000 + ',"value":null,"failure":null}'),
        _frame('{"w":"Fetched","b":[],"id":1,"value":[[' + "0," * 2_100_000 + '0],0,0],"failure":null}'),
        b"\x80\x04\x95" + b"\0" * 100,
    ],
)
def test_what_is_not_of_the_protocol_is_refused(frame: bytes) -> None:
    assert len(Decoder(GUEST_WORDS).feed(_frame(READY))) == 1
    with pytest.raises(ProtocolError):
        Decoder(GUEST_WORDS).feed(frame)


def test_a_length_is_refused_before_anything_is_kept() -> None:
    decoder = Decoder(GUEST_WORDS)
    with pytest.raises(ProtocolError):
        decoder.feed(struct.pack(">II", 0x7FFFFFFF, 100))


def test_words_of_the_other_direction_are_refused() -> None:
    for words, other in ((GUEST_WORDS, wire.Fetch(1, "x")), (HOST_WORDS, wire.Ready("3"))):
        with pytest.raises(ProtocolError, match="direction"):
            Decoder(words).feed(wire.encode(other))


def test_a_word_that_does_not_fit_is_not_sent() -> None:
    for tree, blobs in (("x" * (9 << 20), []), ("", [b"x" * (65 << 20)]), ("", [b""] * 5000)):
        with pytest.raises(TooLarge):
            wire.encode(wire.Bind(1, Packed(tree, blobs)))


def test_a_text_of_a_million_commas_is_only_a_text() -> None:
    word = wire.Ready("," * 3_000_000)
    assert Decoder(GUEST_WORDS).feed(wire.encode(word)) == [word]

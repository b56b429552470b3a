"""Every event that can be recorded is read back as it was, and nothing else is read."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import json
import math
import types
import typing
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codeact.core.budget import Budget
from codeact.core.events import CodeRan, Entry, Event, Forked, ModelReplied, Noted, RunStarted, TaskGiven, ToolReturned
from codeact.core.execution import Answer, Limits, Outcome, Returned
from codeact.core.messages import Image, Reply, Usage
from codeact.journals import codec

KINDS: list[type] = list(typing.get_args(Event))
WORDS = st.text(max_size=20) | st.just("long " * 3000) | st.just("half \udc80 of a pair")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS | st.binary(max_size=40)
    | st.just(b"x" * 70_000) | st.dates() | st.just(datetime.timedelta(days=3)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    | st.tuples(inner, inner),
    max_leaves=6,
)  # fmt: skip


def any_of(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a declared type; the declarations are all that is known here, as in the codec."""
    plain = {
        str: WORDS,
        bytes: st.binary(max_size=10) | st.just(b"\0\xff" * 9000),
        bool: st.booleans(),
        int: st.integers(0, 2**70),
        float: st.floats(0, 1e9),
        Any: VALUES,
    }
    if hint in plain:
        return plain[hint]
    if hint is Limits:
        return st.builds(Limits, seconds=st.floats(0.01, 100), steps=st.integers(1, 100))
    if hint is Budget:
        return st.builds(Budget, tokens=st.none() | st.integers(1, 2**40), money=st.none() | st.floats(0.01, 9))
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return st.builds(hint, **{field.name: any_of(hints[field.name]) for field in dataclasses.fields(hint)})
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*(st.none() if one is type(None) else any_of(one) for one in arguments))
    if origin is tuple:
        return (
            st.lists(any_of(arguments[0]), max_size=2).map(tuple)
            if arguments[1:] == (...,)
            else st.tuples(*map(any_of, arguments))
        )
    assert origin is dict
    return st.dictionaries(st.text(max_size=6), VALUES, max_size=2)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_event_is_read_as_it_was_written(kind: type) -> None:
    @given(any_of(kind))
    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    def holds(event: Event) -> None:
        line = codec.encode(event)
        assert line.text.isascii() and "\n" not in line.text
        assert codec.decode(line) == event

    holds()


def test_what_is_long_lies_beside_the_line() -> None:
    image = Image(b"\x89PNG" * 10_000, size=(3, 4))
    line = codec.encode(CodeRan(1, Outcome("done", stdout="x" * 100_000, images=(image,))))
    assert len(line.text) < 300 and sorted(map(len, line.blobs)) == [40_000, 100_000]


def test_an_entry_can_be_had_with_nothing_beside_it() -> None:
    value = {"text": "y" * 70_000, "bytes": b"\0" * 70_000, "pair": ("$str", {"$str": 0})}
    shown = codec.whole(
        Entry(3, 1.5, "r", CodeRan(1, Outcome("final_answer", stdout="x" * 9000, answer=Answer(value))))
    )
    assert json.loads(json.dumps(shown)) == shown
    assert (shown["seq"], shown["at"], shown["run"], shown["event"], shown["cell"]) == (3, 1.5, "r", "CodeRan", 1)
    assert shown["outcome"]["stdout"] == "x" * 9000
    assert shown["outcome"]["answer"]["value"] == [
        {
            "text": "y" * 70_000,
            "bytes": {"$bytes": base64.b64encode(b"\0" * 70_000).decode()},
            "pair": {"$tuple": ["$str", {"$dict": [["$str", 0]]}]},
        }
    ]
    assert codec.whole(Entry(1, 0.0, "r", Forked("other"))) == {
        "seq": 1, "at": 0.0, "run": "r", "event": "Forked", "run_": "other"
    }  # fmt: skip
    assert "parent" not in shown and codec.whole(Entry(0, 0.0, "r", Noted("n"), "above"))["parent"] == "above"


def test_what_is_not_finite_is_kept_where_values_are() -> None:
    read = codec.decode(codec.encode(ToolReturned("k", Returned(float("nan")))))
    assert isinstance(read, ToolReturned) and math.isnan(read.returned.value)


def test_what_is_not_known_stays_unknown() -> None:
    event = ModelReplied(Reply("hello", usage=Usage(None, 5, None)))
    assert codec.decode(codec.encode(event)) == event


def test_a_field_that_an_old_line_lacks_has_its_default() -> None:
    assert codec.decode(codec.Line('{"event":"TaskGiven","task":"t"}')) == TaskGiven("t")
    assert codec.decode(codec.Line('{"event":"RunStarted","model":"m","sandbox":"linux"}')) == RunStarted("m", "linux")


BAD = {
    "": "not JSON",
    "[]": "not an event",
    "{}": "not an event",
    '{"event":"Nothing"}': "no event is named 'Nothing'",
    '{"event":"Noted"}': "missing",
    '{"event":"Noted","text":1}': "Noted.text",
    '{"event":"Noted","text":"a","more":1}': "there is no 'more'",
    '{"event":"Noted","text":{"$str":0}}': "Noted.text",
    '{"event":"Noted","text":{"$str":-1}}': "Noted.text",
    '{"event":"TaskEnded","stop_reason":"fine"}': "TaskEnded.stop_reason",
    '{"event":"TaskEnded","stop_reason":"error","output":[{"$nothing":1}]}': "unknown tag",
    '{"event":"TaskEnded","stop_reason":"error","output":{"$dict":1}}': "not a value",
    '{"event":"TaskEnded","stop_reason":"error","output":[1,5,9]}': "not a value",
    '{"event":"CodeStarted","cell":true,"source":"","seed":""}': "CodeStarted.cell",
    '{"event":"CodeStarted","cell":1,"source":"","seed":"?"}': "CodeStarted.seed",
    '{"event":"CodeRan","cell":1,"outcome":{"ended":"done","seconds":NaN}}': "NaN",
    '{"event":"CodeRan","cell":1,"outcome":{"ended":"done","seconds":1e999}}': "CodeRan.outcome.seconds",
    '{"event":"RunStarted","model":"m","sandbox":"s","limits":{"steps":0}}': "max_steps",
    '{"event":"TaskGiven","task":"t","variables":[["a"]]}': "TaskGiven.variables[0]",
    '{"event":"ToolCalled","key":"","cell":1,"tool":"","arguments":[[1]]}': "ToolCalled.arguments",
    "[" * 100_000: "not JSON",
}


@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:60])
def test_a_line_that_we_did_not_write_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(codec.Malformed) as refused:
        codec.decode(codec.Line(text))
    assert BAD[text] in str(refused.value)


@given(st.text(max_size=60) | st.recursive(st.none() | st.integers() | st.text(max_size=8), st.lists).map(json.dumps))
@settings(max_examples=200, deadline=None)
def test_no_line_does_anything_but_be_refused(text: str) -> None:
    with pytest.raises(codec.Malformed):
        codec.decode(codec.Line(text))


def test_the_note_of_somebody_else_is_data() -> None:
    event = Noted("__import__('os').system('id')")
    assert codec.decode(codec.encode(event)) == event

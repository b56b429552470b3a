"""The one table of values: what crosses comes back the same, what does not is refused with its path."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import json
import math
import pathlib
import zoneinfo
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeact.guest import values
from codeact.guest.values import Packed, Refused
from codeact.guest.wire import GUEST_WORDS, Call, Decoder, encode

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(2**60, 2**70),
    st.floats(allow_nan=False),
    st.text(),
    st.text(st.characters(codec=None), max_size=5),
    st.binary(),
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=st.timezones()),
    st.datetimes(timezones=st.builds(dt.timezone, st.timedeltas(dt.timedelta(hours=-23), dt.timedelta(hours=23)))),
    st.times(),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.complex_numbers(allow_nan=False),
)
hashable = st.recursive(scalars, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=5)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(st.text(), inner, max_size=4),
        st.dictionaries(hashable, inner, max_size=4),
        st.sets(hashable, max_size=4),
    ),
    max_leaves=12,
)


def _there_and_back(value: Any) -> Any:
    """Through the bytes, as it travels."""
    frame = encode(Call("n", 1, "t", values.encode(value)))
    return values.decode(Decoder(GUEST_WORDS).feed(frame)[0].arguments)


def _same(a: Any, b: Any) -> bool:
    """Equal, and of the same types all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict):
        return len(a) == len(b) and all(map(_same, a.items(), b.items()))
    if isinstance(a, float):
        return a == b and math.copysign(1, a) == math.copysign(1, b)
    if isinstance(a, dt.datetime):
        return a.replace(tzinfo=None) == b.replace(tzinfo=None) and a.utcoffset() == b.utcoffset() and a.fold == b.fold
    return bool(a == b)


@settings(deadline=None)
@given(anything)
def test_what_crosses_comes_back_the_same(value: Any) -> None:
    assert _same(_there_and_back(value), value)


BACK = [
    (float("inf"), float("inf")),
    (-0.0, -0.0),
    (2**64, 2**64),
    (-(2**63), -(2**63)),
    (10**3000, 10**3000),
    ("x" * 70_000, "x" * 70_000),
    (b"y" * 70_000, b"y" * 70_000),
    ("\ud800" * 70_000, "\ud800" * 70_000),
    (bytearray(b"a"), b"a"),
    (memoryview(b"a"), b"a"),
    ({"$int": "ff", "$str": 0}, {"$int": "ff", "$str": 0}),
    ({1: "a", None: "b", (1, 2): "c"}, {1: "a", None: "b", (1, 2): "c"}),
    (collections.OrderedDict(a=1), {"a": 1}),
    (collections.Counter("aab"), {"a": 2, "b": 1}),
    (collections.namedtuple("P", "x y")(1, 2), (1, 2)),
    (enum.IntEnum("E", {"A": 5}).A, 5),
    (enum.StrEnum("S", {"A": "text"}).A, "text"),
    (numpy.float64(0.5), 0.5),
    (numpy.int32(7), 7),
    (numpy.bool_(True), True),
    (numpy.str_("s"), "s"),
    (numpy.datetime64("2024-01-02"), dt.date(2024, 1, 2)),
    (dt.time(1, 2, fold=1), dt.time(1, 2, fold=1)),
    (decimal.Decimal("1E+400"), decimal.Decimal("1E+400")),
]  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), BACK, ids=[type(value).__name__ for value, _ in BACK])
def test_a_value_goes_as_its_base(value: Any, expected: Any) -> None:
    assert _same(_there_and_back(value), expected)


def test_what_is_not_a_number_stays_so() -> None:
    assert math.isnan(_there_and_back(float("nan")))
    assert _there_and_back(decimal.Decimal("sNaN")).is_snan()


def test_a_time_zone_keeps_its_key() -> None:
    summer = dt.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
    assert _there_and_back(summer).tzinfo.key == "Europe/Berlin"


@dataclasses.dataclass
class Point:
    x: int = 1


class Colour(enum.Enum):
    RED = 1


def _cycle() -> list[Any]:
    cycle: list[Any] = [1]
    cycle.append({"me": cycle})
    return cycle


def _deep(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "words"),
    ids=lambda part: type(part).__name__,
    argvalues=[
        ({"rows": [1, 2, {"fn": len}]}, "$.rows[2].fn: builtin_function_or_method does not cross"),
        ([lambda: 0], "$[0]: function does not cross; give data, not code"),
        ((x for x in ()), "$: generator does not cross; give list(...) of it"),
        (range(3), "$: range does not cross; give list(...) of it"),
        ({"k": Point()}, "$.k: Point does not cross; give dataclasses.asdict(value)"),
        (Colour.RED, "$: Colour does not cross; give its .value"),
        (pathlib.Path("/x"), "give str(path)"),
        (fractions.Fraction(1, 3), "give str(fraction) or float(fraction)"),
        (numpy.array([1, "a", None]), "$: an array of dtype object does not cross; give array.tolist()"),
        (ValueError("v"), "give str(error)"),
        (object(), "$: object does not cross; give plain data"),
        (Point, "$: type does not cross; give data, not a class"),
        ({(1, print): 2}, "$ key[1]: builtin_function_or_method does not cross"),
        (_cycle(), "$[1].me: the value contains itself"),
        (_deep(100), "nested deeper than 64 levels"),
        ([0] * 1_000_001, "more than 1,000,000 items in one value"),
        (1 << (9 << 20), "an int of 9,437,185 bits"),
    ],
)  # fmt: skip
def test_what_does_not_cross_is_refused_with_its_path_and_a_way_round(value: Any, words: str) -> None:
    with pytest.raises(Refused) as refused:
        values.encode(value)
    assert words in str(refused.value)


class Absent:
    """As a proxy of a request is where there is none."""

    @property
    def __class__(self) -> type:
        raise LookupError("no request")


class Nowhere(dt.tzinfo):
    """It knows no offset: `utcoffset` raises."""


def test_an_object_that_fails_when_it_is_looked_at_is_refused() -> None:
    with pytest.raises(Refused, match=r"^\$\.now: Absent does not cross \(LookupError: no request\); give plain data"):
        values.encode({"now": Absent()})
    with pytest.raises(Refused, match=r"^\$\.now: datetime does not cross \(NotImplementedError: "):
        values.encode({"now": dt.datetime(2024, 1, 1, tzinfo=Nowhere())})


def test_sixty_four_levels_cross() -> None:
    assert _there_and_back(_deep(64)) == _deep(64)


@pytest.mark.parametrize(
    "tree",
    [
        {"$nothing": 1},
        {"$int": 5},
        {"$int": "0x" + "f" * (3 << 20)},
        {"$int": "zz"},
        {"$float": "1.5"},
        {"$float": 1},
        {"$str": 0},
        {"$str": -1},
        {"$str": True},
        {"$str": "text"},
        {"$bytes": 3},
        {"$bytes": "not base64"},
        {"$tuple": {}},
        {"$set": [[]]},
        {"$set": 1},
        {"$dict": {}},
        {"$dict": [[1]]},
        {"$dict": [[[], 1]]},
        {"$datetime": ["2024-13-01T00:00:00", 0]},
        {"$datetime": ["2024-01-01T00:00:00", 7]},
        {"$datetime": ["2024-01-01T00:00:00", 0, "../../etc/passwd"]},
        {"$datetime": ["2024-01-01T00:00:00", 0, "/etc/passwd"]},
        {"$datetime": ["2024-01-01T00:00:00", 0, [99, 0, 0], "x"]},
        {"$datetime": 5},
        {"$date": "yesterday"},
        {"$time": [None, 0]},
        {"$timedelta": [1e300, 0, 0]},
        {"$timedelta": [10**17, 0, 0]},
        {"$timedelta": [1]},
        {"$decimal": "1" * 200_000},
        {"$decimal": "one"},
        {"$complex": ["1"]},
        {"$complex": [1, 2]},
        {"$int": "1", "other": 1},
        {"a": {"$unknown": 0}},
        2**64,
        float("inf"),
        float("nan"),
        _deep(100),
        [0] * 1_000_001,
        {"__class__": {"$type": "os.system"}, "$py/object": 1},
    ],
    ids=lambda tree: str(tree)[:40],
)
def test_a_tree_that_is_not_of_the_table_is_refused(tree: Any) -> None:
    with pytest.raises(Refused):
        values.decode(Packed(tree))


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["a", "$int", "$float", "$str", "$bytes", "$tuple", "$set", "$frozenset", "$dict", "$datetime"]
                )
                | st.sampled_from(["$date", "$time", "$timedelta", "$decimal", "$complex", "$other"]),
                inner,
                max_size=2,
            )
        ),
        max_leaves=8,
    )
)
def test_a_hostile_tree_is_a_value_or_refused(tree: Any) -> None:
    try:
        value = values.decode(Packed(tree, [b"\xff", b"ok"]))
    except Refused:
        return
    values.encode(value)


def test_plain_data_that_looks_like_a_magic_key_stays_plain() -> None:
    for plain in ({"__class__": "os"}, {"lc": 1, "type": "constructor"}, {"py/object": "x"}):
        assert values.encode(plain).tree == plain and _there_and_back(plain) == plain


def test_the_header_is_ascii_json() -> None:
    tree = values.encode(["é", {"k": float("nan")}, {1: 2**80}]).tree
    assert json.loads(json.dumps(tree, allow_nan=False)) == tree

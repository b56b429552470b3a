"""Arguments of a call: what fits stays or is read from its nearest form in JSON; what does not is told in one line."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import functools
import math
import pathlib
import re
import uuid
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from codeact.tools.function import as_tool


class Unit(enum.Enum):
    CELSIUS = "C"
    FAHRENHEIT = "F"


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass
class Order:
    item: str
    count: int = 1
    due: datetime.date | None = None


class Filter(TypedDict):
    key: str
    orders: NotRequired[list[Order]]


class Point(NamedTuple):
    x: int
    y: int = 0


class Customer(BaseModel):
    name: str


DAY = datetime.date(2026, 1, 2)
NOON = datetime.datetime(2026, 1, 2, 12)
IDENTITY = uuid.UUID(int=7)


def bind(hint: Any, value: Any) -> Any:
    def probe(x): ...  # type: ignore[no-untyped-def]

    probe.__annotations__["x"] = hint
    return as_tool(probe).bind([value], {})["x"]


@pytest.mark.parametrize(
    ("hint", "value", "given"),
    [
        (int, 5, 5),
        (int, 2**70, 2**70),
        (float, 5, 5.0),
        (float, math.inf, math.inf),
        (str, "5", "5"),
        (bool, True, True),
        (bytes, b"\xff", b"\xff"),
        (complex, 1j, 1j),
        (Any, {"a": (1,)}, {"a": (1,)}),
        (object, None, None),
        (int | None, None, None),
        (int | str, "5", "5"),
        (Literal["C", 1], 1, 1),
        (list[int], (1, 2), [1, 2]),
        (tuple[int, ...], [1, 2], (1, 2)),
        (tuple[int, str], [1, "a"], (1, "a")),
        (set[str], ["a", "b", "a"], {"a", "b"}),
        (frozenset[int], {1}, frozenset({1})),
        (Sequence[int], [1], [1]),
        (Iterable[int], [1], [1]),
        (dict[str, list[int]], {"a": [1]}, {"a": [1]}),
        (datetime.date, "2026-01-02", DAY),
        (datetime.date, DAY, DAY),
        (datetime.datetime, "2026-01-02T12:00:00", NOON),
        (datetime.datetime, NOON, NOON),
        (datetime.timedelta, "PT5S", datetime.timedelta(seconds=5)),
        (decimal.Decimal, "1.10", decimal.Decimal("1.10")),
        (decimal.Decimal, decimal.Decimal("1.10"), decimal.Decimal("1.10")),
        (pathlib.Path, "a/b", pathlib.Path("a/b")),
        (uuid.UUID, str(IDENTITY), IDENTITY),
        (Unit, "F", Unit.FAHRENHEIT),
        (Level, 1, Level.LOW),
        (Order, {"item": "tea", "due": "2026-01-02"}, Order("tea", 1, DAY)),
        (list[Order], [{"item": "tea"}], [Order("tea")]),
        (Filter, {"key": "k", "orders": [{"item": "tea"}]}, {"key": "k", "orders": [Order("tea")]}),
        (Filter | None, {"key": "k"}, {"key": "k"}),
        (dict[str, Filter], {"a": {"key": "k"}}, {"a": {"key": "k"}}),
        (Point, [1, 2], Point(1, 2)),
        (Point, {"x": 1}, Point(1, 0)),
        (Customer, {"name": "Ann"}, Customer(name="Ann")),
        (Annotated[int, Field(gt=0)], 1, 1),
    ],
)
def test_what_fits_is_given_in_its_type(hint: Any, value: Any, given: Any) -> None:
    bound = bind(hint, value)
    assert bound == given
    assert type(bound) is type(given)


@pytest.mark.parametrize(
    ("hint", "value", "said"),
    [
        (int, "5", "TypeError: probe(): 'x' must be int, got '5' (str)"),
        (int, True, "TypeError: probe(): 'x' must be int, got True (bool)"),
        (int, 1.0, "TypeError: probe(): 'x' must be int, got 1.0 (float)"),
        (int, None, "TypeError: probe(): 'x' must be int, got None (NoneType)"),
        (float, "5", "TypeError: probe(): 'x' must be float, got '5' (str)"),
        (float, True, "TypeError: probe(): 'x' must be float, got True (bool)"),
        (str, 5, "TypeError: probe(): 'x' must be str, got 5 (int)"),
        (str, b"5", "TypeError: probe(): 'x' must be str, got b'5' (bytes)"),
        (bool, 1, "TypeError: probe(): 'x' must be bool, got 1 (int)"),
        (dict[str, int], [1], "TypeError: probe(): 'x' must be dict[str, int], got [1] (list)"),
        (list[str], "ab", "TypeError: probe(): 'x' must be list[str], got 'ab' (str)"),
        (Sequence[str], "ab", "TypeError: probe(): 'x' must be Sequence[str], got 'ab' (str)"),
        (int | None, "5", "TypeError: probe(): 'x' must be int | None, got '5' (str)"),
        (int | str, 1.5, "TypeError: probe(): 'x' must be int | str, got 1.5 (float)"),
        (
            Literal["a"] | list[int],
            ["x"],
            "ValueError: probe(): 'x' must be Literal['a'] | list[int], got ['x'] (list)",
        ),
        (list[int], [1, "2"], "TypeError: probe(): 'x[1]' must be int, got '2' (str)"),
        (list[int | str], [1, None], "TypeError: probe(): 'x[1]' must be int or str, got None (NoneType)"),
        (dict[str, int], {"a": "1"}, "TypeError: probe(): 'x.a' must be int, got '1' (str)"),
        (dict[str, int], {"a b": "1"}, "TypeError: probe(): \"x['a b']\" must be int, got '1' (str)"),
        (dict[str, int], {1: 1}, "TypeError: probe(): 'x[1] (the key)' must be str, got 1 (int)"),
        (Literal["C", "F"], "K", "ValueError: probe(): 'x' must be 'C' or 'F', got 'K' (str)"),
        (Literal[1], True, "ValueError: probe(): 'x' must be 1, got True (bool)"),
        (Unit, "K", "ValueError: probe(): 'x' must be 'C' or 'F', got 'K' (str)"),
        (Level, "1", "ValueError: probe(): 'x' must be 1, got '1' (str)"),
        (Level, True, "ValueError: probe(): 'x' must be 1, got True (bool)"),
        (datetime.date, 5, "TypeError: probe(): 'x' must be datetime.date, got 5 (int)"),
        (datetime.datetime, "5", "TypeError: probe(): 'x' must be datetime.datetime, got '5' (str)"),
        (Order, 5, "TypeError: probe(): 'x' must be Order, got 5 (int)"),
        (Order, {"item": "tea", "count": "1"}, "TypeError: probe(): 'x.count' must be int, got '1' (str)"),
        (list[Order], [{"item": 1}], "TypeError: probe(): 'x[0].item' must be str, got 1 (int)"),
        (Filter, {"key": "k", "orders": [5]}, "TypeError: probe(): 'x.orders[0]' must be dict, got 5 (int)"),
        (Annotated[int, Field(gt=0)], 0, "ValueError: probe(): 'x' must be greater than 0, got 0 (int)"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(hint: Any, value: Any, said: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        bind(hint, value)
    assert f"{type(caught.value).__name__}: {caught.value}" == said
    assert caught.value.__suppress_context__


def test_a_wrong_field_is_told_with_the_fields_there_are() -> None:
    fields = "Order: a dict of item: str, count: int = 1, due: datetime.date | None = None"
    with pytest.raises(TypeError, match=re.escape(f"probe(): 'x.item' is missing; {fields}")):
        bind(Order, {"count": 1})
    with pytest.raises(TypeError, match=r"'x\.cuont' is not expected; Order: a dict of"):
        bind(Order, {"item": "tea", "cuont": 1})
    with pytest.raises(TypeError, match=r"'x\.itme' is not expected; Order: a dict of item: str"):
        bind(Order, {"itme": "tea"})


def test_a_huge_wrong_value_makes_a_short_message() -> None:
    with pytest.raises(TypeError) as caught:
        bind(int, "x" * 50_000_000)
    assert len(str(caught.value)) < 200
    with pytest.raises(TypeError, match=r"'x' must be str, got a value \(int\)"):
        bind(str, 10**5000)  # more digits than Python writes out


def weather(city: str, unit: str = "C", *, days: int = 1) -> str:
    return f"{city} {unit} {days}"


def collect(first: int, /, *rest: int, flag: bool = False, **more: str) -> tuple[Any, ...]:
    return first, rest, flag, more


def keyword_only(*, a: int, b: int) -> int:
    return a + b


def one(a: int) -> int:
    return a


@pytest.mark.parametrize(
    ("function", "args", "kwargs"),
    [
        (weather, [], {}),
        (weather, [], {"unit": "F"}),
        (weather, ["Oslo", "C", 3], {}),
        (weather, ["Oslo"], {"city": "Oslo"}),
        (weather, ["Oslo"], {"nope": 1}),
        (one, [1, 2], {}),
        (one, [], {}),
        (keyword_only, [], {}),
        (keyword_only, [1], {"a": 1, "b": 2}),
        (keyword_only, [], {"a": 1}),
        (one, [], {"self": 1}),
        (weather, ["Oslo"], {"ctx": 1}),
        (weather, ["Oslo"], {"timeout": 1}),
        (weather, ["Oslo"], {"__class__": 1}),
    ],
)
def test_a_call_that_does_not_match_is_refused_in_cpythons_own_words(
    function: Any, args: list[Any], kwargs: dict[str, Any]
) -> None:
    with pytest.raises(TypeError) as ours:
        as_tool(function).bind(args, kwargs)
    with pytest.raises(TypeError) as theirs:
        function(*args, **kwargs)
    assert str(ours.value).partition("; did you mean")[0] == str(theirs.value).partition(". Did you mean")[0]


def test_a_misspelled_keyword_is_told_the_nearest() -> None:
    with pytest.raises(TypeError, match=r"got an unexpected keyword argument 'dayz'; did you mean 'days'\?"):
        as_tool(weather).bind(["Oslo"], {"dayz": 1})


@pytest.mark.parametrize(
    ("args", "kwargs", "value"),
    [
        ([1], {}, (1, (), False, {})),
        ([1, 2, 3], {"flag": True, "a": "b"}, (1, (2, 3), True, {"a": "b"})),
        ([1], {"first": "not the positional one"}, (1, (), False, {"first": "not the positional one"})),
    ],
)
async def test_variable_arguments_arrive(args: list[Any], kwargs: dict[str, Any], value: Any) -> None:
    tool = as_tool(collect)
    assert await tool.call(tool.bind(args, kwargs)) == value


def test_variable_arguments_are_checked_one_by_one() -> None:
    with pytest.raises(TypeError, match=r"'rest\[1\]' must be int, got '3'"):
        as_tool(collect).bind([1, 2, "3"], {})
    with pytest.raises(TypeError, match=r"'more_so' must be str, got 5"):
        as_tool(collect).bind([1], {"more_so": 5})


async def test_a_gap_in_the_positions_is_bridged_by_keywords() -> None:
    def order(item: str, size: str = "m", count: int = 1) -> str:
        return f"{item} {size} {count}"

    tool = as_tool(order)
    assert await tool.call(tool.bind(["tea"], {"count": 2})) == "tea m 2"


def test_what_a_partial_binds_is_out_of_the_reach_of_code() -> None:
    def read(table: str, connection: Any = None, **options: str) -> str:
        return f"{table} {connection} {options}"

    tool = as_tool(functools.partial(read, connection=object()))
    assert "connection" not in tool.spec.signature
    with pytest.raises(TypeError, match="unexpected keyword argument 'connection'"):
        tool.bind(["t"], {"connection": "mine"})


async def test_none_passes_where_it_is_the_default() -> None:
    def look(limit: int = None) -> str:  # type: ignore[assignment]  # noqa: RUF013
        return str(limit)

    tool = as_tool(look)
    assert await tool.call(tool.bind([None], {})) == "None"


@dataclasses.dataclass
class Node:
    value: int
    children: list[Node] = dataclasses.field(default_factory=list)


def test_a_type_that_holds_itself_is_read_to_its_end() -> None:
    tree = {"value": 1, "children": [{"value": 2}, {"value": 3, "children": [{"value": 4}]}]}
    assert bind(Node, tree) == Node(1, [Node(2), Node(3, [Node(4)])])
    with pytest.raises(TypeError, match=r"'x.children\[0\].children\[0\].value' must be int, got '4'"):
        bind(Node, {"value": 1, "children": [{"value": 2, "children": [{"value": "4"}]}]})


HINTS = [int, str, Any, Unit, Order, Filter, Point, Customer, Node, Literal["C", 1], tuple[int, ...], set[str]]
HINTS += [int | str, list[Order] | None, dict[str, Filter], tuple[Filter, Unit], datetime.date, Iterable[Order | int]]
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=5))
KEYS = st.sampled_from(["item", "count", "key", "orders", "x", "value", "children", "name", 1, None, (1, 2)])
VALUES = st.recursive(
    st.one_of(SCALARS, st.dates(), st.datetimes(), st.frozensets(st.integers(), max_size=2)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3), st.tuples(inner)),
    max_leaves=10,
)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(HINTS), VALUES)
def test_whatever_code_gives_fits_or_is_told_in_a_short_line(hint: Any, value: Any) -> None:
    try:
        bind(hint, value)
    except (TypeError, ValueError) as error:
        assert type(error) in (TypeError, ValueError)
        assert str(error).startswith("probe(): 'x") or str(error).startswith('probe(): "x')
        assert len(str(error)) < 500

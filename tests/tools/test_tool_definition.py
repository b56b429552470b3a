"""What can be a tool, what the model reads of it, and what is refused when it is given, never when it is called."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import functools
import pathlib
import threading
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, Optional, TypedDict

import pytest
from pydantic import BaseModel, Field

from codeact.core.errors import ToolDefinitionError
from codeact.core.execution import Parameter
from codeact.tools.function import Options, Tool, as_tool, tool
from codeact.tools.names import check_names


class Unit(enum.Enum):
    CELSIUS = "C"
    FAHRENHEIT = "F"


@dataclasses.dataclass
class Order:
    item: str
    count: int = 1
    tags: list[str] = dataclasses.field(default_factory=list)


class Filter(TypedDict):
    key: str
    limit: NotRequired[int]


class Point(NamedTuple):
    x: int
    y: int = 0


ORIGIN = Point(1)
MARKER = object()


class Customer(BaseModel):
    name: str
    age: int = Field(0, alias="years")


@tool
def weather(city: str, unit: Literal["C", "F"] = "C") -> dict[str, Any]:
    """Current weather in a city.

    Args:
        city: the name of
            the city
        unit: the unit of temperature
        nothing: is said of what is not there

    Returns:
        temperature and wind
    """
    return {"city": city, "unit": unit}


def test_a_marked_function_is_called_as_before() -> None:
    assert weather("Oslo") == {"city": "Oslo", "unit": "C"}
    assert weather.__name__ == "weather"


def test_the_model_reads_signature_and_docstring_in_few_lines() -> None:
    spec = as_tool(weather).spec
    assert spec.name == "weather"
    assert spec.signature == "(city: str, unit: Literal['C', 'F'] = 'C') -> dict[str, Any]"
    assert spec.doc == (
        "Current weather in a city.\n\n"
        "city: the name of the city\nunit: the unit of temperature\nReturns: temperature and wind"
    )
    assert spec.parameters == (
        Parameter("city", "POSITIONAL_OR_KEYWORD"),
        Parameter("unit", "POSITIONAL_OR_KEYWORD", "'C'"),
    )


GOOGLE = """Add two numbers.

Args:
    a (int): the first
    b (int): the second

Returns:
    int: their sum

Raises:
    ValueError: when it rains
"""
NUMPY = """Add two numbers.

Parameters
----------
a : int
    the first
b : int
    the second

Returns
-------
int
    their sum

Raises
------
ValueError
    when it rains
"""
SPHINX = """Add two numbers.

:param a: the first
:param b: the second
:returns: their sum
:raises ValueError: when it rains
"""


@pytest.mark.parametrize("docstring", [GOOGLE, NUMPY, SPHINX], ids=["google", "numpy", "sphinx"])
def test_every_style_of_docstring_reads_the_same(docstring: str) -> None:
    def add(a: int, b: int) -> int:
        return a + b

    add.__doc__ = docstring
    assert as_tool(add).spec.doc == (
        "Add two numbers.\n\na: the first\nb: the second\nReturns: their sum\nRaises ValueError: when it rains"
    )


def everything(
    a: Annotated[int, "how many"],
    /,
    b: Optional[list[int]] = None,  # noqa: UP045
    *rest: float,
    order: Order | None = None,
    where: Filter | None = None,
    at: Point = ORIGIN,
    unit: Unit = Unit.CELSIUS,
    path: pathlib.Path = pathlib.Path("data"),
    day: datetime.date = datetime.date(2026, 1, 2),
    ratio: float = float("inf"),
    anything=(),  # type: ignore[no-untyped-def]
    customer: Customer | None = None,
    **more: str,
) -> Iterable[Point]:
    return []


def test_types_are_spelled_as_source_and_named_types_are_told_with_their_fields() -> None:
    spec = as_tool(everything).spec
    assert spec.signature == (
        "(a: int, /, b: list[int] | None = None, *rest: float, order: Order | None = None, "
        "where: Filter | None = None, at: Point = (1, 0), unit: Unit = 'C', path: Path = 'data', "
        "day: datetime.date = datetime.date(2026, 1, 2), "
        "ratio: float = float('inf'), anything=(), customer: Customer | None = None, **more: str) -> Iterable[Point]"
    )
    compile(f"def everything{spec.signature}: ...", "signature", "exec")
    assert spec.doc.splitlines() == [
        "a: how many",
        "",
        "Order: a dict of item: str, count: int = 1, tags: list[str] = ...",
        "Filter: a dict of key: str, limit: int = ...",
        "Point: a dict of x: int, y: int = 0",
        "Unit: one of 'C', 'F'",
        "Customer: a dict of name: str, years: int = 0",
    ]


class Shop:
    def __init__(self, stock: int) -> None:
        self.stock = stock

    def order(self, count: int) -> int:
        """Order some."""
        self.stock -= count
        return self.stock

    @tool(name="left", seconds=5)
    def remaining(self) -> int:
        return self.stock


class Search(Tool):
    name = "search"
    description = "Search the shop."
    inputs = {  # noqa: RUF012
        "query": {"type": "string", "description": "what to look for"},
        "limit": {"type": "integer", "description": "at most"},
    }

    def forward(self, query, limit=5):  # type: ignore[no-untyped-def]
        return [query] * limit


class Nameless(Tool):
    description = "It has no name."

    def forward(self) -> None: ...


class Empty(Tool):
    name = "empty"


class Counter:
    """Count calls."""

    def __call__(self, by: int) -> int:
        return by


def connect(host: str, table: str, limit: int = 5) -> str:
    """Read a table.

    :param host: where it is
    :param table: which
    """
    return f"{host}/{table}/{limit}"


READ = "Read a table.\n\ntable: which"


@pytest.mark.parametrize(
    ("given", "name", "signature", "doc"),
    [
        (Shop(5).order, "order", "(count: int) -> int", "Order some."),
        (Shop(5).remaining, "left", "() -> int", ""),
        (
            Search(),
            "search",
            "(query, limit=5)",
            "Search the shop.\n\nquery: what to look for\nlimit: at most",
        ),
        (functools.partial(connect, "db"), "connect", "(table: str, limit: int = 5) -> str", READ),
        (functools.partial(connect, host="db"), "connect", "(*, table: str, limit: int = 5) -> str", READ),
        (tool(name="count")(Counter()), "count", "(by: int) -> int", "Count calls."),
        (tool(name="bigger")(weather), "bigger", "(city: str, unit: Literal['C', 'F'] = 'C') -> dict[str, Any]", None),
    ],
)
def test_methods_partials_objects_and_classes_are_tools(given: Any, name: str, signature: str, doc: str | None) -> None:
    spec = as_tool(given).spec
    assert (spec.name, spec.signature) == (name, signature)
    assert doc is None or spec.doc == doc


def test_another_name_for_a_marked_function_leaves_the_first_as_it_was() -> None:
    second = tool(name="forecast", concurrency=1)(weather)
    assert as_tool(second).spec.name == "forecast"
    assert as_tool(second).concurrency == 1
    assert as_tool(weather).spec.name == "weather"
    assert as_tool(weather).concurrency is None


def test_what_is_a_tool_already_stays_itself() -> None:
    made = as_tool(weather)
    assert as_tool(made) is made


def test_a_tool_tells_its_own_deadline() -> None:
    assert as_tool(Shop(1).remaining).seconds == 5
    assert as_tool(weather).seconds is None


def takes_self(self, x: int) -> int: ...  # type: ignore[no-untyped-def,empty-body]
def approved(x: int, _approved: bool = False) -> int: ...  # type: ignore[empty-body]
def dunder(__class__: int) -> int: ...  # type: ignore[empty-body]
def unknown_type(x: Nowhere) -> int: ...  # type: ignore[name-defined,empty-body]  # noqa: F821
def unknown_return(x: int) -> Nowhere: ...  # type: ignore[name-defined]  # noqa: F821
def odd_default(x=threading) -> int: ...  # type: ignore[no-untyped-def,empty-body]
def deep_default(x=({"a": [MARKER]},)) -> int: ...  # type: ignore[no-untyped-def,empty-body]
def needs_code(callback: Callable[[int], int]) -> int: ...  # type: ignore[empty-body]
def needs_object(stop: threading.Event) -> int: ...  # type: ignore[empty-body]
def needs_class(kind: type[int]) -> int: ...  # type: ignore[empty-body]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (takes_self, r"takes_self\(\): parameter 'self' .* bound method"),
        (Shop.order, r"order\(\): parameter 'self' .* bound method"),
        (approved, r"parameter '_approved' has a reserved name: rename it"),
        (dunder, r"parameter '__class__' has a reserved name"),
        (unknown_type, r"annotation 'Nowhere' of parameter 'x' cannot be resolved.*module"),
        (unknown_return, r"annotation 'Nowhere' of the return cannot be resolved"),
        (odd_default, r"default of parameter 'x' is module, not plain data: use None"),
        (deep_default, r"default of parameter 'x' is tuple, not plain data"),
        (needs_code, r"Callable of parameter 'callback': take plain data instead"),
        (needs_object, r"Event of parameter 'stop': take plain data instead, or bind it with functools.partial"),
        (needs_class, r"parameter 'kind': take plain data"),
        (Shop, r"Shop is a class: give an object of it"),
        (functools.partial(Order, "tea"), r"Order is a class"),
        (tool(Shop), r"Shop is a class"),
        (Nameless(), r"Nameless has no name: write name = '...' in the class"),
        (Empty(), r"Empty has no method `forward`: define one"),
        (5, r"a tool is a function .* not 5"),
        (None, r"not None"),
        (lambda x: x, r"'<lambda>' cannot be the name of a tool .*: give another with @tool\(name=...\)"),
        (print, r"'print' cannot be the name of a tool"),
        (tool(name="numbers_max")(max), r"tells no signature: wrap it in a function"),
    ],
)
def test_what_cannot_be_a_tool_is_refused_with_the_mend(given: Any, said: str) -> None:
    with pytest.raises(ToolDefinitionError, match=said):
        as_tool(given)


@pytest.mark.parametrize(
    "name", ["class", "print", "open", "help", "exit", "final_answer", "_hidden", "größe", "a-b", "9a", "a" * 65, "a\n"]
)
def test_names_that_code_needs_or_cannot_write_are_refused(name: str) -> None:
    with pytest.raises(ToolDefinitionError, match="cannot be the name of a tool"):
        as_tool(tool(name=name)(connect))


@pytest.mark.parametrize(
    "options", [{"seconds": 0}, {"seconds": float("inf")}, {"seconds": True}, {"concurrency": 0}, {"concurrency": 1.5}]
)
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ToolDefinitionError, match=next(iter(options))):
        as_tool(tool(**options)(connect))


def test_options_go_by_name() -> None:
    with pytest.raises(ToolDefinitionError, match=r"@tool\(name=...\)"):
        tool("weather")  # type: ignore[call-overload]
    assert Options() == Options(None, None, None)


def test_two_tools_of_one_name_are_refused() -> None:
    check_names([as_tool(weather), as_tool(connect)])
    with pytest.raises(ToolDefinitionError, match="two tools are named 'connect'"):
        check_names([as_tool(connect), as_tool(weather), as_tool(functools.partial(connect, "db"))])

"""Tools that take arrays, tables and images: each as what it is, or not at all."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

import numpy
import pandas
import PIL.Image
import pytest
from numpy.typing import NDArray

from codeact.guest import values
from codeact.tools.function import as_tool

FRAME = pandas.DataFrame({"n": [1, 2]})
ARRAY = numpy.arange(3)
IMAGE = PIL.Image.new("L", (2, 2))


class Pair(TypedDict):
    left: NDArray[numpy.floating]
    right: pandas.Series


def array(x: numpy.ndarray) -> str:
    return type(x).__name__


def floats(x: NDArray[numpy.float64]) -> str:
    return str(x.dtype)


def numbers(x: NDArray[numpy.number]) -> str:
    return str(x.dtype)


def anything(x: NDArray[Any]) -> str:
    return str(x.dtype)


def maybe(x: pandas.DataFrame | pandas.Series | None = None) -> str:
    return type(x).__name__


def tables(x: dict[str, list[Annotated[pandas.DataFrame, "one a year"]]]) -> str:
    return type(x).__name__


def index(x: pandas.DatetimeIndex) -> str:
    return type(x).__name__


def picture(x: PIL.Image.Image) -> str:
    return type(x).__name__


def either(x: list[float] | numpy.ndarray) -> str:
    return type(x).__name__


TAKEN = [
    (array, ARRAY, "ndarray"),
    (floats, ARRAY * 0.5, "float64"),
    (floats, ARRAY, "float64"),
    (numbers, ARRAY, "int64"),
    (anything, numpy.array(["a"]), "<U1"),
    (maybe, FRAME, "DataFrame"),
    (maybe, FRAME.n, "Series"),
    (maybe, None, "NoneType"),
    (tables, {"2024": [FRAME, FRAME]}, "dict"),
    (index, pandas.date_range("2024", periods=2), "DatetimeIndex"),
    (picture, IMAGE, "Image"),
    (either, ARRAY, "ndarray"),
    (either, [1.0], "list"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("function", "value", "expected"), TAKEN, ids=lambda part: getattr(part, "__name__", type(part).__name__)
)
async def test_a_tool_takes_what_crossed_the_wall_as_what_it_is(function: Any, value: Any, expected: str) -> None:
    tool = as_tool(function)
    crossed = values.decode(values.encode(value))
    assert await tool.call(tool.bind([crossed], {})) == expected


REFUSED = [
    (array, [1, 2], "array(): 'x' must be ndarray, got [1, 2] (list)"),
    (array, FRAME, "array(): 'x' must be ndarray, got a DataFrame of shape (2, 1)"),
    (floats, ARRAY * 1j, "floats(): 'x' must be NDArray[float64], got an ndarray of shape (3,)"),
    (numbers, numpy.array(["a"]), "numbers(): 'x' must be NDArray[number], got an ndarray of shape (1,)"),
    (maybe, "frame", "maybe(): 'x' must be DataFrame | Series | None, got 'frame' (str)"),
    (tables, {"2024": [FRAME, 5]}, "tables(): \"x['2024'][1]\" must be an instance of DataFrame, got 5 (int)"),
    (index, FRAME.index, "index(): 'x' must be DatetimeIndex, got a RangeIndex of shape (2,)"),
    (picture, b"\x89PNG", "picture(): 'x' must be Image, got b'\\x89PNG' (bytes)"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("function", "value", "words"), REFUSED, ids=lambda part: getattr(part, "__name__", type(part).__name__)
)
def test_what_is_something_else_is_a_complaint_of_one_line(function: Any, value: Any, words: str) -> None:
    with pytest.raises(TypeError) as refused:
        as_tool(function).bind([value], {})
    assert str(refused.value) == words


def test_a_model_reads_the_names_that_people_write() -> None:
    def fit(x: NDArray[numpy.float64], table: pandas.DataFrame, any: NDArray[Any] | None = None) -> pandas.Series: ...

    assert as_tool(fit).spec.signature == (
        "(x: NDArray[float64], table: DataFrame, any: ndarray | None = None) -> Series"
    )


def test_fields_of_a_typed_dict_may_be_arrays() -> None:
    def both(x: Pair) -> str: ...

    bound = as_tool(both).bind([{"left": ARRAY * 0.5, "right": FRAME.n}], {})
    assert bound["x"]["left"].tolist() == [0, 0.5, 1]

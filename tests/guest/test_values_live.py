"""A table on its way through a real guest: into a variable, to a tool and back, to the final answer."""

from __future__ import annotations

import venv
from collections.abc import Iterator
from pathlib import Path

import numpy
import pandas
import PIL.Image
import pytest
from pandas.testing import assert_frame_equal

from codeact import Interpreter
from codeact.core.errors import ValueRefused

SALES = pandas.DataFrame(
    {
        "shop": pandas.Categorical(["a", "b", "a"]),
        "day": pandas.date_range("2024-03-30", periods=3, tz="Europe/Oslo"),
        "sold": pandas.array([1, None, 3], dtype="Int64"),
    },
    index=pandas.MultiIndex.from_tuples([(1, "x"), (1, "y"), (2, "x")], names=["n", None]),
)


def sales() -> pandas.DataFrame:
    """What was sold."""
    return SALES


def total(table: pandas.DataFrame, column: str = "sold") -> int:
    """The sum of a column."""
    return int(table[column].sum())


def grey(picture: PIL.Image.Image) -> dict:
    """A picture without its colours, and how bright it is."""
    made = picture.convert("L")
    return {"picture": made, "bright": numpy.asarray(made, dtype="f4")}


@pytest.fixture
def python() -> Iterator[Interpreter]:
    with Interpreter(tools=[sales, total, grey], sandbox="unconfined") as interpreter:
        yield interpreter


def test_a_table_crosses_to_the_code_and_back_as_it_is(python: Interpreter) -> None:
    outcome = python.run("table = sales()\nprint(type(table).__name__, total(table))\nfinal_answer({'back': [table]})")
    assert outcome.stdout == "DataFrame 4\n", outcome
    assert_frame_equal(outcome.final_answer["back"][0], SALES)
    assert_frame_equal(python.get("table"), SALES)


def test_a_table_that_was_set_is_a_table_without_any_import(python: Interpreter) -> None:
    python.set(rows=SALES, grid=numpy.eye(3, dtype=">f4", order="F"))
    outcome = python.run(
        "rows.loc[1, 'sold'].tolist(), grid.T[0, 0].item(), total(table=rows.reset_index(), column='n')"
    )
    assert outcome.value == "([1, <NA>], 1.0, 4)", outcome
    assert python.get("grid").flags.f_contiguous and python.get("grid").dtype == ">f4"


def test_a_picture_crosses_to_a_tool_and_back(python: Interpreter) -> None:
    python.set(red=PIL.Image.new("RGB", (3, 2), "red"))
    outcome = python.run("made = grey(red)\nmade['picture'].mode, made['picture'].size, made['bright'].shape")
    assert outcome.value == "('L', (3, 2), (2, 3))", outcome


ODD = """
import datetime, decimal, zoneinfo
class Row(list):
    __hash__ = lambda self: 1
class Zone(zoneinfo.ZoneInfo):
    key = "Nowhere/At_All"
odd, long, moment = {Row([1])}, decimal.Decimal("7" * 200_000), datetime.datetime(2024, 1, 1, tzinfo=Zone("UTC"))
"""


def test_what_cannot_be_made_on_this_side_is_told_and_nothing_is_lost(python: Interpreter) -> None:
    assert python.run(ODD).ok
    for name, words in {
        "odd": "a set of what can be in none: unhashable type: 'list'",
        "long": "of 200,000 characters; at most 100,000 cross; give str",
        "moment": "the time zone 'Nowhere/At_All' is not known where it should arrive; give it in UTC",
    }.items():
        with pytest.raises(ValueRefused, match=rf"^\$.*{words}"):
            python.get(name)
        outcome = python.run(f"final_answer({name})")
        assert outcome.kept and outcome.error is not None and words in outcome.error.message, outcome


def test_a_guest_without_the_library_is_told_so_and_lives_on(tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", symlinks=True)
    with Interpreter(tools=[sales], sandbox="unconfined", python=str(tmp_path / "bare")) as python:
        with pytest.raises(ValueRefused, match=r"\$\.rows: a DataFrame needs pandas, which cannot be imported where"):
            python.set(rows=SALES)
        outcome = python.run("kept = 1\nsales()")
        assert outcome.error is not None and outcome.error.type == "TypeError"
        assert outcome.error.message.startswith(
            "sales(): the value that came back does not cross the wall: $: a DataFr"
        )
        assert outcome.error.message.endswith("give frame.to_dict('records')")
        assert python.run("kept").value == "1"

"""Tables, series and indexes of pandas come back the same, to the type of each column; what is hostile is refused."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import pandas as stp
from pandas.testing import assert_frame_equal, assert_index_equal, assert_series_equal

from codeact.guest import values
from codeact.guest.values import Packed, Refused
from codeact.guest.wire import GUEST_WORDS, Call, Decoder, encode

NAN = math.nan
DAYS = pandas.date_range("2024-03-30", periods=3, freq="D")
BERLIN = pandas.date_range("2024-10-27", periods=4, freq="h", tz="Europe/Berlin")  # the hour that is there twice


def _there_and_back(value: Any) -> Any:
    """Through the bytes, as it travels."""
    frame = encode(Call("n", 1, "t", values.encode(value)))
    return values.decode(Decoder(GUEST_WORDS).feed(frame)[0].arguments)


COLUMNS = {
    "ints": [1, 2, 3],
    "small": numpy.array([1, 2, 3], "i1"),
    "unsigned": numpy.array([1, 2, 2**64 - 1], "u8"),
    "floats": [0.5, NAN, -0.0],
    "half": numpy.array([0.5, NAN, math.inf], "f2"),
    "complex": [1j, 2.0, NAN],
    "bools": [True, False, True],
    "text": ["a", "é", "\U0001f600"],
    "text with gaps": ["a", None, ""],
    "objects": pandas.Series(["a", None, NAN], dtype=object),
    "mixed objects": pandas.Series([1, "a", {"k": [1, (2,)]}], dtype=object),
    "lists": pandas.Series([[1, 2], [3, 4], []], dtype=object),
    "arrays": pandas.Series([numpy.arange(2), numpy.arange(2), None], dtype=object),
    "decimals and days": pandas.Series([dt.date(2024, 1, 1), dt.time(1), 2**70], dtype=object),
    "object gaps": pandas.Series([pandas.NaT, pandas.NA, "x"], dtype=object),
    "days": DAYS,
    "days and gaps": pandas.to_datetime(["2024-01-01", None, "1900-05-05"]),
    "nanoseconds": numpy.array([1, 2, "NaT"], "M8[ns]"),
    "microseconds": numpy.array([1, 2, "NaT"], "M8[us]"),
    "seconds": numpy.array([1, 2, 2**40], "M8[s]"),
    "berlin": BERLIN[:3],
    "zone with a gap": pandas.Series(["2024-01-01", None, "2024-07-01"], dtype="datetime64[ns, America/New_York]"),
    "utc": pandas.to_datetime(["2024-01-01", "2024-01-02", None], utc=True),
    "offset": pandas.Series(BERLIN[:3]).dt.tz_convert(dt.timezone(dt.timedelta(hours=5, minutes=30))),
    "spans": pandas.to_timedelta([1, 2, None], unit="h"),
    "categories": pandas.Categorical(["b", None, "b"], categories=["c", "b", "a"], ordered=True),
    "numbers as categories": pandas.Categorical([3, 1, 3]),
    "bins": pandas.cut([1, 5, 9], [0, 3, 6, 10]),
    "Int64": pandas.array([1, None, 2**62 + 1], dtype="Int64"),
    "UInt8": pandas.array([1, None, 255], dtype="UInt8"),
    "Float64": pandas.array([0.5, None, 1.5], dtype="Float64"),
    "boolean": pandas.array([True, None, False], dtype="boolean"),
    "string": pandas.array(["a", None, "c"], dtype="string"),
    "periods": pandas.PeriodIndex(["2024-01", None, "2024-03"], freq="M"),
    "intervals": pandas.arrays.IntervalArray.from_breaks([0, 1.5, 2, 3], closed="left"),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_comes_back_with_its_exact_type(name: str) -> None:
    frame = pandas.DataFrame({name: COLUMNS[name]})
    for one in (frame, frame.iloc[:0], frame.iloc[[2, 0, 0]]):
        back = _there_and_back(one)
        assert_frame_equal(back, one, check_exact=True, check_freq=True)
        assert [type(a) for a in back[name]] == [type(a) for a in one[name]]
    assert_series_equal(_there_and_back(frame[name]), frame[name], check_exact=True)


def test_a_table_of_all_kinds_of_columns_comes_back() -> None:
    frame = pandas.DataFrame(COLUMNS)
    assert_frame_equal(_there_and_back(frame), frame, check_exact=True)
    assert_frame_equal(_there_and_back({"tables": [frame, (frame,)]})["tables"][1][0], frame)


INDEXES = {
    "a range": pandas.RangeIndex(5, 50, 9, name="n"),
    "an empty range": pandas.RangeIndex(0),
    "ints": pandas.Index([3, 1, 2]),
    "texts": pandas.Index(["a", "b", "a"], name="letter"),
    "objects": pandas.Index(["a", 1, None], dtype=object),
    "tuples": pandas.Index([("a", 1), ("b", 2)], tupleize_cols=False),
    "days": DAYS,
    "business days": pandas.bdate_range("2024-01-01", periods=5, name="day"),
    "days without a step": pandas.DatetimeIndex(["2024-01-01", "2024-01-05", "2024-01-06"]),
    "hours in Berlin": BERLIN,
    "ends of quarters": pandas.date_range("2024-01-01", periods=3, freq="QE-NOV"),
    "every other monday": pandas.date_range("2024-01-01", periods=3, freq="2W-MON"),
    "ends of months, backwards": pandas.date_range("2024-01-31", periods=3, freq="-1ME"),
    "spans": pandas.timedelta_range("1h", periods=3, freq="30min"),
    "months": pandas.period_range("2024-01", periods=3, freq="M"),
    "quarters": pandas.period_range("2024Q1", periods=3, freq="Q-NOV"),
    "categories": pandas.CategoricalIndex(["x", "y", "x"], name="kind"),
    "intervals": pandas.interval_range(0, 3),
    "bools": pandas.Index([True, False]),
    "two levels": pandas.MultiIndex.from_product([["a", "b"], DAYS], names=["letter", None]),
    "levels with gaps": pandas.MultiIndex.from_tuples([("a", 1.5), (None, NAN), ("a", 1.5)]),
    "no name": pandas.Index([], dtype="float32"),
    "named by a tuple": pandas.Index([1], name=("a", 1)),
}


@pytest.mark.parametrize("name", INDEXES)
def test_an_index_comes_back_with_its_names_and_steps(name: str) -> None:
    index = INDEXES[name]
    assert_index_equal(_there_and_back(index), index, exact=True, check_exact=True)
    assert getattr(_there_and_back(index), "freq", None) == getattr(index, "freq", None)
    assert type(_there_and_back(index)) is type(index)
    rows = pandas.DataFrame({"n": range(len(index))}, index=index)
    assert_frame_equal(_there_and_back(rows), rows)
    assert_frame_equal(_there_and_back(rows.T), rows.T)


def test_two_columns_of_one_name_stay_two() -> None:
    frame = pandas.DataFrame([[1, "x", 2.5]], columns=["a", "b", "a"])
    assert_frame_equal(_there_and_back(frame), frame)


def test_what_tables_are_made_into_comes_back() -> None:
    sales = pandas.DataFrame({"shop": ["a", "b", "a"], "month": ["Jan", "Jan", "Feb"], "sold": [1, 2, 3]})
    for made in (
        sales.groupby(["shop", "month"]).sum(),
        sales.pivot(index="shop", columns="month", values="sold"),
        sales.groupby("shop")["sold"].agg(["min", "mean"]),
        sales.describe(),
        sales.describe(include="all"),
        sales[sales.sold > 1].reset_index(),
        sales.iloc[:0],
        pandas.DataFrame(),
        pandas.DataFrame(index=[1, 2]),
        pandas.DataFrame(columns=["a", "b"]),
        sales.T,
        sales.assign(part=sales.sold / 6),
    ):
        assert_frame_equal(_there_and_back(made), made)
    assert_series_equal(_there_and_back(sales.dtypes.astype(str)), sales.dtypes.astype(str))
    assert_series_equal(_there_and_back(sales.value_counts()), sales.value_counts())


def test_a_table_that_came_can_be_worked_with() -> None:
    frame = _there_and_back(pandas.DataFrame({"n": [1, 2], "t": ["a", "b"]}))
    frame.loc[0, "n"] = 5
    frame["n"] += 1
    assert frame.n.tolist() == [6, 3]
    array = frame.n.to_numpy(copy=True)
    array[0] = 1


def test_more_texts_cross_than_items_of_a_list() -> None:
    few = [f"row {n}" for n in range(500)]
    frame = pandas.DataFrame(dict.fromkeys(("a", "b", "c"), few * 700))
    assert frame.size > values.MAX_NODES
    assert_frame_equal(_there_and_back(frame), frame)


@settings(deadline=None)
@given(
    stp.data_frames(
        [
            stp.column("a", dtype=int),
            stp.column("b", dtype=float),
            stp.column("c", elements=st.text(max_size=3) | st.none() | st.dates() | st.tuples(st.integers())),
            stp.column("d", dtype="M8[ns]"),
            stp.column(("e", 1), dtype=bool),
        ],
        index=stp.indexes(elements=st.text(max_size=2), max_size=5) | stp.range_indexes(max_size=5),
    ),
    st.integers(0, 70),
)
def test_what_is_written_is_read_at_any_depth(frame: Any, depth: int) -> None:
    value = frame
    for _ in range(depth):
        value = [value]
    try:
        packed = values.encode(value)
    except Refused:
        assert depth > 50
        return
    back = values.decode(packed)
    for _ in range(depth):
        back = back[0]
    assert_frame_equal(back, frame)


@pytest.mark.parametrize(
    "step",
    [
        pandas.DateOffset(months=1, days=2),
        pandas.offsets.CustomBusinessDay(holidays=["2024-01-02"]),
        "WOM-3THU",
    ],
)
def test_a_step_that_takes_long_to_check_is_left_out(step: Any) -> None:
    index = pandas.date_range("2024-01-01", periods=3, freq=step)
    back = _there_and_back(index)
    assert back.equals(index) and back.freq is None


def test_what_is_missing_stays_missing() -> None:
    back = _there_and_back([{"when": pandas.NaT, "n": pandas.NA}])[0]
    assert back["when"] is pandas.NaT and back["n"] is pandas.NA


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (pandas.DataFrame({"a": [1], "f": [len]}), "$['f'][0]: builtin_function_or_method does not cross"),
        (
            {"t": pandas.DataFrame({"s": pandas.arrays.SparseArray([0, 1])})},
            "0] do not cross; give series.sparse.to_dense()",
        ),
        (pandas.Series([object()]), "$[0]: object does not cross"),
        (pandas.DataFrame({"a": [1]}, index=[object()]), "$.index[0]: object does not cross"),
        (pandas.DataFrame({object(): [1]}), "$.columns[0]: object does not cross"),
        (pandas.DataFrame(index=range(10**9)), "$.index: 1,000,000,000 rows; at most 67,108,864 cross"),
        (pandas.DataFrame({"a": [1]}).dtypes, "$[0]: Int64DType does not cross; give str(dtype)"),
        (pandas.Timestamp("2024-01-01T00:00:00.000000001"), "a Timestamp with nanoseconds does not cross; give value."),
        ([pandas.Timedelta("1ns")], "$[0]: a Timedelta with nanoseconds does not cross"),
        (pandas.Categorical(["a"]), "Categorical does not cross; give list(...) of it"),
        (pandas.DataFrame({"a": [1]}).groupby("a"), "DataFrameGroupBy does not cross"),
    ],
    ids=lambda part: type(part).__name__,
)
def test_what_does_not_cross_names_its_column(value: Any, words: str) -> None:
    with pytest.raises(Refused) as refused:
        values.encode(value)
    assert words in str(refused.value)


def _array(*items: Any, dtype: str = "i8") -> Any:
    return values.encode(numpy.array(items, dtype)).tree["$array"]


def _texts(text: str, *lengths: int) -> Any:
    return {"text": text, "lengths": _array(*lengths, dtype="<i4")}


ROWS = {"range": [0, 1, 1], "name": None}
NAMES = {"values": {"texts": _texts("a", 1)}, "name": None, "freq": None}
ONE = {"array": _array(7)}
HOSTILE_COLUMNS = [
    {},
    None,
    [],
    {"array": _array(1, 2)},
    {"array": values.encode(numpy.zeros((1, 1))).tree["$array"]},
    {"array": values.encode(numpy.array(["a"])).tree["$array"]},
    {"array": values.encode(numpy.zeros(1, [("a", "i4")])).tree["$array"]},
    {"array": [1]},
    {"array": "x"},
    {"objects": 5},
    {"objects": {"$tuple": [1]}},
    {"objects": [1, 2]},
    {"texts": _texts("abc", 1)},
    {"texts": _texts("a", 2)},
    {"texts": _texts("a", -3)},
    {"texts": {"text": "a", "lengths": _array(1)}},
    {"texts": {"text": 5, "lengths": _array(1, dtype="<i4")}},
    {"texts": _texts("a", 1), "storage": "/etc/passwd", "missing": "NA"},
    {"texts": _texts("a", 1), "storage": "python", "missing": "__class__"},
    {"moments": ONE["array"], "zone": ["Europe/Berlin"]},
    {"moments": _array(1, dtype="M8[ns]"), "zone": ["../../etc/passwd"]},
    {"moments": _array(1, dtype="M8[ns]"), "zone": []},
    {"moments": _array(-(2**63) + 1, dtype="M8[ns]"), "zone": ["America/New_York"]},
    {"moments": _array(2**62, dtype="M8[us]"), "zone": ["Europe/Berlin"]},
    {"moments": _array(1, dtype="M8[ns]"), "zone": [[99, 0, 0], "x"]},
    {"codes": _array(5), "categories": ONE, "ordered": False},
    {"codes": _array(-2), "categories": ONE, "ordered": False},
    {"codes": _array(0), "categories": {"array": _array(1, 1)}, "ordered": False},
    {"codes": _array(0), "categories": ONE, "ordered": "yes"},
    {"codes": _array(0, dtype="f8"), "categories": ONE, "ordered": True},
    {"masked": _array(1), "mask": _array(1)},
    {"masked": _array(1), "mask": _array(True, False, dtype="?")},
    {"masked": _array(1, dtype="M8[ns]"), "mask": _array(True, dtype="?")},
    {"ordinals": _array(1), "freq": "no such"},
    {"ordinals": _array(1), "freq": 5},
    {"ordinals": _array(1), "freq": "D" * 10_000},
    {"left": ONE, "right": {"array": _array(1)}, "closed": "left"},
    {"left": ONE, "right": ONE, "closed": "sideways"},
    {"left": {"array": _array(0, dtype="?")}, "right": {"array": _array(1, dtype="?")}, "closed": "left"},
    {"left": ONE, "right": ONE},
    {"array": ONE["array"], "texts": _texts("a", 1)},
]  # fmt: skip


def _nested(depth: int) -> Any:
    column: Any = ONE
    for _ in range(depth):
        column = {"left": column, "right": ONE, "closed": "left"}
    return column


@pytest.mark.parametrize("column", [*HOSTILE_COLUMNS, _nested(100)], ids=lambda tree: str(tree)[:60])
def test_a_column_that_is_none_is_refused(column: Any) -> None:
    values.decode(Packed({"$frame": {"columns": NAMES, "index": ROWS, "data": [ONE]}}))
    for tree in (
        {"$frame": {"columns": NAMES, "index": ROWS, "data": [column]}},
        {"$series": {"index": ROWS, "name": None, "data": column}},
    ):
        with pytest.raises(Refused, match=r"^\$"):
            values.decode(Packed(tree))


LEVEL = {"values": {"array": _array(1, 2)}, "name": None, "freq": None}
HOSTILE_INDEXES = [
    {},
    5,
    {"range": [0, 1, 0], "name": None},
    {"range": [0, 2**40, 1], "name": None},
    {"range": [0, 2**62, 1], "name": None},
    {"range": [0, 1], "name": None},
    {"range": [0, 1, 1], "name": []},
    {"range": [0, 1, 1], "name": None, "more": 1},
    {"values": ONE, "name": {}, "freq": None},
    {"values": ONE, "name": None, "freq": "D"},
    {"values": ONE, "name": None, "freq": 5},
    {"values": {"array": _array(1, 5, 7, dtype="M8[D]")}, "name": None, "freq": "D"},
    {"values": {"array": _array(1, 2, dtype="M8[ns]")}, "name": None, "freq": "1000000000YE"},
    {"values": {"array": _array(1, 2, dtype="M8[ns]")}, "name": None, "freq": "no such"},
    {"values": {"array": _array(dtype="M8[ns]")}, "name": None, "freq": "cbh"},
    {"levels": [LEVEL], "codes": [_array(0, 5)], "names": [None]},
    {"levels": [LEVEL], "codes": [_array(0, -2)], "names": [None]},
    {"levels": [LEVEL], "codes": [_array(0.0, dtype="f8")], "names": [None]},
    {"levels": [LEVEL, LEVEL], "codes": [_array(0), _array(0, 1)], "names": [None, None]},
    {"levels": [LEVEL], "codes": [], "names": [None]},
    {"levels": [LEVEL], "codes": [_array(0)], "names": [[]]},
    {"levels": [{"levels": [LEVEL], "codes": [_array(0)], "names": [None]}], "codes": [_array(0)], "names": [None]},
    {"levels": [], "codes": [], "names": []},
]  # fmt: skip


@pytest.mark.parametrize("index", HOSTILE_INDEXES, ids=lambda tree: str(tree)[:60])
def test_an_index_that_is_none_is_refused(index: Any) -> None:
    for tree in ({"$index": index}, {"$series": {"index": index, "name": None, "data": ONE}}):
        with pytest.raises(Refused, match=r"^\$"):
            values.decode(Packed(tree))


PARTS = st.sampled_from([*HOSTILE_COLUMNS, *HOSTILE_INDEXES, ONE, ROWS, NAMES, LEVEL, _texts("ab", 1, 1), _array(0)])
NAMES_OF_PARTS = (
    "columns index data name values freq range levels codes names array texts objects moments zone categories ordered "
    "masked mask ordinals left right closed"
)
NAMED = st.sampled_from(NAMES_OF_PARTS.split())
BYTES = st.binary(max_size=9).map(lambda data: values.encode(data).tree)
TREES = st.recursive(
    PARTS | st.none() | st.booleans() | st.integers() | st.text(max_size=3) | BYTES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(NAMED, inner, max_size=3),
        st.fixed_dictionaries({"columns": inner, "index": inner, "data": st.lists(inner, max_size=2)}),
        st.fixed_dictionaries({"index": inner, "name": inner, "data": inner}),
        st.fixed_dictionaries({"values": inner, "name": inner, "freq": st.none() | st.sampled_from(["D", "h", "ME"])}),
        st.fixed_dictionaries({"levels": st.lists(inner), "codes": st.lists(inner), "names": st.lists(inner)}),
        st.fixed_dictionaries({"left": inner, "right": inner, "closed": st.just("left")}),
        st.fixed_dictionaries({"codes": inner, "categories": inner, "ordered": st.booleans()}),
    ),
    max_leaves=6,
)  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(["$frame", "$series", "$index", "$array", "$missing", "$set", "$dict"]), TREES)
def test_a_hostile_table_is_a_table_or_refused(tag: str, body: Any) -> None:
    try:
        value = values.decode(Packed({tag: body}))
    except Refused:
        return
    repr(value)


def test_zones_of_the_database_keep_their_keys() -> None:
    back = _there_and_back(pandas.DataFrame({"t": BERLIN}))
    assert str(back.t.dtype.tz) == "Europe/Berlin"
    assert back.t.dt.hour.tolist() == [0, 1, 2, 2] and str(back.t[0].tzinfo) == "Europe/Berlin"

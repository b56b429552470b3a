"""What is shown of a last expression: all of what is short, the shape with head and tail of what is long."""

from __future__ import annotations

import collections
import dataclasses
import time
from typing import Any

import numpy
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeact.guest.display import PREVIEW, WHOLE, show

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner) | st.sets(st.text()),
    max_leaves=20,
)


@settings(deadline=None)
@given(plain)
def test_the_repr_of_plain_data_is_its_repr(value: Any) -> None:
    whole, preview = show(value)
    assert repr(value)[: WHOLE // 4] == whole[: WHOLE // 4]
    assert preview == whole or len(whole) > PREVIEW


@dataclasses.dataclass
class Order:
    number: int
    lines: list[int]
    note: str = ""


class Mute:
    def __repr__(self) -> str:
        return "m" * 1_000_000


def _cycle(empty: Any, put: Any) -> Any:
    put(empty)
    return empty


LONG = [
    ("x" * 10**6, "str of 1,000,000 characters: 'xxx", "xxx'"),
    (b"y" * 10**6, "bytes of 1,000,000 bytes: b'yyy", "yyy'"),
    (list(range(10**6)), "list of 1,000,000 items: [0, 1, 2, 3,", "999998, 999999]"),
    (tuple(range(10**6)), "tuple of 1,000,000 items: (0, 1, 2, 3,", "999998, 999999)"),
    ({n: str(n) for n in range(10**5)}, "dict of 100,000 keys: {0: '0', 1: '1',", "99999: '99999'}"),
    (set(range(10**5)), "set of 100,000 items: {0, 1, 2,", "more ...}"),
    ([["a" * 9000] * 50] * 50, "list of 50 items: [['aaa", "aaa']]"),
    ({"a": {"b": list(range(10**6))}}, "dict of 1 keys: {'a': {'b': [0, 1, 2,", "]}}"),
    (Order(1, list(range(10**5)), "n" * 9000), "Order(number=1, lines=[0, 1, 2,", "nnn')"),
    (collections.namedtuple("Pair", "a b")(1, "z" * 10**5), "Pair(a=1, b='zzz", "zzz')"),
    (collections.Counter(range(10**5)), "Counter({0: 1, 1: 1,", "99999: 1})"),
    (Mute(), "mmm", "mmm"),
    ([Mute()] * 3, "list of 3 items: [mmm", "mmm]"),
    (numpy.arange(10**6).reshape(1000, 1000), "array of int64, shape (1000, 1000):\n[[     0      1", "999999]]"),
    (pandas.DataFrame({"n": range(10**5), "t": "x"}), "DataFrame of 100,000 rows and 2 columns (n: ", "99999  x"),
    (pandas.DataFrame(numpy.zeros((50, 500))), "DataFrame of 50 rows and 500 columns (0: float64, 1:", "0.0"),
    (pandas.Series(range(10**5), name="s"), "Series of 100,000 values\n0            0", "dtype: int64"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "head", "tail"), LONG, ids=[head.partition(" ")[0] + str(n) for n, (_, head, _) in enumerate(LONG)]
)
def test_what_is_long_shows_its_shape_its_head_and_its_tail(value: Any, head: str, tail: str) -> None:
    began = time.process_time()
    whole, preview = show(value)
    assert preview.startswith(head), preview[:200]
    assert preview.rstrip().endswith(tail), preview[-200:]
    assert len(preview) <= PREVIEW and len(whole.encode()) <= WHOLE
    assert time.process_time() - began < 1


SHORT = [
    (pandas.DataFrame({"a": [1, 2], "b": ["x", None]}), "DataFrame of 2 rows and 2 columns (a: int64, b: "),
    (pandas.Series([1.5, 2.5]), "Series of 2 values\n0    1.5\n1    2.5"),
    (numpy.array([1, 2]), "array([1, 2])"),
    (numpy.float64(2.5), "np.float64(2.5)"),
    (_cycle([], lambda x: x.append(x)), "[[...]]"),
    (_cycle({}, lambda x: x.__setitem__(1, [x])), "{1: [{...}]}"),
    ((1,), "(1,)"),
    (Order(1, [2]), "test_display.Order(number=1, lines=[2], note='')"),
    ("it's", '"it\'s"'),
]


@pytest.mark.parametrize(("value", "expected"), SHORT)
def test_what_is_short_is_shown_whole(value: Any, expected: str) -> None:
    assert show(value)[1].startswith(expected.removeprefix("test_display."))


MONTHS = pandas.DataFrame({"month": pandas.date_range("2024", periods=24, freq="MS"), "sold": range(24)})


def test_a_table_of_few_rows_shows_them_all() -> None:
    assert show(MONTHS)[1] == (
        f"DataFrame of 24 rows and 2 columns (month: {MONTHS.month.dtype}, sold: int64)\n{MONTHS.to_string()}"
    )
    assert show(MONTHS.sold)[1].startswith("Series of 24 values\n0      0\n") and "\n12    12\n" in show(MONTHS.sold)[1]


WIDE = [
    pandas.DataFrame({f"column {n}": ["long text " * 20] * 50 for n in range(30)}),
    pandas.DataFrame(numpy.random.default_rng(1).random((1000, 20)).round(9)).add_prefix("measured value "),
    pandas.DataFrame({"name " * 400 + str(n): [1.5] for n in range(40)}),
    pandas.DataFrame({"text": ["x" * 10**6] * 3}),
    pandas.concat({"a": MONTHS, "b": MONTHS}, axis=1),
]  # fmt: skip


@pytest.mark.parametrize("frame", WIDE, ids=range(len(WIDE)))
def test_a_wide_table_is_drawn_smaller_and_not_cut(frame: Any) -> None:
    _, preview = show(frame)
    head, *lines = preview.split("\n")
    assert head.startswith(f"DataFrame of {len(frame):,} rows and {frame.shape[1]} columns (")
    assert len(preview) <= PREVIEW
    if frame.columns.nlevels == 1 and len(frame.columns[0]) < 100:
        assert len(lines) >= 6 or len(frame) < 6
        assert lines[-1].split()[0] == str(frame.index[-1])


def test_what_is_cut_of_an_array_is_told_and_its_edges_are_shown() -> None:
    for axes in range(1, 7):
        _, preview = show(numpy.arange(8**axes * 4).reshape([8] * (axes - 1) + [32]))
        if axes > 2:
            assert preview.startswith(f"array of int64, shape ({', '.join(['8'] * (axes - 1))}, 32):\n[")
            assert f" {8**axes * 4 - 1}]" in preview and preview.count("more") == 0


def test_a_repr_that_raises_raises() -> None:
    class Bad:
        def __repr__(self) -> str:
            raise ValueError("no")

    for value in (Bad(), [Bad()], {1: (Bad(),)}):
        with pytest.raises(ValueError, match="no"):
            show(value)

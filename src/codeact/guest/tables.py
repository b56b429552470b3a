"""pandas on the wall: tables, series, indexes, each column with its exact type.

    $frame    {"columns": INDEX, "index": INDEX, "data": [COLUMN ...]}
    $series   {"index": INDEX, "name": value, "data": COLUMN}
    $index    INDEX
    $missing  "NaT" or "NA"

    INDEX     {"range": [start, stop, step], "name": value}
              {"levels": [INDEX ...], "codes": [ARRAY ...], "names": [value ...]}
              {"values": COLUMN, "name": value, "freq": text or null}

COLUMN is of `columns.py`. Labels stay as they are, those that are there twice included.
"""

from __future__ import annotations

import re
import sys
from typing import Any

from . import arrays, columns
from .crossing import MAX_BYTES, MAX_DEPTH, Reader, Refused, Writer, arriving, keys_of, loaded

_STOREYS = 8  # of a table: its index, levels, categories, intervals and what is in them
# Steps that pandas checks at once for all entries of an index; of the others it takes one after another, slowly.
_STEP = re.compile(r"-?\d{0,9}(ns|us|ms|s|min|h|D|B|W|B?[MQY][SE])(-[A-Z]{3})?")


def write(value: Any, out: Writer, path: str, depth: int) -> Any:
    """The tree of what is pandas', or None for what is not; subclasses go as their base."""
    kinds = tuple(loaded("pandas", name) for name in ("DataFrame", "Series", "Index"))
    if isinstance(value, kinds) and depth > MAX_DEPTH - _STOREYS:
        raise Refused(f"{path}: a table nested deeper than {MAX_DEPTH - _STOREYS} levels")
    if isinstance(value, loaded("pandas", "DataFrame")):
        return {"$frame": _frame(value, out, path, depth + 2)}
    if isinstance(value, loaded("pandas", "Series")):
        body = {
            "index": _index(value.index, out, f"{path}.index", depth + 2),
            "name": out.encode(value.name, f"{path}.name", depth + 2),
            "data": columns.write(value, out, path, depth + 2),
        }
        return {"$series": body}
    if isinstance(value, loaded("pandas", "Index")):
        return {"$index": _index(value, out, path, depth + 2)}
    for name in ("Timestamp", "Timedelta"):
        if isinstance(value, loaded("pandas", name)) and value.as_unit("us") != value:
            raise Refused(f"{path}: a {name} with nanoseconds does not cross; give value.isoformat(), or round('us')")
    for name in ("NaT", "NA"):
        if value is getattr(sys.modules.get("pandas"), name, _NOT_THERE):
            return {"$missing": name}
    return None


_NOT_THERE = object()


def _frame(frame: Any, out: Writer, path: str, depth: int) -> Any:
    return {
        "columns": _index(frame.columns, out, f"{path}.columns", depth),
        "index": _index(frame.index, out, f"{path}.index", depth),
        "data": [
            columns.write(frame.iloc[:, i], out, f"{path}[{str(label)[:40]!r}]", depth)
            for i, label in enumerate(frame.columns)
        ],
    }


def _index(index: Any, out: Writer, path: str, depth: int) -> Any:
    if isinstance(index, loaded("pandas", "MultiIndex")):
        return {
            "levels": [_index(level, out, path, depth + 1) for level in index.levels],
            "codes": [arrays.packed(codes, out, path) for codes in index.codes],
            "names": [out.encode(name, f"{path}.names", depth + 1) for name in index.names],
        }
    name = out.encode(index.name, f"{path}.name", depth)
    if isinstance(index, loaded("pandas", "RangeIndex")):
        if len(index) > MAX_BYTES:
            raise Refused(f"{path}: {len(index):,} rows; at most {MAX_BYTES:,} cross")
        return {"range": [index.start, index.stop, index.step], "name": name}
    return {"values": columns.write(index, out, path, depth), "name": name, "freq": _frequency(index)}


def _frequency(index: Any) -> str | None:
    """The step of moments, if it is one of those that cross; the moments themselves do in any case."""
    moments = (loaded("pandas", "DatetimeIndex"), loaded("pandas", "TimedeltaIndex"))
    if not isinstance(index, moments) or index.freq is None or not _STEP.fullmatch(index.freqstr):
        return None
    name: str = index.freqstr
    return name if sys.modules["pandas"].tseries.frequencies.to_offset(name) == index.freq else None


def _pandas(path: str, what: str, instead: str) -> Any:
    return arriving("pandas", path, what, instead)


def read_frame(body: Any, source: Reader, path: str, depth: int) -> Any:
    """The DataFrame that came in."""
    pandas = _pandas(path, "a DataFrame", "frame.to_dict('records')")
    heads, rows, data = keys_of(body, "columns", "index", "data")
    names = _read_index(heads, pandas, source, f"{path}.columns", depth + 2)
    index = _read_index(rows, pandas, source, f"{path}.index", depth + 2)
    if type(data) is not list or len(data) != len(names):
        raise ValueError("not as many columns as names")
    series = {}
    for i, tree in enumerate(data):
        series[i] = _column(tree, len(index), pandas, source, f"{path}[{i}]", depth + 2)
    frame = pandas.DataFrame(series, index=None if series else index)
    frame.index = index
    frame.columns = names
    return frame


def read_series(body: Any, source: Reader, path: str, depth: int) -> Any:
    """The Series that came in."""
    pandas = _pandas(path, "a Series", "series.to_list()")
    rows, name, data = keys_of(body, "index", "name", "data")
    index = _read_index(rows, pandas, source, f"{path}.index", depth + 2)
    series = _column(data, len(index), pandas, source, path, depth + 2)
    series.index = index
    series.name = source.decode(name, f"{path}.name", depth + 2)
    return series


def read_index(body: Any, source: Reader, path: str, depth: int) -> Any:
    """The Index that came in."""
    return _read_index(body, _pandas(path, "an Index", "index.to_list()"), source, path, depth + 2)


def read_missing(body: Any, source: Reader, path: str, depth: int) -> Any:
    """The one value for what is missing that came in."""
    if body not in ("NaT", "NA"):
        raise ValueError("neither NaT nor NA")
    return getattr(_pandas(path, f"pandas.{body}", "None"), body)


def _column(tree: Any, length: int, pandas: Any, source: Reader, path: str, depth: int) -> Any:
    values = columns.read(tree, pandas, source, path, depth)
    if len(values) != length:
        raise Refused(f"{path}: {len(values):,} values for {length:,} rows")
    return pandas.Series(values, dtype=values.dtype)


def _read_index(body: Any, pandas: Any, source: Reader, path: str, depth: int) -> Any:
    match body:
        case {"range": [int(start), int(stop), int(step)]}:
            _, name = keys_of(body, "range", "name")
            if len(range(start, stop, step)) > MAX_BYTES:
                raise ValueError("a longer range than any column")
            return pandas.RangeIndex(start, stop, step, name=source.decode(name, f"{path}.name", depth))
        case {"levels": list()}:
            return _read_levels(body, pandas, source, path, depth)
    tree, name, freq = keys_of(body, "values", "name", "freq")
    name = source.decode(name, f"{path}.name", depth)
    values = columns.read(tree, pandas, source, path, depth)
    index = pandas.Index(values, dtype=values.dtype, name=name, tupleize_cols=False)
    if freq is None:
        return index
    if type(freq) is not str or not _STEP.fullmatch(freq):
        raise ValueError("a frequency that is none")
    return type(index)(index, freq=freq, name=name)


def _read_levels(body: Any, pandas: Any, source: Reader, path: str, depth: int) -> Any:
    levels, codes, names = keys_of(body, "levels", "codes", "names")
    if type(codes) is not list or type(names) is not list or not len(levels) == len(codes) == len(names) <= 1000:
        raise ValueError("levels, codes and names that do not match")
    if any(type(level) is not dict or "levels" in level for level in levels):
        raise ValueError("levels in levels")
    return pandas.MultiIndex(
        levels=[_read_index(level, pandas, source, f"{path}.levels[{i}]", depth + 1) for i, level in enumerate(levels)],
        codes=[columns.codes(one, source, f"{path}.codes[{i}]", depth + 1) for i, one in enumerate(codes)],
        names=[source.decode(name, f"{path}.names", depth + 1) for name in names],
        verify_integrity=True,
    )

"""A column of a table, or the values of an index: by its type, in one of these forms. ARRAY is that of `arrays.py`.

{"array": ARRAY}                                        bool, int, float, complex, moments and spans without a zone
{"texts": TEXTS}                                        objects that are all str, None or nan
{"objects": [value ...]}                                any other objects of the table of values
{"texts": TEXTS, "storage": text, "missing": text}      pandas' own strings
{"moments": ARRAY, "zone": [key] or [offset, name]}     moments of a time zone, in UTC
{"codes": ARRAY, "categories": COLUMN, "ordered": bool}
{"masked": ARRAY, "mask": ARRAY}                        Int64, Float64, boolean and their like
{"ordinals": ARRAY, "freq": text}                       periods
{"left": COLUMN, "right": COLUMN, "closed": text}       intervals

TEXTS     {"text": all end to end, "lengths": ARRAY of int32: -1 is None, -2 is nan}
"""

from __future__ import annotations

import math
import sys
from typing import Any

from . import arrays
from .crossing import MAX_DEPTH, Reader, Refused, Writer, keys_of, loaded
from .scalars import fixed_zone, read_zone

_NUMERIC = "biufcmM"
_MAX_TEXTS = 4_000_000
_NONE, _NAN = -1, -2


def write(held: Any, out: Writer, path: str, depth: int) -> Any:
    """The tree of what a Series or an Index holds."""
    dtype = held.dtype
    kind = getattr(dtype, "kind", "")
    if isinstance(dtype, loaded("numpy", "dtype")):
        if kind in _NUMERIC:
            return {"array": arrays.packed(held.to_numpy(), out, path)}
        if kind == "O":
            return _objects(held.tolist(), out, path, depth)
    for name, written in _WRITTEN.items():
        if isinstance(dtype, loaded("pandas", name)):
            return written(held, out, path, depth)
    if isinstance(held.array, _masked()):
        values = held.array.to_numpy(dtype=dtype.numpy_dtype, na_value=dtype.numpy_dtype.type(0))
        return {"masked": arrays.packed(values, out, path), "mask": arrays.packed(held.array.isna(), out, path)}
    around = next((way for name, way in _AROUND.items() if isinstance(dtype, loaded("pandas", name))), _AS_ANOTHER)
    raise Refused(f"{path}: values of dtype {str(dtype)[:100]} do not cross; {around}")


_AS_ANOTHER = "give them with .astype(...) as another"
_AROUND = {
    "SparseDtype": "give series.sparse.to_dense()",
    "ArrowDtype": "give series.astype(object), or frame.convert_dtypes(dtype_backend='numpy_nullable')",
}


def _masked() -> tuple[Any, ...]:
    return tuple(loaded("pandas.arrays", name) for name in ("IntegerArray", "FloatingArray", "BooleanArray"))


def _objects(items: list[Any], out: Writer, path: str, depth: int) -> Any:
    texts = _texts(items, out, path)
    if texts is not None:
        return {"texts": texts}
    return {"objects": [out.encode(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(items)]}


def _texts(items: list[Any], out: Writer, path: str) -> Any:
    """All texts as one, or None where there is something else among them."""
    lengths = []
    for item in items:
        if type(item) is str:
            lengths.append(len(item))
        elif item is None:
            lengths.append(_NONE)
        elif type(item) is float and math.isnan(item):
            lengths.append(_NAN)
        else:
            return None
    if len(items) > _MAX_TEXTS:
        raise Refused(f"{path}: more than {_MAX_TEXTS:,} texts in one column; send it in parts")
    text = "".join([item for item in items if type(item) is str])
    return {"text": out.text(text), "lengths": arrays.packed(sys.modules["numpy"].array(lengths, "<i4"), out, path)}


def _strings(held: Any, out: Writer, path: str, depth: int) -> Any:
    texts = _texts(held.array.to_numpy(dtype=object, na_value=None).tolist(), out, path)
    missing = "NA" if held.dtype.na_value is sys.modules["pandas"].NA else "nan"
    return {"texts": texts, "storage": held.dtype.storage, "missing": missing}


def _moments(held: Any, out: Writer, path: str, depth: int) -> Any:
    index = sys.modules["pandas"].DatetimeIndex(held)
    where = fixed_zone(held.dtype.tz)
    if not where:
        raise Refused(f"{path}: moments of the time zone {held.dtype.tz} do not cross; give them in UTC")
    if not _has_a_date(index):
        raise Refused(
            f"{path}: moments before or after all that their time zone can tell; give them in UTC, without one"
        )
    return {"moments": arrays.packed(index.tz_convert("UTC").tz_localize(None).to_numpy(), out, path), "zone": where}


def _has_a_date(index: Any) -> bool:
    """Whether each moment can be told in its zone: one at the very edge of time is an error at its first use."""
    try:
        return all(str(edge) for edge in (index.min(), index.max()))
    except (ValueError, NotImplementedError, OverflowError):
        return False


def _categories(held: Any, out: Writer, path: str, depth: int) -> Any:
    return {
        "codes": arrays.packed(held.array.codes, out, path),
        "categories": write(held.dtype.categories, out, path, depth + 1),
        "ordered": bool(held.dtype.ordered),
    }


def _periods(held: Any, out: Writer, path: str, depth: int) -> Any:
    index = sys.modules["pandas"].PeriodIndex(held)
    return {"ordinals": arrays.packed(index.asi8, out, path), "freq": index.freqstr}


def _intervals(held: Any, out: Writer, path: str, depth: int) -> Any:
    left, right = (write(side, out, path, depth + 1) for side in (held.array.left, held.array.right))
    return {"left": left, "right": right, "closed": held.dtype.closed}


_WRITTEN = {
    "StringDtype": _strings,
    "DatetimeTZDtype": _moments,
    "CategoricalDtype": _categories,
    "PeriodDtype": _periods,
    "IntervalDtype": _intervals,
}


def read(body: Any, pandas: Any, source: Reader, path: str, depth: int) -> Any:
    """The values of a column that came in, as an array of numpy's or pandas'; all of its parts are checked."""
    keys = frozenset(body) if type(body) is dict else frozenset()
    reading = _READ.get(keys)
    if depth > MAX_DEPTH:
        raise Refused(f"{path}: nested deeper than {MAX_DEPTH} levels")
    if reading is None:
        raise ValueError("a column of no known form")
    return reading(body, pandas, source, path, depth)


def _row(tree: Any, source: Reader, path: str, depth: int, kinds: str) -> Any:
    """An array of one axis, of these kinds."""
    array = arrays.read(tree, source, path, depth)
    if array.ndim != 1 or array.dtype.kind not in kinds:
        raise ValueError(f"an array of {array.dtype} with {array.ndim} axes in a column")
    return array


def codes(tree: Any, source: Reader, path: str, depth: int) -> Any:
    """The codes of categories or levels."""
    return _row(tree, source, path, depth, "i")


def _read_array(body: Any, pandas: Any, source: Reader, path: str, depth: int) -> Any:
    return _row(body["array"], source, path, depth, _NUMERIC)


def _read_texts(body: Any, pandas: Any, source: Reader, path: str, depth: int) -> Any:
    texts, lengths = keys_of(body["texts"], "text", "lengths")
    text = source.text(texts, path)
    array = _row(lengths, source, path, depth, "i")
    if array.dtype.str != "<i4" or len(array) > _MAX_TEXTS or array.min(initial=0) < _NAN:
        raise ValueError("lengths that are none")
    if int(array.clip(min=0).sum(dtype="i8")) != len(text):
        raise ValueError("lengths that do not add up")
    items: list[Any] = []
    at = 0
    for length in array.tolist():
        items.append(text[at : at + length] if length >= 0 else None if length == _NONE else math.nan)
        at += max(length, 0)
    return _as_objects(items)


def _as_objects(items: list[Any]) -> Any:
    """One object an entry, lists and arrays among them."""
    array = sys.modules["numpy"].empty(len(items), object)
    for i, item in enumerate(items):
        array[i] = item
    return array


def _read_objects(body: Any, pandas: Any, source: Reader, path: str, depth: int) -> Any:
    items = body["objects"]
    if type(items) is not list:
        raise ValueError("not a list")
    return _as_objects([source.decode(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(items)])


def _read_strings(body: Any, pandas: Any, source: Reader, path: str, depth: int) -> Any:
    if body["storage"] not in ("python", "pyarrow") or body["missing"] not in ("NA", "nan"):
        raise ValueError("strings of no known kind")
    missing = pandas.NA if body["missing"] == "NA" else math.nan
    try:
        dtype = pandas.StringDtype(body["storage"], na_value=missing)
    except ImportError:  # the same strings are kept in another way where there is no pyarrow
        dtype = pandas.StringDtype("python", na_value=missing)
    return pandas.array(_read_texts(body, pandas, source, path, depth), dtype=dtype)


def _read_moments(body: Any, pandas: Any, source: Reader, path: str, depth: int) -> Any:
    index = pandas.DatetimeIndex(_row(body["moments"], source, path, depth, "M"))
    where = read_zone(body["zone"])
    if where is None:
        raise ValueError("no time zone")
    key = getattr(where, "key", None)  # which pandas takes for its own kind of zone: before 3 that was pytz's
    index = index.tz_localize("UTC").tz_convert(key or where)
    if not _has_a_date(index):
        raise ValueError("moments that their time zone cannot tell")
    return index.array


def _read_categories(body: Any, pandas: Any, source: Reader, path: str, depth: int) -> Any:
    if type(body["ordered"]) is not bool:
        raise ValueError("ordered or not?")
    values = read(body["categories"], pandas, source, path, depth + 1)
    categories = pandas.Index(values, dtype=values.dtype, tupleize_cols=False)
    return pandas.Categorical.from_codes(
        codes(body["codes"], source, path, depth), categories=categories, ordered=body["ordered"]
    )


def _read_masked(body: Any, pandas: Any, source: Reader, path: str, depth: int) -> Any:
    values = _row(body["masked"], source, path, depth, "biuf")
    mask = _row(body["mask"], source, path, depth, "b")
    kind = {"b": "BooleanArray", "f": "FloatingArray"}.get(values.dtype.kind, "IntegerArray")
    return getattr(pandas.arrays, kind)(values, mask)


def _read_periods(body: Any, pandas: Any, source: Reader, path: str, depth: int) -> Any:
    if type(body["freq"]) is not str or len(body["freq"]) > 32:
        raise ValueError("a frequency that is none")
    ordinals = _row(body["ordinals"], source, path, depth, "i")
    return pandas.PeriodIndex.from_ordinals(ordinals, freq=body["freq"]).array


def _read_intervals(body: Any, pandas: Any, source: Reader, path: str, depth: int) -> Any:
    left, right = (read(body[side], pandas, source, path, depth + 1) for side in ("left", "right"))
    if left.dtype.kind not in "iufmM":
        raise ValueError("intervals between what are no numbers and no moments")
    return pandas.arrays.IntervalArray.from_arrays(left, right, closed=body["closed"])


_READ = {
    frozenset({"array"}): _read_array,
    frozenset({"texts"}): _read_texts,
    frozenset({"objects"}): _read_objects,
    frozenset({"texts", "storage", "missing"}): _read_strings,
    frozenset({"moments", "zone"}): _read_moments,
    frozenset({"codes", "categories", "ordered"}): _read_categories,
    frozenset({"masked", "mask"}): _read_masked,
    frozenset({"ordinals", "freq"}): _read_periods,
    frozenset({"left", "right", "closed"}): _read_intervals,
}

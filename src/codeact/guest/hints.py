"""The way round for what does not cross the wall."""

from __future__ import annotations

_HINTS = {
    "generator": "give list(...) of it",
    "map": "give list(...) of it",
    "filter": "give list(...) of it",
    "zip": "give list(...) of it",
    "range": "give list(...) of it",
    "dict_keys": "give list(...) of it",
    "dict_values": "give list(...) of it",
    "dict_items": "give list(...) of it",
    "DataFrame": "give frame.to_pandas()",
    "LazyFrame": "give frame.collect().to_pandas()",
    "Series": "give series.to_list()",
    "Table": "give table.to_pandas()",
    "Tensor": "give tensor.numpy(force=True)",
    "Categorical": "give list(...) of it",
    "StringArray": "give list(...) of it",
    "ArrowStringArray": "give list(...) of it",
    "SparseArray": "give pandas.Series(array.to_dense())",
    **dict.fromkeys(
        (
            *("IntegerArray", "FloatingArray", "BooleanArray", "DatetimeArray", "TimedeltaArray"),
            *("PeriodArray", "IntervalArray"),
        ),
        "give pandas.Series(array)",
    ),
    "Period": "give str(period)",
    "Interval": "give (interval.left, interval.right)",
    "DataFrameGroupBy": "give what is computed of it, such as grouped.sum()",
    "SeriesGroupBy": "give what is computed of it, such as grouped.sum()",
    "longdouble": "give float(value)",
    "clongdouble": "give complex(value)",
    "array": "give array.tolist()",
    "deque": "give list(...) of it",
    "ChainMap": "give dict(...) of it",
    "mappingproxy": "give dict(...) of it",
    "SimpleNamespace": "give vars(value)",
    "BytesIO": "give file.getvalue()",
    "StringIO": "give file.getvalue()",
    "TextIOWrapper": "give file.read()",
    "BufferedReader": "give file.read()",
    "Pattern": "give pattern.pattern",
    "timezone": "give str(zone)",
    "ZoneInfo": "give str(zone)",
    **dict.fromkeys(("IPv4Address", "IPv6Address", "IPv4Network", "IPv6Network"), "give str(address)"),
    "Figure": "show it by display(figure), or save it under outputs/",
    "Axes": "show it by display(axes.figure), or save it under outputs/",
    "Path": "give str(path)",
    "PosixPath": "give str(path)",
    "WindowsPath": "give str(path)",
    "UUID": "give str(uuid)",
    "Fraction": "give str(fraction) or float(fraction)",
    "function": "give data, not code",
    "method": "give data, not code",
    "module": "give data, not a module",
    "type": "give data, not a class",
    "coroutine": "await it first",
}


def hint(value: object) -> str:
    """What to give in place of this value. Only its class is asked, which may fail as anybody's code may."""
    try:
        return _by_its_class(type(value))
    except Exception:
        return _PLAIN


_PLAIN = "give plain data: str, numbers, list, dict ..."


def _by_its_class(cls: type) -> str:
    if cls.__name__ in _HINTS:
        return _HINTS[cls.__name__]
    if cls.__name__.endswith(("DType", "Dtype")):
        return "give str(dtype)"
    if hasattr(cls, "toarray"):
        return "give matrix.toarray()"
    if hasattr(cls, "__attrs_attrs__"):
        return "give attrs.asdict(value)"
    if hasattr(cls, "__dataclass_fields__"):
        return "give dataclasses.asdict(value)"
    if hasattr(cls, "model_dump"):
        return "give value.model_dump()"
    if hasattr(cls, "_value_") or cls.__class__.__name__ == "EnumType":
        return "give its .value"
    if issubclass(cls, BaseException):
        return "give str(error)"
    return _PLAIN

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
    "Period": "give str(period)",
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
    """What to give in place of this value."""
    cls = type(value)
    if cls.__name__ in _HINTS:
        return _HINTS[cls.__name__]
    if hasattr(cls, "__dataclass_fields__"):
        return "give dataclasses.asdict(value)"
    if hasattr(cls, "model_dump"):
        return "give value.model_dump()"
    if hasattr(cls, "_value_") or cls.__class__.__name__ == "EnumType":
        return "give its .value"
    if isinstance(value, BaseException):
        return "give str(error)"
    return "give plain data: str, numbers, list, dict ..."

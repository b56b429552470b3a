"""Types and default values as the Python source that a model reads."""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import decimal
import enum
import inspect
import math
import os
import types
import typing
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import typing_extensions

from ..core.errors import ToolDefinitionError

_LONGEST_DEFAULT = 200
_QUALIFIERS = (typing.Required, typing.NotRequired, typing.Final, typing.ClassVar, typing_extensions.ReadOnly)
_NONE = type(None)
_REPR_IS_SOURCE = (datetime.date, datetime.datetime, datetime.time, datetime.timedelta, decimal.Decimal)
_BRACKETS: dict[type, tuple[str, str]] = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    set: ("{", "}"),
    dict: ("{", "}"),
    frozenset: ("frozenset({", "})"),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """A field of a type that has fields; `default` is source text, None where the field is required."""

    name: str
    type: Any
    default: str | None = None


def spell(hint: Any) -> str:
    """A type as source: `list[int]`, `str | None`, `Literal['C', 'F']`, `Order`; what is only meta data is dropped."""
    if hint is inspect.Parameter.empty or hint is Any:
        return "Any"
    if hint is None or hint is _NONE:
        return "None"
    if hint is Ellipsis:
        return "..."
    if isinstance(hint, str):
        return hint
    if isinstance(hint, typing.ForwardRef):
        return hint.__forward_arg__
    if isinstance(hint, typing.TypeVar):
        return spell(hint.__bound__) if hint.__bound__ is not None else "Any"
    if isinstance(hint, typing.NewType):
        return spell(hint.__supertype__)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is None:
        return _named(hint)
    if origin is typing.Annotated or origin in _QUALIFIERS:
        return spell(args[0])
    if origin is typing.Literal:
        return f"Literal[{', '.join(_literal(value) for value in args)}]"
    if origin in (typing.Union, types.UnionType):
        return " | ".join(dict.fromkeys(spell(arg) for arg in args))
    if origin is collections.abc.Callable:
        return "Callable"
    if _named(origin) == "ndarray":  # written as numpy.typing.NDArray, which hides that it has two arguments
        inner = typing.get_args(args[-1])
        return f"NDArray[{spell(inner[0])}]" if inner and inner[0] is not Any else "ndarray"
    return f"{_named(origin)}[{', '.join(spell(arg) for arg in args)}]" if args else _named(origin)


def _named(hint: Any) -> str:
    name = getattr(hint, "__name__", None) or getattr(hint, "_name", None) or str(hint)
    if getattr(hint, "__module__", "") == "datetime":
        return f"datetime.{name}"
    return name if name.isidentifier() else "Any"


def _literal(value: Any) -> str:
    return repr(value.value if isinstance(value, enum.Enum) else value)


def source_of(value: Any) -> str | None:
    """A default value as source, in plain data; None where it is not plain data."""
    if isinstance(value, enum.Enum):
        return source_of(value.value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return source_of(tuple(value))
    if value is None or isinstance(value, (bool, int, str, bytes, complex)):
        text = repr(value)
    elif isinstance(value, float):
        text = repr(value) if math.isfinite(value) else f"float({str(value)!r})"
    elif isinstance(value, (os.PathLike, uuid.UUID)):
        text = repr(str(value))
    elif type(value) in _REPR_IS_SOURCE:
        text = repr(value)
    elif type(value) in (list, tuple, set, frozenset, dict):
        return _container(value)
    else:
        return None
    return text if len(text) <= _LONGEST_DEFAULT else "..."


def _container(value: Any) -> str | None:
    parts = [source_of(item) for item in value]
    if isinstance(value, dict):
        values = [source_of(item) for item in value.values()]
        parts = [None if k is None or v is None else f"{k}: {v}" for k, v in zip(parts, values, strict=True)]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    inner = ", ".join(known)
    if isinstance(value, tuple) and len(value) == 1:
        inner += ","
    if not value and isinstance(value, (set, frozenset)):
        return f"{type(value).__name__}()"
    before, after = _BRACKETS[type(value)]
    text = f"{before}{inner}{after}"
    return text if len(text) <= _LONGEST_DEFAULT else "..."


def is_named(hint: Any) -> bool:
    """Whether a type has fields or members that its name does not tell."""
    return isinstance(hint, type) and (
        issubclass(hint, enum.Enum)
        or dataclasses.is_dataclass(hint)
        or typing_extensions.is_typeddict(hint)
        or (issubclass(hint, tuple) and hasattr(hint, "_fields"))
        or hasattr(hint, "model_fields")
    )


def fields_of(hint: Any) -> list[Field]:
    """The fields of a dataclass, TypedDict, NamedTuple or pydantic model, under the names that a caller gives."""
    if hasattr(hint, "model_fields"):
        return [_of_model(name, info) for name, info in hint.model_fields.items()]
    hints = hints_of(hint)
    if dataclasses.is_dataclass(hint):
        return [Field(f.name, hints[f.name], _default_of(f)) for f in dataclasses.fields(hint) if f.init]
    if typing_extensions.is_typeddict(hint):
        return [Field(name, kind, None if is_required(hint, name, kind) else "...") for name, kind in hints.items()]
    defaults: Mapping[str, Any] = hint._field_defaults
    return [
        Field(name, hints.get(name, Any), (source_of(defaults[name]) or "...") if name in defaults else None)
        for name in hint._fields
    ]


def is_required(hint: Any, name: str, kind: Any) -> bool:
    """Whether a TypedDict wants this key. Under postponed annotations only the resolved hint tells."""
    origin = typing.get_origin(kind)
    if origin in (typing.Required, typing.NotRequired):
        return origin is typing.Required
    return name in hint.__required_keys__


def _of_model(name: str, info: Any) -> Field:
    alias = info.validation_alias or info.alias
    default = None if info.is_required() else ("..." if info.default_factory else source_of(info.default) or "...")
    return Field(alias if isinstance(alias, str) else name, info.annotation, default)


def _default_of(field: dataclasses.Field[Any]) -> str | None:
    if field.default is not dataclasses.MISSING:
        return source_of(field.default) or "..."
    return None if field.default_factory is dataclasses.MISSING else "..."


def hints_of(hint: Any) -> dict[str, Any]:
    """The resolved annotations of a class; a name that cannot be resolved is a ToolDefinitionError."""
    try:
        return typing_extensions.get_type_hints(hint, include_extras=True)
    except Exception as error:  # an annotation is code of the user's: it may raise anything
        raise ToolDefinitionError(f"the annotations of {_named(hint)} cannot be resolved: {error}") from error


def parts_of(hint: Any) -> Iterator[Any]:
    """A type and all the types inside it, those of fields included, each named type once."""
    seen: set[Any] = set()
    waiting = [hint]
    while waiting:
        part = waiting.pop()
        if is_named(part):
            if part in seen:
                continue
            seen.add(part)
            if not issubclass(part, enum.Enum):
                waiting.extend(reversed([field.type for field in fields_of(part)]))
        yield part
        if isinstance(part, typing.NewType):
            waiting.append(part.__supertype__)
        elif typing.get_origin(part) is typing.Annotated:
            waiting.append(typing.get_args(part)[0])
        elif typing.get_origin(part) is not typing.Literal:
            waiting.extend(reversed(typing.get_args(part)))


def describe(hint: Any) -> str:
    """One line on a named type: its members, or its fields."""
    if issubclass(hint, enum.Enum):
        return f"{hint.__name__}: one of {', '.join(_literal(member) for member in hint)}"
    listed = (f"{f.name}: {spell(f.type)}" + ("" if f.default is None else f" = {f.default}") for f in fields_of(hint))
    return f"{hint.__name__}: a dict of {', '.join(listed)}"

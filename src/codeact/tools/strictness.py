"""Values checked against types as strictly as JSON is: the text '5' is no number, True is no 1, and 1.0 is no int.

What JSON has no form for is read from its nearest: a list where a tuple or set is wanted, text where a date, path, UUID
or member of an Enum is, a dict where a dataclass or TypedDict is. A value that already has the type stays. A pydantic
model keeps the rules of its own configuration. Arrays, tables and images are taken as what they are, or not at all.
"""

from __future__ import annotations

import functools
import operator
import sys
import types
import typing
from collections.abc import Callable
from typing import Any

import typing_extensions
from pydantic import AfterValidator, InstanceOf, TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic_core import PydanticCustomError, SchemaValidator

from .spelling import hints_of, is_named, is_required

_SCALARS = {"int", "float", "str", "bool", "bytes", "complex"}
_MOMENTS = {"date", "datetime", "time", "timedelta"}
_LIBRARIES = {"numpy": ("ndarray",), "pandas": ("DataFrame", "Series"), "PIL.Image": ("Image",)}
_CLOSED = {"typed-dict", "dataclass-args"}
# What stands in a schema beside schemas: these parts are taken as they are.
_ASIDE = {"metadata", "default", "default_factory", "expected", "members", "serialization", "config", "cls", "function"}


class Unsupported(TypeError):
    """A type that no value from a cell can have."""


def validator(hint: Any) -> Callable[[Any], Any]:
    """A function that gives the value as this type, or raises pydantic's ValidationError."""
    try:
        schema = TypeAdapter(_readable(hint)).core_schema
        return SchemaValidator(_strict(schema)).validate_python
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        raise Unsupported(str(error).partition("\n")[0]) from error


def _strict(schema: Any) -> Any:
    if isinstance(schema, (list, tuple)):
        return type(schema)(_strict(part) for part in schema)
    if not isinstance(schema, dict):
        return schema
    out = {key: part if key in _ASIDE else _strict(part) for key, part in schema.items()}
    match schema.get("type"):
        case "model" | "dataclass" if hasattr(schema["cls"], "__pydantic_validator__"):
            return schema
        case kind if kind in _SCALARS:
            out.setdefault("strict", True)
        case kind if kind in _CLOSED:
            out.setdefault("extra_behavior", "forbid")
        case kind if kind in _MOMENTS:
            return _before(_no_number, out)
        case "literal":
            return _before(functools.partial(_exactly, schema["expected"]), out)
        case "enum":
            out.pop("sub_type", None)  # it would read '1' and 1.0 as 1
            return _before(
                functools.partial(_exactly, [*schema["members"], *(m.value for m in schema["members"])]), out
            )
        case "generator":  # validated while it is consumed: too late for an error to name the argument
            return {"type": "list", "items_schema": out.get("items_schema", {"type": "any"})}
        case "callable" | "is-subclass":
            raise PydanticUserError("code and classes do not cross", code=None)
    return out


def _before(check: Callable[[Any], Any], schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function-before", "function": {"type": "no-info", "function": check}, "schema": schema}


def _no_number(value: Any) -> Any:
    """A number would be read as seconds since 1970, which nobody has said."""
    if isinstance(value, (int, float)) or (isinstance(value, str) and value.strip().lstrip("+-").isdigit()):
        raise PydanticCustomError("moment_type", "must be text of ISO 8601, not a number")
    return value


def _exactly(expected: list[Any], value: Any) -> Any:
    """Equal is not enough: True == 1 == 1.0. Subclasses of str and int (their Enums) equal their plain values."""
    if isinstance(value, (bool, float)) and not any(type(one) is type(value) and one == value for one in expected):
        values = dict.fromkeys(repr(getattr(one, "value", one)) for one in expected)
        raise PydanticCustomError("literal_error", "{allowed}", {"allowed": " or ".join(values)})
    return value


def _readable(hint: Any) -> Any:
    """The hint in words that pydantic reads.

    Classes of libraries whose values cross are named as such. Each `typing.TypedDict` is one of typing_extensions:
    before 3.12 pydantic reads no other.
    """
    return _rebuilt(hint, {})


def _crosses(hint: Any) -> bool:
    """Whether it is a class of `guest.values` that comes of a library; nothing is imported to find out."""
    for module, names in _LIBRARIES.items():
        library = sys.modules.get(module)
        if any(hint is getattr(library, name, _LIBRARIES) for name in names):
            return True
    index = getattr(sys.modules.get("pandas"), "Index", None)
    return isinstance(hint, type) and isinstance(index, type) and issubclass(hint, index)


def _array(hint: Any) -> Any:
    """`numpy.typing.NDArray[numpy.float64]`: an array of this dtype, or of one that numpy makes into it safely."""
    dtype = typing.get_args(typing.get_args(hint)[-1])
    array: Any = InstanceOf[typing.get_origin(hint)]  # type: ignore[misc]
    if not dtype or dtype[0] is Any or not isinstance(dtype[0], type):
        return array
    return typing.Annotated[array, AfterValidator(functools.partial(_of_dtype, dtype[0]))]


def _of_dtype(scalar: type, array: Any) -> Any:
    numpy = sys.modules["numpy"]
    if numpy.issubdtype(array.dtype, scalar):
        return array
    try:
        return array.astype(scalar, casting="safe")
    except (TypeError, ValueError):  # also where the scalar is a family of dtypes, such as numpy.floating
        raise PydanticCustomError("array_type", "an array of dtype {dtype}", {"dtype": scalar.__name__}) from None


def _rebuilt(hint: Any, made: dict[Any, Any]) -> Any:
    if _crosses(hint):
        return InstanceOf[hint]  # type: ignore[misc]
    if _crosses(typing.get_origin(hint)):
        return _array(hint)
    if is_named(hint) and typing_extensions.is_typeddict(hint):
        if sys.version_info >= (3, 12):
            return hint
        if type(hint) is type(_Sample):
            return hint
        if hint not in made:
            made[hint] = hint  # one that holds itself stays as it is, and is refused
            fields = {name: _presence(hint, name, kind, made) for name, kind in hints_of(hint).items()}
            made[hint] = typing_extensions.TypedDict(hint.__name__, fields)  # type: ignore[operator]
        return made[hint]
    args = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if not args or origin is typing.Literal:
        return hint
    if origin is typing.Annotated:
        return typing.Annotated[(_rebuilt(args[0], made), *args[1:])]
    new = tuple(_rebuilt(arg, made) for arg in args)
    if new == args:
        return hint
    if origin is types.UnionType:
        return functools.reduce(operator.or_, new)
    return hint.copy_with(new) if hasattr(hint, "copy_with") else origin[new]


def _presence(hint: Any, name: str, kind: Any, made: dict[Any, Any]) -> Any:
    required = is_required(hint, name, kind)
    while typing.get_origin(kind) in (typing.Required, typing.NotRequired, typing_extensions.ReadOnly):
        kind = typing.get_args(kind)[0]
    kind = _rebuilt(kind, made)
    return kind if required else typing_extensions.NotRequired[kind]


class _Sample(typing_extensions.TypedDict):
    """One that pydantic reads."""

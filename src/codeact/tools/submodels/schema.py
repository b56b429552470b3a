"""What an answer of a model must be: a JSON Schema, or types as Python writes them; and whether an answer is that.

The schema is code's own, and code may be anybody's: it is looked through before it is used, nothing in it is run, no
regular expression either, and the work that checking takes is counted.
"""

from __future__ import annotations

import ast
import json
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from ..complaint import shown

_MOST = 100_000  # places of a schema that are looked at for one answer
_DEEPEST = 60
_LONGEST = 64 << 10  # characters of a schema
_NAMES: dict[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "None": {"type": "null"},
    "list": {"type": "array"},
    "dict": {"type": "object"},
    "Any": {},
}
_KINDS = {"string": str, "boolean": bool, "null": type(None), "array": list, "object": dict}
_SAID = {"title", "description", "default", "examples", "format", "$schema", "$id", "$comment", "deprecated"}
_CHECKED = {
    *("type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref", "$defs", "definitions"),
    *("properties", "required", "additionalProperties", "minProperties", "maxProperties"),
    *("items", "prefixItems", "minItems", "maxItems", "uniqueItems"),
    *("minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}


class Unfit(ValueError):
    """An answer that is not what it must be: where, what is wanted there, and what is there."""


def schema_of(given: Any) -> dict[str, Any]:
    """The JSON Schema of `"list[str]"`, of a shape such as `{"name": "str"}`, or of one itself. Raises ValueError."""
    schema = _schema(given, 0)
    text = json.dumps(schema)
    if len(text) > _LONGEST:
        raise ValueError(f"the schema has {len(text):,} characters, at most {_LONGEST:,} are taken")
    return schema


def _schema(given: Any, depth: int) -> dict[str, Any]:
    if depth > _DEEPEST:
        raise ValueError(f"the schema is nested deeper than {_DEEPEST} levels")
    match given:
        case str():
            return _of_type(given)
        case [one]:
            return {"type": "array", "items": _schema(one, depth + 1)}
        case dict() if _is_schema(given):
            _look_through(given, 0)
            return given
        case dict() if given and all(type(name) is str for name in given):
            fields = {name: _schema(one, depth + 1) for name, one in given.items()}
            return {"type": "object", "properties": fields, "required": [*fields], "additionalProperties": False}
        case _:
            raise ValueError(
                f"schema is a JSON Schema (a dict), a type in quotes such as 'list[str]', or a shape such as "
                f"{{'name': 'str', 'tags': ['str']}}, not {shown(given)}"
            )


def _is_schema(given: dict[Any, Any]) -> bool:
    """Whether it speaks as schemas do. A field of a shape may be named `type`, but then it is no kind of JSON's."""
    kind = given.get("type")
    if kind is not None:
        return isinstance(kind, list) or kind in (*_KINDS, "integer", "number")
    return not given or any(
        name in given and not isinstance(given[name], str)
        for name in ("enum", "anyOf", "oneOf", "allOf", "properties", "items")
    ) or isinstance(given.get("$ref"), str) or "const" in given  # fmt: skip


def _of_type(text: str) -> dict[str, Any]:
    try:
        return _of_node(ast.parse(text.strip()[:1000], mode="eval").body)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        known = ", ".join(name for name in _NAMES)
        raise ValueError(
            f"schema={text[:60]!r} is no type that is known: {known}, list[...], dict[str, ...], Literal[...], and "
            "these with | between them"
        ) from None


def _of_node(node: ast.expr) -> dict[str, Any]:
    match node:
        case ast.Name(id=name) if name in _NAMES:
            return dict(_NAMES[name])
        case ast.Constant(value=None):
            return dict(_NAMES["None"])
        case ast.Constant(value=str(text)):
            return _of_node(ast.parse(text, mode="eval").body)
        case ast.BinOp(left, ast.BitOr(), right):
            return {"anyOf": [*_members(left), *_members(right)]}
        case ast.Subscript(ast.Name(id="list"), inner):
            return {"type": "array", "items": _of_node(inner)}
        case ast.Subscript(ast.Name(id="dict"), ast.Tuple([ast.Name(id="str"), inner])):
            return {"type": "object", "additionalProperties": _of_node(inner)}
        case ast.Subscript(ast.Name(id="Optional"), inner):
            return {"anyOf": [_of_node(inner), dict(_NAMES["None"])]}
        case ast.Subscript(ast.Name(id="Literal"), inner):
            allowed = ast.literal_eval(inner)
            return {"enum": [*allowed] if isinstance(inner, ast.Tuple) else [allowed]}
        case _:
            raise ValueError("no type")


def _members(node: ast.expr) -> list[dict[str, Any]]:
    found = _of_node(node)
    return found["anyOf"] if isinstance(node, ast.BinOp) else [found]


# -- is the schema one? ------------------------------------------------------------------------------------------------


def _look_through(schema: Any, depth: int) -> None:
    if depth > _DEEPEST:
        raise ValueError(f"the schema is nested deeper than {_DEEPEST} levels")
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        raise ValueError(f"the schema holds {shown(schema)} where a schema belongs")
    for name, value in schema.items():
        if name not in _CHECKED and name not in _SAID:
            raise ValueError(f"the schema says {str(name)[:40]!r}, which is not checked here: leave it out")
        if name in ("properties", "$defs", "definitions"):
            _each(value.values() if isinstance(value, dict) else None, name, depth)
        elif name in ("anyOf", "oneOf", "allOf", "prefixItems"):
            _each(value if isinstance(value, list) and value else None, name, depth)
        elif name in ("items", "additionalProperties"):
            _look_through(value, depth + 1)
        elif name in ("required", "enum") and not isinstance(value, list):
            raise ValueError(f"the schema's {name!r} must be a list, not {shown(value)}")
        elif name.startswith(("min", "max", "exclusive", "multiple")) and not _is_number(value):
            raise ValueError(f"the schema's {name!r} must be a number, not {shown(value)}")
        elif name == "type":
            for kind in value if isinstance(value, list) else [value]:
                if kind not in (*_KINDS, "integer", "number"):
                    raise ValueError(f"the schema's type {shown(kind)} is none of JSON's")


def _each(several: Any, name: str, depth: int) -> None:
    if several is None:
        raise ValueError(f"the schema's {name!r} must hold schemas")
    for one in several:
        _look_through(one, depth + 1)


# -- is the answer what it must be? ------------------------------------------------------------------------------------


def read(text: str, schema: Mapping[str, Any]) -> Any:
    """The value that a reply gives: its JSON, also in a fence or behind a sentence. Raises Unfit."""
    wrong: Unfit | None = None
    for found in _values(text):
        try:
            check(found, schema)
        except Unfit as error:
            wrong = wrong or error
        else:
            return found
    raise wrong or Unfit("there is no JSON in it")


def _values(text: str) -> Iterator[Any]:
    """What may be meant, the likeliest first; at last the text itself, for many models leave quotes out."""
    text = text.strip()
    inner = text.partition("\n")[2].rpartition("```")[0] if text.startswith("```") else text
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    starts = [0, *(place for sign in "[{" if (place := inner.find(sign)) > 0)]
    for start in dict.fromkeys(starts):
        try:
            yield decoder.raw_decode(inner[start:].lstrip())[0]
        except (ValueError, RecursionError):
            continue
    yield inner.strip()


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def check(value: Any, schema: Any) -> None:
    """Hold a value to a schema. Raises Unfit, and ValueError for a schema that cannot be checked."""
    _Check(schema).look(value, schema, "$", 0)


class _Check:
    def __init__(self, root: Any) -> None:
        self._root = root
        self._left = _MOST

    def look(self, value: Any, schema: Any, path: str, depth: int) -> None:
        self._left -= 1
        if self._left < 0 or depth > 2 * _DEEPEST:
            raise ValueError("the schema takes too much work to check: make it simpler")
        if schema is False:
            raise Unfit(f"{path} must not be there")
        if not isinstance(schema, Mapping):
            return
        if isinstance(schema.get("$ref"), str):
            self.look(value, self._pointed(schema["$ref"]), path, depth + 1)
        self._kind(value, schema, path)
        if "enum" in schema and not any(_same(value, one) for one in schema["enum"]):
            allowed = " or ".join(map(repr, schema["enum"][:20]))
            raise Unfit(f"{path} must be {allowed[:400]}, not {shown(value)}")
        if "const" in schema and not _same(value, schema["const"]):
            raise Unfit(f"{path} must be {schema['const']!r:.200}, not {shown(value)}")
        self._alternatives(value, schema, path, depth)
        match value:
            case dict():
                self._object(value, schema, path, depth)
            case list():
                self._array(value, schema, path, depth)
            case str():
                _bounds(len(value), schema, "Length", f"the length of {path}")
            case int() | float() if not isinstance(value, bool):
                _number(value, schema, path)
            case _:
                pass

    def _kind(self, value: Any, schema: Mapping[str, Any], path: str) -> None:
        kinds = schema.get("type")
        if kinds is None:
            return
        kinds = kinds if isinstance(kinds, list) else [kinds]
        if not any(_is(value, kind) for kind in kinds):
            raise Unfit(f"{path} must be {' or '.join(kinds)}, not {shown(value)}")

    def _alternatives(self, value: Any, schema: Mapping[str, Any], path: str, depth: int) -> None:
        for one in schema.get("allOf", ()):
            self.look(value, one, path, depth + 1)
        for name in ("anyOf", "oneOf"):
            if name not in schema:
                continue
            wrong = [error for one in schema[name] if (error := self._tried(value, one, path, depth)) is not None]
            fit = len(schema[name]) - len(wrong)
            if fit == 0:
                raise wrong[0] if len(wrong) == 1 else Unfit(f"{path} is none of the alternatives: {wrong[0]}")
            if fit > 1 and name == "oneOf":
                raise Unfit(f"{path} fits more than one of the alternatives")

    def _tried(self, value: Any, schema: Any, path: str, depth: int) -> Unfit | None:
        try:
            self.look(value, schema, path, depth + 1)
        except Unfit as error:
            return error
        return None

    def _object(self, value: dict[str, Any], schema: Mapping[str, Any], path: str, depth: int) -> None:
        fields = schema.get("properties", {})
        for name in schema.get("required", ()):
            if name not in value:
                raise Unfit(f"{path}.{name} is missing")
        for name, one in value.items():
            more = schema.get("additionalProperties", True)
            if name not in fields and more is False:
                raise Unfit(f"{path} has no {name[:60]!r}; it has {', '.join(map(repr, [*fields][:20]))}")
            self.look(one, fields.get(name, more), f"{path}.{name[:60]}", depth + 1)
        _bounds(len(value), schema, "Properties", f"the number of fields of {path}")

    def _array(self, value: list[Any], schema: Mapping[str, Any], path: str, depth: int) -> None:
        places = schema.get("prefixItems", ())
        for place, one in enumerate(value):
            inner = places[place] if place < len(places) else schema.get("items", True)
            self.look(one, inner, f"{path}[{place}]", depth + 1)
        _bounds(len(value), schema, "Items", f"the number of items of {path}")
        if schema.get("uniqueItems") is True:
            seen = {json.dumps(one, sort_keys=True) for one in value}
            if len(seen) < len(value):
                raise Unfit(f"{path} holds an item twice")

    def _pointed(self, reference: str) -> Any:
        place = self._root
        for part in filter(None, reference.removeprefix("#").split("/")):
            place = place.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(place, Mapping) else None
        if not reference.startswith("#") or not isinstance(place, (Mapping, bool)):
            raise Unfit(f"the schema refers to {reference[:60]!r}, which is not in it")
        return place


def _is(value: Any, kind: str) -> bool:
    if kind == "number":
        return _is_number(value)
    if kind == "integer":
        return _is_number(value) and value == math.floor(value)
    return type(value) is _KINDS[kind]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _bounds(size: int, schema: Mapping[str, Any], what: str, words: str) -> None:
    least, most = schema.get(f"min{what}"), schema.get(f"max{what}")
    if least is not None and size < least:
        raise Unfit(f"{words} must be at least {least}, not {size}")
    if most is not None and size > most:
        raise Unfit(f"{words} must be at most {most}, not {size}")


def _number(value: float, schema: Mapping[str, Any], path: str) -> None:
    for name, (words, fits) in _NUMBERS.items():
        if name in schema and not fits(value, schema[name]):
            raise Unfit(f"{path} must be {words} {schema[name]}, not {value}")


def _divides(value: float, unit: float) -> bool:
    return unit != 0 and value % unit == 0


_NUMBERS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "minimum": ("at least", operator.ge),
    "maximum": ("at most", operator.le),
    "exclusiveMinimum": ("more than", operator.gt),
    "exclusiveMaximum": ("less than", operator.lt),
    "multipleOf": ("a multiple of", _divides),
}

"""A JSON Schema as the Python that a model reads: types for a signature, shapes for its documentation.

A schema comes from elsewhere: whatever is odd in it is read as `Any`, references are followed inside the document
alone, and all text is bounded.
"""

from __future__ import annotations

import functools
import operator
import re
import typing
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from ..spelling import spell

_PLAIN: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "null": None,
    "object": dict,
    "array": list,
}
_DEEPEST = 4  # of a type that is written out; each level may have many members, and many that hold themselves
_MEMBERS = 40  # of an enumeration; more are not written out
_SHAPE_DEPTH, _SHAPE_PARTS = 4, 120
_SHAPE, _DESCRIPTION = 1500, 500  # characters
_SHAPED = {"properties", "items", "anyOf", "oneOf"}  # what may have fields, or hold what has


def resolved(schema: Any, root: Any) -> Mapping[str, Any]:
    """The schema that this one refers to, and its own words beside the reference; empty where there is none."""
    seen: set[str] = set()
    beside: dict[str, Any] = {}
    while isinstance(schema, Mapping) and isinstance(schema.get("$ref"), str):
        if schema["$ref"] in seen:
            return beside
        seen.add(schema["$ref"])
        beside = {**{key: value for key, value in schema.items() if key != "$ref"}, **beside}
        schema = pointed(root, schema["$ref"])
    return {**schema, **beside} if isinstance(schema, Mapping) else beside


def pointed(root: Any, reference: str) -> Any:
    """What `#/a/b` points to in a document; None for what is not there, or lies in another document."""
    if not reference.startswith("#"):
        return None
    place = root
    for part in filter(None, reference[1:].split("/")):
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(place, Mapping):
            place = place.get(key)
        elif isinstance(place, list) and key.isdecimal() and int(key) < len(place):
            place = place[int(key)]
        else:
            return None
    return place


def hint_of(schema: Any, root: Any, depth: int = 0) -> Any:
    """The Python type of a schema's values."""
    schema = resolved(schema, root)
    if depth > _DEEPEST:
        return _PLAIN.get(str(schema.get("type")), Any)
    if "const" in schema:
        return _literal([schema["const"]])
    if isinstance(schema.get("enum"), list):
        return _literal(schema["enum"])
    for several in ("anyOf", "oneOf"):
        if isinstance(schema.get(several), list):
            return _union([hint_of(one, root, depth + 1) for one in schema[several]])
    kind = schema.get("type")
    if isinstance(kind, list):
        return _union([hint_of({**schema, "type": one}, root, depth + 1) for one in kind])
    if kind is None and isinstance(schema.get("allOf"), list):
        hints = [hint_of(one, root, depth + 1) for one in schema["allOf"]]
        return next((hint for hint in hints if hint is not Any), Any)
    if kind == "array":
        return _of(list, hint_of(schema.get("items"), root, depth + 1))
    if kind == "object" or (kind is None and "properties" in schema):
        more = schema.get("additionalProperties")
        if not schema.get("properties") and isinstance(more, Mapping) and more:
            inner = hint_of(more, root, depth + 1)
            return dict if inner is Any else dict[str, inner]  # type: ignore[valid-type]
        return dict
    return _PLAIN.get(kind, Any) if isinstance(kind, str) else Any


def _of(container: Any, inner: Any) -> Any:
    return container if inner is Any else container[inner]


def _literal(members: list[Any]) -> Any:
    plain = [one for one in members if one is None or isinstance(one, (str, int, bool))]
    if len(plain) == len(members) and 0 < len(members) <= _MEMBERS:
        return typing.Literal[tuple(members)]
    kinds = {type(one) for one in members}
    return kinds.pop() if len(kinds) == 1 and kinds <= {str, int, float} else Any


def _union(hints: list[Any]) -> Any:
    if not hints or any(hint is Any for hint in hints):
        return Any
    return functools.reduce(operator.or_, (typing.Optional[hint] if hint is None else hint for hint in hints))  # noqa: UP045


def description_of(schema: Any, root: Any) -> str:
    """What a schema says of its values in words, on one line, with the shape of what has fields."""
    schema = resolved(schema, root)
    words = line(schema.get("description"), _DESCRIPTION)
    if not _SHAPED.intersection(schema):
        return words
    shape = shape_of(schema, root)
    if "{" not in shape:
        return words
    return f"{shape}; {words}" if words else shape


def line(text: Any, longest: int) -> str:
    """Text from elsewhere on one bounded line, without what a terminal or a reader would stumble over."""
    if not isinstance(text, str):
        return ""
    words = " ".join((text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)).split())
    return words if len(words) <= longest else words[:longest].rstrip() + " ..."


def shape_of(schema: Any, root: Any) -> str:
    """What has fields as `{id: int, note?: str}`, also inside lists; any other type as its spelling."""
    return line(_shape(schema, root, (), iter(range(_SHAPE_PARTS))), _SHAPE)


def _shape(schema: Any, root: Any, above: tuple[Any, ...], left: Iterator[int]) -> str:
    reference = schema.get("$ref") if isinstance(schema, Mapping) else None
    schema = resolved(schema, root)
    if next(left, None) is None:
        return "..."
    if len(above) >= _SHAPE_DEPTH or (reference is not None and reference in above):  # one that holds itself
        return spell(hint_of(schema, root, _DEEPEST))
    above = (*above, reference)
    fields = schema.get("properties")
    if isinstance(fields, Mapping) and fields:
        needed = required_of(schema)
        listed = []
        for name, one in fields.items():
            listed.append(f"{_key(name)}{'' if name in needed else '?'}: {_shape(one, root, above, left)}")
            if listed[-1].endswith(": ..."):
                break
        return "{" + ", ".join(listed) + "}"
    items = schema.get("items")
    if schema.get("type") == "array" and isinstance(items, Mapping):
        inner = _shape(items, root, above, left)
        return "list" if inner == "Any" else f"list[{inner}]"
    for several in ("anyOf", "oneOf"):
        if isinstance(schema.get(several), list):
            return " | ".join(dict.fromkeys(_shape(one, root, above, left) for one in schema[several][:10]))
    return spell(hint_of(schema, root, _DEEPEST - 1))


def _key(name: Any) -> str:
    return name if isinstance(name, str) and re.fullmatch(r"\w{1,60}", name, re.ASCII) else repr(line(str(name), 60))


def required_of(schema: Mapping[str, Any]) -> set[str]:
    """The names that a schema of an object wants."""
    required = schema.get("required")
    return {name for name in required if isinstance(name, str)} if isinstance(required, list) else set()

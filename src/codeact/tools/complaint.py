"""What is wrong with an argument, in one line that the author of the call can act on."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import Any

from .spelling import describe, is_named, parts_of, spell

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlevel = 2
_TYPE_ERRORS = {"int_from_float", "none_required", "sequence_str", "is_instance_of", "missing"}
_UNKNOWN = {"extra_forbidden", "unexpected_keyword_argument"}
_WORDS = {
    "int_type": "int",
    "float_type": "float",
    "string_type": "str",
    "bool_type": "bool",
    "bytes_type": "bytes",
    "list_type": "list",
    "tuple_type": "tuple or list",
    "set_type": "set or list",
    "dict_type": "dict",
    "none_required": "None",
    "dataclass_type": "dict",
    "moment_type": "text of ISO 8601",
}


def complaint(tool: str, name: str, hint: Any, value: Any, errors: Sequence[Any]) -> TypeError | ValueError:
    """A TypeError where a type is wrong, else a ValueError: the tool, the path to what is wrong, what fits, what came.

    `errors` are pydantic's. The first counts, with what else is said about the same place (a union's other members);
    a field that is not there goes before one that is missing, as with CPython's arguments: it may be misspelled.
    """
    errors = sorted(errors, key=lambda error: error["type"] not in _UNKNOWN)
    path, found = _walk(value, errors[0])
    about = [error for error in errors if _walk(value, error)[0] == path]
    about = [error for error in about if error["type"] != "missing"] or about
    kinds = {error["type"] for error in about}
    where = f"{tool}(): {name + path!r}"
    if kinds == {"missing"}:
        return TypeError(f"{where} is missing; {_whole(hint)}")
    if kinds <= _UNKNOWN:
        return TypeError(f"{where} is not expected; {_whole(hint)}")
    mistyped = all(kind.endswith("_type") or kind in _TYPE_ERRORS for kind in kinds)
    if not path and (mistyped or len(errors) > len(about)):  # or it is a union, whose members fail at many places
        fits = spell(hint)
    else:
        fits = " or ".join(dict.fromkeys(_WORDS.get(error["type"]) or _sentence(error["msg"]) for error in about))
    return (TypeError if mistyped else ValueError)(f"{where} must be {fits}, got {shown(found)}")


def shown(value: Any) -> str:
    """A bounded repr with the type's name; the shape of what has one."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple):
        kind = type(value).__name__
        return f"{'an' if kind == 'ndarray' else 'a'} {kind} of shape {shape}"
    try:
        text = _SHORT.repr(value)
    except Exception:  # such as an int of more digits than Python writes out
        text = "a value"
    return f"{text} ({type(value).__name__})"


def _whole(hint: Any) -> str:
    return "; ".join(describe(part) for part in parts_of(hint) if is_named(part)) or spell(hint)


def _sentence(message: str) -> str:
    for start in ("Input should be ", "Value error, "):
        message = message.removeprefix(start)
    return message[:1].lower() + message[1:]


def _walk(value: Any, error: Any) -> tuple[str, Any]:
    """The path that a person would write, and what is there; pydantic's labels of a union's members are left out."""
    path = ""
    loc = error["loc"]
    for i, at in enumerate(loc):
        if at == "[key]":
            path, value = path + " (the key)", loc[i - 1]
        elif isinstance(value, dict):
            if at in value or (error["type"] == "missing" and i == len(loc) - 1):
                path += f".{at}" if isinstance(at, str) and at.isidentifier() else f"[{at!r:.40}]"
                value = value.get(at)
        elif isinstance(value, (list, tuple)) and isinstance(at, int):
            path += f"[{at}]"
            value = value[at] if at < len(value) else None
        elif isinstance(value, (set, frozenset)) and isinstance(at, int):
            path, value = path + " (an item)", error["input"]
    return path, value

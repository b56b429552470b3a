"""What a tool gives, as plain data: what has fields becomes a dict, a member of an Enum its value, a path its text."""

from __future__ import annotations

import dataclasses
import enum
import os
import uuid
from typing import Any

from ..guest.values import MAX_DEPTH


def plain(value: Any) -> Any:
    """The value with its dataclasses, pydantic models, Enums, paths and UUIDs converted, at any depth of containers.

    All else stays as it is; whether it may cross the wall is for the table of values to say.
    """
    return _plain(value, set())


def _plain(value: Any, inside: set[int]) -> Any:
    if value is None or type(value) in (str, int, float, bool, bytes):
        return value
    if isinstance(value, enum.Enum):
        return _plain(value.value, inside)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, uuid.UUID):
        return str(value)
    if id(value) in inside or len(inside) > MAX_DEPTH:  # the table of values refuses it, with its path
        return value
    inside.add(id(value))
    try:
        return _opened(value, inside)
    finally:
        inside.discard(id(value))


def _opened(value: Any, inside: set[int]) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name), inside) for one in dataclasses.fields(value)}
    if hasattr(type(value), "model_fields") and hasattr(value, "model_dump"):
        return _plain(value.model_dump(), inside)
    match value:
        case dict() if type(value) is dict:
            return {_plain(key, inside): _plain(item, inside) for key, item in value.items()}
        case list() if type(value) is list:
            return [_plain(item, inside) for item in value]
        case tuple() if type(value) is tuple:
            return tuple(_plain(item, inside) for item in value)
        case set() if type(value) is set:
            return {_plain(item, inside) for item in value}
        case _:
            return value

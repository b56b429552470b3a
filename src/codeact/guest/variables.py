"""The variables of a namespace, for somebody who looks: name, kind, and a glimpse of the value."""

from __future__ import annotations

import types
from collections.abc import Collection, Mapping
from typing import Any

from .display import glimpse

EVERY = "*"  # what is asked for by this name, which no variable can have
MOST = 500
ROOM = 120  # characters of a glimpse


def listed(namespace: Mapping[str, Any], tools: Collection[str]) -> list[list[str]]:
    """What cells have bound, in that order; what a value's own repr raises is told in its place."""
    names = [name for name in namespace if isinstance(name, str) and name[:1] != "_" and name not in tools]
    return [[name, type(namespace[name]).__name__, _seen(namespace[name])] for name in names[:MOST]]


def _seen(value: Any) -> str:
    if isinstance(value, types.ModuleType):
        return value.__name__
    if isinstance(value, types.FunctionType):
        code = value.__code__
        return f"({', '.join(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])})"
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    try:
        return glimpse(value, ROOM)[: 4 * ROOM]
    except BaseException as error:
        return f"(its repr raised {type(error).__name__})"

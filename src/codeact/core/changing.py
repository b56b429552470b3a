"""A frozen value with other fields: what `dataclasses.replace` gives, at a quarter of its cost.

The state of a session has many fields, and every event changes some: that was half of the time that it took to read a
long run. It is for values with slots, which check nothing when they are made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from itertools import repeat
from operator import attrgetter, call
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # so that the names of fields are checked
    from dataclasses import replace

    changed = replace
else:

    def changed(value, /, **changes):
        """The same with these fields in place of its own."""
        read, write = _fields(type(value))
        made = object.__new__(type(value))
        deque(map(call, write, repeat(made), read(value)), 0)  # each slot is set, without a loop of ours
        for name, held in changes.items():
            _slot(type(value), name)(made, held)
        return made


@cache
def _fields(kind: type) -> tuple[Callable[[Any], tuple[Any, ...]], list[Callable[[Any, Any], None]]]:
    names = [one.name for one in fields(kind)]
    if hasattr(kind, "__post_init__") or "__slots__" not in vars(kind):
        raise TypeError(f"{kind.__name__} is no value of this kind: use dataclasses.replace")
    return attrgetter(*names), [getattr(kind, name).__set__ for name in names]


@cache
def _slot(kind: type, name: str) -> Callable[[Any, Any], None]:
    if name not in {one.name for one in fields(kind)}:
        raise TypeError(f"{kind.__name__} has no field {name!r}")
    put: Callable[[Any, Any], None] = getattr(kind, name).__set__
    return put

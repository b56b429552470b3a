"""The names of a module that code may write to and the runtime stands on: kept, and put back where somebody did.

To look at an object is to write to it, by its count of references, and so to copy its page in a process that was
forked. So what a module held is kept before the fork, and a session walks over it only where something was changed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import cache, partial
from operator import attrgetter
from types import ModuleType
from typing import Any

try:
    import ctypes
except ImportError:
    ctypes = None  # type: ignore[assignment]

_value = attrgetter("value")
_COUNT = 24  # bytes into a dict, where CPython counts the writes to it; until 3.13 it does


@cache
def before(module: ModuleType) -> dict[str, Any]:
    """What the module held when this was asked first."""
    return dict(vars(module))


class Kept:
    """A module as it was `before`, with what it holds now under the names that were `changed` since."""

    def __init__(self, module: ModuleType, changed: Iterable[str] = ()) -> None:
        self._names = vars(module)
        self._before = before(module)
        self._since = {name: self._names[name] for name in changed}
        self._written = writes(self._names)
        self._then = self._written()

    def add(self, found: dict[str, Any]) -> None:
        """These belong to it from here on."""
        self._since.update(found)
        self._names.update(found)
        self._then = self._written()

    def put_back(self) -> None:
        """Undo what was written. Code may have taken any builtin away: nothing here uses one."""
        if self._written() != self._then:
            self._names.update(self._before)
            self._names.update(self._since)
            self._then = self._written()

    def lift(self) -> dict[str, Any] | None:
        """The same, for a moment: the answer is for `lay`; None where nothing was written."""
        if self._written() == self._then:
            return None
        written: dict[str, Any] = dict.fromkeys((*self._before, *self._since), self) | self._names
        self.put_back()
        return written

    def lay(self, written: dict[str, Any] | None) -> None:
        """Have again what was lifted. What was added meanwhile stays."""
        for name in written or ():
            if written[name] is not self:  # type: ignore[index]
                self._names[name] = written[name]  # type: ignore[index]
            else:
                self._names.pop(name, None)


def writes(names: dict[str, Any]) -> Callable[[], object]:
    """A function whose answer is another one after the dict was written to; always another where nobody counts."""
    if not _are_counted():
        return object
    place = ctypes.c_uint64.from_address(id(names) + _COUNT)
    return partial(_value, place)


@cache
def _are_counted() -> bool:
    """Tried, not believed: this is CPython's own business."""
    if ctypes is None or sys.maxsize < 1 << 32 or {}.__sizeof__() < _COUNT + 8:
        return False
    tried: dict[str, Any] = {"one": 1}
    place = ctypes.c_uint64.from_address(id(tried) + _COUNT)
    then = [place.value]
    tried.update(one=tried["one"])
    unmoved = place.value == then[0]
    for write in (
        lambda: tried.update(one=2),
        lambda: tried.__setitem__("one", 3),
        lambda: tried.setdefault("two", 4),
        lambda: tried.__setitem__("two", 5),
        lambda: tried.pop("two"),
        lambda: tried.__delitem__("one"),
        lambda: tried.update(three=6),
        tried.clear,
    ):
        write()
        then.append(place.value)
    return unmoved and len({*then}) == len(then)

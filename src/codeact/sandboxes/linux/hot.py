"""What every session runs, laid together: to run code is to write to it, so each session copies the page it lies on.

A session that nobody needs tells which code it ran. The code objects of that are made anew side by side, in the place
of the old ones: thirty pages are copied then for what lay on two hundred.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType, FunctionType
from typing import Any

_left: list[CodeType] = []  # old ones: let go they would be holes


class Watch:
    """Sees which code runs, also in a fork; there it is told at the end, by the places where the objects lie."""

    def __init__(self) -> None:
        self._seen: dict[int, None] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """What runs meanwhile, in this thread."""
        sys.setprofile(self._see)
        try:
            yield
        finally:
            sys.setprofile(None)

    def _see(self, frame: FrameType, event: str, argument: Any) -> None:
        self._seen[id(frame.f_code)] = None

    def telling(self, serve: Callable[..., None]) -> Callable[..., None]:
        """The function of a guest, which tells on its channel what it saw, when that is at its end."""

        def served(channel: int, **more: Any) -> None:
            serve(channel, **more)
            sys.setprofile(None)
            os.write(channel, json.dumps([*self._seen]).encode())

        return served


def lay_together(told: bytes) -> None:
    """Do it with the code that was told of, in the order in which it ran."""
    places: list[int] = json.loads(told or b"[]")
    objects = gc.get_objects()
    functions: dict[int, list[FunctionType]] = {}
    for one in objects:
        if type(one) is FunctionType:
            functions.setdefault(id(one.__code__), []).append(one)
    move = _Move(frozenset(places))
    for place in places:
        for function in functions.get(place, ()):
            function.__code__ = move.moved(function.__code__)
    for one in objects:
        if type(one) is set:
            for code in [each for each in one if type(each) is CodeType and move.has(each)]:
                one.discard(code)
                one.add(move.moved(code))


class _Move:
    def __init__(self, places: frozenset[int]) -> None:
        self._places = places
        self._new: dict[int, CodeType] = {}

    def has(self, code: CodeType) -> bool:
        return id(code) in self._new

    def moved(self, code: CodeType) -> CodeType:
        if id(code) not in self._new:
            _left.append(code)
            self._new[id(code)] = code.replace(co_consts=tuple(map(self._inner, code.co_consts)))
        return self._new[id(code)]

    def _inner(self, constant: Any) -> Any:
        """Of a function that is made whenever the code runs."""
        is_run = type(constant) is CodeType and id(constant) in self._places
        return self.moved(constant) if is_run else constant

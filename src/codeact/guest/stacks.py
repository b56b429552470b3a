"""What `inspect` and `traceback` find: a cell is the bottom of the stack, and a class is in the cell that made it."""

from __future__ import annotations

import inspect
import linecache
import os
import re
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any

from .interrupts import CELL

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_walk, _outer, _file = traceback.walk_stack, inspect.getouterframes, inspect.getfile


def install() -> None:
    """Put these in place of CPython's."""
    traceback.walk_stack = walk_stack
    inspect.getouterframes = getouterframes
    inspect.getfile = getfile


def walk_stack(f: FrameType | None) -> Iterator[tuple[FrameType, int]]:
    """Walk a stack yielding the frame and line number for each frame."""
    return _walk(f) if f is None else _above_ours(f)  # without a frame it counts its own callers: none may be added


def getouterframes(frame: Any, context: int = 1) -> list[inspect.FrameInfo]:
    """Get a list of records for a frame and all higher (calling) frames."""
    found = _outer(frame, context)
    ours = (at for at, record in enumerate(found) if record.filename.startswith(_HERE))
    return found[: next(ours, None)]


def getfile(object: Any) -> str:
    """Work out which source or compiled file an object was defined in."""
    if not (inspect.isclass(object) and object.__module__ == "__main__"):
        return _file(object)
    made = re.compile(rf"^\s*class\s+{re.escape(object.__name__)}\b", re.MULTILINE)
    cells = [(name, entry) for name, entry in linecache.cache.items() if name.startswith(CELL) and len(entry) == 4]
    return next((name for name, entry in reversed(cells) if made.search("".join(entry[2]))), None) or _file(object)


def _above_ours(frame: FrameType) -> Iterator[tuple[FrameType, int]]:
    for step, line in _walk(frame):
        if step.f_code.co_filename.startswith(_HERE):
            return
        yield step, line

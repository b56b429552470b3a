"""A cell is the bottom of the stack, as a script is: in `inspect.stack`, `traceback.print_stack` and `logging`."""

from __future__ import annotations

import inspect
import os
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_walk, _outer = traceback.walk_stack, inspect.getouterframes


def install() -> None:
    """Put these in place of CPython's."""
    traceback.walk_stack = walk_stack
    inspect.getouterframes = getouterframes


def walk_stack(f: FrameType | None) -> Iterator[tuple[FrameType, int]]:
    """Walk a stack yielding the frame and line number for each frame."""
    return _walk(f) if f is None else _above_ours(f)  # without a frame it counts its own callers: none may be added


def getouterframes(frame: Any, context: int = 1) -> list[inspect.FrameInfo]:
    """Get a list of records for a frame and all higher (calling) frames."""
    found = _outer(frame, context)
    ours = (at for at, record in enumerate(found) if record.filename.startswith(_HERE))
    return found[: next(ours, None)]


def _above_ours(frame: FrameType) -> Iterator[tuple[FrameType, int]]:
    for step, line in _walk(frame):
        if step.f_code.co_filename.startswith(_HERE):
            return
        yield step, line

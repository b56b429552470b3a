"""A value as the model sees it: its repr where that is short, else its shape, its head and its tail."""

from __future__ import annotations

from typing import Any

PREVIEW = 4000  # characters
WHOLE = 64 << 10  # bytes


def preview(value: Any) -> str:
    """A bounded preview."""
    text = repr(value)
    return text if len(text) <= PREVIEW else text[: PREVIEW // 2] + " ... " + text[-PREVIEW // 2 :]


def whole(value: Any) -> str:
    """The repr, cut."""
    return repr(value)[:WHOLE]

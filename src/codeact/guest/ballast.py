"""A little memory that cells cannot take, so that the guest can still answer when they have taken all the rest.

It is set aside while a cell runs, and never touched: it counts against the limit and holds no page. Between cells it is
given back, for what is read, said and made ready there.
"""

from __future__ import annotations

import sys
from typing import Any

mmap: Any = None
if sys.platform == "linux":  # elsewhere no kernel bounds what a process may write to
    import mmap

_WHOLE, _LEAST = 8 << 20, 256 << 10  # bytes
_PRIVATE = getattr(mmap, "MAP_PRIVATE", 0) | getattr(mmap, "MAP_ANONYMOUS", 0)


class Ballast:
    """Held by `hold`, given back by `drop`; both are safe to repeat, and neither fails."""

    def __init__(self) -> None:
        self._held: Any = None

    def hold(self) -> None:
        """Set it aside, or as much of it as goes."""
        size = _WHOLE
        while self._held is None and _PRIVATE and size >= _LEAST:
            try:
                self._held = mmap.mmap(-1, size, _PRIVATE)
            except (OSError, MemoryError):
                size //= 2

    def drop(self) -> None:
        """Give it back."""
        held, self._held = self._held, None
        if held is not None:
            held.close()

"""A little memory that cells cannot take, so that the guest can still answer when they have taken all the rest.

It is set aside while a cell runs, and never touched: it counts against the limit and holds no page. Between cells it is
given back, for what is read, said and made ready there.
"""

from __future__ import annotations

from contextlib import suppress

try:
    import mmap
except ImportError:  # Python in WebAssembly may have none: its memory has other bounds
    mmap = None  # type: ignore[assignment]

_SIZES = tuple((8 << 20) >> halved for halved in range(6))  # bytes: as much of it as there still is room for
_PRIVATE = getattr(mmap, "MAP_PRIVATE", 0) | getattr(mmap, "MAP_ANONYMOUS", 0)


class Ballast:
    """Held by `hold`, given back by `drop`; both are safe to repeat, and neither fails."""

    def __init__(self) -> None:
        self._held: mmap.mmap | None = None

    def hold(self) -> None:
        """Set it aside, or as much of it as goes."""
        if self._held is not None or not _PRIVATE:
            return
        for size in _SIZES:
            with suppress(OSError, MemoryError):
                self._held = mmap.mmap(-1, size, _PRIVATE)
                return

    def drop(self) -> None:
        """Give it back."""
        held, self._held = self._held, None
        if held is not None:
            held.close()

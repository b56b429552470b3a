"""What others on this machine read of our command line: no password of a database, once we run."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Sequence
from pathlib import Path

from codeact.core.addresses import without_password

_START, _END = 45, 46  # fields of /proc/self/stat behind the name: where the arguments lie (proc(5), 48 and 49)


def hide_passwords(argv: Sequence[str]) -> None:
    """Write over the addresses in our arguments that hold one, as far as this machine lets us."""
    hidden = [word.encode("utf-8", "surrogateescape") for word in argv if without_password(word) != word]
    if not hidden:
        return
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = int(fields[_START]), int(fields[_END])
        given = ctypes.string_at(start, end - start)
        for word in hidden:
            at = given.find(b"\0" + word + b"\0")
            if start and at >= 0:
                shown = without_password(word.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
                ctypes.memmove(start + at + 1, shown.ljust(len(word), b"\0"), len(word))

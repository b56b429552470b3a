"""What SQLite draws and reads in C, given to it by Python: `random()`, `randomblob()`, and the time of a new row."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from .clock import CLOCK, NS, asker

_FORMS = {"current_timestamp": "%Y-%m-%d %H:%M:%S", "current_date": "%Y-%m-%d", "current_time": "%H:%M:%S"}
_LARGEST = 1 << 30  # bytes of a blob; SQLite allows no more


def follow_sqlite(module: Any) -> None:
    """Give these functions to every connection."""
    real = module.connect

    def connect(*args: Any, **kwargs: Any) -> Any:
        made = real(*args, **kwargs)
        try:
            made.create_function("random", 0, _random)
            made.create_function("randomblob", 1, _blob)
            for name, form in _FORMS.items():
                made.create_function(name, 0, _stamp(form))
        except Exception:  # a connection of the cell's own kind: as it is
            pass
        return made

    connect.__doc__, connect.__module__ = real.__doc__, real.__module__
    connect.__qualname__ = connect.__name__
    module.connect = connect
    package = sys.modules.get("sqlite3")
    if package is not None and getattr(package, "connect", None) is real:
        package.connect = connect  # type: ignore[attr-defined]


def _random() -> int:
    return int.from_bytes(os.urandom(8), "little", signed=True)


def _blob(size: Any) -> bytes:
    return os.urandom(min(max(1, int(size or 0)), _LARGEST))


def _stamp(form: str) -> Any:
    def now() -> str:
        read = CLOCK.read("w", asker(sys._getframe(1)))
        return time.strftime(form, time.gmtime(time.time() if read is None else read / NS))

    return now

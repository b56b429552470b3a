"""Ctrl-C, and to be told to end, while an event loop runs."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def on_signal(number: int, do: Callable[[], object]) -> Iterator[None]:
    """While this lasts, the signal calls this function on the running loop."""
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(number, do)
    except NotImplementedError:  # the loop of Windows: it is woken by every signal that Python hears
        before = signal.signal(number, lambda *_: loop.call_soon_threadsafe(do))
        try:
            yield
        finally:
            signal.signal(number, before)
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(number)

"""How a server ends: by a signal, which is heard here, and not by the library that serves."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import uvicorn

from .signals import on_signal

_SIGNALS = (signal.SIGINT, getattr(signal, "SIGBREAK", signal.SIGTERM))  # Windows sends the one, Unix the other


class Server(uvicorn.Server):
    """Serves until `should_exit`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are ours."""
        yield


async def signalled() -> None:
    """Wait for Ctrl-C, or to be told to end."""
    ended = asyncio.Event()
    if threading.current_thread() is not threading.main_thread():
        await ended.wait()
    with ExitStack() as stack:
        for number in _SIGNALS:
            stack.enter_context(on_signal(number, ended.set))
        await ended.wait()

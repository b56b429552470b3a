"""How a server ends: by a signal, which is heard here, and not by the library that serves."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Iterator

import uvicorn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Server(uvicorn.Server):
    """Serves until `should_exit`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are ours."""
        yield


async def signalled() -> None:
    """Wait for Ctrl-C, or to be told to end."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    if threading.current_thread() is not threading.main_thread():
        await ended.wait()
    for number in _SIGNALS:
        loop.add_signal_handler(number, ended.set)
    try:
        await ended.wait()
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)

"""The process around the cells where Python is a module of WebAssembly: in the place of `__main__`.

There is one thread and nothing to start another with, no process, and no signal but SIGINT, which the host strikes by
a byte in shared memory that the interpreter looks at as it runs. `door` is the worker beside Python: it waits, reads
and writes. An event loop reads the channel while it has nothing to do, since no thread can do it beside it.
"""

from __future__ import annotations

import asyncio
import asyncio.events
import builtins
import errno
import os
import platform
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from . import __main__ as process
from .channel import Channel, Ended
from .interrupts import open_to_interrupts, shut_to_interrupts
from .wire import Open, Ready

SCRATCH = "/scratch"
_BYTES, _STRUCK = 1, 2  # why a wait has ended
_FOREVER = 1e12  # milliseconds
_ENVIRONMENT = ("HOME", "LANG", "PATH", "PYTHONHASHSEED", "PWD", "TMPDIR")


def prepare() -> None:
    """Once, before any session: what is the same for all of them. Python's memory is kept as it is then."""
    process.prepare([])
    os.system = os.popen = _no_process  # what is there would end the interpreter
    builtins.__import__ = _telling(builtins.__import__)
    asyncio.events._set_running_loop(None)  # the one of the page that Python usually stands in
    getattr(asyncio.events, "_set_event_loop_policy")(_Policy())  # noqa: B009  # not before 3.14


def serve(door: Any) -> None:
    """Talk with the host until it hangs up."""
    for name in set(os.environ).difference(_ENVIRONMENT):
        del os.environ[name]
    os.makedirs(SCRATCH, exist_ok=True)
    os.chdir(SCRATCH)
    way = Way(door)
    words = WasmChannel(way)
    time.sleep = _Sleep(way)  # type: ignore[assignment]
    _Idle.channel = words
    with suppress(Ended):
        session = process.Session(words)
        session.rehearse()
        opening = words.next()
        if type(opening) is not Open:
            return
        session.open(opening)
        words.send(Ready(platform.python_version()))
        while True:
            session.answer(words.next())


class Way:
    """The way to the host, by the functions of the worker."""

    def __init__(self, door: Any) -> None:
        self._door = door

    def ready(self) -> bool:
        return bool(self._door.there())

    def wait(self) -> None:
        while not self.wait_for(_FOREVER, True):
            pass  # a strike that broke nothing off: the cell that it was meant for is over

    def wait_for(self, milliseconds: float, for_bytes: bool) -> bool:
        """Sleep until the time is over, or there are bytes and they are waited for: then True."""
        ended = self._door.wait(milliseconds, for_bytes)
        if ended == _STRUCK:
            signal.raise_signal(signal.SIGINT)
        return bool(ended == _BYTES)

    def read(self, most: int) -> bytes:
        return bytes(self._door.read(most).to_bytes())

    def write(self, data: memoryview) -> int:
        self._door.write(data)
        return len(data)

    def aside(self, read: Callable[[], None]) -> None:
        """There is no thread to do it: the event loop does."""


class WasmChannel(Channel):
    """The same, read by the event loop as well."""

    way: Way

    @shut_to_interrupts
    def idle(self, seconds: float | None) -> None:
        """Wait so long, or until something has come, which is then delivered."""
        if self._pause(_FOREVER if seconds is None else max(0.0, seconds) * 1000):
            self._take()

    @open_to_interrupts
    def _pause(self, milliseconds: float) -> bool:
        self.check()
        return self.way.wait_for(milliseconds, True)


class _Idle:
    """What an event loop asks when it has nothing to do."""

    channel: WasmChannel | None = None

    def select(self, timeout: float | None) -> list[Any]:
        assert self.channel is not None
        self.channel.idle(timeout)
        return []


class Loop(asyncio.BaseEventLoop):
    """asyncio without sockets: time, tasks, and the answers of tools."""

    _selector = _Idle()

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        """Nobody is there to wake it from: there is one thread."""


class _Policy(asyncio.DefaultEventLoopPolicy):
    _loop_factory = Loop

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return Loop()


class _Sleep:
    """`time.sleep`, which an interrupt can break."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._real = time.sleep

    @open_to_interrupts
    def __call__(self, seconds: float, /) -> None:
        until = time.monotonic() + seconds if type(seconds) in (int, float) and 0 < seconds < 1e9 else 0.0
        if not until:
            self._real(seconds)  # no time, or no number: in CPython's words
        while (left := until - time.monotonic()) > 0:
            self._way.wait_for(left * 1000, False)


def _no_process(*args: object, **kwargs: object) -> NoReturn:
    raise PermissionError(errno.EPERM, "no process can be started in here")


def _telling(real: Callable[..., Any]) -> Callable[..., Any]:
    def __import__(name: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return real(name, *args, **kwargs)
        except ModuleNotFoundError as error:
            top = (error.name or "").partition(".")[0]
            if top and error.msg == f"No module named {error.name!r}" and top not in sys.stdlib_module_names:
                error.msg += ": the sandbox 'wasm' has the standard library alone"
            raise

    return __import__

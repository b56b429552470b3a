"""The host's end of one session: five descriptors and a way to wait for each, on the loop that launched it."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import socket
import struct
import termios
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

from ...core.execution import Death
from ...ports import Resources, Sink
from .ends import Ends
from .layers import Refused
from .process import killed_for_memory

_SMALL, _LARGE = 1 << 16, 1 << 18  # bytes of one receive: below malloc's threshold for a mapping, and of long frames
_CHUNK = 1 << 16
_AHEAD = 4  # receives that nobody waited for
_FAREWELL = 10.0  # seconds for the kernel to take a killed session away


class LinuxPipe:
    """A session as the host holds it, on the loop that took it. `Pipe` says what its methods promise.

    The loop watches the channel all the time: what arrives is read at once, and all output before it, and waits here
    for `receive`. Of more than a little the rest waits in the kernel, and the guest with it.
    """

    def __init__(self, ends: Ends, sink: Sink) -> None:
        self.level = ""
        self._ends = ends
        self._channel, self._life = ends.channel, ends.life
        self._loop = asyncio.get_running_loop()
        self._sink = sink
        self._size = _SMALL
        self._arrived: deque[bytes] = deque()
        self._watched = self._over = False
        self._waiting: asyncio.Future[None] | None = None
        self._killed = False
        self._death: asyncio.Future[Death] | None = None
        self._sending = asyncio.Lock()
        _open_pipes.add(self)

    async def settle(self) -> bool:
        """Wait until the session is locked and ready. False: its launcher died before. Raises Refused."""
        while not self._ends.hear():
            await self._when(self._loop.add_reader, self._loop.remove_reader, self._life)
        word = self._ends.word
        if word is None:
            return False
        if "ready" not in word:
            failed = word.get("failed", {"layer": "session", "code": "?", "cause": "it ended while it was made"})
            raise Refused(**failed)
        self.level = word["ready"]["level"]
        self._death = self._loop.create_future()
        self._loop.add_reader(self._life.fileno(), self._on_end)
        for reader in self._ends.outputs:
            self._loop.add_reader(reader, self._on_output, reader)
        self._watch()
        return True

    async def send(self, data: bytes) -> None:
        """See `Pipe`."""
        async with self._sending:
            view = memoryview(data)
            while view:
                try:
                    view = view[self._channel.send(view) :]
                except BlockingIOError:
                    await self._when(self._loop.add_writer, self._loop.remove_writer, self._channel)

    async def receive(self) -> bytes:
        """See `Pipe`."""
        while not self._arrived:
            self._waiting = self._loop.create_future()
            await self._waiting
        if not self._arrived[0]:
            return b""  # the end stays
        data = self._arrived.popleft()
        if not self._watched and not self._over:
            self._watch()
        return data

    def interrupt(self) -> None:
        """See `Pipe`."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """See `Pipe`. The main process at once, and, by the end of the line, all that its init holds."""
        self._killed = True
        self._signal(signal.SIGKILL)
        try:
            self._life.shutdown(socket.SHUT_WR)
        except OSError:
            return  # it has ended

    async def ended(self) -> Death:
        """See `Pipe`."""
        assert self._death is not None
        return await asyncio.shield(self._death)

    @property
    def line(self) -> socket.socket | None:
        """See `Networked`."""
        return self._ends.network

    def usage(self) -> Resources | None:
        """See `Pipe`."""
        return self._ends.process.usage() if self._ends.process is not None else None

    async def aclose(self) -> None:
        """End the session, wait until it is gone, and keep no descriptor."""
        if self._death is not None and not self._death.done():
            self.kill()
            await asyncio.wait([self._death], timeout=_FAREWELL)
        self.close()

    def close(self) -> None:
        """Keep no descriptor. A session that still runs is ended by this."""
        if not self._ends.closed and not self._loop.is_closed():
            for descriptor in (*self._ends.outputs, self._life.fileno(), self._channel.fileno()):
                self._loop.remove_reader(descriptor)
            self._watched = False
        self.abandon()

    def abandon(self) -> None:
        """Close what is open and touch no loop: also right in a forked copy of the host."""
        _open_pipes.discard(self)
        self._ends.close()

    def _signal(self, number: signal.Signals) -> None:
        if self._ends.process is not None:
            self._ends.process.signal(number)

    async def _when(self, add: Callable[..., Any], remove: Callable[[int], Any], waited: socket.socket) -> None:
        descriptor = waited.fileno()
        ready = self._loop.create_future()
        add(descriptor, _set, ready)
        try:
            await ready
        finally:
            remove(descriptor)

    def _watch(self) -> None:
        self._watched = True
        self._loop.add_reader(self._channel.fileno(), self._on_channel)

    def _rest(self) -> None:
        self._watched = False
        self._loop.remove_reader(self._channel.fileno())

    def _on_channel(self) -> None:
        try:
            data = self._channel.recv(self._size)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        self._size = _LARGE if len(data) == self._size else _SMALL
        for reader in self._ends.outputs:
            self._drain(reader)
        self._arrived.append(data)
        self._over = not data
        if self._over or len(self._arrived) >= _AHEAD:
            self._rest()
        if self._waiting is not None:
            _set(self._waiting)

    def _on_output(self, reader: int) -> None:
        try:
            data = os.read(reader, _CHUNK)
        except BlockingIOError:
            return
        if data:
            self._sink(self._ends.outputs[reader], data)
        else:
            self._loop.remove_reader(reader)

    def _drain(self, reader: int) -> None:
        """Give the sink what is in a pipe now; a guest that goes on writing does not keep us here."""
        (left,) = struct.unpack("=i", fcntl.ioctl(reader, termios.FIONREAD, b"\0\0\0\0"))
        while left > 0:
            data = os.read(reader, left)
            if not data:
                return
            self._sink(self._ends.outputs[reader], data)
            left -= len(data)

    def _on_end(self) -> None:
        try:
            message = self._life.recv(_CHUNK)
        except BlockingIOError:
            return
        except ConnectionError:
            message = b""
        self._loop.remove_reader(self._life.fileno())
        self._signal(signal.SIGKILL)  # without its launcher at the level plain it might live on
        for reader in self._ends.outputs:
            self._drain(reader)
        assert self._death is not None
        if not self._death.done():
            self._death.set_result(self._told(json.loads(message) if message else None))

    def _told(self, word: dict[str, Any] | None) -> Death:
        if word is None:
            return Death("killed", "") if self._killed else Death("signal", "the launcher of the sandbox died")
        code = word["ended"]
        if word["why"] is not None:
            return Death("killed", word["why"])
        if code >= 0:
            return Death("exit", f"status {code}")
        if code == -signal.SIGKILL and self._killed:
            return Death("killed")
        if word["memory"]:
            return Death("memory", "the bound of its control group was met")
        if code == -signal.SIGKILL and killed_for_memory() > self._ends.killed_before:
            return Death("memory", "the kernel ran out of memory")
        return Death("signal", _name(-code))


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


_open_pipes: weakref.WeakSet[LinuxPipe] = weakref.WeakSet()


def _abandon_all() -> None:
    for each in list(_open_pipes):
        each.abandon()


os.register_at_fork(after_in_child=_abandon_all)

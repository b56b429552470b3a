"""What passes between the host and a guest on its channel and its outputs, on the loop that took it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import select
import socket
import struct
import termios
from collections import deque
from collections.abc import Callable
from typing import Any

from ...ports import Sink
from .ends import Ways

_SMALL, _LARGE = 1 << 16, 1 << 18  # bytes of one receive: below malloc's threshold for a mapping, and of long frames
_CHUNK = 1 << 16
_LATER = 0.01  # seconds after the start from which on all is watched; until then nobody waits for more than a word
_AHEAD = 4  # receives that nobody waited for
_CREDENTIALS = struct.Struct("=iII")  # struct ucred: pid, uid, gid


class Flow:
    """The loop watches the channel all the time: what arrives is read at once, and all output before it, and waits here
    for `receive`. Of more than a little the rest waits in the kernel, and the guest with it.
    """

    def __init__(self, ways: Ways, sink: Sink) -> None:
        self._ways = ways
        self._channel = ways.channel
        self._loop = asyncio.get_running_loop()
        self._sink = sink
        self._size = _SMALL
        self._arrived: deque[bytes] = deque()
        self._watched = self._over = False
        self._attending: asyncio.TimerHandle | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._sending = asyncio.Lock()
        self._written = select.poll()
        for reader in ways.outputs:
            self._written.register(reader, select.POLLIN)

    async def send(self, data: bytes) -> None:
        """See `Pipe`."""
        async with self._sending:
            view = memoryview(data)
            while view:
                try:
                    view = view[self._channel.send(view) :]
                except BlockingIOError:
                    await self._when(self._loop.add_writer, self._loop.remove_writer, self._channel)

    def send_now(self, data: bytes) -> int:
        """See `Immediate`."""
        if self._sending.locked():
            return 0
        try:
            return self._channel.send(data)
        except OSError:  # no room, or nobody there, whom the next to send meets
            return 0

    async def hand(self, descriptors: list[int]) -> None:
        """One byte outside of frames, and these descriptors with it; to a guest that waits for that."""
        async with self._sending:
            while True:
                try:
                    socket.send_fds(self._channel, [b"!"], descriptors)
                    return
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

    async def first_sender(self) -> int:
        """Who writes the first bytes, by the kernel's word: its number here. Raises OSError where nobody does."""
        await self._when(self._loop.add_reader, self._loop.remove_reader, self._channel)
        data, told, _, _ = self._channel.recvmsg(_SMALL, socket.CMSG_SPACE(_CREDENTIALS.size))
        self._channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
        if not data:
            raise OSError("none was made")
        for level, kind, ucred in told:
            if (level, kind, len(ucred)) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS, _CREDENTIALS.size):
                self._arrived.append(data)
                return int(_CREDENTIALS.unpack(ucred)[0])
        raise OSError("nobody stands behind what was said")

    def _begin(self) -> None:
        self._attending = self._loop.call_later(_LATER, self._attend)
        self._watch()
        self._on_channel()  # the answer to a first word that was told ahead

    def _attend(self) -> None:
        """Watch the rest, too. Output that comes earlier waits for that, or for the word that follows it."""
        for reader in self._ways.outputs:
            self._loop.add_reader(reader, self._on_output, reader)

    def _rest_for_good(self) -> None:
        if self._attending is not None:
            self._attending.cancel()
        if not self._ways.closed and not self._loop.is_closed():
            for descriptor in (*self._ways.outputs, self._channel.fileno()):
                self._loop.remove_reader(descriptor)
            self._watched = False

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
        self._drain_all()
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
            self._sink(self._ways.outputs[reader], data)
        else:
            self._loop.remove_reader(reader)

    def _drain_all(self) -> None:
        for reader, _ in self._written.poll(0):  # mostly none: one look for both
            if reader in self._ways.outputs:
                self._drain(reader)

    def _drain(self, reader: int) -> None:
        """Give the sink what is in a pipe now; a guest that goes on writing does not keep us here."""
        (left,) = struct.unpack("=i", fcntl.ioctl(reader, termios.FIONREAD, b"\0\0\0\0"))
        while left > 0:
            data = os.read(reader, left)
            if not data:
                return
            self._sink(self._ways.outputs[reader], data)
            left -= len(data)


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)

"""Two streams joined: what is read from one is written to the other, both ways, no faster than it is taken."""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass

_CHUNK = 1 << 16


@dataclass(slots=True)
class Carried:
    """How many bytes have passed so far, from the guest and to it."""

    sent: int = 0
    received: int = 0

    def out(self, size: int) -> None:
        """So many more were sent."""
        self.sent += size

    def back(self, size: int) -> None:
        """So many more were received."""
        self.received += size


async def carry(near: socket.socket, far: socket.socket, carried: Carried) -> None:
    """Carry bytes between the guest and its host until both have said all, or one is gone; then both are closed."""
    try:
        with ExitStack() as stack:
            stack.callback(near.close)
            stack.callback(far.close)
            guest, to_guest = await asyncio.open_connection(sock=near)
            stack.callback(to_guest.transport.abort)
            host, to_host = await asyncio.open_connection(sock=far)
            stack.callback(to_host.transport.abort)
            async with asyncio.TaskGroup() as flows:
                back = flows.create_task(_flow(host, to_guest, carried.back))
                await _flow(guest, to_host, carried.out)
                if _is_gone(near):
                    back.cancel()
            for writer in (to_host, to_guest):  # what waits to be taken is
                writer.close()
                await writer.wait_closed()
    except* OSError:
        pass  # one of them broke off, which the other is told by its end


async def _flow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: Callable[[int], None]) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
        count(len(data))
    with suppress(OSError):
        writer.write_eof()  # the other way stays open


def _is_gone(near: socket.socket) -> bool:
    """Whether the guest has closed its end, and not only said all that it has to say."""
    poll = select.poll()
    poll.register(near, 0)
    return any(events & select.POLLHUP for _, events in poll.poll(0))

"""The host's end of one guest: a session's first process, or a copy of one, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from ...core.execution import Death
from ...crashpoints import crashpoint
from ...ports import Pipe, Resources, Sink
from .ends import Ends, Ways
from .flow import Flow
from .layers import Refused
from .line import Line
from .process import Process, killed_for_memory

_FAREWELL = 10.0  # seconds for the kernel to take a killed session away
_OFF = "this interpreter was made without snapshots: make it with snapshots=True"


class _Guest(Flow):
    """A guest as the host holds it, on the loop that took it. `Pipe` and `Copying` say what its methods promise."""

    def __init__(self, ways: Ways, sink: Sink) -> None:
        super().__init__(ways, sink)
        self.level = ""
        self.obstacle = ""
        self._line: Line | None = None
        self._killed = False
        self._death: asyncio.Future[Death] = self._loop.create_future()
        _open_pipes.add(self)

    def interrupt(self) -> None:
        """See `Pipe`."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """See `Pipe`. The process at once, and, by the end of the line, all that its init holds, if it is the last."""
        self._killed = True
        self._signal(signal.SIGKILL)
        if self._line is not None and self._line.is_last(self):
            self._line.end()

    async def ended(self) -> Death:
        """See `Pipe`."""
        if self._line is not None:
            self._line.watch()
        return await asyncio.shield(self._death)

    @property
    def line(self) -> socket.socket | None:
        """See `Networked`."""
        return self._ways.network

    def usage(self) -> Resources | None:
        """See `Pipe`."""
        return self._ways.process.usage() if self._ways.process is not None else None

    async def aclose(self) -> None:
        """End the guest, wait until it is gone, and keep no descriptor."""
        if self._line is not None and not self._death.done():
            self.kill()
            crashpoint("session ends")
            await asyncio.wait([self._death], timeout=_FAREWELL)
            crashpoint("session ended")
        self.close()

    def close(self) -> None:
        """Keep no descriptor. A session that still runs is ended by this."""
        self._rest_for_good()
        self.abandon()
        if self._line is not None:
            self._line.leave(self)

    def abandon(self) -> None:
        """Close what is open and touch no loop: also right in a forked copy of the host."""
        _open_pipes.discard(self)
        self._ways.close()

    @asynccontextmanager
    async def copy(self, sink: Sink) -> AsyncIterator[Pipe]:
        """See `Copying`."""
        copy = await self._copied(sink)
        try:
            yield copy
        finally:
            with anyio.CancelScope(shield=True):
                await copy.aclose()

    async def _copied(self, sink: Sink) -> CopyPipe:
        line, of = self._line, self._ways.process
        if line is None or of is None:
            raise OSError("there is nothing to be copied")
        copy = CopyPipe(Ways(network=self._ways.network is not None), sink)
        try:
            async with line.turn:
                line.look()
                crashpoint("copy")
                line.order()
                try:
                    await self.hand(copy.offered())
                    crashpoint("copy ordered")
                    await copy.stand(self, line, of)
                    crashpoint("copy stands")
                finally:
                    if not copy.stands:  # else the one fork that was ordered is this
                        with anyio.CancelScope(shield=True):
                            if await line.withdraw():
                                line.end()  # somebody is there whom we do not know
        except BaseException:
            copy.close()
            raise
        return copy

    def _attend(self) -> None:
        super()._attend()
        if self._line is not None:
            self._line.watch()

    def on_line(self, word: dict[str, Any] | None) -> None:
        """See `Member`."""
        if word is None:
            self._die(None, "the launcher of the sandbox died")

    def look(self) -> None:
        """See `Member`: the zygote looks after the first process."""

    def _signal(self, number: signal.Signals) -> None:
        if self._ways.process is not None:
            self._ways.process.signal(number)

    def _die(self, code: int | None, why: str | None = None, overran: bool = False) -> None:
        """It has ended with this code; None is how nobody knows."""
        self._signal(signal.SIGKILL)  # without its launcher at the level plain it might live on
        if not self._ways.closed:
            self._drain_all()
        if not self._death.done():
            self._death.set_result(self._obituary(code, why, overran))

    def _obituary(self, code: int | None, why: str | None, overran: bool) -> Death:
        if code is None:
            return Death("killed", "" if self._killed else why or "")
        if why is not None:
            return Death("killed", why)
        if code >= 0:
            return Death("exit", f"status {code}")
        if code == -signal.SIGKILL and self._killed:
            return Death("killed")
        if overran:
            return Death("memory", "the bound of its control group was met")
        if code == -signal.SIGKILL and killed_for_memory() > self._ways.killed_before:
            return Death("memory", "the kernel ran out of memory")
        return Death("signal", _name(-code))


class LinuxPipe(_Guest):
    """The first process of a session, whose end the zygote tells."""

    def __init__(self, ends: Ends, sink: Sink) -> None:
        super().__init__(ends, sink)
        self._ends = ends

    @property
    def told(self) -> bool:
        """Whether it has heard its first word already."""
        return self._ends.told is not None

    async def settle(self) -> bool:
        """Wait until the session is locked and ready. False: it died before, or its launcher. Raises Refused."""
        while not self._ends.hear():
            await self._when(self._loop.add_reader, self._loop.remove_reader, self._ends.life)
        word = self._ends.word
        if word is None or not word.keys() & {"ready", "failed"}:
            return False
        if "failed" in word:
            raise Refused(**word["failed"])
        self.level = word["ready"]["level"]
        if "snapshots" not in self.level.split("+"):
            self.obstacle = word["ready"]["obstacle"] or _OFF
        self._line = Line(self._ends.hand_over_line())
        self._line.join(self)
        self._begin()
        crashpoint("session stands")
        return True

    def on_line(self, word: dict[str, Any] | None) -> None:
        """See `Member`."""
        if word is not None:
            self._die(word["ended"], word["why"], word["memory"])
        super().on_line(word)


class CopyPipe(_Guest):
    """A copy of a guest: a process that nobody started but the guest, and whose end the host sees by itself."""

    def __init__(self, ways: Ways, sink: Sink) -> None:
        super().__init__(ways, sink)
        self.stands = False

    def offered(self) -> list[int]:
        """What the guest is handed for the copy. From here on the kernel tells who speaks."""
        self._channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        return list(self._ways.of_guest.values())

    async def stand(self, other: _Guest, line: Line, of: Process) -> None:
        """Wait for its first word and take hold of it, if it is what it should be. Raises OSError."""
        self._ways.release_guest()
        process = Process.below(of, await self.first_sender())
        if process is None:
            raise OSError("what answered is no copy of it")
        self._ways.process = process
        self.level = other.level
        self._line = line
        line.join(self)
        self._loop.add_reader(process.fileno(), self.look)
        self._begin()
        self.stands = True

    def close(self) -> None:
        """See `_Guest`."""
        process = self._ways.process
        if process is not None and process.fileno() >= 0 and not self._loop.is_closed():
            self._loop.remove_reader(process.fileno())
        super().close()

    def look(self) -> None:
        """See `Member`."""
        process = self._ways.process
        if process is not None and process.has_ended and not self._death.done():
            self._loop.remove_reader(process.fileno())
            code = process.exit_code()
            self._die(code, "nobody saw by whom" if code is None else None)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


_open_pipes: weakref.WeakSet[_Guest] = weakref.WeakSet()


def _abandon_all() -> None:
    for each in list(_open_pipes):
        each.abandon()


os.register_at_fork(after_in_child=_abandon_all)

"""The host's end of a guest's line: each question is answered by a tunnel, and each tunnel by what came of the dial.

A question is hostile, as all that a guest says: one that is not of its form ends the guest. Nothing is received but
bytes, so that no descriptor can come in, and no more tunnels are under way than the guest has taken.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import logging
import os
import socket
import weakref
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from ..core import hosts
from ..core.events import Connected, Disconnected
from ..guest import line as words
from .carry import Carried, carry
from .dial import Resolve, Resolver, Undialled, dial

Tell: TypeAlias = Callable[[Connected | Disconnected], Awaitable[None]]

_MOST = 10_000  # questions of a cell: each is recorded
_PATIENCE = 20.0  # seconds to resolve a name and dial its addresses
_TURN = 2.0  # seconds to wait for another connection's end, where as many are open as may be
_SMALL = 2048  # bytes of the line's buffer, which the kernel doubles: room for a few tunnels that nobody has taken
_TUNNEL = 106_496  # bytes of a tunnel's buffer, the same
_log = logging.getLogger("codeact")


class Proxy:
    """Serves the line of one guest, as an async context on the loop that carries its connections.

    `tell` is awaited with what happens, before a byte passes; `broken` is called with why the guest has to be ended.
    """

    def __init__(
        self,
        line: socket.socket,
        rules: Sequence[hosts.Rule],
        most: int,
        tell: Tell,
        broken: Callable[[str], None],
        resolve: Resolve | None = None,
    ) -> None:
        self._line = line
        self.rules = rules
        self._tell = tell
        self._broken = broken
        self._resolve = resolve or Resolver()
        self._numbers = itertools.count(1)
        self._asked = 0  # in this cell
        self._places = asyncio.Semaphore(2 * most)  # of connections, and of those that wait to be one
        self._open = asyncio.Semaphore(most)
        self._most = most
        self._tasks: set[asyncio.Task[None]] = set()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SMALL)
        _open_proxies.add(self)

    async def __aenter__(self) -> Proxy:
        self._start(self._serve())
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        _open_proxies.discard(self)

    def begin(self) -> None:
        """A cell begins: it may ask as often as each."""
        self._asked = 0

    def abandon(self) -> None:
        """Close what is open and touch no loop, in a forked copy of the host: the connections are its parent's."""
        for one in list(self._sockets):
            one.close()

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- the line ------------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._places.acquire()
            await asyncio.sleep(0)  # questions that wait already must not keep the loop from everything else
            try:
                message = await loop.sock_recv(self._line, words.LONGEST + 64)
                if not message:
                    return
                number, host, port = words.read_question(message)
                near = await self._answer(number)
            except words.Nonsense as nonsense:
                self._broken(str(nonsense))
                return
            except OSError:
                return  # the guest is gone
            if near is None:
                self._places.release()
            else:
                self._start(self._connect(near, host, port))

    async def _answer(self, number: int) -> socket.socket | None:
        """Our end of a tunnel whose other end the guest has been given; None where there was none to give."""
        near = theirs = None
        try:
            near, theirs = self._tunnel()
            await self._pass(words.answer(number, True), [theirs.fileno()])
            return near
        except OSError as error:
            if near is not None:
                near.close()
            if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ETOOMANYREFS, errno.ENOBUFS, errno.ENOMEM):
                raise
            _log.warning("network: no connection can be made: %s", error.strerror)
            await self._pass(words.answer(number, False), [])
            return None
        finally:
            if theirs is not None:
                theirs.close()

    def _tunnel(self) -> tuple[socket.socket, socket.socket]:
        near, theirs = socket.socketpair()
        self._sockets.add(near)
        near.setblocking(False)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _TUNNEL)
        theirs.setblocking(False)
        if theirs.send(bytes(words.FILLER)) < words.FILLER:
            raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))
        return near, theirs

    async def _pass(self, message: bytes, descriptors: list[int]) -> None:
        """Send this; waits while the guest does not take what it asked for."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                socket.send_fds(self._line, [message], descriptors)
                return
            except BlockingIOError:
                room = loop.create_future()
                loop.add_writer(self._line, _settle, room)
                try:
                    await room
                finally:
                    loop.remove_writer(self._line)

    # -- a connection --------------------------------------------------------------------------------------------------

    async def _connect(self, near: socket.socket, host: str, port: int) -> None:
        self._asked += 1
        try:
            if self._asked > _MOST:
                self._finish(near, "busy", f"{_MOST:,} connections are the most that one cell may ask for")
            elif not await self._has_turn():
                self._finish(near, "busy", f"{self._most} connections are open, as many as may be: close some")
            else:
                try:
                    await self._carried(next(self._numbers), near, host, port)
                finally:
                    self._open.release()
        except Exception:  # ours, such as a journal that cannot write: what is not recorded does not happen
            _log.exception("network: a connection was given up")
        finally:
            near.close()
            self._places.release()

    async def _has_turn(self) -> bool:
        try:
            async with asyncio.timeout(_TURN):
                await self._open.acquire()
        except TimeoutError:
            return False
        return True

    async def _carried(self, number: int, near: socket.socket, host: str, port: int) -> None:
        shown = hosts.plain(host) or ascii(host)[1:-1][:300]
        try:
            address, far = await self._dial(host, port)
        except Undialled as undialled:
            await self._tell(Connected(number, shown, port, undialled.address, undialled.why))
            self._finish(near, undialled.kind, undialled.why)
            return
        carried = Carried()
        with far:
            await self._tell(Connected(number, shown, port, address))
            try:
                if self._finish(near, "connected"):
                    await carry(near, far, carried)
            finally:
                await self._tell(Disconnected(number, carried.sent, carried.received))

    async def _dial(self, host: str, port: int) -> tuple[str, socket.socket]:
        name = hosts.allowed(self.rules, host, port)
        if name is None:
            raise Undialled("forbidden", hosts.refusal(self.rules, host, port))
        try:
            async with asyncio.timeout(_PATIENCE):
                return await dial(name, port, self._resolve, self._sockets.add)
        except TimeoutError:
            raise Undialled("timeout", f"{name}:{port} did not answer within {_PATIENCE:g} s") from None

    def _finish(self, near: socket.socket, kind: words.Kind, text: str = "") -> bool:
        """Say what came of the dial, and let the tunnel be written to; whether the guest is still there."""
        try:
            near.send(words.outcome(kind, text))
            left = words.FILLER
            while left:
                left -= len(near.recv(left))
        except OSError:
            return False
        return True


def _settle(room: asyncio.Future[None]) -> None:
    if not room.done():
        room.set_result(None)


_open_proxies: weakref.WeakSet[Proxy] = weakref.WeakSet()


def _abandon_all() -> None:
    for each in list(_open_proxies):
        each.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)

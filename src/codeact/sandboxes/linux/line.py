"""The line from the host to the zygote on which a session's end is told, on the loop that took it.

A session and its copies share one; it is closed with the last of them, and whatever is left of all ends with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import weakref
from typing import Any, Protocol

from .orders import ORDER, REAP, WITHDRAW

_WORD = 1 << 16


class Member(Protocol):
    """One of those who share a line."""

    def on_line(self, word: dict[str, Any] | None) -> None:
        """The first process ended like this; None: the line is at its end, and with it everybody."""

    def look(self) -> None:
        """Take notice of one's own end now, if it has come: in a moment it may not be there to be seen."""


class Line:
    """Forks are ordered on it one at a time: hold `turn`."""

    def __init__(self, life: socket.socket) -> None:
        self._life = life
        self._loop = asyncio.get_running_loop()
        self._members: dict[Member, None] = {}
        self._forks: asyncio.Future[int] | None = None
        self.turn = asyncio.Lock()
        self._watched = False
        _lines.add(self)

    def join(self, member: Member) -> None:
        """One more holds the line."""
        self._members[member] = None

    def watch(self) -> None:
        """Listen to it from here on."""
        if not self._watched and self._life.fileno() >= 0:
            self._watched = True
            self._loop.add_reader(self._life.fileno(), self._on_word)

    def leave(self, member: Member) -> None:
        """One less; nothing lives on after the last."""
        self._members.pop(member, None)
        if not self._members:
            self.close()
            return
        self.look()
        self._say(REAP)

    def is_last(self, member: Member) -> bool:
        """Whether nobody else holds it."""
        return not self._members.keys() - {member}

    def look(self) -> None:
        """Have everybody look whether they have ended."""
        for member in list(self._members):
            member.look()

    def order(self) -> None:
        """Let one fork pass."""
        self._say(ORDER)

    async def withdraw(self) -> int:
        """Let none pass any more; the answer is how many did."""
        self.watch()
        self._forks = self._loop.create_future()
        return await self._forks if self._say(WITHDRAW) else 0

    def end(self) -> None:
        """End everybody on it, and what nobody knows of."""
        with contextlib.suppress(OSError):  # it has ended
            self._life.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Hold it no more."""
        if self._life.fileno() >= 0 and not self._loop.is_closed():
            self._loop.remove_reader(self._life.fileno())
        self.abandon()

    def abandon(self) -> None:
        """Close it and touch no loop: also right in a forked copy of the host."""
        _lines.discard(self)
        self._life.close()

    def _say(self, word: bytes) -> bool:
        try:
            self._life.send(word)
        except OSError:
            return False
        return True

    def _on_word(self) -> None:
        try:
            message = self._life.recv(_WORD)
        except BlockingIOError:
            return
        except ConnectionError:
            message = b""
        word = json.loads(message) if message else None
        if word is None:
            self._loop.remove_reader(self._life.fileno())
        if self._forks is not None and not self._forks.done() and (word is None or "forks" in word):
            self._forks.set_result(word["forks"] if word is not None else 0)
        if word is None or "ended" in word:
            for member in list(self._members):
                member.on_line(word)


_lines: weakref.WeakSet[Line] = weakref.WeakSet()


def _abandon_all() -> None:
    for each in list(_lines):
        each.abandon()


os.register_at_fork(after_in_child=_abandon_all)

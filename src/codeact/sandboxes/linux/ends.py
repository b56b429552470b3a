"""The host's ends of a session's descriptors, from before it is ordered until nothing of it is held.

Bound to no event loop and to no thread; what can be done before there is one is done here. In a forked copy of the host
all of them are closed: the sessions are its parent's.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import weakref
from typing import Any

from ...core.execution import Stream
from .process import Process, killed_for_memory

_WORD = 1 << 16  # bytes of the longest message


class Ways:
    """The channel of words and the two outputs; with `network` a line, too, on which the guest asks for connections."""

    def __init__(self, *, network: bool = False) -> None:
        _held.add(self)
        self.process: Process | None = None
        self.killed_before = killed_for_memory()
        self.outputs: dict[int, Stream] = {}
        self.network: socket.socket | None = None
        self._writers: dict[str, int] = {}
        self._guest_network: socket.socket | None = None
        self.channel, self._guest_channel = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.channel.setblocking(False)
        try:
            self._pipe("stdout")
            self._pipe("stderr")
            if network:
                self.network, self._guest_network = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                self.network.setblocking(False)
        except OSError:
            self.close()
            raise

    def _pipe(self, stream: Stream) -> None:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        self.outputs[reader] = stream
        self._writers[stream] = writer

    @property
    def of_guest(self) -> dict[str, int]:
        """What the session is given, by name: its ends of all this."""
        given = {"channel": self._guest_channel.fileno(), **self._writers}
        return given if self._guest_network is None else given | {"network": self._guest_network.fileno()}

    def release_guest(self) -> None:
        """They have been passed on; from here on the end of the session is seen."""
        self._guest_channel.close()
        if self._guest_network is not None:
            self._guest_network.close()
        for writer in self._writers.values():
            os.close(writer)
        self._writers = {}

    @property
    def closed(self) -> bool:
        """Whether nothing is held any more."""
        return self.channel.fileno() < 0

    def close(self) -> None:
        """Hold nothing."""
        _held.discard(self)
        if not self.closed:
            self.release_guest()
            self.channel.close()
            if self.network is not None:
                self.network.close()
            for reader in self.outputs:
                os.close(reader)
            self.outputs = {}
            if self.process is not None:
                self.process.close()

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):  # there were no descriptors left to make it whole
            self.close()  # of an order that nobody waits for any more, because its launch was cancelled


class Ends(Ways):
    """Those of a session of its own: there is a line to the zygote, on which its beginning and end are told."""

    def __init__(self, *, network: bool = False) -> None:
        self.heard = False
        self.word: dict[str, Any] | None = None  # the first on the line; None too of a line that ended before
        self.told: bytes | None = None  # what it was told first, if it was
        self.life, self._guest_life = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.life.setblocking(False)
        self._line_is_ours = True
        super().__init__(network=network)

    @property
    def of_guest(self) -> dict[str, int]:
        """See `Ways`."""
        return super().of_guest | {"life": self._guest_life.fileno()}

    def release_guest(self) -> None:
        """See `Ways`."""
        super().release_guest()
        self._guest_life.close()

    def hear(self) -> bool:
        """Take the first word on the line, and hold the process that it tells of. False: it has not come yet."""
        if self.heard:
            return True
        try:
            message = self.life.recv(_WORD)
        except BlockingIOError:
            return False
        except ConnectionError:
            message = b""
        self.heard = True
        self.word = json.loads(message) if message else None
        if self.word is not None and "ready" in self.word:
            self.process = Process(self.word["ready"]["pid"], self.word["ready"]["began"])
        return True

    def tell(self, first: bytes) -> None:
        """Have a session that is locked and ready hear this, before anybody takes it."""
        if self.word is None or "ready" not in self.word:
            return
        with contextlib.suppress(OSError):  # it has ended, and whoever takes it hears how
            if self.channel.send(first) == len(first):
                self.told = first

    @property
    def ended(self) -> bool:
        """Whether the session is no more; what was told on the line before that can still be read."""
        line = select.poll()
        line.register(self.life, select.POLLRDHUP)
        return bool(line.poll(0))

    def hand_over_line(self) -> socket.socket:
        """From here on the line is another's to close."""
        self._line_is_ours = False
        return self.life

    def close(self) -> None:
        """Hold nothing. A session that still runs is ended by this, unless its line is another's."""
        super().close()
        if self._line_is_ours:
            self.life.close()


_held: weakref.WeakSet[Ways] = weakref.WeakSet()


def _close_all() -> None:
    for each in list(_held):
        each.close()


os.register_at_fork(after_in_child=_close_all)

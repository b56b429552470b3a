"""The line on which connections are asked for: its words, for both ends, and the guest's end of it.

The guest sends a question (a message of its own: number, port, host), and the host answers at once by one end of a
stream, the tunnel; the other end stays with the host, which dials meanwhile. What came of that is the first that is
heard through the tunnel, and until then the tunnel cannot be written to, as a socket that connects cannot. So many
threads, or one event loop, can wait for many hosts. No descriptor ever goes the other way.
"""

from __future__ import annotations

import _socket
import _thread
import array
import errno
import os
import select
import struct
import time
from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

if __package__:
    from .interrupts import shut_to_interrupts

Kind: TypeAlias = Literal["connected", "forbidden", "unknown", "refused", "timeout", "unreachable", "busy"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LONGEST = 1024  # bytes of a host's name as it is asked for, whatever it is
FILLER = 1 << 16  # bytes that keep a new tunnel from being written to: more than a quarter of its buffer
_QUESTION = struct.Struct(">IH")
_ANSWER = struct.Struct(">I?")
_OUTCOME = struct.Struct(">BH")
_SLICE = 50  # milliseconds between two looks at whether to stop waiting


class Nonsense(Exception):
    """A question that is none."""


def question(number: int, host: str, port: int) -> bytes:
    """The bytes of a question."""
    return _QUESTION.pack(number, port) + host.encode("utf-8", "surrogatepass")[:LONGEST]


def read_question(message: bytes) -> tuple[int, str, int]:
    """Number, host and port; the host is any text. Raises Nonsense."""
    if not _QUESTION.size < len(message) <= _QUESTION.size + LONGEST:
        raise Nonsense(f"a question of {len(message)} bytes")
    number, port = _QUESTION.unpack_from(message)
    return number, message[_QUESTION.size :].decode("utf-8", "backslashreplace"), port


def answer(number: int, given: bool) -> bytes:
    """The bytes of an answer: whether a tunnel comes with it."""
    return _ANSWER.pack(number, given)


def outcome(kind: Kind, text: str = "") -> bytes:
    """The first bytes of a tunnel."""
    words = text.encode("utf-8", "replace")[:4096]
    return _OUTCOME.pack(KINDS.index(kind), len(words)) + words


def read_outcome(tunnel: int) -> tuple[Kind, str]:
    """What came of the dial, once the tunnel can be read."""
    try:
        head = os.read(tunnel, _OUTCOME.size)
    except ConnectionError:
        head = b""
    if len(head) < _OUTCOME.size:
        return "unreachable", "the connection was given up"
    kind, length = _OUTCOME.unpack(head)
    return KINDS[kind], os.read(tunnel, length).decode("utf-8", "replace") if length else ""


def wait(descriptor: int, deadline: float | None, check: Callable[[], None]) -> bool:
    """Until it can be read; False when the deadline comes first. `check` raises what ends the waiting."""
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)
    while True:
        left = _SLICE if deadline is None else min(_SLICE, max(0.0, deadline - time.monotonic()) * 1000)
        if ready.poll(left):
            return True
        check()
        if deadline is not None and time.monotonic() >= deadline:
            return False


class Line:
    """The guest's end. One thread asks at a time, which takes as long as the host needs for an answer: no dial."""

    def __init__(self, descriptor: int, check: Callable[[], None]) -> None:
        self._line = _socket.socket(fileno=descriptor)
        self._turn = _thread.allocate_lock()
        self._number = 0
        self._check = check

    @shut_to_interrupts
    def ask(self, host: str, port: int, deadline: float | None) -> int:
        """A tunnel for this host and port, of which nothing is known yet. Raises OSError, TimeoutError."""
        while not self._turn.acquire(timeout=_SLICE / 1000):
            self._check()
            self._late(deadline)
        try:
            self._number = number = (self._number + 1) & 0xFFFFFFFF
            try:
                self._line.send(question(number, host, port))
            except OSError:
                raise OSError(errno.ENETDOWN, "nothing can be reached any more") from None
            while True:
                if not wait(self._line.fileno(), deadline, self._check):
                    self._late(deadline)
                heard, tunnel = self._hear()
                if heard == number:
                    if tunnel is None:
                        raise OSError(errno.ENOBUFS, "no connection can be had at the moment")
                    return tunnel
                if tunnel is not None:  # of a question that nobody waits for any more
                    os.close(tunnel)
        finally:
            self._turn.release()

    def _hear(self) -> tuple[int, int | None]:
        room = _socket.CMSG_SPACE(array.array("i").itemsize)
        message, passed, _, _ = self._line.recvmsg(_ANSWER.size, room)
        if len(message) < _ANSWER.size:
            raise OSError(errno.ENETDOWN, "nothing can be reached any more")
        tunnels = array.array("i")
        for _, _, data in passed:
            tunnels.frombytes(data)
        return _ANSWER.unpack(message)[0], tunnels[0] if tunnels else None

    def _late(self, deadline: float | None) -> None:
        if deadline is not None and time.monotonic() >= deadline:
            raise TimeoutError("timed out")

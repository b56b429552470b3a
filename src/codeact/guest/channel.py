"""One descriptor, many threads that wait: words out, and each answer to the thread that waits for it.

No thread stands by to read. Whoever waits reads: the first to find nobody reading takes the descriptor, delivers what
comes for others, and when it has its own answer leaves the reading to the next who waits. So a tool call of a single
thread costs no switch between threads. Between cells the main thread waits for the host's next word in the same way.
"""

from __future__ import annotations

import _thread
import os
import select
import socket  # what is asked of it below is not there in WebAssembly, where nobody asks
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from .interrupts import open_to_interrupts, shut_to_interrupts
from .turns import AFTER, PATIENCE, Turns
from .wire import HOST_WORDS, Decoder, ProtocolError, Returned, Word, encode

SMALL, LARGE = 64 << 10, 1 << 20  # bytes asked for at once: below malloc's threshold for a mapping, and for long frames
_LITTLE = 4096


class Ended(Exception):
    """The host has hung up."""


class Waiter:
    """Something that waits for one word; `ring` wakes the thread that listens."""

    def __init__(self) -> None:
        self.id = 0
        self.word: Any = None
        self.listening = False
        self._bell = _thread.allocate_lock()
        self._bell.acquire()

    def answer(self, word: Any) -> None:
        """Called by whichever thread read the word."""
        self.word = word
        self.ring()

    def ring(self) -> None:
        """Wake the listener; a ring before it listens is remembered."""
        with suppress(RuntimeError):  # it is ringing already
            self._bell.release()

    @open_to_interrupts
    def listen(self, check: Callable[[], None]) -> None:
        """Sleep until the bell rings."""
        check()
        self._bell.acquire()

    def turn(self) -> None:
        """Those before it have taken their answers."""
        self.ring()

    def gone(self) -> bool:
        """Never: its thread comes, or is not waited for."""
        return False

    def take_turn(self, turns: Turns) -> None:
        """Return when those that were answered before have taken their answers."""
        waited = False
        while not turns.first(self):
            waited = True
            if not self._bell.acquire(True, PATIENCE):
                turns.late(self)
        if waited:  # to go on at once would be to contend with the one before, which has only begun to
            time.sleep(AFTER)


class Descriptor:
    """A way to the host: what a channel needs of it. There is another one in `wasm`."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._poll = select.poll()
        self._poll.register(number, select.POLLIN)

    def ready(self) -> bool:
        """Whether there is something to read."""
        return bool(select.select([self.number], [], [], 0)[0])

    def wait(self) -> None:
        """Sleep until there is something to read, or a signal has come."""
        self._poll.poll()

    def read(self, most: int) -> bytes:
        """What has come, nothing at the end of it."""
        try:
            return os.read(self.number, most)
        except MemoryError:  # cells have taken nearly all there is
            return os.read(self.number, _LITTLE)

    def write(self, data: memoryview) -> int:
        """Write some of it and say how much; raises OSError when the host is gone."""
        return os.write(self.number, data)

    def aside(self, read: Callable[[], None]) -> None:
        """Have somebody else read while the main thread does not."""
        _thread.start_new_thread(read, ())

    def handed(self, count: int) -> list[int] | None:
        """The descriptors that come with one byte outside of frames; None when there was no room for so many."""
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, self.number)
        try:
            byte, descriptors, flags, _ = socket.recv_fds(line, 1, count)
        finally:
            line.detach()
        if not byte:
            raise Ended
        if len(descriptors) == count and not flags & socket.MSG_CTRUNC:
            return descriptors
        for descriptor in descriptors:
            os.close(descriptor)
        return None

    def renew(self, descriptor: int) -> None:
        """In a copy: from here on this one is behind the number."""
        os.dup2(descriptor, self.number, inheritable=False)


class Stage:
    """A way for rehearsals: what is read is laid ready, and what is written is kept."""

    def __init__(self, ready: bytes) -> None:
        self._ready = ready
        self.written = b""

    def ready(self) -> bool:
        return bool(self._ready)

    def wait(self) -> None:
        """It is there."""

    def read(self, most: int) -> bytes:
        data, self._ready = self._ready[:most], self._ready[most:]
        return data

    def write(self, data: memoryview) -> int:
        self.written += data
        return len(data)

    def aside(self, read: Callable[[], None]) -> None:
        """Nobody stands there."""


class Way(Protocol):
    """What `Descriptor` has."""

    def ready(self) -> bool: ...
    def wait(self) -> None: ...
    def read(self, most: int) -> bytes: ...
    def write(self, data: memoryview) -> int: ...
    def aside(self, read: Callable[[], None]) -> None: ...


class Channel:
    """The guest's end of the stream to the host."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.aside = way.aside
        self._main = _thread.get_ident()
        self._asked = 0
        self._begin()
        self.check: Callable[[], None] = lambda: None  # raises a waiting interrupt
        self.before: Callable[[], bytes] = bytes  # what is to be said ahead of a question

    def _begin(self) -> None:
        self._writing = _thread.allocate_lock()
        self._reading = _thread.allocate_lock()
        self._decoder = Decoder(HOST_WORDS)
        self._waiters: dict[int, Waiter] = {}
        self._inbox: deque[Word] = deque()
        self._owner = Waiter()
        self.turns = Turns()
        self._size = SMALL
        self._taking = False

    def renew(self) -> None:
        """In a copy: the way is new, and nothing was said on it yet."""
        self._begin()

    def expecting(self) -> bool:
        """Whether anybody waits for an answer, or has one and has not taken it."""
        return bool(self._waiters) or len(self.turns) > 1

    def arriving(self) -> bool:
        """Whether a word of the host has come that is not answered yet."""
        return self._taking or bool(self._inbox) or self.way.ready()

    @shut_to_interrupts
    def send(self, word: Word) -> None:
        """Send a word whole; raises TooLarge with nothing sent, Ended when the host is gone."""
        frame = encode(word)
        self._taking = False
        with self._writing:
            self._write(frame)

    @shut_to_interrupts
    def say(self, frame: bytes) -> None:
        """Send the frame of a word."""
        with self._writing:
            self._write(frame)

    @shut_to_interrupts
    def ask(self, waiter: Waiter, question: Callable[[int], Word]) -> None:
        """Send the question of the next number; the waiter gets its answer."""
        with self._writing:
            number = self._asked + 1
            frame = encode(question(number))
            frame = self.before() + frame
            self._asked = waiter.id = number
            self._waiters[number] = waiter
            self._write(frame)

    @shut_to_interrupts
    def next(self) -> Word:
        """The next word of the host that is not an answer, for the main thread."""
        while not self._inbox:
            self._owner.word = None
            if not self._inbox:
                self.wait(self._owner)
        return self._inbox.popleft()

    @shut_to_interrupts
    def wait(self, waiter: Waiter) -> None:
        """Return when the waiter has its word."""
        waiter.listening = True
        try:
            while waiter.word is None:
                if self._reading.acquire(False):
                    try:
                        while waiter.word is None:
                            self._ready()
                            self._take(waiter)
                    finally:
                        self._reading.release()
                else:
                    waiter.listen(self.check)
        finally:
            waiter.listening = False
            self._waiters.pop(waiter.id, None)
            if self._waiters or self._owner.listening:
                self._pass_on()

    @shut_to_interrupts
    def dismiss(self, failure: list[Any]) -> None:
        """Answer every open question by this failure; what the host says to it later is nobody's."""
        for number in list(self._waiters):
            waiter = self._waiters.pop(number, None)
            if waiter is not None:
                waiter.answer(Returned(number, None, failure))

    @open_to_interrupts
    def _ready(self) -> None:
        """In the main thread, wait for bytes: this wait may be broken off, the reading that follows not."""
        if _thread.get_ident() == self._main:
            self.check()
            self.way.wait()
            self._taking = True

    def _take(self, reader: Waiter | None = None) -> None:
        data = self.way.read(self._size)
        if not data:
            raise Ended
        self._size = LARGE if len(data) == self._size else SMALL
        try:
            words = self._decoder.feed(data)
        except ProtocolError:
            os._exit(1)  # the host is not the one we know: there is nobody to tell
        for word in words:
            if type(word) is Returned:
                waiter = self._waiters.pop(word.id, None)
                if waiter is not None:
                    self.turns.came(waiter)
                    waiter.answer(word)
            else:
                self._inbox.append(word)
                self._owner.word = word
                if reader is not self._owner:
                    self._owner.ring()

    def _pass_on(self) -> None:
        if self._reading.locked():
            return
        for waiter in (*self._waiters.values(), self._owner):
            if waiter.listening:
                waiter.ring()
                return

    def _write(self, frame: bytes) -> None:
        rest = memoryview(frame)
        try:
            while rest:
                rest = rest[self.way.write(rest) :]
        except OSError:
            raise Ended from None

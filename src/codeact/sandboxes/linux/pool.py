"""Sessions that were ordered before anybody asked for them: locked, probed, and waiting for their first word.

Only what repeats is pooled: a kind of session (its launcher, its bounds) that is asked for a second time. What is on
the shelf is given away once and never comes back. One thread fills the shelves and empties those that nobody has asked
of for a while; it lives as long as there is something to do. Nothing here is bound to an event loop.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import threading
import time
from collections import deque
from dataclasses import dataclass, field

from .ends import Ends
from .launchers import Launcher

_KINDS = 8  # that are remembered; the one that was not asked for the longest goes
_IDLE = 300.0  # seconds without a request until a shelf is emptied
_STANDS = 1.0  # seconds in which a session is locked and rehearsed; whoever takes it earlier, or later, waits himself
_AT_ONCE = max(2, (os.cpu_count() or 1) // 2)  # that are made side by side: part of it is waiting for the kernel
_LONGEST = 1 << 15  # bytes of a first word that is told ahead: so many fit into a channel that nobody reads
PAUSE = 0.005  # seconds after a request before its shelf is filled: who asked runs his first cell meanwhile


@dataclass(frozen=True, slots=True)
class Kind:
    """What makes two sessions the same before their first word."""

    launcher: Launcher
    required: str
    bounds: tuple[tuple[str, int], ...]
    network: bool = False

    def order(self) -> Ends:
        """Have one made. It blocks while a launcher starts; that the session itself stands is not waited for."""
        ends = Ends(network=self.network)
        try:
            self.launcher.order(dict(self.bounds), ends.of_guest, self.required)
        except BaseException:
            ends.close()
            raise
        ends.release_guest()
        return ends


@dataclass(slots=True)
class _Shelf:
    size: int = 0
    asked: float = 0.0
    first: bytes | None = None  # what who asked last wants his session to be told first
    usual: bytes | None = None  # the same, where the one before him wanted it too
    ready: deque[Ends] = field(default_factory=deque)

    @property
    def has_room(self) -> bool:
        return len(self.ready) < self.size

    def wanted(self, first: bytes | None) -> None:
        self.usual = first if first is not None and first == self.first and len(first) <= _LONGEST else None
        self.first = first

    def fitting(self, first: bytes | None) -> Ends | None:
        """One that was told this, or else nothing. Where there are others only, one makes room for what would fit."""
        for wanted in dict.fromkeys((first, None)):
            for ends in self.ready:
                if ends.told == wanted:
                    self.ready.remove(ends)
                    return ends
        if self.ready:
            self.ready.popleft().close()
        return None


@dataclass(frozen=True, slots=True)
class _Made:
    """One that lies on its shelf and may not stand yet."""

    kind: Kind
    ends: Ends
    until: float  # when nobody waits for it any more


class Pool:
    """The shelves of all kinds, in the order in which they were last asked of."""

    def __init__(self, idle: float = _IDLE) -> None:
        self._idle = idle
        self._begin()

    def _begin(self) -> None:
        self._shelves: dict[Kind, _Shelf] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._bell: int | None = None  # heard by the thread, as long as there is one
        self._making: list[_Made] = []
        self._closed = False
        self._rests = False

    def take(self, kind: Kind, size: int, first: bytes | None = None) -> Ends | None:
        """One of the shelf, or None; in both cases the next ones are ready sooner. At most `size` are kept.

        `first` is what it will be told first: when that was so the last time, too, it may have been told already.
        """
        with self._lock:
            known = self._shelves.pop(kind, None)
            shelf = self._shelves[kind] = known or _Shelf()
            shelf.asked = time.monotonic()
            shelf.wanted(first)
            if known is not None:
                shelf.size = size
                if not shelf.ready:
                    self._wake()
            while len(self._shelves) > _KINDS:
                self._drop(next(iter(self._shelves)))
            if self._making:
                self._ring()  # to listen on a line is to hold it, and this one may be among them
            while (ends := shelf.fitting(first)) is not None:
                if not ends.ended:
                    return ends
                ends.close()
            return None

    def refill(self) -> None:
        """Have what was taken made again. Whoever took it calls this when he has no need of the processor."""
        with self._lock:
            self._wake()

    def settled(self) -> bool:
        """Whether every shelf is filled, and nothing is being made."""
        with self._lock:
            filled = not any(shelf.has_room for shelf in self._shelves.values())
            return self._thread is None or (self._rests and filled)

    def empty(self) -> None:
        """Forget all kinds and end what is ready of them."""
        with self._lock:
            for kind in list(self._shelves):
                self._drop(kind)
            self._ring()
            thread = self._thread
        if thread is not None:
            thread.join()

    def close(self) -> None:
        """The same, and fill no shelf any more."""
        self._closed = True
        self.empty()

    def forget(self) -> None:
        """In a forked copy of the host: what is on the shelves is the parent's, and so is the thread."""
        if self._bell is not None:
            os.close(self._bell)
        self._begin()

    def _wake(self) -> None:
        if self._closed:
            return
        if self._thread is not None:
            self._ring()
            return
        with contextlib.suppress(OSError):  # short of descriptors, or else of threads: whoever asks waits himself
            bell = os.eventfd(0)
            thread = threading.Thread(target=self._tend, args=(bell,), name="codeact-pool", daemon=True)
            self._thread, self._bell = thread, bell
            try:
                thread.start()
            except RuntimeError:
                self._thread = self._bell = None
                os.close(bell)

    def _ring(self) -> None:
        if self._bell is not None:
            os.eventfd_write(self._bell, 1)

    def _drop(self, kind: Kind) -> None:
        for ends in self._shelves.pop(kind).ready:
            ends.close()

    def _tend(self, bell: int) -> None:
        while True:
            with self._lock:
                self._making = [made for made in self._making if self._may_come(made)]
                kind, pause = self._next()
                if kind is None and pause is None:
                    self._thread = self._bell = None
                    os.close(bell)
                    return
                lines = [made.ends.life.fileno() for made in self._making]
                self._rests = kind is None and not lines
            if kind is None:
                _listen(bell, lines, pause)
            else:
                self._make(kind)

    def _may_come(self, made: _Made) -> bool:
        """Whether it is still to be waited for. One that stands is told what it will be told by whoever takes it."""
        shelf = self._shelves.get(made.kind)
        if shelf is None or made.ends not in shelf.ready:  # it was taken, or dropped
            return False
        if not made.ends.hear():
            return time.monotonic() < made.until
        if shelf.usual is not None:
            made.ends.tell(shelf.usual)
        return False

    def _next(self) -> tuple[Kind | None, float | None]:
        """What is to be made now, or else for how many seconds nothing is; neither when nothing ever will be."""
        now = time.monotonic()
        for kind, shelf in list(self._shelves.items()):
            if now - shelf.asked >= self._idle:
                self._drop(kind)
        due = {shelf.asked + PAUSE: kind for kind, shelf in self._shelves.items() if shelf.has_room}
        later = [shelf.asked + self._idle for shelf in self._shelves.values() if shelf.size]
        later += [made.until for made in self._making]
        if self._closed or not later:
            return None, None
        if due and len(self._making) < _AT_ONCE:
            if min(due) <= now:
                return due[min(due)], None
            later.append(min(due))
        return None, min(later) - now

    def _make(self, kind: Kind) -> None:
        try:
            ends = kind.order()
        except Exception:  # whatever it was, whoever asks next meets it himself, and hears of it
            with self._lock:
                if kind in self._shelves:
                    self._drop(kind)
            return
        with self._lock:
            shelf = self._shelves.get(kind)
            if shelf is None or self._closed:
                ends.close()
            else:
                shelf.ready.append(ends)
                self._making.append(_Made(kind, ends, time.monotonic() + _STANDS))


def _listen(bell: int, lines: list[int], seconds: float | None) -> None:
    """Until the bell rings, something is said on a line, or the time is over."""
    listening = select.poll()
    for descriptor in (bell, *lines):
        listening.register(descriptor, select.POLLIN)
    heard = listening.poll(None if seconds is None else max(0.0, seconds) * 1000)
    if (bell, select.POLLIN) in heard:
        os.eventfd_read(bell)


POOL = Pool()
atexit.register(POOL.close)
os.register_at_fork(after_in_child=POOL.forget)

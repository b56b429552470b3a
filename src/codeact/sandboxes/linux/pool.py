"""Sessions that were ordered before anybody asked for them: locked, probed, and waiting for their first word.

Only what repeats is pooled: a kind of session (its launcher, its bounds) that is asked for a second time. What is on
the shelf is given away once and never comes back. One thread fills the shelves and empties those that nobody has asked
of for a while; it lives as long as there is something to do. Nothing here is bound to an event loop.
"""

from __future__ import annotations

import atexit
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


class Pool:
    """The shelves of all kinds, in the order in which they were last asked of."""

    def __init__(self, idle: float = _IDLE) -> None:
        self._idle = idle
        self._begin()

    def _begin(self) -> None:
        self._shelves: dict[Kind, _Shelf] = {}
        self._change = threading.Condition(threading.Lock())
        self._thread: threading.Thread | None = None
        self._closed = False
        self._rests = False

    def take(self, kind: Kind, size: int, first: bytes | None = None) -> Ends | None:
        """One of the shelf, or None; in both cases the next ones are ready sooner. At most `size` are kept.

        `first` is what it will be told first: when that was so the last time, too, it may have been told already.
        """
        with self._change:
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
            while (ends := shelf.fitting(first)) is not None:
                if not ends.ended:
                    return ends
                ends.close()
            return None

    def refill(self) -> None:
        """Have what was taken made again. Whoever took it calls this when he has no need of the processor."""
        with self._change:
            self._wake()

    def settled(self) -> bool:
        """Whether every shelf is filled, and nothing is being made."""
        with self._change:
            filled = all(len(shelf.ready) >= shelf.size for shelf in self._shelves.values())
            return self._thread is None or (self._rests and filled)

    def empty(self) -> None:
        """Forget all kinds and end what is ready of them."""
        with self._change:
            for kind in list(self._shelves):
                self._drop(kind)
            self._change.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def close(self) -> None:
        """The same, and fill no shelf any more."""
        self._closed = True
        self.empty()

    def forget(self) -> None:
        """In a forked copy of the host: what is on the shelves is the parent's, and so is the thread."""
        self._begin()

    def _wake(self) -> None:
        if self._closed:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._tend, name="codeact-pool", daemon=True)
            self._thread.start()
        else:
            self._change.notify()

    def _drop(self, kind: Kind) -> None:
        for ends in self._shelves.pop(kind).ready:
            ends.close()

    def _tend(self) -> None:
        while True:
            with self._change:
                kind = self._next()
                if kind is None:
                    self._thread = None
                    return
            try:
                ends = kind.order()
            except Exception:  # whatever it was, whoever asks next meets it himself, and hears of it
                with self._change:
                    if kind in self._shelves:
                        self._drop(kind)
                continue
            self._put(kind, ends)

    def _put(self, kind: Kind, ends: Ends) -> None:
        """On its shelf; and have it stand, as far as nobody takes it before."""
        line = select.poll()
        line.register(ends.life, select.POLLIN)
        with self._change:
            shelf = self._shelves.get(kind)
            if shelf is None or self._closed:
                ends.close()
                return
            shelf.ready.append(ends)
        line.poll(_STANDS * 1000)
        with self._change:
            if ends in shelf.ready and not ends.closed:  # it may have been taken meanwhile, or dropped
                ends.hear()
                if shelf.usual is not None:
                    ends.tell(shelf.usual)

    def _next(self) -> Kind | None:
        """Wait for a shelf that has room; None when there will be none."""
        while not self._closed:
            now = time.monotonic()
            for kind, shelf in list(self._shelves.items()):
                if now - shelf.asked >= self._idle:
                    self._drop(kind)
            due = {self._due(shelf): kind for kind, shelf in self._shelves.items() if shelf.size}
            if not due:
                return None
            when = min(due)
            if when <= now:
                return due[when]
            self._rests = True
            self._change.wait(when - now)
            self._rests = False
        return None

    def _due(self, shelf: _Shelf) -> float:
        return shelf.asked + (PAUSE if len(shelf.ready) < shelf.size else self._idle)


POOL = Pool()
atexit.register(POOL.close)
os.register_at_fork(after_in_child=POOL.forget)

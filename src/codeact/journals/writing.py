"""One thread that writes for all the runs of a place: what comes while it commits is committed together, next.

So a hundred runs at once wait for a handful of commits and not for a hundred, and nobody's event loop waits at all. A
place that failed is broken for all that write there: after a failed fsync nobody knows what is on the disk, so nothing
is tried again on that connection. The next run that is opened gets another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import threading
import weakref
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from ..core.errors import StorageError
from ..core.events import Entry, Event
from .rows import Row

T = TypeVar("T")
PlaceT = TypeVar("PlaceT", bound="Place")
_AT_ONCE = 256  # rows in a commit


class Place(Protocol):
    """A connection to where rows are kept. One thread uses it at a time."""

    @property
    def gone(self) -> bool:
        """Whether nothing can be asked of it any more."""

    def write(self, rows: Sequence[Row]) -> Sequence[bool]:
        """Keep these, all or none, and say of each whether its writer still is the one of its run."""

    def rest(self) -> None:
        """The process is about to be forked: let go of what must not be open in two. It is used again in this one."""

    def close(self) -> None:
        """Let go of it."""


class Source(Protocol):
    """A journal, to the one who writes for it."""

    turn: threading.Lock

    def row(self, event: Event) -> Row:
        """What is to be written for this event."""

    def settled(self, row: Row | None, error: BaseException | None) -> Entry:
        """What became of it: the entry that it is now, or the error."""


class _Append:
    """An event on its way, and who waits for it."""

    def __init__(self, source: Source, event: Event) -> None:
        self.source = source
        self.event = event
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[Entry] = self.loop.create_future()
        self.row: Row | None = None
        self.entry: Entry | None = None
        self.error: BaseException | None = None

    def settle(self, error: BaseException | None) -> None:
        try:
            self.entry = self.source.settled(self.row, error)
        except BaseException as failed:
            self.error = failed
        finally:
            self.source.turn.release()

    def tell(self) -> None:
        if self.done.done():
            return
        if self.entry is not None:
            self.done.set_result(self.entry)
        else:
            self.done.set_exception(self.error or StorageError("it was cut off in the middle"))


_Job: TypeAlias = "_Append | Callable[[], object] | None"


class Writer(Generic[PlaceT]):
    """A place and its thread. What is given to it is done in that order."""

    def __init__(self, place: PlaceT) -> None:
        self.place = place
        self.process = os.getpid()
        self.broken: BaseException | None = None
        self.users = 1
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._turn = threading.Lock()  # who uses the place
        _alive.add(self)
        self._thread = threading.Thread(target=self._work, name="codeact-journal", daemon=True)
        self._thread.start()

    def append(self, source: Source, event: Event) -> asyncio.Future[Entry]:
        """Keep an event of a journal."""
        job = _Append(source, event)
        self._jobs.put(job)
        return job.done

    def call(self, work: Callable[[PlaceT], T]) -> T:
        """What comes of this work in the place; waits for it. What it fails at breaks nothing else."""
        done: Future[T] = Future()

        def job() -> None:
            try:
                if self.broken is not None:
                    raise StorageError(f"nothing more is written here: {self.broken}")
                done.set_result(work(self.place))
            except BaseException as error:
                if self.place.gone:
                    self.broken = self.broken or error
                done.set_exception(error)

        self._jobs.put(job)
        return done.result()

    def soon(self, work: Callable[[PlaceT], object]) -> None:
        """Do this in the place, when its turn comes; nobody waits for it, nor hears that it failed."""

        def job() -> None:
            if self.broken is None:
                with contextlib.suppress(Exception):
                    work(self.place)

        self._jobs.put(job)

    def end(self) -> None:
        """Do what is left, and let go of the place."""
        self._jobs.put(None)
        self._thread.join()

    def pause(self) -> None:
        """Do nothing until `go_on`; what is under way is done first."""
        self._turn.acquire()
        with contextlib.suppress(Exception):
            self.place.rest()

    def go_on(self) -> None:
        """Go on."""
        self._turn.release()

    def _work(self) -> None:
        while True:
            jobs = [self._jobs.get()]
            with contextlib.suppress(queue.Empty):
                while len(jobs) < _AT_ONCE:
                    jobs.append(self._jobs.get_nowait())
            with self._turn:
                if self._do(jobs):
                    return

    def _do(self, jobs: Sequence[_Job]) -> bool:
        """Do these, in their order, and say whether that was the last."""
        appends: list[_Append] = []
        for job in jobs:
            if isinstance(job, _Append):
                appends.append(job)
                continue
            self._commit(appends)
            appends = []
            if job is None:
                with contextlib.suppress(Exception):
                    self.place.close()
                return True
            job()
        self._commit(appends)
        return False

    def _commit(self, appends: list[_Append]) -> None:
        while appends:
            sources: set[int] = set()
            together = []
            while appends and id(appends[0].source) not in sources:  # two of one journal follow each other
                sources.add(id(appends[0].source))
                together.append(appends.pop(0))
            self._together(together)

    def _together(self, appends: Sequence[_Append]) -> None:
        ready = []
        for one in appends:
            one.source.turn.acquire()
            try:
                if self.broken is not None:
                    raise StorageError(f"nothing more is written to the journal: {self.broken}")
                one.row = one.source.row(one.event)
                ready.append((one, one.row))
            except BaseException as error:
                one.settle(error)
        if ready:
            self._write(ready)
        waiting: dict[asyncio.AbstractEventLoop, list[_Append]] = defaultdict(list)
        for one in appends:
            waiting[one.loop].append(one)
        for loop, those in waiting.items():
            with contextlib.suppress(RuntimeError):  # it is closed: nobody waits there any more
                loop.call_soon_threadsafe(_tell, those)

    def _write(self, ready: Sequence[tuple[_Append, Row]]) -> None:
        try:
            ours = self.place.write([row for _, row in ready])
        except BaseException as error:
            self.broken = error
            for one, _ in ready:
                one.settle(error)
            return
        for (one, row), kept in zip(ready, ours, strict=True):
            taken = StorageError(f"another process has taken over the run {row.entry.run}")
            one.settle(None if kept else taken)


def _tell(appends: Sequence[_Append]) -> None:
    for one in appends:
        one.tell()


class Writers(Generic[PlaceT]):
    """The writer of a place, while anybody writes there."""

    def __init__(self, opened: Callable[[], PlaceT]) -> None:
        self._opened = opened
        self._behind: list[object] = []
        self._now: Writer[PlaceT] | None = None
        self._lock = threading.Lock()
        _everywhere.add(self)

    def forget(self) -> None:
        """In a forked child: the thread has stayed behind, and the connection is the parent's."""
        self._behind.append(self._now)
        self._now, self._lock = None, threading.Lock()

    def take(self) -> Writer[PlaceT]:
        """The writer, to be given back."""
        with self._lock:
            if self._now is None or self._now.broken is not None:
                self._now = Writer(self._opened())
            else:
                self._now.users += 1
            return self._now

    def give_back(self, writer: Writer[PlaceT]) -> None:
        """It is not needed any more; the last one to say so closes the connection."""
        with self._lock:
            writer.users -= 1
            over = writer.users == 0
            if over and self._now is writer:
                self._now = None
        if over and writer.process == os.getpid():
            writer.end()


_everywhere: weakref.WeakSet[Writers[Any]] = weakref.WeakSet()
_alive: weakref.WeakSet[Writer[Any]] = weakref.WeakSet()
_paused: list[Writer[Any]] = []


def _before_fork() -> None:
    _paused[:] = _alive
    for writer in _paused:
        writer.pause()


def _after_fork() -> None:
    while _paused:
        _paused.pop().go_on()


def _in_child() -> None:
    _paused.clear()
    for writers in tuple(_everywhere):
        writers.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)

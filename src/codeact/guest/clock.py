"""What a cell reads of the clock: noted for the host, and, where the cell runs again, read as it was.

The clock is the real one. Only what code of the session's own reads is noted, and what a few modules read for it:
others wait by the clock, and must not be told of another time. Each thread and each task has a line of its own for
every kind of clock, so that it does not matter in which order they run.

    w the time of day   m monotonic   p perf_counter   c process_time   t thread_time
"""

from __future__ import annotations

import _thread
import asyncio
import datetime as dt
import gc
import itertools
import os
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from types import BuiltinFunctionType, FrameType
from typing import Any

from .wire import MOST_READS

NS = 10**9
_FOR_CELLS = frozenset(  # what they read is what a cell puts out, or compares with what it reads itself
    {"logging", "uuid", "email.utils", "timeit", "gzip", "zipfile", "tarfile", "asyncio.timeouts"}
)
_NEVER_BACK = "mpc"
_frame = sys._getframe
_running: Callable[[], Any] = asyncio._get_running_loop
_real: dict[str, Callable[[], int]] = {"w": time.time_ns, "m": time.monotonic_ns, "p": time.perf_counter_ns}
_real |= {"c": time.process_time_ns, "t": getattr(time, "thread_time_ns", time.process_time_ns)}
_localtime, _gmtime = time.localtime, time.gmtime


class Clock:
    """What was read in the cell that runs now, and what is to be read again."""

    def __init__(self) -> None:
        self._main = _thread.get_ident()
        self._own: dict[str, bool] = {}  # by the file of code: whether it is the session's
        self._libraries: tuple[str, ...] = ()
        self._noted: deque[tuple[str, int]] = deque()
        self._left = 0  # reads that can still be noted
        self._told: dict[str, int] = {}  # by line, the last one that the host knows
        self._again: dict[str, deque[int]] = {}
        self._known = False  # the cell had ended: nothing new is read
        self._highest: dict[str, int] = {}
        self._counts: dict[str, int] = {}  # of reads, by line
        self._ahead = dict.fromkeys(_real, 0)  # of the real one
        self._items = itertools.count()
        self.futures = itertools.count(1)  # those that are made in this cell
        self._next: tuple[dict[str, deque[int]], bool] = ({}, False)

    def prepare(self) -> None:
        """What is on the path now is a library."""
        here = (os.path.dirname(os.path.abspath(__file__)), os.path.dirname(os.__file__))
        self._libraries = tuple(place.rstrip(os.sep) + os.sep for place in {*here, *filter(None, sys.path)})
        self._own.clear()

    def serve(self, reads: Sequence[Any], known: bool) -> None:
        """The next cell ran before, and read this."""
        self._next = ({line: deque(itertools.accumulate(steps)) for line, steps in reads}, known)

    def begin(self) -> None:
        """A cell begins."""
        self._noted.clear()
        self._left = MOST_READS
        self._counts = {}
        (self._again, self._known), self._next = self._next, ({}, False)
        self._told = {line: kept[-1] for line, kept in self._again.items()} if self._again else {}
        self._items = itertools.count()
        self.futures = itertools.count(1)

    def noted(self) -> list[Any]:
        """What was read since this was asked last: of each line its first read, then the steps to the next ones."""
        if not self._noted:
            return []
        found: dict[str, list[int]] = {}
        while self._noted:
            line, at = self._noted.popleft()
            found.setdefault(line, []).append(at - self._told.get(line, 0))
            self._told[line] = at
        return [[line, steps] for line, steps in found.items()]

    def number(self) -> int:
        """That of a piece of work for a pool of threads, counted in its cell: any of them may take it."""
        return next(self._items)

    def read(self, kind: str, frame: FrameType) -> int | None:
        """The nanoseconds that this code reads; None where it is no code of the session's."""
        file = frame.f_code.co_filename
        own = self._own.get(file)
        if own is None:
            own = self._own[file] = self._is_own(file, frame)
        if not own:
            return None
        if self._again:
            line = kind + self._reader(frame)
            kept = self._again.get(line)
            if kept:
                return self._not_back(kind, kept.popleft())
            if kept is not None and self._known:
                return self._beyond(line, _real[kind]() + self._ahead[kind])
        at = _real[kind]() + self._ahead[kind]
        if kind in _NEVER_BACK:
            at = self._not_back(kind, at)
        if self._left > 0:
            self._note(kind + self._reader(frame), at)
        return at

    def _note(self, line: str, at: int) -> None:
        count = self._counts.get(line, 0)
        if count < MOST_READS // 2:  # one line leaves room for others
            self._counts[line] = count + 1
            self._left -= 1
            self._noted.append((line, at))

    def _beyond(self, line: str, at: int) -> int:
        """More than was kept of a cell that had ended: the clock goes on from there."""
        since = f"{line} "
        begun = self._told.setdefault(since, at)
        return self._told[line] + at - begun

    def _not_back(self, kind: str, at: int) -> int:
        """Another process, or machine, may count from another moment: for code it goes on."""
        highest = self._highest.get(kind, at)
        if at < highest and not self._known:
            self._ahead[kind] += highest - at
            at = highest
        self._highest[kind] = max(at, highest)
        return at

    def _is_own(self, file: str, frame: FrameType) -> bool:
        if file.startswith("<"):
            return not file.startswith("<frozen")
        return frame.f_globals.get("__name__") in _FOR_CELLS or not os.path.abspath(file).startswith(self._libraries)

    def _reader(self, frame: FrameType) -> str:
        """Who reads: nobody by name, mostly; else a task, a piece of work, or a thread."""
        loop = _running()
        if loop is not None and (task := asyncio.current_task(loop)) is not None:
            return task.get_name()[:60]
        here = _thread.get_ident()
        if here == self._main:
            return ""
        item = _item(frame)
        if item is not None:
            return f"item {item}"
        thread = threading._active.get(here)  # type: ignore[attr-defined]
        return str(thread.name)[:60] if thread is not None else "?"


CLOCK = Clock()


def _item(frame: FrameType | None) -> int | None:
    """The number of the piece of work that a thread of a pool is at."""
    while frame is not None:
        if frame.f_code.co_name == "run" and frame.f_globals.get("__name__") == "concurrent.futures.thread":
            return getattr(frame.f_locals.get("self"), "_codeact_number", None)
        frame = frame.f_back
    return None


class Reading:
    """A function of `time`. No function of Python's own: in a class it would be a method."""

    def __init__(self, name: str, kind: str, seconds: bool) -> None:
        self._builtin: Any = getattr(time, name)
        self._kind = kind
        self._seconds = seconds
        vars(self).update(__name__=name, __qualname__=name, __module__="time", __doc__=self._builtin.__doc__)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if args or kwargs or (at := CLOCK.read(self._kind, _frame(1))) is None:
            return self._builtin(*args, **kwargs)
        return at / NS if self._seconds else at

    def __repr__(self) -> str:
        return repr(self._builtin)

    def __reduce__(self) -> str:
        return self.__name__  # type: ignore[attr-defined,no-any-return]

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return BuiltinFunctionType

    @property
    def __text_signature__(self) -> str | None:
        return getattr(self._builtin, "__text_signature__", None)

    @property
    def __self__(self) -> Any:
        return time


class Dated(Reading):
    """One that takes a moment, and without one means now; `place` is where it stands among its arguments."""

    def __init__(self, name: str, place: int, now: Callable[[float], Any]) -> None:
        super().__init__(name, "w", True)
        self._place = place
        self._now = now

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        place = self._place
        given = len(args) > place and (args[place] is not None or place > 0 or self._now is _localtime)
        if kwargs or given or len(args) < place or (at := CLOCK.read("w", _frame(1))) is None:
            return self._builtin(*args, **kwargs)
        return self._builtin(*args[:place], self._now(at / NS))


class Numbered(Reading):
    """`clock_gettime` and its like, of a clock that is one of ours."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        kind = _BY_NUMBER.get(args[0]) if len(args) == 1 and type(args[0]) is int else None
        if kwargs or kind is None or (at := CLOCK.read(kind, _frame(1))) is None:
            return self._builtin(*args, **kwargs)
        return at / NS if self._seconds else at


_BY_NUMBER: dict[int, str] = {
    getattr(time, name): kind
    for name, kind in {
        "CLOCK_REALTIME": "w",
        "CLOCK_MONOTONIC": "m",
        "CLOCK_PROCESS_CPUTIME_ID": "c",
        "CLOCK_THREAD_CPUTIME_ID": "t",
    }.items()
    if hasattr(time, name)
}
_KINDS = {"time": "w", "monotonic": "m", "perf_counter": "p", "process_time": "c", "thread_time": "t"}


def install() -> None:
    """Stand before the clock, once, before any session."""
    CLOCK.prepare()
    found: list[Reading] = []
    for name, kind in _KINDS.items():
        found += [Reading(each, kind, each == name) for each in (name, f"{name}_ns") if hasattr(time, each)]
    for name in ("clock_gettime", "clock_gettime_ns"):
        if hasattr(time, name):
            found.append(Numbered(name, "", name == "clock_gettime"))
    found += [Dated("localtime", 0, float), Dated("gmtime", 0, float), Dated("ctime", 0, float)]
    found += [Dated("asctime", 0, _localtime), Dated("strftime", 1, _localtime)]
    for one in found:
        setattr(time, one.__name__, one)  # type: ignore[attr-defined]
    _install_dates()


# -- datetime: its classes are C's own and cannot be assigned to, nor stood in for without being other classes ---------

_now: Any = dt.datetime.__dict__["now"]
_today: Any = dt.date.__dict__["today"]
_DEPRECATED = (
    "datetime.datetime.utcnow() is deprecated and scheduled for removal in a future version. Use timezone-aware "
    "objects to represent datetimes in UTC: datetime.datetime.now(datetime.UTC)."
)


def at(cls: Any, nanoseconds: int, tz: dt.tzinfo | None) -> Any:
    """The moment as this class of datetimes has it."""
    seconds, micro = divmod(nanoseconds // 1000, 10**6)
    made = dt.datetime.fromtimestamp(seconds, tz).replace(microsecond=micro)
    if cls is dt.datetime:
        return made
    parts = (made.year, made.month, made.day, made.hour, made.minute, made.second, made.microsecond, made.tzinfo)
    return cls(*parts, fold=made.fold) if made.fold else cls(*parts)


def now(cls: Any, tz: Any = None) -> Any:
    """Returns new datetime object representing current time local to tz.

    tz
      Timezone object.

    If no tz is specified, uses local timezone."""
    read = CLOCK.read("w", _frame(1))
    return _now.__get__(None, cls)(tz) if read is None else at(cls, read, tz)


def utcnow(cls: Any) -> Any:
    """Return a new datetime representing UTC day and time."""
    if sys.version_info >= (3, 12):
        warnings.warn(_DEPRECATED, DeprecationWarning, stacklevel=2)
    read = CLOCK.read("w", _frame(1))
    made = at(dt.datetime, _real["w"]() if read is None else read, dt.UTC).replace(tzinfo=None)
    return made if cls is dt.datetime else at_same(cls, made)


def at_same(cls: Any, made: dt.datetime) -> Any:
    """The same as an object of a class of one's own."""
    return cls(made.year, made.month, made.day, made.hour, made.minute, made.second, made.microsecond)


def today(cls: Any) -> Any:
    """Current date or datetime:  same as self.__class__.fromtimestamp(time.time())."""
    read = CLOCK.read("w", _frame(1))
    return _today.__get__(None, cls)() if read is None else cls.fromtimestamp(read / NS)


def _install_dates() -> None:
    places: Any = ((dt.datetime, now), (dt.datetime, utcnow), (dt.date, today))
    for cls, function in places:
        function.__qualname__ = f"{cls.__name__}.{function.__name__}"
        function.__module__ = "datetime"
        gc.get_referents(cls.__dict__)[0][function.__name__] = classmethod(function)
    clear = getattr(sys, "_clear_internal_caches", None) or getattr(sys, "_clear_type_cache", None)
    if clear is not None:
        clear()  # of what was looked up before


# -- modules that come later -------------------------------------------------------------------------------------------


def follow_pandas(module: Any) -> None:
    """`Timestamp.now`, and what is made of it, reads the clock in C."""
    stamp = module.Timestamp
    real = stamp.__dict__["now"]

    def now(cls: Any, tz: Any = None) -> Any:
        """Return new Timestamp object representing current time local to tz."""
        read = CLOCK.read("w", asker(_frame(1)))
        if read is None:
            return real.__get__(None, cls)(tz)
        if tz is None:
            return cls(at(dt.datetime, read, None))
        return cls(at(dt.datetime, read, dt.UTC)).tz_convert(tz)

    stamp.now = classmethod(now)


def asker(frame: FrameType) -> FrameType:
    """Who has pandas look at the clock: what is behind its own frames."""
    here: FrameType | None = frame
    while here is not None and str(here.f_globals.get("__name__")).startswith("pandas."):
        here = here.f_back
    return here or frame


def follow_pools(module: Any) -> None:
    """Number what pools of threads are given to do."""
    item = module._WorkItem
    real = item.__init__

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        real(self, *args, **kwargs)
        self._codeact_number = CLOCK.number()

    item.__init__ = __init__

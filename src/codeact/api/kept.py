"""What stands behind a result, so that `after=result` goes on from it: its session, kept for as long as it is held.

A session is kept by a task that waits for its end: when nobody holds a result of it any more, when there are too many,
when it was not used for long, or when its event loop ends, which cancels all tasks. Going on from a result leaves a
copy in its place, where there can be one, so that a result is a value: one may go on from it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, TypeVar

from ..core.errors import SnapshotRefused, UsageError
from ..ports import Listener
from ..session.agent import Agent
from ..session.result import RunResult
from ..session.session import Session

MOST = 4  # sessions, each with its copies, in a process
SECONDS = 1800.0  # that one is kept without being gone on from

T = TypeVar("T")
Work = Callable[[Session], Awaitable[RunResult]]
_tasks: set[asyncio.Task[None]] = set()
_closing: set[asyncio.Task[None]] = set()  # of forks


async def run(agent: Agent, work: Work, listeners: Sequence[Listener], after: RunResult | None) -> RunResult:
    """Work in a session of its own, or in the one behind a result, and keep it behind the new one."""
    if after is None:
        return await _begin(agent, work, listeners)
    kept = _of(agent, after)
    return await _on(kept.loop, lambda: kept.go_on(agent, work, listeners))


def check(agent: Agent, after: object) -> None:
    """Refuse what cannot be gone on from without `await` in this thread. Raises UsageError or TypeError."""
    try:
        here = asyncio.get_running_loop()
    except RuntimeError:
        return
    if _of(agent, after).loop is here:
        raise UsageError("this result is of the event loop that runs here: write await agent.arun(..., after=result)")


def _of(agent: Agent, after: object) -> Kept:
    if not isinstance(after, RunResult):
        raise TypeError(f"after= takes the result of a run, not {after!r:.80}")
    kept = after.kept
    if not isinstance(kept, Kept):
        raise UsageError(
            "after=: nothing is kept behind this result; in a session of your own go on by session.run(...), "
            "and branch off by session.fork()"
        )
    if kept.agent is not agent:
        raise UsageError("after=: this result is of another agent: go on with the one that gave it")
    return kept


async def _begin(agent: Agent, work: Work, listeners: Sequence[Listener]) -> RunResult:
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(Session(agent, listeners))
        result = await work(session)
        session.leave(listeners)
        session.rest()
        family = _Family(session)
        await asyncio.sleep(0)  # its task stands now, in whose hands the session is
        stack.pop_all()
    return replace(result, kept=Kept(agent, session, family))


async def _keep(session: Session, release: asyncio.Event) -> None:
    try:
        await release.wait()
    except asyncio.CancelledError:  # the loop ends
        await session.close()
        raise
    await session.close()


class _Family:
    """A session and its forks, which end together."""

    def __init__(self, first: Session) -> None:
        self.first = first
        self.loop = asyncio.get_running_loop()
        self.over = ""  # why it is
        self._release = asyncio.Event()
        _begin_task(self.loop, _keep(first, self._release))
        weakref.finalize(self, _soon, self.loop, self._release.set).atexit = False
        self._timer: asyncio.TimerHandle | None = None
        self.touch()

    def touch(self) -> None:
        """It was used just now: it is the youngest."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(SECONDS, _expire, weakref.ref(self))
        with _lock:
            _kept[:] = [one for one in _kept if one() not in (None, self)]
            _kept.append(weakref.ref(self))
            old = [one() for one in _kept[:-MOST]]
        for family in old:
            if family is not None:
                family.end(f"{MOST} others were used since, and no more are kept")

    def end(self, why: str) -> None:
        """Close it, from any thread, and say why."""
        self.over = self.over or why
        _soon(self.loop, self._release.set)


_kept: list[weakref.ref[_Family]] = []  # from the oldest to the youngest
_lock = threading.RLock()  # also from within a collection of garbage


def _expire(family: weakref.ref[_Family]) -> None:
    found = family()
    if found is not None:
        found.end(f"it was not used for {SECONDS / 60:.0f} minutes")


class _Place:
    """Where a result stands: in this session, while it has one. A fork is closed when no one needs it any more."""

    def __init__(self, session: Session, fork: bool) -> None:
        self.session: Session | None = session
        self.fork = fork
        self.heard = True
        self.why = ""  # there is no session any more


class Kept:
    """The session behind a result, as it stood at its end."""

    def __init__(self, agent: Agent, session: Session, family: _Family, fork: bool = False) -> None:
        self.agent = agent
        self._family = family
        self._place = _Place(session, fork)
        self._turn = asyncio.Lock()
        weakref.finalize(self, _forget, family.loop, self._place).atexit = False

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        return type(None), ()  # a copy of a result, in another process for instance, has nothing behind it

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The one that it lives on."""
        return self._family.loop

    async def go_on(self, agent: Agent, work: Work, listeners: Sequence[Listener]) -> RunResult:
        """Work in the session, and leave a copy of it in this place."""
        async with self._turn:
            session, fork = await self._taken()
        self._family.touch()
        session.join(listeners)
        try:
            result = await work(session)
        except BaseException:
            if self._place.session is None:  # where there is no copy, one goes on from what came of it
                self._place.session, self._place.fork = session, fork
            elif fork:
                await session.close()
            raise
        finally:
            session.leave(listeners)
            session.rest()
        return replace(result, kept=Kept(agent, session, self._family, fork))

    async def _taken(self) -> tuple[Session, bool]:
        place, session = self._place, self._place.session
        if session is None or not self._family.first.is_open:
            why = self._family.over or (place.why if session is None else "its event loop has ended")
            raise UsageError(
                f"after=: the interpreter of this result is gone: {why}. Its variables "
                "cannot be had again; what is to live longer is run in a session: with agent.session() as session: ..."
            )
        await asyncio.gather(*(task for task in _closing if task.get_loop() is self.loop), return_exceptions=True)
        fork, heard = place.fork, place.heard
        try:
            place.session = await session.aside()
            place.fork, place.heard = True, False
        except SnapshotRefused as refused:
            place.session = None
            place.why = f"one went on from it already, and no copy could be left here: {refused}"
        if not heard:
            session.join(self.agent.listeners)
        return session, fork


def _forget(loop: asyncio.AbstractEventLoop, place: _Place) -> None:
    session, place.session = place.session, None
    if session is not None and place.fork:  # the first of a family ends with it
        _soon(loop, lambda: _closing.add(_begin_task(loop, session.close())))


def _soon(loop: asyncio.AbstractEventLoop, what: Callable[[], object]) -> None:
    """From any thread, also from within a collection of garbage."""
    with contextlib.suppress(RuntimeError):  # the loop is closed, and all that lived on it ended with it
        loop.call_soon_threadsafe(what)


def _begin_task(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    task = loop.create_task(work)
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # a loop that is dropped takes it along in silence
    _tasks.add(task)
    task.add_done_callback(_forget_task)
    return task


def _forget_task(task: asyncio.Task[None]) -> None:
    _tasks.discard(task)
    _closing.discard(task)


async def _on(loop: asyncio.AbstractEventLoop, work: Callable[[], Awaitable[T]]) -> T:
    """What comes of this work on the loop that it belongs to. Cancelled, it is cancelled there."""
    if loop is asyncio.get_running_loop():
        return await work()
    if loop.is_closed():
        return await work()  # which says so
    if not loop.is_running():
        raise UsageError("after=: the event loop of this result does not run now: go on where it runs")

    async def there() -> T:
        return await work()

    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(there(), loop))

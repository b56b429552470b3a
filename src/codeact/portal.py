"""The one event loop of this process for callers without `await`: it runs in a thread of its own, started on first use.

Calls work from any thread, also inside somebody else's running loop (Jupyter); on the portal's own loop they raise,
for they would wait for themselves.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Generic, TypeVar

T = TypeVar("T")

# A notebook has programs of Windows take a loop that starts no processes; this one is ours.
_FACTORY = getattr(asyncio, "ProactorEventLoop", None)
_OUT = 10.0  # seconds for what was cancelled to be out


class _Place:
    """Where the loop is, if it was started."""

    def __init__(self) -> None:
        self._behind: list[object] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self.forget()

    def forget(self) -> None:
        """In a forked child: the thread has stayed behind. Its loop is kept, for its end would close what is shared."""
        self._behind.append(self._loop)
        self._lock = threading.Lock()
        self._loop = None
        self._thread: threading.Thread | None = None

    def loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                stands: Future[asyncio.AbstractEventLoop] = Future()
                self._thread = threading.Thread(target=_run, args=(stands,), name="codeact-portal", daemon=True)
                self._thread.start()
                self._loop = stands.result()
            loop, thread = self._loop, self._thread
        if threading.current_thread() is thread:
            raise RuntimeError("this is the event loop of the blocking calls: use the async form with await here")
        return loop

    def stop(self) -> None:
        """What still runs there is cancelled, not waited for."""
        with self._lock:
            loop, self._loop = self._loop, None
            thread, self._thread = self._thread, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()


def _run(stands: Future[asyncio.AbstractEventLoop]) -> None:
    # at its end it cancels what is left, and waits until that is out
    with asyncio.Runner(loop_factory=_FACTORY) as runner:
        loop = runner.get_loop()
        loop.call_soon(stands.set_result, loop)
        loop.run_forever()


_place = _Place()


class _Call(Generic[T]):
    """A function at work on the loop, and the thread that waits for it: a lock and a task, since most are short."""

    def __init__(self, function: Callable[..., Awaitable[T]], args: tuple[Any, ...]) -> None:
        self._function = function
        self._args = args
        self._over = threading.Lock()
        self._over.acquire()
        self._task: asyncio.Task[None] | None = None
        self._value: T
        self._error: BaseException | None = None

    def begin(self) -> None:
        """On the loop."""
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(lambda task: self._over.release())

    def cancel(self) -> None:
        """On the loop."""
        if self._task is not None:
            self._task.cancel()

    def wait(self, loop: asyncio.AbstractEventLoop) -> T:
        try:
            self._over.acquire()
        except BaseException:
            with contextlib.suppress(RuntimeError):  # the loop has ended: so has this
                loop.call_soon_threadsafe(self.cancel)
            self._over.acquire(timeout=_OUT)
            raise
        assert self._task is not None
        try:
            self._task.result()
        except asyncio.CancelledError:
            raise CancelledError from None
        if self._error is not None:
            raise self._error
        return self._value

    async def _run(self) -> None:
        try:
            self._value = await self._function(*self._args)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # one that is no Exception would end the loop, and everybody's calls with it
            self._error = error


def call(function: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run an async function to its end. An interrupt of the waiting thread cancels it, and waits until it is out."""
    loop = _place.loop()
    started = _Call(function, args)
    loop.call_soon_threadsafe(started.begin)
    return started.wait(loop)


def entered(context: AbstractAsyncContextManager[T]) -> AbstractContextManager[T]:
    """The same context for a `with`; its entry and its exit run in one task."""
    return _Entered(context)


class _Entered(AbstractContextManager[T]):
    def __init__(self, context: AbstractAsyncContextManager[T]) -> None:
        self._context = context

    def __enter__(self) -> T:
        return call(self._enter)

    def __exit__(self, *exc: Any) -> bool | None:
        return call(self._leave, exc)

    async def _enter(self) -> T:
        loop = asyncio.get_running_loop()
        self._leaving: asyncio.Future[tuple[Any, ...]] = loop.create_future()
        entered: asyncio.Future[T] = loop.create_future()
        self._life = loop.create_task(self._live(entered))
        either: list[asyncio.Future[Any]] = [self._life, entered]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._life.cancel()
            await asyncio.wait([self._life])
            raise
        if not entered.done():
            self._life.result()  # raises what entering raised
        return entered.result()

    async def _live(self, entered: asyncio.Future[T]) -> bool | None:
        entered.set_result(await self._context.__aenter__())
        exc: tuple[Any, ...] = (None, None, None)
        try:
            exc = await self._leaving
        finally:
            suppressed = await self._context.__aexit__(*exc)
        return suppressed

    async def _leave(self, exc: tuple[Any, ...]) -> bool | None:
        self._leaving.set_result(exc)
        return await self._life


atexit.register(_place.stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_place.forget)

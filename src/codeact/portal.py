"""The one event loop of this process for callers without `await`: it runs in a thread of its own, started on first use.

Calls work from any thread, also inside somebody else's running loop (Jupyter); on the portal's own loop they raise,
for they would wait for themselves.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

T = TypeVar("T")


class _Place:
    """Where the loop is, if it was started."""

    def __init__(self) -> None:
        self._behind: list[object] = []
        self._context: AbstractContextManager[BlockingPortal] | None = None
        self.forget()

    def forget(self) -> None:
        """In a forked child: the thread has stayed behind. Its context is kept, for its end would wait for it."""
        self._behind.append(self._context)
        self._lock = threading.Lock()
        self._portal: BlockingPortal | None = None
        self._context = None
        self._thread: int | None = None

    def portal(self) -> BlockingPortal:
        with self._lock:
            if self._portal is None:
                self._context = start_blocking_portal("asyncio", name="codeact-portal")
                self._portal = self._context.__enter__()
                self._thread = self._portal.call(threading.get_ident)
            portal = self._portal
        if threading.get_ident() == self._thread:
            raise RuntimeError("this is the event loop of the blocking calls: use the async form with await here")
        return portal

    def stop(self) -> None:
        with self._lock:
            context, self._context, self._portal = self._context, None, None
        if context is not None:
            leaving = SystemExit()  # as an exception, so that what still runs there is cancelled, not waited for
            context.__exit__(SystemExit, leaving, None)


_place = _Place()


def call(function: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run an async function to its end. An interrupt of the waiting thread cancels it, and waits until it is out."""
    out = threading.Event()

    async def run() -> T:
        try:
            return await function(*args)
        finally:
            out.set()

    future = _place.portal().start_task_soon(run)
    try:
        return future.result()
    except BaseException:
        if future.cancel():
            out.wait(10)
        raise


def entered(context: AbstractAsyncContextManager[T]) -> AbstractContextManager[T]:
    """The same context for a `with`; its entry and its exit run in one task."""
    return _place.portal().wrap_async_context_manager(context)


atexit.register(_place.stop)
os.register_at_fork(after_in_child=_place.forget)

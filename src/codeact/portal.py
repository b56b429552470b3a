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

_lock = threading.Lock()
_portal: BlockingPortal | None = None
_context: AbstractContextManager[BlockingPortal] | None = None
_thread: int | None = None


def _get() -> BlockingPortal:
    global _portal, _context, _thread
    with _lock:
        if _portal is None:
            _context = start_blocking_portal("asyncio", name="codeact-portal")
            _portal = _context.__enter__()
            _thread = _portal.call(threading.get_ident)
        portal = _portal
    if threading.get_ident() == _thread:
        raise RuntimeError("this is the event loop of the blocking calls: use the async form with await here")
    return portal


def call(function: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run an async function to its end. An interrupt of the waiting thread cancels it, and waits until it is out."""
    out = threading.Event()

    async def run() -> T:
        try:
            return await function(*args)
        finally:
            out.set()

    future = _get().start_task_soon(run)
    try:
        return future.result()
    except BaseException:
        if future.cancel():
            out.wait(10)
        raise


def entered(context: AbstractAsyncContextManager[T]) -> AbstractContextManager[T]:
    """The same context for a `with`; its entry and its exit run in one task."""
    return _get().wrap_async_context_manager(context)


def _stop() -> None:
    global _portal, _context
    with _lock:
        context, _context, _portal = _context, None, None
    if context is not None:
        leaving = SystemExit()  # as an exception, so that what still runs there is cancelled, not waited for
        context.__exit__(SystemExit, leaving, None)


def _forget() -> None:
    global _portal, _context, _thread, _lock
    _lock = threading.Lock()
    _portal = _context = _thread = None


atexit.register(_stop)
os.register_at_fork(after_in_child=_forget)

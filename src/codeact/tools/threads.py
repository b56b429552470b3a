"""Blocking functions in daemon threads of ours: neither a cancelled call nor the end of the program waits for them.

A thread that has done its work waits a while for more: starting one costs more than most tools.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any

from .failure import ToolStopped

_IDLE_SECONDS = 10.0
_Work = Callable[[], None]
_idle: list[queue.SimpleQueue[_Work]] = []
if hasattr(os, "register_at_fork"):  # a forked child has the list but not the threads
    os.register_at_fork(after_in_child=_idle.clear)


async def in_thread(function: Callable[[], Any]) -> Any:
    """What the function returns or raises, called in another thread with this task's context variables.

    When the task is cancelled the thread is left to itself and its result is dropped.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()
    sniffio = sys.modules.get("sniffio")
    if sniffio is not None:  # its variable says that a loop runs here; in the thread none does, and one may be started
        context.run(sniffio.current_async_library_cvar.set, None)

    def settle(value: Any, error: Exception | None) -> None:
        if future.cancelled():
            return
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)

    def work() -> None:
        value: Any = None
        error: Exception | None = None
        try:
            value = context.run(function)
        except StopIteration as stopped:  # a future cannot hold it
            error = ToolStopped(stopped)
        except Exception as raised:
            error = raised
        except BaseException as raised:
            error = ToolStopped(raised)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, value, error)

    _start(work)
    return await future


def _start(work: _Work) -> None:
    try:
        inbox = _idle.pop()
    except IndexError:
        inbox = queue.SimpleQueue()
        threading.Thread(target=_serve, args=(inbox,), daemon=True, name="codeact-tool").start()
    inbox.put(work)


def _serve(inbox: queue.SimpleQueue[_Work]) -> None:
    while True:
        try:
            work = inbox.get(timeout=_IDLE_SECONDS)
        except queue.Empty:
            try:
                _idle.remove(inbox)
            except ValueError:  # somebody has just taken it: the work is on its way
                continue
            return
        work()
        del work  # an idle thread must not keep the last call's values alive
        _idle.append(inbox)

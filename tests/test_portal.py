"""Calls without await: from any thread, inside a running loop, in a forked copy of the process, and interrupted."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from codeact import portal


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


def test_many_threads_share_one_loop() -> None:
    results: list[int] = []
    threads = [threading.Thread(target=lambda n=n: results.append(portal.call(double, n))) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(results) == [2 * n for n in range(20)]


async def test_a_call_works_inside_a_running_loop() -> None:
    assert portal.call(double, 4) == 8


def test_a_call_on_the_portals_own_loop_is_refused() -> None:
    async def inside() -> int:
        return portal.call(double, 1)

    with pytest.raises(RuntimeError, match="async form"):
        portal.call(inside)


def test_an_interrupt_cancels_what_is_waited_for_and_waits_until_it_is_out() -> None:
    seen: list[str] = []

    async def endless() -> None:
        try:
            while True:  # CPython misses one that comes just before it blocks
                await asyncio.sleep(0.2)
                os.kill(os.getpid(), signal.SIGINT)
        finally:
            seen.append("out")

    with pytest.raises(KeyboardInterrupt):
        portal.call(endless)
    assert seen == ["out"]


def test_what_would_end_the_loop_ends_its_own_call_alone() -> None:
    async def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        portal.call(leave)
    assert portal.call(double, 5) == 10


def test_a_context_is_entered_and_left_in_one_task_with_what_was_raised_in_it() -> None:
    seen: list[object] = []

    @asynccontextmanager
    async def context(fails: bool) -> AsyncIterator[int]:
        if fails:
            raise ValueError("on the way in")
        seen.append(task := asyncio.current_task())
        try:
            yield 7
        except KeyError as error:
            seen.append(error.args[0])
        seen.append(asyncio.current_task() is task)

    with portal.entered(context(False)) as value:
        seen.append(value)
        raise KeyError("inside")
    assert seen[1:] == [7, "inside", True]
    with pytest.raises(ValueError, match="way in"), portal.entered(context(True)):
        raise AssertionError("it was entered")


def test_a_forked_copy_of_the_process_gets_a_loop_of_its_own() -> None:
    assert portal.call(double, 1) == 2
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            os.write(writer, str(portal.call(double, 21)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        assert file.read() == b"42"
    os.waitpid(child, 0)

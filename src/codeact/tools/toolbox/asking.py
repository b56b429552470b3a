"""`ask_user`: a question to whoever sits at the terminal, and what is typed."""

from __future__ import annotations

import asyncio
import contextlib
import os

from ...core.untrusted import bounded
from ...ports import Tool
from ..function import as_tool, tool

_LONGEST = 64 << 10
_TERMINAL = "/dev/tty"  # also where standard input is a pipe


def ask_user(*, terminal: str = _TERMINAL) -> Tool:
    """A tool that asks at the terminal, one question at a time."""

    @tool(seconds=24 * 3600, concurrency=1, idempotent=True)
    async def ask_user(question: str) -> str:
        """Ask the user a question, and wait for the answer."""
        try:
            descriptor = os.open(terminal, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, AttributeError):  # where there are no such flags, there is no such terminal
            raise RuntimeError("there is no terminal here, so nobody can be asked") from None
        try:
            _say(descriptor, f"\nThe agent asks: {bounded(question, 4000)}\n> ")
            return await _line(descriptor)
        finally:
            os.close(descriptor)

    return as_tool(ask_user)


def _say(descriptor: int, text: str) -> None:
    data = text.encode("utf-8", "replace")
    with contextlib.suppress(BlockingIOError):  # a terminal that is stopped: the question is not worth waiting for
        while data:
            data = data[os.write(descriptor, data) :]


async def _line(descriptor: int) -> str:
    """The next line that is typed; a question that is given up takes nothing of it."""
    loop = asyncio.get_running_loop()
    typed: asyncio.Future[bytes] = loop.create_future()
    kept = bytearray()

    def read() -> None:
        try:
            data = os.read(descriptor, 4096)
        except BlockingIOError:
            return
        except OSError:  # hung up
            data = b""
        kept.extend(data)
        if (not data or b"\n" in data or len(kept) > _LONGEST) and not typed.done():
            typed.set_result(bytes(kept))

    loop.add_reader(descriptor, read)
    try:
        line = await typed
    finally:
        loop.remove_reader(descriptor)
    if not line:
        raise EOFError("the user gave no answer")
    return line.decode("utf-8", "replace").strip()

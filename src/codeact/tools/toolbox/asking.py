"""`ask_user`: a question to whoever sits at the terminal, and what is typed."""

from __future__ import annotations

import asyncio
import os

from ...core.untrusted import bounded
from ...ports import Tool
from ...terminal import TERMINAL, heard, opened, say
from ..function import as_tool, tool

_LONGEST = 64 << 10


def ask_user(*, terminal: str = TERMINAL) -> Tool:
    """A tool that asks at the terminal, one question at a time."""

    @tool(seconds=24 * 3600, concurrency=1, idempotent=True)
    async def ask_user(question: str) -> str:
        """Ask the user a question, and wait for the answer."""
        try:
            descriptor = opened(terminal)
        except OSError:
            raise RuntimeError("there is no terminal here, so nobody can be asked") from None
        try:
            say(descriptor, f"\nThe agent asks: {bounded(question, 4000)}\n> ")
            return await _line(descriptor)
        finally:
            os.close(descriptor)

    return as_tool(ask_user)


async def _line(descriptor: int) -> str:
    """The next line that is typed; a question that is given up takes nothing of it."""
    typed: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    kept = bytearray()

    def take(data: bytes) -> None:
        kept.extend(data)
        if (not data or b"\n" in data or len(kept) > _LONGEST) and not typed.done():
            typed.set_result(bytes(kept))

    with heard(descriptor, take):
        line = await typed
    if not line:
        raise EOFError("the user gave no answer")
    return line.decode("utf-8", "replace").strip()

"""What is typed while the model works: it is told to it at once; commands wait until the turn is over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager

from codeact.terminal import heard

_INPUT = 0


class Ears:
    """Lines of standard input while they are open, and nobody else reads the keyboard."""

    def __init__(self, said: Callable[[str], Awaitable[None]]) -> None:
        self._said = said
        self._loop: asyncio.AbstractEventLoop | None = None
        self._others: set[str] = set()  # who reads in our place
        self._heard = False
        self._hearing = ExitStack()
        self._rest = b""
        self._later: list[str] = []
        self._telling: set[asyncio.Future[None]] = set()

    @contextmanager
    def open(self) -> Iterator[None]:
        """Listen while this lasts."""
        self._loop = asyncio.get_running_loop()
        self._others.clear()
        self._change()
        try:
            yield
        finally:
            self._others.add("the prompt")
            self._change()
            self._loop = None

    def leave(self, who: str) -> None:
        """Leave the keyboard to somebody else."""
        self._others.add(who)
        self._change()

    def take(self, who: str) -> None:
        """Take it again."""
        self._others.discard(who)
        self._change()

    def kept(self) -> str | None:
        """A command that was typed in the meantime."""
        return self._later.pop(0) if self._later else None

    def _change(self) -> None:
        listens = not self._others
        if self._loop is None or listens == self._heard:
            return
        if listens:
            self._hearing.enter_context(heard(_INPUT, self._hear))
        else:
            self._hearing.close()
        self._heard = listens

    def _hear(self, data: bytes) -> None:
        if not data:  # Ctrl-D: it does not end what is going on
            self.leave("nobody")
            return
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            text = line.decode("utf-8", "replace").strip()
            if text.startswith("/"):
                self._later.append(text)
            elif text:
                telling = asyncio.ensure_future(self._said(text))
                self._telling.add(telling)
                telling.add_done_callback(self._telling.discard)

"""The terminal that this process belongs to, also where standard input or output are something else."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Take = Callable[[bytes], object]

if sys.platform == "win32":
    import msvcrt
    import signal

    TERMINAL, SCREEN = "CONIN$", "CONOUT$"
    _PAUSE = 0.05  # seconds between two looks at the keyboard

    def opened(place: str) -> int:
        """A descriptor to say something on. Raises OSError where there is no terminal."""
        os.close(os.open(place, os.O_RDWR))
        return os.open(SCREEN, os.O_RDWR | os.O_BINARY)

    def say(descriptor: int, text: str) -> None:
        """Show a text there."""
        with suppress(OSError):
            os.write(descriptor, text.encode(os.device_encoding(descriptor) or "utf-8", "replace"))

    @contextmanager
    def heard(descriptor: int, take: Take) -> Iterator[None]:
        """While this lasts, `take` is given each line that is typed at the console; nothing at its end, by Ctrl-Z."""
        keys = _Keys(take)
        try:
            yield
        finally:
            keys.close()

    class _Keys:
        """The keyboard, looked at now and then: no thread waits for a line that nobody wants any more."""

        def __init__(self, take: Take) -> None:
            self._take = take
            self._line = ""
            self._loop = asyncio.get_running_loop()
            self._next = self._loop.call_soon(self._look)

        def close(self) -> None:
            self._next.cancel()

        def _look(self) -> None:
            self._next = self._loop.call_later(_PAUSE, self._look)
            while not self._next.cancelled() and msvcrt.kbhit():
                self._press(msvcrt.getwch())

        def _press(self, key: str) -> None:
            match key:
                case "\r" | "\n":
                    line, self._line = self._line, ""
                    self._show("\r\n")
                    self._take(f"{line}\n".encode("utf-8", "replace"))
                case "\b":
                    if self._line:
                        self._line = self._line[:-1]
                        self._show("\b \b")
                case "\x03":
                    signal.raise_signal(signal.SIGINT)
                case "\x1a" if not self._line:
                    self._take(b"")
                case "\0" | "\xe0":  # an arrow, or another key that stands for no character: which follows
                    msvcrt.getwch()
                case _ if key.isprintable():
                    self._line += key
                    self._show(key)
                case _:
                    pass

        def _show(self, text: str) -> None:
            for letter in text:
                msvcrt.putwch(letter)

else:
    TERMINAL = SCREEN = "/dev/tty"

    def opened(place: str) -> int:
        """A descriptor to say something on, and to be heard. Raises OSError where there is no terminal."""
        return os.open(place, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def say(descriptor: int, text: str) -> None:
        """Show a text there."""
        data = text.encode("utf-8", "replace")
        with suppress(BlockingIOError):  # a terminal that is stopped: the text is not worth waiting for
            while data:
                data = data[os.write(descriptor, data) :]

    @contextmanager
    def heard(descriptor: int, take: Take) -> Iterator[None]:
        """While this lasts, `take` is given what is typed, as a terminal gives it: by lines; nothing at its end."""
        loop = asyncio.get_running_loop()

        def read() -> None:
            try:
                data = os.read(descriptor, 1 << 16)
            except BlockingIOError:
                return
            except OSError:  # hung up
                data = b""
            take(data)

        loop.add_reader(descriptor, read)
        try:
            yield
        finally:
            loop.remove_reader(descriptor)

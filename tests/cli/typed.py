"""The installed command with somebody at the keyboard of a real terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import time
from pathlib import Path

from .command import CODEACT, environment


class Typed:
    """A command in a terminal of its own."""

    def __init__(self, home: Path, *words: str, **more: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [CODEACT, *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=home,
            env=environment(home, **more),
            preexec_fn=lambda: _own_terminal(theirs),  # noqa: PLW1509  # no threads of ours run
        )
        os.close(theirs)
        self.seen = ""

    def type(self, text: str) -> None:
        """Keys, word for word."""
        os.write(self._ours, text.encode())

    def wait_for(self, text: str) -> str:
        """What was shown up to and with this text, since the last wait."""
        until = time.monotonic() + 40
        while text not in self.seen:
            assert select.select([self._ours], [], [], max(until - time.monotonic(), 0))[0], (
                f"no {text!r} in {self.seen!r}"
            )
            self._hear()
        before, found, self.seen = self.seen.partition(text)
        return before + found

    def says(self, line: str, until: str = "\n> ") -> str:
        """What is shown after this line was typed, up to the next prompt."""
        self.type(line + "\n")
        self.wait_for(line.rpartition("\n")[2])
        return self.wait_for(until)

    def interrupt(self) -> None:
        """Ctrl-C, which goes to everything in the foreground."""
        os.killpg(self.process.pid, signal.SIGINT)

    def interrupt_until(self, text: str) -> str:
        """Ctrl-C at a prompt, as often as it takes: readline misses one that comes while it handles a key."""
        while text not in self.seen:
            self.interrupt()
            while select.select([self._ours], [], [], 0.5)[0]:
                self._hear()
        return self.wait_for(text)

    def end(self) -> tuple[int, str]:
        """How it ended, and what it said at last."""
        try:
            while select.select([self._ours], [], [], 40)[0]:
                self._hear()
        except EOFError:
            pass
        return self.process.wait(timeout=40), self.seen

    def close(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def _hear(self) -> None:
        try:
            shown = os.read(self._ours, 1 << 16).decode("utf-8", "replace")
        except OSError:  # the other end is closed
            raise EOFError(self.seen) from None
        self.seen += re.sub(r"\x1b\[[?\d;]*[a-zA-Z]", "", shown).replace("\r", "")


def _own_terminal(terminal: int) -> None:
    """As a shell does: the terminal is the one that this process belongs to."""
    import fcntl
    import termios

    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

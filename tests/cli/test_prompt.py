"""The sandboxed prompt, typed at through a terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from codeact.faces.cli.prompt import is_whole

from .command import CODEACT, environment


@pytest.mark.parametrize(
    ("source", "whole"),
    [
        ("1 + 1", True),
        ("x = [1,", False),
        ("def f():", False),
        ("def f():\n    return 1", False),
        ("def f():\n    return 1\n", True),
        ("if True:\n    1\nelse:", False),
        ('"""text', False),
        ("x ===", True),
        ("await f()", True),
        ("1\x00", True),
        ("x = 1; y = 2", True),
        ("@decorator", False),
        ("(" * 10_000, True),
    ],
)
def test_a_cell_is_whole_when_it_can_run_or_be_refused(source: str, whole: bool) -> None:
    assert is_whole(source) is whole


class Typed:
    """A prompt with somebody at the keyboard."""

    def __init__(self, home: Path) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [CODEACT, "exec"], stdin=theirs, stdout=theirs, stderr=theirs, env=environment(home), start_new_session=True
        )
        os.close(theirs)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def wait_for(self, text: str) -> str:
        """What was shown up to and with this text, since the last wait."""
        until = time.monotonic() + 20
        while text not in self.seen:
            assert select.select([self._ours], [], [], max(until - time.monotonic(), 0))[0], (
                f"no {text!r} in {self.seen!r}"
            )
            self._hear()
        before, found, self.seen = self.seen.partition(text)
        return before + found

    def _hear(self) -> None:
        shown = os.read(self._ours, 1 << 16).decode()
        self.seen += re.sub(r"\x1b\[[?\d;]*[a-zA-Z]", "", shown).replace("\r", "")

    def interrupt(self) -> None:
        """Ctrl-C, which goes to everything in the foreground."""
        os.killpg(self.process.pid, signal.SIGINT)

    def interrupt_until(self, text: str) -> None:
        """Ctrl-C at the prompt, as often as it takes: readline misses one that comes while it handles a key."""
        while text not in self.seen:
            self.interrupt()
            while select.select([self._ours], [], [], 0.5)[0]:
                self._hear()
        self.wait_for(text)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@pytest.fixture
def typed(tmp_path: Path) -> Iterator[Typed]:
    one = Typed(tmp_path)
    yield one
    one.close()


def test_lines_become_cells_values_are_shown_and_ctrl_d_leaves(typed: Typed) -> None:
    opening = typed.wait_for(">>> ")
    assert re.search(r"Python 3\.\d+\.\d+ in sandbox linux, level (full|plain)", opening)
    typed.type("x = 20\n")
    typed.wait_for(">>> ")
    typed.type("def f(y):\n    return x + y\n\n")
    typed.wait_for("... ")
    typed.wait_for(">>> ")
    typed.type("f(22)\n")
    assert "\n42\n" in typed.wait_for("42\n>>> ")
    typed.type("print('\\x1b[31mred'); 1/0\n")
    shown = typed.wait_for("division by zero")
    assert "\n\\x1b[31mred\n" in shown
    typed.wait_for(">>> ")
    typed.type("\x04")
    assert typed.process.wait(10) == 0


def test_ctrl_c_stops_the_cell_and_keeps_the_variables(typed: Typed) -> None:
    typed.wait_for(">>> ")
    typed.type("x = 7\n")
    typed.wait_for(">>> ")
    typed.type("if True:\n    print('on it', flush=True)\n    while True: pass\n\n")
    typed.wait_for("\non it\n")
    typed.interrupt()
    typed.wait_for("KeyboardInterrupt")
    typed.wait_for(">>> ")
    typed.type("x\n")
    typed.wait_for("\n7\n>>> ")
    typed.type("half a li")
    typed.wait_for("half a li")
    typed.interrupt_until("KeyboardInterrupt\n>>> ")
    typed.type("exit()\n")
    assert typed.process.wait(10) == 0

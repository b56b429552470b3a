"""The sandboxed prompt, typed at through a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from codeact.faces.cli.prompt import is_whole

from .typed import Typed


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


@pytest.fixture
def typed(tmp_path: Path) -> Iterator[Typed]:
    one = Typed(tmp_path, "exec")
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
    assert typed.process.wait(30) == 0


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
    assert typed.process.wait(30) == 0

"""The sandboxed prompt: `codeact exec` alone on a terminal. Lines are gathered here and run in there."""

from __future__ import annotations

import ast
import asyncio
import codeop
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from codeact.cells import Cells
from codeact.core.execution import Outcome

from . import exits
from .said import keep, say

try:
    import readline
except ImportError:  # a Python built without it still reads lines
    readline = None  # type: ignore[assignment]


_LARGEST = 256 << 10  # characters that are looked at here before they run


async def converse(cells: Cells, sandbox: str, folder: Path | None) -> int:
    """Read, run, show, until the end of input or `exit()`."""
    with _history():
        async with cells:
            print(
                f"Python {cells.version} in sandbox {sandbox}, level {cells.level}. Ctrl-C stops a cell, Ctrl-D leaves."
            )
            while (source := _read()) is not None:
                outcome = await _run(cells, source)
                if outcome.error is not None and outcome.error.type == "SystemExit":
                    break
                say(outcome)
            await keep(cells, folder)
    return exits.DONE


async def _run(cells: Cells, source: str) -> Outcome:
    """Run a cell; Ctrl-C stops the cell, not us, and its variables stay."""
    loop = asyncio.get_running_loop()

    def stop(*_: Any) -> None:
        loop.call_soon_threadsafe(cells.interrupt)

    with _on_interrupt(stop):
        return await cells.run(source)


def _read() -> str | None:
    """The next cell: lines until they make a whole; None at the end of input."""
    lines: list[str] = []
    with _on_interrupt(signal.default_int_handler):
        while True:
            try:
                lines.append(input("... " if lines else ">>> "))
            except EOFError:
                print()
                return None
            except KeyboardInterrupt:
                print("\nKeyboardInterrupt")
                lines = []
                continue
            source = "\n".join(lines)
            if not source.strip():
                lines = []
            elif is_whole(source):
                return source


def is_whole(source: str) -> bool:
    """Whether the lines are a cell that can run: a block ends with an empty line. What is wrong is told in there."""
    if len(source) > _LARGEST:
        return True
    compiler = codeop.CommandCompiler()
    compiler.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        return compiler(source, "<cell>", "single") is not None
    except (SyntaxError, ValueError, OverflowError, MemoryError, RecursionError):
        return True


@contextlib.contextmanager
def _on_interrupt(handler: Any) -> Iterator[None]:
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _history() -> Iterator[None]:
    """The lines typed before, from the user's state directory; kept private, and not missed where it cannot be."""
    if readline is None:
        yield
        return
    base = os.environ.get("XDG_STATE_HOME", "")
    path = Path(base if os.path.isabs(base) else os.path.expanduser("~/.local/state"), "codeact", "history")
    with contextlib.suppress(OSError):
        readline.read_history_file(path)
    readline.set_history_length(1000)
    readline.set_auto_history(True)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            readline.write_history_file(path)
            path.chmod(0o600)
        sys.stdout.flush()

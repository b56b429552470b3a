"""The sandboxed prompt: `codeact exec` alone on a terminal. Lines are gathered here and run in there."""

from __future__ import annotations

import ast
import asyncio
import codeop
import signal
from pathlib import Path
from typing import Any

from codeact.cells import Cells
from codeact.core.execution import Outcome

from . import exits, keyboard
from .said import keep, say

_LARGEST = 256 << 10  # characters that are looked at here before they run


async def converse(cells: Cells, sandbox: str, folder: Path | None) -> int:
    """Read, run, show, until the end of input or `exit()`."""
    with keyboard.history("history"):
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

    with keyboard.on_interrupt(stop):
        return await cells.run(source)


def _read() -> str | None:
    """The next cell: lines until they make a whole; None at the end of input."""
    lines: list[str] = []
    with keyboard.on_interrupt(signal.default_int_handler):
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

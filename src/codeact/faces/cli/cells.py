"""`codeact exec`: cells in one sandboxed interpreter, for people and for programs."""

from __future__ import annotations

import asyncio
import sys
import tokenize
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from codeact import assemble
from codeact.cells import Cells
from codeact.core.errors import UsageError
from codeact.files import read

from . import exits, lines, prompt, streams
from .arguments import Parser, add_interpreter_flags, policy, tools
from .said import Overheard, keep, say

_LARGEST = 15 << 20  # bytes of a cell: what surely fits into one message to the interpreter


def main(argv: Sequence[str]) -> int:
    """Run the cells that were named, in order: all of them, whatever comes of each."""
    options = _parser().read(_bound(argv))
    if options.words.count("-") > 1:
        raise UsageError("standard input (-) can be one cell, not several")
    cells = [*options.code, *map(_read, options.words)]
    alone = not cells and streams.at_keyboard() and not options.json
    if not cells and not alone:
        cells = [_read("-")]
    out = streams.for_programs() if options.json else None
    wall = assemble.sandbox(options.sandbox or assemble.DEFAULT_SANDBOX)
    heard = Overheard(wall)
    bounds = policy(options)
    files = read(options.file, bounds.limits.scratch)
    with tools(options) as found:
        interpreter = Cells(wall if options.json else heard, bounds, found, files=files)
        if alone:
            return asyncio.run(prompt.converse(interpreter, wall.name, options.out))
        status = asyncio.run(_run(interpreter, wall.name, cells, out, options.out))
    if heard.trouble is not None:
        raise heard.trouble
    return status


async def _run(interpreter: Cells, sandbox: str, cells: Sequence[str], out: TextIO | None, folder: Path | None) -> int:
    good = True
    async with interpreter:
        if sys.stderr.isatty() and out is None:
            print(f"sandbox {sandbox}, level {interpreter.level}", file=sys.stderr)
        for number, source in enumerate(cells, 1):
            outcome = await interpreter.run(source)
            if out is None:
                say(outcome)
            else:
                line = lines.cell(number, source, outcome) | {"level": interpreter.level}
                print(lines.line(line), file=out, flush=True)
            good = good and outcome.ok
        await keep(interpreter, folder)
    return exits.DONE if good else exits.NOT_DONE


def _bound(argv: Sequence[str]) -> list[str]:
    """The words, with each `-c` bound to its code, which may begin with a minus too."""
    words, rest = [], list(argv)
    while rest and rest[0] != "--":
        word = rest.pop(0)
        words.append(f"--code={rest.pop(0)}" if word == "-c" and rest else word)
    return words + rest


def _read(path: str) -> str:
    """The source of a cell, decoded as Python would."""
    name = "standard input" if path == "-" else path
    try:
        with open(0 if path == "-" else path, "rb", closefd=path != "-") as file:
            source = file.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror or error}") from None
    if len(source) > _LARGEST:
        raise UsageError(f"{name} is longer than the {_LARGEST >> 20} MiB that a cell may have")
    try:
        encoding, _ = tokenize.detect_encoding(iter(source.splitlines(keepends=True)[:2]).__next__)
        return source.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        raise UsageError(f"{name} is not Python source: {error}") from None


def _parser() -> Parser:
    parser = Parser(
        "exec",
        "Run cells, in order, in one sandboxed interpreter, without a model.",
        "codeact exec [-c CODE]... [--json] [flags] [CELL...]",
        "CELL",
        "a file of Python, or - for standard input; with no cell at all and a terminal: a sandboxed prompt",
    )
    parser.add_argument("-c", "--code", metavar="CODE", action="append", default=[], help="a cell; they come first")
    parser.add_argument("--json", action="store_true", help="one line of JSON a cell on standard output")
    add_interpreter_flags(parser)
    return parser

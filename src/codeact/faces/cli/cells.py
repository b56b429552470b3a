"""`codeact exec`: cells in one sandboxed interpreter, for people and for programs."""

from __future__ import annotations

import asyncio
import sys
import tokenize
from collections.abc import Sequence

from codeact import assemble
from codeact.cells import Cells
from codeact.core.errors import UsageError

from . import exits, lines, prompt
from .arguments import Parser, add_interpreter_flags, policy
from .said import Overheard, say

_LARGEST = 32 << 20  # bytes of a cell: what surely fits into one message to the interpreter


def main(argv: Sequence[str]) -> int:
    """Run the cells that were named, in order: all of them, whatever comes of each."""
    options = _parser().read(argv)
    if options.words.count("-") > 1:
        raise UsageError("standard input (-) can be one cell, not several")
    cells = [*options.code, *map(_read, options.words)]
    alone = not cells and sys.stdin.isatty() and not options.json
    if not cells and not alone:
        cells = [_read("-")]
    wall = assemble.sandbox(options.sandbox or "linux")
    interpreter = Cells(wall if options.json else Overheard(wall), policy(options), assemble.tools(options.tools))
    return asyncio.run(prompt.converse(interpreter, wall.name) if alone else _run(interpreter, cells, options.json))


async def _run(interpreter: Cells, cells: Sequence[str], as_json: bool) -> int:
    good = True
    async with interpreter:
        for number, source in enumerate(cells, 1):
            outcome = await interpreter.run(source)
            if as_json:
                print(lines.line(lines.cell(number, source, outcome)), flush=True)
            else:
                say(outcome)
            good = good and outcome.ok
    return exits.DONE if good else exits.NOT_DONE


def _read(path: str) -> str:
    """The source of a cell, decoded as Python would."""
    try:
        file = sys.stdin.buffer if path == "-" else open(path, "rb")  # noqa: SIM115
        with file:
            source = file.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from None
    name = "standard input" if path == "-" else path
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

"""`codeact show`: all of a run that is kept, as a page in a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from codeact import assemble
from codeact.core.errors import UsageError

from . import exits, pages, which
from .arguments import Parser


def main(argv: Sequence[str]) -> int:
    """Show the run in the form that was asked for."""
    options = _parser().read(argv)
    store = assemble.store(options.journal)
    run = which.one_run(store, options.words, "show")
    if options.html is None:
        raise UsageError(f"in which form? write codeact show {run[:12]} --html FILE")
    pages.write(store, run, Path(options.html))
    return exits.DONE


def _parser() -> Parser:
    parser = Parser(
        "show",
        "Show all of a run: thoughts, code, calls, output, pictures, files, tokens and seconds.",
        "codeact show RUN --html FILE [--journal PATH]",
        "RUN",
        which.HELP,
    )
    pages.add_flag(parser)
    parser.add_argument("--journal", metavar="PATH", help="the file that the run is kept in, or postgres://...")
    return parser

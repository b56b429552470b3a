"""`codeact show`: all of a run that is kept: as text, as its entries, or as a page in a file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from codeact import assemble, shell
from codeact.core.errors import UsageError
from codeact.core.story import story
from codeact.journals import codec

from .. import page
from . import exits, lines, pages, telling, which
from .arguments import Parser


def main(argv: Sequence[str]) -> int:
    """Show the run in the form that was asked for."""
    options = _parser().read(argv)
    if options.html is not None and options.json:
        raise UsageError("--html and --json are two forms: name one")
    store = assemble.store(options.journal)
    run = which.one_run(store, options.words, "show")
    if options.html is not None:
        pages.write(store, run, Path(options.html))
    elif options.json:
        for entry in page.family(store, run):
            print(lines.line(codec.whole(entry)))
    else:
        paged(telling.lines(store, run, story(store.entries(run))))
    return exits.DONE


def paged(text: Iterable[str]) -> None:
    """Print these lines, on a terminal in its pager."""
    pager = shell.split(os.environ.get("PAGER", "")) or ["less", "-FRX"]
    if not sys.stdout.isatty() or shutil.which(pager[0]) is None:
        for line in text:
            print(line)
        return
    whole = "".join(f"{line}\n" for line in text)
    subprocess.run(pager, input=whole.encode("utf-8", "replace"), check=False)


def _parser() -> Parser:
    parser = Parser(
        "show",
        "Show all of a run: thoughts, code, calls, output, pictures, files, tokens and seconds.",
        "codeact show RUN [--json | --html FILE] [--journal PATH]",
        "RUN",
        which.HELP,
    )
    parser.add_argument(
        "--json", action="store_true", help="a line of JSON for each entry, those of agents below among them"
    )
    pages.add_flag(parser)
    parser.add_argument("--journal", metavar="PATH", help="the file that the run is kept in, or postgres://...")
    return parser

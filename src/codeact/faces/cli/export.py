"""`codeact export`: runs as lines of JSON for training, as chats, in CodeActInstruct's form, or as their events."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from codeact import assemble
from codeact.core.errors import UsageError
from codeact.export import FORMATS, every_run, trajectories
from codeact.listeners.console.wording import count

from . import exits, lines, which
from .arguments import Parser


def main(argv: Sequence[str]) -> int:
    """Write a line for each run, and say on stderr how many there are."""
    options = _parser().read(argv)
    store = assemble.store(options.journal)
    runs = [which.run_named(store, word) for word in options.words] or list(every_run(store))
    found = trajectories(
        store,
        runs,
        format=options.format,
        successful=options.successful,
        pictures=not options.no_pictures,
        reasoning=options.reasoning,
        below=options.below,
    )
    written = 0
    with _opened(options.output) as file:
        for line in found:
            print(lines.line(line), file=file)
            written += 1
    print(f"{count(written, 'line')} of {count(len(runs), 'run')}", file=sys.stderr)
    return exits.DONE


@contextmanager
def _opened(output: str | None) -> Iterator[TextIO]:
    if output is None:
        yield sys.stdout
        return
    try:
        with Path(output).open("w", encoding="ascii", newline="\n") as file:
            yield file
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror or error}") from None


def _parser() -> Parser:
    parser = Parser(
        "export",
        "Write runs as lines of JSON, for training: what the model was told and said, and what came of each step.",
        "codeact export [RUN...] [--format NAME] [--successful] [--output FILE]",
        "RUN",
        "the runs, how their names begin, or `last`; by itself all that are kept",
    )
    parser.add_argument(
        "--format",
        metavar="NAME",
        default="chat",
        help=f"{' | '.join(FORMATS)} (default chat)",
    )
    parser.add_argument("--successful", action="store_true", help="only runs whose tasks all ended with an answer")
    parser.add_argument("--output", metavar="FILE", help="write them into this file (default: standard output)")
    parser.add_argument("--no-pictures", action="store_true", help="leave pictures out; else they are data URLs")
    parser.add_argument("--reasoning", action="store_true", help="with the model's thinking beside its replies")
    parser.add_argument("--below", action="store_true", help="also the runs of agents that these called")
    parser.add_argument("--journal", metavar="PATH", help="the file that they are kept in")
    return parser

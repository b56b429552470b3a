"""`codeact runs`: what is in the journal, newest first."""

from __future__ import annotations

import functools
import json
import operator
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from codeact import assemble
from codeact.core.errors import StorageError
from codeact.core.messages import NO_USAGE, Usage
from codeact.core.untrusted import inline
from codeact.journals.summary import Summary, used

from . import deleting, exits
from .arguments import Parser, positive


def main(argv: Sequence[str]) -> int:
    """List the last runs, as a table or a line of JSON each."""
    options = _parser().read(argv)
    store = assemble.store(options.journal)
    if deleting.wanted(options):
        return deleting.main(store, options, lambda found: print_table(store, found, sys.stderr))
    found = store.runs(limit=options.limit) if hasattr(store, "runs") else []
    if options.json:
        for run in found:
            print(json.dumps(_line(run, _used(store, run))))
        return exits.DONE
    if not found:
        print(f"There are no runs in {getattr(store, 'path', getattr(store, 'place', 'memory'))}.")
        return exits.DONE
    print_table(store, found)
    return exits.DONE


def _line(run: Summary, used: Usage) -> dict[str, Any]:
    told = {**asdict(run), "usage": asdict(used)}
    del told["asked"]
    return told


def print_table(store: Any, found: Sequence[Any], file: TextIO | None = None) -> None:
    """A row for each run; a model that all have in common stands below."""
    models = {run.model for run in found}
    names = ["run", "began", "ended", "steps", "tokens", *(["model"] if len(models) > 1 else []), "task"]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in names:
        number = name in ("steps", "tokens")
        table.add_column(name, justify="right" if number else "left", no_wrap=True, overflow="ellipsis")
    for run in found:
        used = _used(store, run)
        cells = [
            run.run[:12],
            _when(run.started),
            Text(_STANDS.get(run.stop_reason, run.stop_reason), style=_STYLES.get(run.stop_reason, "red")),
            str(run.steps),
            "" if None in (used.input_tokens, used.output_tokens) else f"{_sum(used):,}",
            *([inline(run.model, 18)] if len(models) > 1 else []),
            inline(run.task, 200),
        ]
        table.add_row(*cells)
    console = Console(highlight=False, markup=False, file=file)
    console.print(table)
    if len(models) == 1:
        console.print(f"all by {inline(models.pop(), 60)}", style="dim")


def _when(began: float) -> str:
    then, now = time.localtime(began), time.localtime()
    return time.strftime("%H:%M" if then[:3] == now[:3] else "%Y-%m-%d", then)


_STANDS = {None: "not ended", "final_answer": "done"}
_STYLES = {None: "yellow", "final_answer": "green", "paused": "yellow"}
_MOST = 5000  # entries of a run that is read for the sake of its tokens


def _used(store: Any, run: Summary) -> Usage:
    """What a run used. One that does not keep it is read, if it is not very long: an earlier codeact began it."""
    if run.usage is not None:
        return run.usage
    if run.entries > _MOST:
        return Usage()
    try:
        return functools.reduce(operator.add, (used(entry.event) for entry in store.entries(run.run)), NO_USAGE)
    except StorageError:  # a run that is damaged is none the less in the list
        return Usage()


def _sum(used: Usage) -> int:
    return (used.input_tokens or 0) + (used.output_tokens or 0)


def _parser() -> Parser:
    parser = Parser("runs", "List the runs that are kept, newest first.", "codeact runs [--journal PATH] [--json]")
    parser.add_argument("--journal", metavar="PATH", help="the file they are kept in, or postgres://...")
    parser.add_argument("--limit", metavar="N", type=positive, default=20, help="how many (default 20)")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each")
    deleting.add_flags(parser)
    return parser

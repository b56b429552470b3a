"""`codeact runs`: what is in the journal, newest first."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from codeact import assemble
from codeact.core.untrusted import inline

from . import exits
from .arguments import Parser, positive


def main(argv: Sequence[str]) -> int:
    """List the last runs, as a table or a line of JSON each."""
    options = _parser().read(argv)
    store = assemble.store(options.journal)
    found = store.runs(limit=options.limit) if hasattr(store, "runs") else []
    if options.json:
        for run in found:
            print(json.dumps(asdict(run)))
        return exits.DONE
    if not found:
        print(f"There are no runs in {getattr(store, 'place', 'memory')}.")
        return exits.DONE
    table = Table("run", "began", "ended", "steps", "model", "task", box=None, header_style="bold", pad_edge=False)
    for run in found:
        began = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.started))
        end = run.stop_reason or "not ended"
        table.add_row(run.run[:12], began, end, str(run.steps), inline(run.model, 30), inline(run.task, 60))
    Console(highlight=False, markup=False).print(table)
    return exits.DONE


def _parser() -> Parser:
    parser = Parser("runs", "List the runs that are kept, newest first.", "codeact runs [--journal PATH] [--json]")
    parser.add_argument("--journal", metavar="PATH", help="the file they are kept in, or postgres://...")
    parser.add_argument("--limit", metavar="N", type=positive, default=20, help="how many (default 20)")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each")
    return parser

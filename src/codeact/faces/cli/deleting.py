"""`codeact runs --delete`: runs that are not needed any more go for good, once somebody has seen which."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from codeact.core.errors import RunLocked, UsageError
from codeact.ports import Forgetting

from . import exits, streams, which
from .arguments import Parser, positive

_DAY = 86400.0
_PAGE = 1000


def add_flags(parser: Parser) -> None:
    """The flags of it."""
    parser.add_argument(
        "--delete", metavar="RUN", action="append", help="delete this run and those that it called; repeatable"
    )
    parser.add_argument(
        "--delete-older", metavar="DAYS", type=positive, help="delete what was last written more than DAYS days ago"
    )
    parser.add_argument("--yes", action="store_true", help="delete without asking")


def wanted(options: argparse.Namespace) -> bool:
    """Whether anything is to be deleted. Raises UsageError where it is not said what."""
    if options.yes and not options.delete and options.delete_older is None:
        raise UsageError("--yes is said to deleting: write --delete RUN or --delete-older DAYS")
    return bool(options.delete) or options.delete_older is not None


def main(store: Any, options: argparse.Namespace, show: Callable[[list[Any]], None]) -> int:
    """Show what would go, ask, and delete it; a run that somebody is at work on stays."""
    if not isinstance(store, Forgetting):
        raise UsageError("nothing can be deleted there: no run is kept")
    found = _found(store, options)
    if found:
        show(found)
        if not options.yes and not _agreed(len(found)):
            print("Nothing was deleted.", file=sys.stderr)
            return exits.NOT_DONE
    gone: list[str] = []
    stayed = 0
    for run in found:
        try:
            gone += store.delete(run.run)
        except RunLocked as error:
            stayed += 1
            print(f"codeact: not deleted: {error}", file=sys.stderr)
    if options.json:
        print(json.dumps({"deleted": gone}))
    _say(len(found) - stayed, len(gone))
    return exits.NOT_DONE if stayed else exits.DONE


def _say(named: int, gone: int) -> None:
    below = f", and {_runs(gone - named)} called by what was named" if gone > named else ""
    print(f"deleted: {_runs(named)}{below}" if gone else "Nothing was deleted.", file=sys.stderr)


def _found(store: Any, options: argparse.Namespace) -> list[Any]:
    """The runs that are meant, each once."""
    found = {}
    for word in options.delete or ():
        run = store.glance(which.run_named(store, word))
        if run.parent is not None:
            raise UsageError(f"the run {run.run} was called by the run {run.parent}: it goes with that one")
        found[run.run] = run
    if options.delete_older is not None:
        before, last = time.time() - options.delete_older * _DAY, None
        while more := store.runs(limit=_PAGE, before=last):
            found.update({run.run: run for run in more if run.changed < before})
            last = more[-1].started
    return list(found.values())


def _agreed(count: int) -> bool:
    if not streams.at_keyboard():
        raise UsageError("nothing was deleted: say --yes where nobody can be asked")
    print(f"Delete {_runs(count)} for good? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _runs(count: int) -> str:
    return f"{count:,} run" if count == 1 else f"{count:,} runs"

"""`codeact fork`: a new run that begins with what happened in another, up to one of its steps, and goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from codeact import assemble
from codeact.core.errors import ReplayDivergence, UsageError
from codeact.session.agent import Agent
from codeact.session.forking import drop, fork
from codeact.session.resuming import Resume

from . import again, which
from .arguments import Parser, positive, reading


def main(argv: Sequence[str]) -> int:
    """Branch off the run and go on, and say what came of it, as `run` does."""
    options = _parser().read(argv)
    store = assemble.store(options.journal)
    name = which.one_run(store, options.words, "fork", agent=True)
    if options.at is None:
        raise UsageError("from which step on? write --at N; --at 0 begins the task anew")

    def taken(agent: Agent) -> Resume:
        new.append(asyncio.run(fork(agent, name, options.at, options.say, options.max_steps, options.anyway)))
        return Resume(new[0], fresh=options.fresh, anyway=options.anyway)

    new: list[str] = []
    try:
        return again.go_on(store, name, options, taken)
    except (ReplayDivergence, UsageError):
        for run in new:
            drop(store, run)
        raise


def _parser() -> Parser:
    parser = Parser(
        "fork",
        "Begin a new run with all that happened in another up to a step, and go on from there.\n"
        "That one stays as it is, and no tool that it called is called again.",
        "codeact fork RUN --at N [--say TEXT] [flags]",
        "RUN [app.py:agent]",
        again.HELP,
    )
    parser.add_argument("--at", metavar="N", type=reading(_step), help="the step that it goes on behind; 0: the task")
    parser.add_argument("--say", metavar="TEXT", help="what the model is told there, and reads next")
    parser.add_argument("--model", metavar="SPEC", help="who goes on (default: the model that it was begun with)")
    parser.add_argument("--max-steps", metavar="N", type=positive, help="replies that the task may take now")
    again.add_flags(parser)
    return parser


def _step(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"not the number of a step: {text!r}")
    return int(text[:9])

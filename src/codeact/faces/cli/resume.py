"""`codeact resume`: go on with a run that was cut off, made of what it was made of."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from codeact import assemble
from codeact.agent import with_parts
from codeact.core.errors import CodeactError, UsageError
from codeact.core.events import Event, RunStarted, TaskGiven
from codeact.core.execution import ToolCall
from codeact.core.recovery import Failed, Happened, Recovery, Retry
from codeact.core.untrusted import inline
from codeact.resuming import Resume
from codeact.session import ended

from . import lines, run, streams
from .arguments import Parser


def main(argv: Sequence[str]) -> int:
    """Take the run up where it was cut off, and say what came of it, as `run` does."""
    options = _parser().read(argv)
    store = assemble.store(options.journal)
    if len(options.words) != 1:
        raise UsageError("which run? write codeact resume RUN; `codeact runs` lists them")
    name = store.find(options.words[0]) if hasattr(store, "find") else options.words[0]
    events = [entry.event for entry in store.entries(name)]
    typed, place = run.typed(_words(name, events))
    typed.journal = options.journal
    out = streams.for_programs() if options.json else None
    resume = Resume(name, _Operator(options).knows, fresh=options.fresh, anyway=options.anyway)
    with nullcontext(run.own_agent(place, typed)) if place else run.agent_of(typed) as made:
        agent = with_parts(made, store=store)
        with assemble.console(sys.stdout, out=typed.out, keep=True) as console:
            over = asyncio.run(ended(agent, name))
            console(next(event for event in events if isinstance(event, RunStarted)))
            if over is not None:
                done = run.Done(over, "", None)
                for event in over.events:
                    console(event)
            else:
                console([event for event in events if isinstance(event, TaskGiven)][-1])
                done = asyncio.run(run.resumed(agent, resume, console))
    if done.error is not None and not isinstance(done.error, CodeactError):
        traceback.print_exception(done.error)
    if done.result.stop_reason == "paused":
        _ask(name, done.result.unknown)
    if out is not None:
        print(lines.line(done.line(console.saved)), file=out, flush=True)
    return done.status()


def _words(name: str, events: Sequence[Event]) -> list[str]:
    """What was typed when the run began, in the folder that it was typed in."""
    started = next((event for event in events if isinstance(event, RunStarted)), None)
    if started is None or not started.origin:
        raise UsageError(f"the run {name} was not begun by `codeact run`: go on with it by agent.resume({name!r})")
    if not any(isinstance(event, TaskGiven) for event in events):
        raise UsageError(f"the run {name} was cut off before its task had begun: there is nothing to go on with")
    folder, *words = started.origin
    try:
        os.chdir(folder)  # what was named by a path is found from there
    except OSError as error:
        raise UsageError(f"the run {name} was begun in {folder}: {error.strerror}") from None
    return words


class _Operator:
    """What was said on the command line of calls that were cut off."""

    def __init__(self, options: Any) -> None:
        self._said: dict[str, Recovery] = {}
        for key in options.retry:
            self._said[key] = Retry()
        for key in options.failed:
            self._said[key] = Failed()
        for text in options.done:
            key, _, value = text.partition("=")
            try:
                self._said[key] = Happened(json.loads(value) if value else None)
            except ValueError as error:
                raise UsageError(f"--done {text}: the value is JSON, such as {key}='\"text\"' ({error})") from None

    async def knows(self, call: ToolCall) -> Recovery | None:
        """What was said of this call."""
        return next((said for key, said in self._said.items() if key and call.key.startswith(key)), None)


def _ask(name: str, unknown: Sequence[ToolCall]) -> None:
    print("Nobody knows whether these calls took effect, so nothing was done:", file=sys.stderr)
    for call in unknown:
        given = ", ".join(f"{key}={value!r}" for key, value in call.arguments.items())
        print(f"  {call.key[:12]}  {inline(f'{call.tool}({given})', 300)}", file=sys.stderr)
    print(
        f"Find out, and say it: codeact resume {name[:12]} with --done KEY=VALUE (as JSON), --failed KEY, or "
        "--retry KEY to have it called again",
        file=sys.stderr,
    )


def _parser() -> Parser:
    parser = Parser(
        "resume",
        "Go on with a run that was cut off. Nothing is asked of the model twice, and no tool runs twice.",
        "codeact resume RUN [--journal PATH] [flags]",
        "RUN",
        "the run, or how its name begins; `codeact runs` lists them",
    )
    parser.add_argument("--journal", metavar="PATH", help="the file that the run is kept in")
    parser.add_argument(
        "--fresh", action="store_true", help="with an empty interpreter, running nothing again; the model is told"
    )
    parser.add_argument("--anyway", action="store_true", help="also with other parts than it was made of")
    parser.add_argument(
        "--done", metavar="KEY=VALUE", action="append", default=[], help="this call took effect, and gave this (JSON)"
    )
    parser.add_argument("--failed", metavar="KEY", action="append", default=[], help="this call failed")
    parser.add_argument("--retry", metavar="KEY", action="append", default=[], help="this call may be made again")
    parser.add_argument("--json", action="store_true", help="one line of JSON on standard output, as of `run`")
    return parser

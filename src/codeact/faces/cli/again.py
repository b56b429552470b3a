"""A run of the command line is worked on again: by the agent that its line made, in the folder it was typed in."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace

from codeact import assemble
from codeact.core.errors import CodeactError, UsageError
from codeact.core.events import Event, Forked, RunStarted, TaskGiven
from codeact.ports import Store
from codeact.session.agent import Agent, with_parts
from codeact.session.resuming import Resume
from codeact.session.session import ended

from ..called import called
from . import lines, paused, run, secret, streams, which
from .approve import asking
from .arguments import Parser
from .begun import as_begun, model_beside

HELP = f"{which.HELP}; with app.py:agent beside it, where it was begun by an agent object of yours"


def go_on(store: Store, name: str, options: argparse.Namespace, taken: Callable[[Agent], Resume]) -> int:
    """Have the run that `taken` names go on with what `name` was begun with, and say what came of it, as `run` does."""
    out = streams.for_programs() if options.json else None
    events = [entry.event for entry in store.entries(name)]
    folder, *words = _origin(name, events, *options.words[1:])
    typed, place = run.typed(words)
    typed.journal = options.journal
    model = getattr(options, "model", None)
    if model:
        typed.model, words = model, [*words, "--model", model]
    beside = model_beside(place, typed)
    was = next((event for event in events if isinstance(event, RunStarted)), None)
    with nullcontext(run.own_agent(place, typed)) if place else run.agent_of(typed) as found:
        made = as_begun(found, was, beside, other=bool(model))
        made = with_parts(made, store=store, origin=(folder, *words))
        secrets = secret.found([*typed.secret, *options.secret])
        resume = replace(taken(made), secrets=secrets)
        with asking(made) as agent, assemble.console(sys.stdout, out=typed.out, keep=True) as console:
            over = asyncio.run(ended(agent, resume.run))
            for event in _head([entry.event for entry in store.entries(resume.run)]):
                console(event)
            if over is not None:
                done = run.Done(over, "", None)
                for event in over.events[1:]:
                    console(event)
            else:
                done = asyncio.run(run.resumed(agent, resume, console))
    if done.error is not None and not isinstance(done.error, CodeactError):
        traceback.print_exception(done.error)
    asked = paused.tell(store, done.result)
    onward = paused.going_on(store, done.result, options.journal)
    if out is not None:
        print(lines.line(done.line(console.saved, asked, onward)), file=out, flush=True)
    return done.status()


def _origin(name: str, events: Sequence[Event], place: str | None = None) -> tuple[str, ...]:
    """What was typed when the run began, behind the folder that it was typed in, which is ours from here on.

    With the place of an agent it is as if that one had been given the task here.
    """
    started = next((event for event in events if isinstance(event, RunStarted)), None)
    task = next((event.task for event in events if isinstance(event, TaskGiven)), None)
    if task is None:
        raise UsageError(f"the run {name} was cut off before its task had begun: there is nothing to go on with")
    if place is not None:
        return (os.getcwd(), place, task)
    if started is None or not started.origin:
        raise UsageError(
            f"the run {name} was not begun by a line that was typed: name the agent that it is of beside it, as "
            f"`{called()} resume {name[:12]} app.py:agent`, or go on with it by agent.resume({name!r})"
        )
    folder = started.origin[0]
    try:
        os.chdir(folder)  # what was named by a path is found from there
    except OSError as error:
        raise UsageError(f"the run {name} was begun in {folder}: {error.strerror}") from None
    return started.origin


def _head(events: Sequence[Event]) -> list[Event]:
    """What is drawn of what had happened: what the run is made of, its last task, and where it was forked last."""
    last = max(n for n, event in enumerate(events) if isinstance(event, TaskGiven))
    started = [event for event in events if isinstance(event, RunStarted)]
    return [*started, events[last], *[event for event in events[last:] if isinstance(event, Forked)][-1:]]


def add_flags(parser: Parser) -> None:
    """The flags of every command that works on a run again."""
    parser.add_argument("--journal", metavar="PATH", help="the file that the run is kept in, or postgres://...")
    parser.add_argument(
        "--fresh", action="store_true", help="with an empty interpreter, running nothing again; the model is told"
    )
    parser.add_argument("--anyway", action="store_true", help="also with other parts than it was made of")
    secret.add_flag(parser)
    parser.add_argument("--json", action="store_true", help="one line of JSON on standard output, as of `run`")

"""`codeact chat`: a conversation in the terminal, on one session."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace

from codeact import assemble
from codeact.core.errors import UsageError
from codeact.core.events import RunStarted
from codeact.files import read
from codeact.ports import Store
from codeact.session.agent import with_parts
from codeact.session.resuming import Resume

from .. import approve, run, secret, streams, which
from ..taskline import CHAT
from .commands import obey
from .composing import typed_in, typed_lines
from .talk import Talk

_TOLD = (
    "This is a conversation with a person at a terminal. Answer each message by final_answer, in the words that you "
    "would say to them; at once, where there is nothing to work on."
)


def main(argv: Sequence[str]) -> int:
    """Talk until the end of input, `/exit`, or Ctrl-C twice."""
    options, place = run.typed([CHAT, *argv])
    store: Store | None = None
    resumed, began = None, None
    words = [os.getcwd(), CHAT, *argv]
    if options.resume is not None:
        store = assemble.store(options.journal)
        resumed = Resume(which.run_named(store, options.resume), fresh=options.fresh)
        began = _began(store, resumed.run)
        if place is None:
            words = _words(resumed.run, began)
            journal = options.journal
            options, place = run.typed(words[1:])
            options.journal = journal
    out = streams.for_programs() if options.json else None
    with ExitStack() as stack:
        made = run.own_agent(place, options) if place else stack.enter_context(run.agent_of(options))
        if store is None:
            store = made.store if place and options.journal is None else assemble.store(options.journal)
        made = run.recorded(made, options.record) if options.record else made
        told = "\n\n".join(filter(None, (made.instructions, _TOLD)))
        made = with_parts(made, store=store, origin=tuple(words), instructions=told)
        agent = stack.enter_context(approve.asking(made))
        files = read(options.file, agent.policy.limits.scratch)
        console = stack.enter_context(assemble.console(sys.stdout, out=options.out, keep=True))
        if began is not None:
            console(began)
        secrets = secret.found(options.secret)
        resumed = resumed and replace(resumed, secrets=secrets)
        talk = Talk(agent, console, out, files, secrets, options.max_steps)
        with typed_in() if streams.at_keyboard() else nullcontext(typed_lines) as reading:
            return asyncio.run(talk.go_on(reading, resumed, obey))


def _began(store: Store, name: str) -> RunStarted | None:
    return next((entry.event for entry in store.entries(name) if isinstance(entry.event, RunStarted)), None)


def _words(name: str, began: RunStarted | None) -> list[str]:
    """The folder that a run was begun in, which is ours from here on, and the words."""
    if began is None or not began.origin:
        raise UsageError(f"the run {name} was not begun on the command line: name its agent, app.py:agent, beside it")
    os.chdir(began.origin[0])
    return list(began.origin)

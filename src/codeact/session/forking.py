"""A new run that begins with what happened in another, up to one of its steps: the other stays as it is.

It is written first, whole or not at all, and goes on as any run goes on from its journal: its variables are built
again by running its cells, answered by what the other run's journal knows of their calls.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import anyio.to_thread

from ..core.branch import begun_by, upto
from ..core.errors import CodeactError, UsageError
from ..core.events import Entry, Forked, RunStarted
from ..core.tasks import check_task
from ..ports import Filling, Journal, Store
from .agent import Agent
from .beginning import started
from .resuming import check_parts


async def fork(
    agent: Agent, run: str, at: int, say: str | None = None, max_steps: int | None = None, anyway: bool = False
) -> str:
    """Write the run that goes on from step `at` of this one, and give its id. Another model may go on with it.

    Raises UsageError where there is no such step, RunDiffers where the agent is made of other parts, StorageError.
    """
    if type(at) is not int or at < 0:
        raise UsageError(f"at={at!r}: the number of a step, from 0, which is the task as it was given")
    if say is not None:
        check_task(say)
    if max_steps is not None and (type(max_steps) is not int or max_steps < 1):
        raise UsageError(f"max_steps={max_steps!r}: a whole number of replies from 1")
    entries = await anyio.to_thread.run_sync(lambda: list(agent.store.entries(run)))
    if not entries:
        raise UsageError(f"the run {run} holds nothing to go on from")
    events = [entry.event for entry in entries]
    count = upto(events, at)
    kept = [_made_of(agent, run, entry, anyway) for entry in entries[:count]]
    source = begun_by(events, count, run)  # whose calls they are: a fork of a fork may lie in what both began with
    new = secrets.token_hex(16)
    journal = await anyio.to_thread.run_sync(agent.store.create, new)
    try:
        await _fill(journal, kept, Forked(source, at, say or "", max_steps))
    finally:
        journal.close()
    return new


def drop(store: Store, new: str) -> None:
    """Keep nothing of a fork that could not stand: it has done nothing. A store that cannot delete keeps it."""
    delete = getattr(store, "delete", None)
    if delete is not None:
        with suppress(CodeactError):
            delete(new)


def _made_of(agent: Agent, run: str, entry: Entry, anyway: bool) -> Entry:
    """The same, where it says what a run is made of: with the model that goes on."""
    event = entry.event
    if not isinstance(event, RunStarted):
        return entry
    now = started(agent)
    event = replace(event, model=now.model, price=now.price, origin=now.origin or event.origin)
    if not anyway:
        check_parts(run, event, now)
    return replace(entry, event=event)


async def _fill(journal: Journal, entries: Sequence[Entry], forked: Forked) -> None:
    if isinstance(journal, Filling):
        await journal.fill(entries, forked)
        return
    for entry in entries:
        await journal.append(entry.event)
    await journal.append(forked)

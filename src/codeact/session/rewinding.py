"""A place in a session to go back to: how much had happened, and what the variables were.

Where the interpreter can be copied, going back takes up the copy; elsewhere the cells up to there are run again,
answered by the journal. What the session does after it was left is another run, which says where it came from.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import anyio.to_thread

from ..core.errors import SnapshotRefused
from ..core.events import Event, Forked
from ..interpreter import Absent, Interpreter, Snapshot
from ..ports import Journal, Store


@dataclass(slots=True, eq=False)
class Mark:
    """A place in a session. Without `point`, going back runs cells again."""

    events: int
    point: Snapshot | None

    async def lighten(self) -> None:
        """Free the copy that it holds."""
        point, self.point = self.point, None
        if point is not None:
            await point.drop()


async def mark(events: int, interpreter: Interpreter | Absent) -> Mark:
    """Where a session stands that has seen so many events."""
    if isinstance(interpreter, Absent):
        return Mark(events, None)
    try:
        return Mark(events, await interpreter.snapshot())
    except SnapshotRefused:
        return Mark(events, None)


async def restored(mark: Mark, interpreter: Interpreter | Absent) -> bool:
    """Whether the interpreter is again what it was there."""
    if mark.point is None or isinstance(interpreter, Absent):
        return False
    try:
        await interpreter.restore(mark.point)
    except SnapshotRefused:
        return False
    return True


async def written(store: Store, events: Sequence[Event], left: str) -> tuple[str, Journal]:
    """A new run that begins with these events of the run that is left: its id, and its journal."""
    run = secrets.token_hex(16)
    journal = await anyio.to_thread.run_sync(store.create, run)
    try:
        for event in (*events, Forked(left)):
            await journal.append(event)
    except BaseException:
        journal.close()
        raise
    return run, journal

"""What is asked of every store that can let go of a run."""

from __future__ import annotations

from typing import Any

import pytest

from codeact.core.errors import RunLocked, UsageError
from codeact.core.events import Event, TaskGiven, ToolReturned
from codeact.core.execution import Returned

SHARED: list[Event] = [TaskGiven("Share."), ToolReturned("key", Returned("what several runs have " * 4000))]
OWN: list[Event] = [*SHARED, ToolReturned("own", Returned("what nobody else has " * 4000))]


async def check_deleting(store: Any, contents: Any) -> None:
    """A run goes with all below it, and what another has stays; `contents()` counts what lies beside lines."""
    before = contents()
    for run, parent, events in (
        ("deleted", None, OWN),
        ("deleted below", "deleted", SHARED),
        ("deleted further", "deleted below", SHARED),
        ("left", None, SHARED),
    ):
        journal = store.create(run, parent)
        for event in events:
            await journal.append(event)
        journal.close()
    driven = store.open("deleted further")
    with pytest.raises(RunLocked):
        store.delete("deleted")
    assert [entry.event for entry in store.entries("deleted")] == OWN
    driven.close()
    assert store.delete("deleted") == ("deleted", "deleted below", "deleted further")
    assert not store.has("deleted") and store.glance("deleted further") is None
    assert contents() == before + 1
    assert [entry.event for entry in store.entries("left")] == SHARED
    with pytest.raises(UsageError, match="codeact runs"):
        store.delete("deleted")
    store.open("left").close()  # it is as it was
    assert store.delete("left") == ("left",) and contents() == before

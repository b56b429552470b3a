"""A session that is begun inside of a tool call: who hears of it, and how deep it may be."""

from __future__ import annotations

from ..core.events import Delta, Event, Nested
from ..ports import Listener
from ..tools.context import Call


def nesting(call: Call | None, run: str, agent: str) -> list[Listener]:
    """What tells the listeners of the session that calls of all that happens in this run; nothing where none calls."""
    if call is None or call.caller is None:
        return []
    caller, key, name = call.caller, call.key, agent or "agent"

    def tell(item: Event | Delta) -> None:
        caller.tell(Nested(run, name, key, item))

    return [tell]


def check_depth(call: Call | None, agent: str) -> None:
    """Refuse a task that is too many agents deep. Raises RecursionError, which code can catch."""
    if call is not None and call.caller is not None and call.caller.depth <= 0:
        raise RecursionError(
            f"{agent or 'an agent'} was not asked: no more agents may call each other than Limits(depth=...) says, "
            "by itself 3 below the first. Do it without"
        )

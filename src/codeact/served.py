"""What the journal knows of tool calls: a call that it knows is answered by it, and is never made again.

Calls are known by their key, which is their content and not their order, so that threads and gathers may run as they
like. In a cell that had ended, a call that is not known is one that had not been made: then the cell is not what it
was, and nothing is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .core.approvals import Deny
from .core.branch import owner
from .core.errors import ReplayDivergence
from .core.events import ApprovalGiven, Event, ToolCalled, ToolReturned
from .core.execution import Failure, Returned, ToolCall
from .core.untrusted import inline
from .guest import values

INTERRUPTED = "Interrupted"  # the type of a failure that says nothing of the call's effect


class Served:
    """The answers of a run's journal. `known` is whether the cell that runs had ended.

    `owner` says of a cell by the name of which run the keys of its calls were made.
    """

    def __init__(self, events: Sequence[Event], run: str = "") -> None:
        self.known = True
        self.owner = owner(events, run)
        self._returned: dict[str, Returned] = {}
        self._denied: dict[str, str] = {}
        self._called: dict[str, ToolCalled] = {}
        for event in events:
            match event:
                case ToolCalled(key):
                    self._called[key] = event
                case ToolReturned(key, returned):
                    self._returned[key] = returned
                case ApprovalGiven(key, _, "deny", reason):
                    self._denied[key] = reason

    def unknown(self, cell: int) -> tuple[ToolCall, ...]:
        """The calls of a cell, or of an action, of which nobody knows whether they took effect."""
        calls = [one for one in self._called.values() if one.cell == cell and not self._ended(one.key)]
        return tuple(ToolCall(one.key, one.cell, one.tool, one.edited or one.arguments) for one in calls)

    def settle(self, key: str, returned: Returned | None) -> None:
        """What became of such a call; with None it may be made again."""
        self._returned.pop(key, None)
        if returned is not None:
            self._returned[key] = returned

    def __call__(self, call: ToolCall) -> values.Packed | Failure | Deny | None:
        """The answer of a call, or how it was denied; None where it is to be made.

        Raises ReplayDivergence where it cannot have been made.
        """
        if call.key in self._returned:
            returned = self._returned[call.key]
            return returned.failure or values.encode(returned.value)
        if call.key in self._denied:
            return Deny(self._denied[call.key])
        if not self.known:
            return None
        made = [_spelled(one.tool, one.arguments) for one in self._called.values() if one.cell == call.cell]
        asked = _spelled(call.tool, call.arguments)
        raise ReplayDivergence(call.cell, "what it calls", " and ".join(made[:5]) or "nothing", asked)

    def _ended(self, key: str) -> bool:
        returned = self._returned.get(key)
        return returned is not None and (returned.failure is None or returned.failure.type != INTERRUPTED)


def _spelled(tool: str, arguments: dict[str, Any]) -> str:
    return f"{tool}({', '.join(f'{name}={inline(repr(value), 60)}' for name, value in arguments.items())})"

"""What the journal knows of tool calls: a call that it knows is answered by it, and is never made again.

Calls are known by their key, which is their content and not their order, so that threads and gathers may run as they
like. Their answers are given in the order in which they came, and not before what was asked before them: so code that
works with whichever comes first does the same again. In a cell that had ended, a call that is not known is one that had
not been made: then the cell is not what it was, and nothing is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import anyio

from ..core.approvals import Deny
from ..core.branch import owner
from ..core.errors import ReplayDivergence
from ..core.events import ApprovalGiven, Event, ToolCalled, ToolReturned
from ..core.execution import INTERRUPTED, Failure, Returned, ToolCall
from ..core.untrusted import inline
from ..guest import values

_PATIENCE = 0.5  # seconds without anything
_TOGETHER, _APART = 0.002, 0.1  # seconds before an answer: from where they are kept, and how many at most
_LEFT = 10.0  # seconds: a cell that does not wait for an answer has ended long before


class Served:
    """The answers of a run's journal. `known` is whether the cell that runs had ended.

    `owner` says of a cell by the name of which run the keys of its calls were made.
    """

    def __init__(self, events: Sequence[Event], run: str = "", moments: Sequence[float] = ()) -> None:
        self.known = True
        self.owner = owner(events, run)
        self._returned: dict[str, Returned] = {}
        self._denied: dict[str, str] = {}
        self._called: dict[str, ToolCalled] = {}
        self._order = Order()
        self.settled: dict[str, Returned] = {}  # what became of calls, and is not in the journal yet
        for event, at in zip_longest(events, moments, fillvalue=0.0):
            match event:
                case ToolCalled(key):
                    self._called[key] = event
                    self._order.was(event.cell, "asked", key, at)
                case ToolReturned(key, returned):
                    self._returned[key] = returned
                    if key in self._called and self._ended(key):
                        self._order.was(self._called[key].cell, "answered", key, at)
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
            self._returned[key] = self.settled[key] = returned
            if key in self._called:
                self._order.was(self._called[key].cell, "answered", key)

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

    def asked(self, key: str) -> None:
        """A call was asked for that has no answer here."""
        self._order.now("asked", key)

    async def turn(self, key: str) -> None:
        """Wait until it is this call's turn to be answered: until all has happened that had before."""
        self._order.now("asked", key)
        if self.known and not self._ended(key):  # it was stopped when its cell was over, and nobody waited for it
            await anyio.sleep(_LEFT)
        await self._order.reached(key)
        self._order.now("answered", key)

    def _ended(self, key: str) -> bool:
        returned = self._returned.get(key)
        return returned is not None and (returned.failure is None or returned.failure.type != INTERRUPTED)


class Order:
    """What happened of the calls of each cell, in its order, and how far that has happened again."""

    def __init__(self) -> None:
        self._cells: dict[int, list[tuple[str, str]]] = {}
        self._cell_of: dict[str, int] = {}
        self._place: dict[int, int] = {}
        self._happened: set[tuple[str, str]] = set()
        self._last: dict[int, float] = {}  # when what was last in a cell happened
        self._open: dict[int, int] = {}
        self._apart: dict[str, float] = {}  # seconds from what was before, where others were open or just answered
        self._moved = anyio.Event()

    def was(self, cell: int, what: str, key: str, at: float = 0.0) -> None:
        """This is what happened next, at this moment."""
        order, was_open = self._cells.setdefault(cell, []), self._open.get(cell, 0)
        if what == "asked":
            self._open[cell] = was_open + 1
        else:
            self._open[cell] = was_open - 1
            if at and order and (was_open > 1 or order[-1][0] == "answered") and (last := self._last.get(cell)):
                self._apart[key] = min(max(0.0, at - last), _APART)
        order.append((what, key))
        self._cell_of[key], self._last[cell] = cell, at

    def now(self, what: str, key: str) -> None:
        """This has happened again."""
        self._happened.add((what, key))
        self._moved.set()
        self._moved = anyio.Event()

    async def reached(self, key: str) -> None:
        """Wait for all that stands before this answer, as long as anything of it happens."""
        cell = self._cell_of.get(key)
        while self._next(cell) not in (None, ("answered", key)):
            with anyio.move_on_after(_PATIENCE) as waited:
                await self._moved.wait()
            if waited.cancelled_caught:  # what it waits for does not come: code that stops at a limit, or another order
                return
        if self._apart.get(key, 0.0) > _TOGETHER:  # whoever waited went on with those before, and got as far as it got
            await anyio.sleep(self._apart[key])

    def _next(self, cell: int | None) -> tuple[str, str] | None:
        """What has not happened again yet."""
        if cell is None:
            return None
        order, place = self._cells[cell], self._place.get(cell, 0)
        while place < len(order) and order[place] in self._happened:
            place += 1
        self._place[cell] = place
        return order[place] if place < len(order) else None


def _spelled(tool: str, arguments: dict[str, Any]) -> str:
    return f"{tool}({', '.join(f'{name}={inline(repr(value), 60)}' for name, value in arguments.items())})"

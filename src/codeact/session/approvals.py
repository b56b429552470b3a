"""Who is asked before what: the questions of a session, one at a time, in the order of the calls.

A question waits as long as it must. The cell that made the call waits with it, its state untouched; nothing is thrown
into its code and nothing is run twice. What nobody allowed does not run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, NoReturn, TypeAlias, assert_never

import anyio

from ..core.approvals import CELL, PLAN, Allow, Decision, Deny, Edit, Later
from ..core.catalogue import Catalogue
from ..core.errors import UsageError, nearest
from ..core.events import ApprovalAsked, ApprovalGiven, Event
from ..core.execution import ToolCall
from ..ports import Gate
from ..tools.context import Caller

Needs: TypeAlias = Collection[str] | Callable[[ToolCall], bool]  # names of tools, "cell", "plan"; or who says so


_KINDS = {CELL: "cell", PLAN: "plan"}


class Approvals:
    """The questions of one session. Without a gate each waits for `decide`.

    A session that is part of a tool call asks `above`, the session that made that call, too: about all that one wants
    to be asked about, and about what this one has no gate for.
    """

    def __init__(
        self,
        needs: Needs | None,
        gate: Gate | None,
        record: Callable[[Event], Awaitable[None]],
        agent: str = "",
        above: Caller | None = None,
        pause: Callable[[], Awaitable[None]] = anyio.sleep_forever,
    ) -> None:
        self._needs = needs
        self._gate = gate
        self._record = record
        self._agent = agent or "agent"
        self._above = above
        self._pause = pause
        self._turn = anyio.Lock(fast_acquire=True)
        self._free: set[tuple[str, str]] = set()  # kinds and names
        self._waiting: dict[str, asyncio.Future[Decision]] = {}
        self._known: dict[str, Decision] = {}

    def load(self, events: Iterable[Event], decisions: Mapping[str, Decision]) -> None:
        """Know what was decided before, of tool calls and for the session, and what is decided of what waits."""
        for event in events:
            match event:
                case ApprovalGiven(_, tool, "allow for the session"):
                    self._free.add((_KINDS.get(tool, "tool"), tool))
                case ApprovalGiven(key, tool, "allow") if tool not in _KINDS:
                    self._known[key] = Allow()
                case ApprovalGiven(key, tool, "edit", _, arguments) if tool not in _KINDS:
                    self._known[key] = Edit(arguments or {})
        for key, decision in decisions.items():
            self._known[key] = _checked(decision)

    @property
    def some(self) -> bool:
        """Whether there may be anything to ask."""
        return self._needs is not None or self._above is not None

    @property
    def cells(self) -> bool:
        """Whether a cell may have to be looked at before it runs, here or above."""
        return of_cells(self._needs) or (self._above is not None and self._above.cells)

    async def ask(self, call: ToolCall) -> Decision:
        """What was decided of this call; Allow without a question where none is needed."""
        if not self.asks(call):
            return Allow()
        async with self._turn:
            if not self.asks(call):  # allowed for the session while it waited
                return Allow()
            await self._record(ApprovalAsked(call.key, call.cell, call.tool, call.arguments))
            decision = self._kept(call, await self._decision(call))
            if not isinstance(decision, Later):
                await self._record(_given(call, decision))
                return decision
        return await self._later()  # others may ask meanwhile, so that all questions are there

    async def answer(self, call: ToolCall) -> Decision:
        """What is decided here of a call that code of an agent below, `call.agent`, makes; that session records it."""
        async with self._turn:
            decision = Allow() if self.freed(call) else self._kept(call, await self._decision(call))
        return await self._later() if isinstance(decision, Later) else decision

    def asks(self, call: ToolCall) -> bool:
        """Whether this call is one that is asked about, here or above."""
        if _name(call) in self._free:
            return False
        settled = self._gate is None and self._above is not None and self._above.freed(self._named(call))
        return (self._wanted(call) and not settled) or self._wanted_above(call)

    def freed(self, call: ToolCall) -> bool:
        """Whether it was allowed for the rest of the session by whoever decides here."""
        above = self._gate is None and self._above is not None and self._above.freed(self._named(call))
        return _name(call) in self._free or above

    def decide(self, key: str, decision: Decision) -> None:
        """Answer the question of this key, from the loop that it waits on. Raises UsageError when none is open."""
        _checked(decision)
        waiting = self._waiting.pop(key, None)
        if waiting is None or waiting.done():
            raise UsageError(f"nothing waits for a decision under the key {key!r}")
        waiting.set_result(decision)

    def _wanted(self, call: ToolCall) -> bool:
        needs = self._needs
        if needs is None:
            return False
        return bool(needs(call)) if callable(needs) else call.tool in needs

    def _wanted_above(self, call: ToolCall) -> bool:
        return self._above is not None and self._above.asks(self._named(call))

    def _kept(self, call: ToolCall, decision: Decision) -> Decision:
        if isinstance(decision, Allow) and decision.session:
            self._free.add(_name(call))
        return decision

    def _named(self, call: ToolCall) -> ToolCall:
        return replace(call, agent=f"{self._agent}.{call.agent}" if call.agent else self._agent)

    async def _decision(self, call: ToolCall) -> Decision:
        if call.key in self._known:
            return self._known.pop(call.key)
        if self._above is None:
            return await self._own_decision(call)
        if self._gate is None:
            return _checked(await self._above.ask(self._named(call)))
        decision: Decision = Allow() if not self._wanted(call) else await self._own_decision(call)
        if isinstance(decision, Deny | Later) or not self._wanted_above(call):
            return decision
        seen = replace(call, arguments=decision.arguments) if isinstance(decision, Edit) else call
        upper = _checked(await self._above.ask(self._named(seen)))
        return decision if isinstance(upper, Allow) and isinstance(decision, Edit) else upper

    async def _later(self) -> NoReturn:
        await (self._pause() if self._above is None else self._above.later())
        raise AssertionError("a pause does not return")

    async def _own_decision(self, call: ToolCall) -> Decision:
        if self._gate is not None:
            return _checked(await self._gate(call))
        waiting: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        self._waiting[call.key] = waiting
        try:
            return await waiting
        finally:
            self._waiting.pop(call.key, None)


def _name(call: ToolCall) -> tuple[str, str]:
    return call.kind, f"{call.agent}.{call.tool}" if call.agent else call.tool


def _checked(decision: Any) -> Decision:
    """What a gate of the user's gave, which may be anything: a True that was meant as Allow() is not guessed at."""
    match decision:
        case Allow() | Deny() | Edit() | Later():
            return decision
    raise TypeError(f"a decision is Allow(), Deny(reason), Edit(arguments) or Later(), not {decision!r}")


def _given(call: ToolCall, decision: Allow | Deny | Edit) -> ApprovalGiven:
    match decision:
        case Allow(session):
            return ApprovalGiven(call.key, call.tool, "allow for the session" if session else "allow")
        case Deny(reason):
            return ApprovalGiven(call.key, call.tool, "deny", reason)
        case Edit(arguments):
            return ApprovalGiven(call.key, call.tool, "edit", arguments=arguments)
        case _:
            assert_never(decision)


def everything(call: ToolCall) -> bool:
    """A need that every tool call has; cells and plans go without."""
    return call.kind == "tool"


def of_cells(needs: Needs | None) -> bool:
    """Whether a cell may have to be looked at by somebody before it runs."""
    if needs is None or needs is everything:
        return False
    return callable(needs) or CELL in needs


def resolved(needs: Needs | None, catalogue: Catalogue, below: Collection[str] = ()) -> Needs | None:
    """The same with whole names of tools. A name that several groups have means all of those, a group all of its own.

    `below` are the names of tools that agents among the tools call. Raises UsageError for a name that nothing has: it
    would be asked about never.
    """
    if needs is None or callable(needs):
        return needs
    found: set[str] = set()
    for name in needs:
        meant = [name] if name in (CELL, PLAN) else [spec.path for spec in catalogue.meant(name)]
        meant += [name] if name in below else []
        if not meant:
            near = nearest(name, [*catalogue.by_path, *catalogue.flat.values()])
            raise UsageError(f"approve: there is no tool {name!r}{near}")
        found.update(meant)
    return frozenset(found)


def named(needs: Any) -> Needs | None:
    """What users write: True or `"all"` for all tool calls, a list of names (of tools, "cell", "plan"), a predicate."""
    if needs is None or needs is False:
        return None
    if needs is True or needs == "all":
        return everything
    if callable(needs):
        return needs  # type: ignore[no-any-return]
    if isinstance(needs, str):
        raise TypeError(f"approve={needs!r}: write a list, approve=[{needs!r}], or 'all'")
    names = frozenset(needs)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"approve={needs!r}: the names of tools, 'cell', 'plan', 'all', or a function of the call")
    return names

"""Who is asked before what: the questions of a session, one at a time, in the order of the calls.

A question waits as long as it must. The cell that made the call waits with it, its state untouched; nothing is thrown
into its code and nothing is run twice. What nobody allowed does not run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any, TypeAlias, assert_never

import anyio

from .core.approvals import CELL, PLAN, Allow, Decision, Deny, Edit
from .core.catalogue import Catalogue
from .core.errors import UsageError, nearest
from .core.events import ApprovalAsked, ApprovalGiven, Event
from .core.execution import ToolCall
from .ports import Gate

Needs: TypeAlias = Collection[str] | Callable[[ToolCall], bool]  # names of tools, "cell", "plan"; or who says so


_KINDS = {CELL: "cell", PLAN: "plan"}


class Approvals:
    """The questions of one session. Without a gate each waits for `decide`."""

    def __init__(self, needs: Needs | None, gate: Gate | None, record: Callable[[Event], Awaitable[None]]) -> None:
        self._needs = needs
        self._gate = gate
        self._record = record
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

    async def ask(self, call: ToolCall) -> Decision:
        """What was decided of this call; Allow without a question where none is needed."""
        if not self._wanted(call):
            return Allow()
        async with self._turn:
            if (call.kind, call.tool) in self._free:
                return Allow()
            await self._record(ApprovalAsked(call.key, call.cell, call.tool, call.arguments))
            decision = await self._decision(call)
            await self._record(_given(call, decision))
            if isinstance(decision, Allow) and decision.session:
                self._free.add((call.kind, call.tool))
            return decision

    def decide(self, key: str, decision: Decision) -> None:
        """Answer the question of this key, from the loop that it waits on. Raises UsageError when none is open."""
        _checked(decision)
        waiting = self._waiting.pop(key, None)
        if waiting is None or waiting.done():
            raise UsageError(f"nothing waits for a decision under the key {key!r}")
        waiting.set_result(decision)

    def _wanted(self, call: ToolCall) -> bool:
        needs = self._needs
        if needs is None or (call.kind, call.tool) in self._free:
            return False
        return bool(needs(call)) if callable(needs) else call.tool in needs

    async def _decision(self, call: ToolCall) -> Decision:
        if call.key in self._known:
            return self._known.pop(call.key)
        if self._gate is not None:
            return _checked(await self._gate(call))
        waiting: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        self._waiting[call.key] = waiting
        try:
            return await waiting
        finally:
            self._waiting.pop(call.key, None)


def _checked(decision: Any) -> Decision:
    """What a gate of the user's gave, which may be anything: a True that was meant as Allow() is not guessed at."""
    match decision:
        case Allow() | Deny() | Edit():
            return decision
    raise TypeError(f"a decision is Allow(), Deny(reason) or Edit(arguments), not {decision!r}")


def _given(call: ToolCall, decision: Decision) -> ApprovalGiven:
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


def resolved(needs: Needs | None, catalogue: Catalogue) -> Needs | None:
    """The same with whole names of tools. A name that several groups have means all of those, a group all of its own.

    Raises UsageError for a name that nothing has: it would be asked about never.
    """
    if needs is None or callable(needs):
        return needs
    found: set[str] = set()
    for name in needs:
        meant = [name] if name in (CELL, PLAN) else [spec.path for spec in catalogue.meant(name)]
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

"""The call that a tool is answering: any tool can ask which it is, in its thread, in its task, behind any server.

It stands in a context variable, which goes with a task, and with the threads that blocking tools run in. Tools of our
own find the session there that calls: whom to tell, who pays, whom to ask.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..core.approvals import Decision
from ..core.events import Charged, Delta, Event
from ..core.execution import ToolCall
from ..core.messages import Usage
from ..following import Followers
from ..ledger import Ledger
from ..metered import Metered
from ..ports import Gate, Model, Store
from ..secrets import Vault
from .pause import Pause

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Caller:
    """A session that calls tools, in a task of its. It may be spoken to from any thread and any event loop.

    `depth` is how many agents deep may be called from here. `cells` says whether somebody may have to look at cells,
    `asks` whether anybody wants to be asked about a call, `freed` whether it was allowed for the rest of the session.
    """

    loop: asyncio.AbstractEventLoop
    listen: Callable[[Event | Delta], None]
    model: Model
    ledger: Ledger
    depth: int
    cells: bool
    asks: Callable[[ToolCall], bool]
    freed: Callable[[ToolCall], bool]
    gate: Gate
    place: Callable[[str], Awaitable[int]]
    pause: Pause
    store: Store  # where its journal is, and those of the sessions that are part of it
    bill: list[Charged] = field(default_factory=list)  # what is not recorded yet
    vault: Vault = field(default_factory=Vault, repr=False)
    followers: Followers = field(default_factory=Followers)  # of it, and of the sessions that are part of it

    def tell(self, item: Event | Delta) -> None:
        """Tell its listeners."""
        if _running() is self.loop:
            self.listen(item)
        else:
            with suppress(RuntimeError):  # closed: nobody listens any more
                self.loop.call_soon_threadsafe(self.listen, item)

    async def beside(self, key: str) -> int:
        """How many questions its model was asked before the one that the call of this key puts to it now."""
        return await self._there(lambda: self.place(key))

    async def ask(self, call: ToolCall) -> Decision:
        """Ask whoever it asks about its own calls."""
        return await self._there(lambda: self.gate(call))

    async def later(self) -> None:
        """Have it pause until somebody has decided. It does not return."""
        await self._there(self.pause)

    async def _there(self, function: Callable[[], Awaitable[T]]) -> T:
        if _running() is self.loop:
            return await function()

        async def there() -> T:
            return await function()

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(there(), self.loop))


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call as its tool sees it.

    `key` is what the call is, not when: the same call of the same cell of the same run has it again, after a restart
    too. So it can be given to a server as an idempotency key.
    """

    key: str
    run: str
    cell: int
    tool: str
    caller: Caller | None = field(default=None, repr=False, compare=False)  # None where an interpreter alone calls
    memo: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)  # what tools remember for the run

    def charge(self, model: str, usage: Usage, cost: float | None) -> None:
        """Put on the bill of who calls what a model was asked for it."""
        if self.caller is not None:
            self.caller.bill.append(Charged(self.key, model, usage, cost))


ANSWERING: ContextVar[Call] = ContextVar("codeact_call")


def current_call() -> Call:
    """The call that is being answered. Raises RuntimeError outside of a tool."""
    try:
        return ANSWERING.get()
    except LookupError:
        raise RuntimeError(
            "no tool call is being answered here: current_call() works inside a tool, in the task or the thread that "
            "it was called in"
        ) from None


def metered(model: Model | None = None) -> Model:
    """A model for a tool to ask, by itself that of the agent that calls: the call that is being answered pays for it.

    Its `ask` raises BudgetExhausted where the budget of the agent, or of one that called it, leaves no room.
    """
    call = current_call()
    if call.caller is None:
        if model is None:
            raise RuntimeError(f"{call.tool}() was called without an agent, so there is no model to ask: name one")
        return model
    followers = call.caller.followers
    asked = model or call.caller.model
    return Metered(asked, call.caller.ledger, call.charge, lambda name, prompt: followers.asking(name, prompt, True))


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None

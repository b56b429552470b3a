"""What a session's tasks cost: a ledger for each, below that of whoever calls, and a word to the model in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager

from ..core.events import BudgetWarned, Charged, TaskGiven, ToolCalled
from ..core.execution import Limits
from ..core.messages import Prompt, Reply
from ..core.prompt import prompt
from ..history import History
from ..ledger import Ledger
from ..metered import Metered, weight
from ..ports import Emit
from ..tools.context import Call, Caller
from ..tools.pause import Pause
from .agent import Agent
from .approvals import Approvals

Place = Callable[[str], Awaitable[int]]


class Books:
    """The ledger of the task at hand, and a model that it pays for.

    `above` is the session that calls, where this one is part of a tool call.
    """

    def __init__(self, agent: Agent, history: History, above: Caller | None) -> None:
        self._agent = agent
        self._history = history
        self._warned: set[str] = set()
        self._bill: list[Charged] = []
        self.pause = Pause()
        self.ledger = Ledger(prices=agent.prices, above=above.ledger if above is not None else None)
        self.price = self.ledger.price(agent.model.name)

    def opened(self, approvals: Approvals, limits: Limits, above: Caller | None, place: Place) -> Caller:
        """Begin a task: a fresh ledger, and this session as the tools that it calls see it."""
        agent = self._agent
        self.ledger = Ledger(agent.budget, agent.prices, above.ledger if above is not None else None)
        self._warned.clear()
        return Caller(
            asyncio.get_running_loop(),
            self._history.tell,
            agent.model,
            self.ledger,
            limits.depth if above is None else min(limits.depth, above.depth - 1),
            approvals.cells,
            approvals.asks,
            approvals.freed,
            approvals.answer,
            place,
            self.pause if above is None else above.pause,
            agent.store if above is None else above.store,
            self._bill,
            self._history.vault,
            self._history.followers,
        )

    def stops(self, call: Call | None) -> AbstractContextManager[None]:
        """What the task at hand, which is done for this call if it is for one, is left by where it pauses."""
        if call is None or call.caller is None:
            return self.pause.task()
        return call.caller.pause.inside(call.key)

    @property
    def name(self) -> str:
        """That of the agent's model."""
        return self._agent.model.name

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        """The agent's model, paid for by the task at hand. Raises BudgetExhausted, beside its errors."""
        vault, followers = self._history.vault, self._history.followers
        model = Metered(self._agent.model, self.ledger, None, lambda model, of: followers.asking(model, of, False))
        hearing = vault.hearing(emit)
        try:
            reply = await model.ask(prompt, hearing)
        finally:
            hearing.end()
        return vault.told(reply)  # type: ignore[no-any-return]

    async def warn(self) -> None:
        """Record what is nearly spent, once in a task."""
        ahead = weight(prompt(self._history.state)) if self.ledger.weighs else 0
        for near in self.ledger.near(self._agent.model.name, ahead):
            if near.kind not in self._warned:
                self._warned.add(near.kind)
                await self._history.record(BudgetWarned(near.kind, near.spent, near.limit))

    def carry(self) -> None:
        """A task that goes on has spent what it had spent, its seconds too, as long as it was worked on."""
        state, calls = self._history.state, 0
        for event in reversed(self._history.events):
            if isinstance(event, TaskGiven):
                break
            calls += isinstance(event, ToolCalled)
        self.ledger.carry(self._agent.model.name, state.usage, calls, self._history.worked)

    async def closed(self) -> None:
        """Record what tools have asked of models since their last call was over."""
        while self._bill:
            await self._history.record(self._bill.pop(0))

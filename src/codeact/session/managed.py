"""An agent as a tool of another: called as a function with a task and data, in a session of its own for each call."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import anyio.to_thread

from ..core.branch import run_of
from ..core.budget import Price, price_of
from ..core.errors import AgentError, CodeactError, ToolDefinitionError, UsageError
from ..core.events import TaskGiven, ToolReturned
from ..core.execution import ToolCall, ToolSpec
from ..core.recovery import Recovery, Retry
from ..core.state import State, after
from ..ports import Commanding, Knows, Store, Tool
from ..secrets import named
from ..tools.context import ANSWERING
from ..tools.function import FunctionTool, Options
from ..tools.names import is_free
from ..tools.results import plain
from .agent import Agent
from .result import RunResult
from .resuming import Resume, action_of, settle
from .served import Served
from .session import Session, ended

_MORE = "task: what is to be done, in words\ndata: values that it gets as variables of these names"


class AgentTool:
    """`NAME(task, **data)`: what the agent answers; AgentError where it does not. Its deadlines are its own."""

    def __init__(self, agent: Agent) -> None:
        if not agent.name or not agent.description:
            missing = "name" if not agent.name else "description"
            raise ToolDefinitionError(
                f"an agent that another one calls needs a {missing}: "
                "CodeAgent(name='researcher', description='what it can do', ...)"
            )
        if not is_free(agent.name):
            raise ToolDefinitionError(f"{agent.name!r} cannot be the name of an agent that code calls: write a word")

        async def called(task: str, **data: Any) -> Any:
            return await _answer(agent, task, data)

        called.__annotations__["return"] = agent.answers.type if agent.answers is not None else Any
        self.agent = agent
        self._function = FunctionTool(called, Options(agent.name), f"{agent.description}\n\n{_MORE}")

    @property
    def spec(self) -> ToolSpec:
        """The agent's name and description, and what it is called with."""
        return self._function.spec

    @property
    def schema(self) -> dict[str, Any]:
        """What it is called with, as JSON Schema."""
        return self._function.schema

    @property
    def seconds(self) -> float | None:
        """None that counts: an agent has a budget, and what it calls has deadlines."""
        return math.inf

    @property
    def concurrency(self) -> int | None:
        """As many at once as the session allows."""
        return None

    @property
    def below(self) -> set[str]:
        """The names of all tools that are called in answering it."""
        own = {tool.spec.path for tool in self.agent.tools}
        return own.union(*(tool.below for tool in self.agent.tools if isinstance(tool, Commanding)))

    def __repr__(self) -> str:
        return f"<agent {self.spec.name}{self.spec.signature}>"

    def bind(self, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The task and the data, by parameter name."""
        return self._function.bind(args, kwargs)

    async def call(self, arguments: dict[str, Any]) -> Any:
        """Ask the agent."""
        return await self._function.call(arguments)

    async def settle(self, call: ToolCall, store: Store, knows: Knows | None) -> tuple[ToolCall, ...]:
        """Find out what became of the calls of its own, and keep that in the run that it goes on with."""
        run = run_of(call.key)
        if not await anyio.to_thread.run_sync(store.has, run):
            return ()
        events = [entry.event for entry in await anyio.to_thread.run_sync(lambda: list(store.entries(run)))]
        served = Served(events)
        left = await settle(self.agent, served, action_of(functools.reduce(after, events, State())), knows, store)
        if served.settled:
            journal = await anyio.to_thread.run_sync(store.open, run)
            try:
                for key, returned in served.settled.items():
                    await journal.append(ToolReturned(key, returned))
            finally:
                journal.close()
        name = self.agent.name
        return tuple(replace(one, agent=f"{name}.{one.agent}" if one.agent else name) for one in left)


async def _answer(agent: Agent, task: str, data: dict[str, Any]) -> Any:
    call = ANSWERING.get(None)
    run = None if call is None else run_of(call.key)
    store = agent.store if call is None or call.caller is None else call.caller.store
    try:
        if run is not None and await anyio.to_thread.run_sync(store.has, run):
            result = await _go_on(agent, run, store, task, data)
        else:
            async with Session(agent, run_id=run) as session:
                result = await session.run(task, additional_args=data)
    except CodeactError as error:
        raise AgentError(agent.name, "error", f"{type(error).__name__}: {error}") from error
    if result.stop_reason != "final_answer":
        raise AgentError(agent.name, result.stop_reason, result.error or "")
    return plain(result.answer)


async def _go_on(agent: Agent, run: str, store: Store, task: str, data: dict[str, Any]) -> RunResult:
    """The call was cut off, and is made again: its run goes on where it was."""
    if (result := await ended(agent, run, store)) is not None:
        return result

    async def again(call: ToolCall) -> Recovery:
        return Retry()  # whoever had this agent called again has said so of its calls, too

    async with Session(agent, resume=Resume(run, again, secrets=named(data))) as session:
        if any(isinstance(event, TaskGiven) for event in session.events):
            return await session.resume()
        return await session.run(task, additional_args=data)


def with_agents(tools: Sequence[Tool], managed: Iterable[Any]) -> list[Tool]:
    """The tools, and each of these agents as one. Raises TypeError for what is no agent."""
    made: list[Tool] = []
    for one in managed:
        if not isinstance(one, Agent):
            raise TypeError(f"managed_agents takes agents, not {type(one).__name__}: functions go into tools=[...]")
        made.append(AgentTool(one))
    return [*tools, *made]


def check_prices(agent: Agent) -> None:
    """Refuse a budget of money where a model that may be asked for it has no price."""
    if agent.budget is None or agent.budget.money is None:
        return
    for model in _unpriced(agent, {}):
        raise UsageError(
            f"a budget of money needs the price of {model}, too: prices={{{model!r}: (input, output), ...}}, "
            "for a million tokens"
        )


def _unpriced(agent: Agent, above: Mapping[str, Price]) -> Iterator[str]:
    known = {**above, **agent.prices}
    if price_of(agent.model.name, known) is None:
        yield agent.model.name
    for tool in agent.tools:
        if isinstance(tool, AgentTool):
            yield from _unpriced(tool.agent, known)

"""The agents that a server offers: how each is told of, what of it a task may choose, and whose an old run is."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from codeact import assemble
from codeact.core.errors import RunDiffers, UsageError, nearest
from codeact.core.events import RunStarted
from codeact.core.execution import Limits
from codeact.ports import Store
from codeact.session.agent import Agent, with_parts
from codeact.session.beginning import started
from codeact.session.resuming import check_parts

_CHOSEN = ("seconds", "memory", "tool_seconds")  # limits that a task may set, beside its steps


@dataclass(frozen=True, slots=True)
class Choice:
    """What a task chooses of what its agent offers; None leaves it as it is. `tools` are fewer of the agent's own."""

    model: str | None = None
    tools: Sequence[str] | None = None
    limits: dict[str, Any] = field(default_factory=dict)
    instructions: str = ""


class Offer:
    """The agents of one server by name. Raises UsageError where two have one name, or there is none."""

    def __init__(self, agents: Iterable[Agent], models: Sequence[str], store: Store) -> None:
        self.agents: dict[str, Agent] = {}
        self.models = tuple(dict.fromkeys(models))
        for agent in agents:
            name = agent.name or ("agent" if "agent" not in self.agents else f"agent-{len(self.agents) + 1}")
            if name in self.agents:
                raise UsageError(f"two agents are named {name!r}: give one of them another name=")
            self.agents[name] = with_parts(agent, store=store, name=name)
        if not self.agents:
            raise UsageError("no agent to serve: write serve(agent)")
        self._levels: dict[str, str | None] = {}

    def named(self, name: str) -> Agent:
        """The agent of this name. Raises UsageError."""
        if name not in self.agents:
            raise UsageError(f"there is no agent {name!r}{nearest(name, self.agents)}")
        return self.agents[name]

    def chosen(self, name: str, choice: Choice) -> Agent:
        """The agent of this name as a task chose it. Raises UsageError."""
        agent = self.named(name)
        parts: dict[str, Any] = {}
        if choice.model is not None and choice.model != agent.model.name:
            if choice.model not in self.models:
                known = (agent.model.name, *self.models)
                raise UsageError(f"the model {choice.model!r} is not offered here: {', '.join(known)}")
            parts["model"] = assemble.model(choice.model)
        if choice.tools is not None:
            own = {tool.spec.path: tool for tool in agent.tools}
            for tool in choice.tools:
                if tool not in own:
                    raise UsageError(f"{name} has no tool {tool!r}{nearest(tool, own)}")
            kept = set(choice.tools)
            parts["tools"] = tuple(tool for path, tool in own.items() if path in kept)
            if agent.approve is not None and not callable(agent.approve):
                gone = own.keys() - kept
                parts["approve"] = frozenset(one for one in agent.approve if one not in gone)
        if choice.limits:
            parts["policy"] = replace(agent.policy, limits=replace(agent.policy.limits, **choice.limits))
        if choice.instructions:
            parts["instructions"] = "\n\n".join(filter(None, (agent.instructions, choice.instructions)))
        return with_parts(agent, **parts) if parts else agent

    def of_run(self, run: str, was: RunStarted) -> tuple[str, Agent]:
        """The agent that an old run can go on with, and its name; its own, where there are others of the same parts.

        Raises RunDiffers where none is of its parts.
        """
        differs: RunDiffers | None = None
        for name, agent in sorted(self.agents.items(), key=lambda one: one[0] != was.agent):
            own = [tool.spec.path for tool in agent.tools]
            choice = Choice(
                was.model if was.model in self.models else None,
                None if len(was.tools) == len(own) else [spec.path for spec in was.tools if spec.path in own],
                {name: getattr(was.limits, name) for name in ("steps", *_CHOSEN)},
            )
            made = with_parts(self.chosen(name, choice), instructions=was.instructions)
            try:
                check_parts(run, was, started(made))
            except RunDiffers as error:
                differs = differs or error
            else:
                return name, made
        raise differs or UsageError("no agent is served")

    def whose(self, was: RunStarted) -> str | None:
        """The name of the agent that an old run is of; None where it is of none that is served."""
        try:
            return self.of_run("", was)[0]
        except (RunDiffers, UsageError):
            return None

    def told(self) -> list[dict[str, Any]]:
        """All of them, as JSON. It may take a while the first time: the sandbox is tried."""
        return [self._told(name, agent) for name, agent in self.agents.items()]

    def _told(self, name: str, agent: Agent) -> dict[str, Any]:
        policy = agent.policy
        return {
            "name": name,
            "description": agent.description,
            "model": agent.model.name,
            "models": list(dict.fromkeys((agent.model.name, *self.models))),
            "action": agent.action,
            "tools": [
                {"name": spec.path, "signature": spec.signature, "doc": spec.doc}
                for spec in (tool.spec for tool in agent.tools)
            ],
            "imports": dataclasses.asdict(policy.imports),
            "network": list(policy.network),
            "mounts": [dataclasses.asdict(one) for one in policy.mounts],
            "limits": dataclasses.asdict(policy.limits),
            "sandbox": agent.sandbox.name,
            "level": self._level(agent.sandbox.name) if agent.action == "code" else None,
        }

    def _level(self, sandbox: str) -> str | None:
        """How strongly it confines here, found out once."""
        if not sandbox.startswith("linux"):
            return sandbox
        if sandbox not in self._levels:
            try:
                self._levels[sandbox] = assemble.machine().level
            except Exception:  # what is wrong with it is said where something is to run in it
                self._levels[sandbox] = None
        return self._levels[sandbox]


def limits_of(given: dict[str, Any]) -> dict[str, Any]:
    """The limits that a task may set: those of `Limits`, by name; sizes also as `512MiB`. Raises UsageError."""
    chosen = {}
    for name, value in given.items():
        if name not in _CHOSEN:
            raise UsageError(f"no limit {name!r} can be set for a task: {', '.join(_CHOSEN)}{nearest(name, _CHOSEN)}")
        chosen[name] = assemble.size(value) if name == "memory" and isinstance(value, str) else value
    try:
        Limits(**chosen)
    except TypeError as error:  # said to a client what a programmer is told
        raise UsageError(str(error)) from None
    return chosen


def store_of(journal: str | Path | Store | None, agents: Sequence[Agent]) -> Store:
    """Where the runs of a server are kept: what is named, or where its first agent keeps them."""
    return agents[0].store if journal is None and agents else assemble.store(journal)

"""How a session begins, and a task of it: what an agent is made of, and what it was given, as events tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..core import profiles
from ..core.addresses import without_password
from ..core.carriers import PYTHON
from ..core.events import RunStarted, TaskGiven
from ..core.files import File, described
from ..core.messages import ToolDeclaration
from ..core.untrusted import inline
from ..guest import display
from ..secrets import beside
from .agent import Agent
from .calling import declarations


def started(agent: Agent) -> RunStarted:
    """The first event of a session of this agent."""
    policy = agent.policy
    profile = profiles.named(agent.profile or profiles.chosen(agent.model.name))
    carrier = (agent.carrier or profile.carrier) if agent.action == "code" else "fence"
    declared: tuple[ToolDeclaration, ...] = (PYTHON,) if carrier == "tool" else ()
    if agent.action == "json":
        declared = declarations(agent.tools, agent.catalogue, policy.limits, agent.answers)
    return RunStarted(
        model=agent.model.name,
        sandbox=agent.sandbox.name,
        tools=tuple(tool.spec for tool in agent.tools),
        imports=policy.imports,
        limits=policy.limits,
        instructions=agent.instructions,
        python=policy.python,
        network=policy.network,
        mounts=policy.mounts,
        planning_interval=agent.planning_interval,
        last_answer=agent.last_answer,
        eager=agent.hurries,
        origin=tuple(map(without_password, agent.origin)),
        agent=agent.name,
        action=agent.action,
        carrier=carrier,
        lesson=profile.lesson,
        parts=agent.parts,
        declarations=declared,
        budget=agent.budget,
        price=agent.price,
        answer=agent.answers.spec if agent.answers is not None else None,
    )


def task_given(task: str, variables: Mapping[str, Any], files: Sequence[File], steps: int) -> TaskGiven:
    """The first event of a task: its variables as a glimpse of each, its files by their names."""
    shown = tuple((name, inline(display.glimpse(one), 300) + beside(one)) for name, one in variables.items())
    return TaskGiven(task, shown, steps, tuple((file.name, described(file)) for file in files))

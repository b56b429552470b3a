"""How a session begins: what an agent is made of, as the first event tells it."""

from __future__ import annotations

from .agent import Agent
from .calling import declarations
from .core import profiles
from .core.addresses import without_password
from .core.carriers import PYTHON
from .core.events import RunStarted
from .core.messages import ToolDeclaration


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
        action=agent.action,
        carrier=carrier,
        lesson=profile.lesson,
        parts=agent.parts,
        declarations=declared,
        budget=agent.budget,
        price=agent.price,
        answer=agent.answers.spec if agent.answers is not None else None,
    )

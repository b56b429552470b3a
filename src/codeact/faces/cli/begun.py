"""An agent as a run was begun with it: with the model, the tools and the limits that the run says."""

from __future__ import annotations

import argparse
from contextlib import suppress
from dataclasses import replace
from typing import Any

from codeact import assemble
from codeact.core.errors import CodeactError
from codeact.core.events import RunStarted
from codeact.session.agent import Agent, with_parts


def model_beside(place: str | None, options: argparse.Namespace) -> str | None:
    """The model that was chosen beside an agent of the user's own, where one was: no flag of the agent's line."""
    if place is None:
        return None
    chosen, options.model = options.model, None
    return chosen if chosen is None else str(chosen)


def as_begun(agent: Agent, was: RunStarted | None, model: str | None = None, *, other: bool = False) -> Agent:
    """The same agent, with what a task may choose of it as the run chose it; `model` goes on in place of its own.

    With `other` the model is another on purpose. What is not to be had here is left as it is: then the run differs.
    """
    parts: dict[str, Any] = {}
    if model is not None:
        parts["model"] = assemble.model(model)
    if was is None:
        return with_parts(agent, **parts)
    if model is None and not other and was.model != agent.model.name:
        with suppress(CodeactError):
            parts["model"] = assemble.model(was.model)
    known = {spec.path for spec in was.tools}
    tools = tuple(tool for tool in agent.tools if tool.spec.path in known)
    if len(tools) < len(agent.tools):
        parts["tools"] = tools
        if agent.approve is not None and not callable(agent.approve):
            gone = {tool.spec.path for tool in agent.tools} - known
            parts["approve"] = frozenset(name for name in agent.approve if name not in gone)
    parts["policy"] = replace(agent.policy, limits=was.limits)
    parts["instructions"] = was.instructions
    return with_parts(agent, **parts)

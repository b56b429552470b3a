"""`codeact prompt`: exactly what a model would be sent for a task, and how many tokens each part of it is about."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NoReturn

from codeact import assemble
from codeact.core import weight
from codeact.core.events import RunStarted
from codeact.core.files import File
from codeact.core.messages import Prompt
from codeact.core.prompt import prompt
from codeact.core.state import State, after
from codeact.core.system import parts
from codeact.core.tasks import check_task
from codeact.files import read
from codeact.secrets import Vault
from codeact.session.agent import Agent
from codeact.session.beginning import started, task_given

from . import exits, run, secret


def main(argv: Sequence[str]) -> int:
    """Print the first prompt of the task; no model is asked, and nothing is run."""
    options, place = run.typed(argv, "prompt")
    task, _ = run.split(options.words)
    check_task(task)
    made = nullcontext(run.own_agent(place, options)) if place else run.agent_of(options, _Unasked(options.model))
    with made as agent:
        files = read(options.file, agent.policy.limits.scratch)
        began, sent = first(agent, task, files, Vault().take(secret.found(options.secret)))
    weights = _weights(began, sent)
    if options.json:
        print(json.dumps(_line(sent, weights)))
        return exits.DONE
    print("\n\n".join(f"[{message.role}]\n{message.text}" for message in sent.messages))
    for tool in sent.tools:
        print(f"\n[tool] {tool.name}: {tool.description}\n{json.dumps(tool.parameters)}")
    told = ", ".join(f"{name} {tokens:,}" for name, tokens in weights.items())
    print(f"about {sum(weights.values()):,} tokens, guessed rather high: {told}", file=sys.stderr)
    return exits.DONE


def first(
    agent: Agent, task: str, files: Sequence[File], variables: Mapping[str, Any] | None = None
) -> tuple[RunStarted, Prompt]:
    """How a session of this agent begins, and what its model is sent first."""
    began = started(agent)
    given = task_given(task, variables or {}, files, agent.policy.limits.steps)
    state = after(after(State(), began), given)
    return began, prompt(state)


class _Unasked:
    """A model that is only named, so that no key is needed."""

    def __init__(self, named: str | None) -> None:
        self.name = assemble.choose_model(named) or ""

    async def ask(self, *_: Any) -> NoReturn:
        """Nobody asks it."""
        raise AssertionError("nothing is asked")


def _weights(began: RunStarted, sent: Prompt) -> dict[str, int]:
    """About how many tokens each part of the system prompt is, and what stands beside it."""
    _, *beside = sent.messages
    found = {name: weight.of_text(text) for name, text in parts(began)}
    found["task"] = sum(map(weight.of_message, beside))
    if sent.tools:
        found["declarations"] = sum(map(weight.of_declaration, sent.tools))
    return found


def _line(sent: Prompt, weights: dict[str, int]) -> dict[str, Any]:
    return {
        "messages": [{"role": message.role, "text": message.text} for message in sent.messages],
        "tools": [
            {"name": tool.name, "description": tool.description, "parameters": tool.parameters} for tool in sent.tools
        ],
        "stop": list(sent.stop),
        "tokens": {**weights, "all": sum(weights.values())},
    }

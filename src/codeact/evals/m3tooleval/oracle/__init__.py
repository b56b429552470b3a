"""The scripted perfect policy as a model: it knows what to do, and gets nowhere but by the loop that all models go.

It holds nothing from question to question: which task it is, and what was answered so far, stand in the prompt. Its
figures are a floor for the turns and bytes of a form of action, not what a real model reaches.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import anyio.lowlevel

from ....core.actions import Form
from ....core.errors import ModelRejected
from ....core.events import TextDelta
from ....core.messages import NativeCall, Prompt, Reply, ToolDeclaration
from ....ports import Emit
from ...tasks import Task
from .asking import Wanted, next_of
from .policies import plans
from .written import source_of

NAME = "oracle"
_NOTE = re.compile(r"\n(?:One reply is left:.*|\d+ replies are left\.)\s*\Z")


class Oracle:
    """Does these tasks in this form of action. It is asked like any model, and may be asked many times at once."""

    def __init__(self, tasks: Sequence[Task], action: Form) -> None:
        known = plans()
        self._tasks = {task.instruction: known[task.name] for task in tasks}
        self._action = action

    @property
    def name(self) -> str:
        """`oracle`."""
        return NAME

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        """What a perfect model replies at this point."""
        await anyio.lowlevel.checkpoint()
        task = next((one.text for one in prompt.messages if one.role == "user"), "")
        plan = self._tasks.get(task)
        if plan is None:
            raise ModelRejected(f"{NAME} knows the tasks of m3tooleval alone, not {task[:60]!r}")
        if self._action == "code":
            first = not any(one.role == "assistant" for one in prompt.messages)
            code = source_of(plan.code) if first else "final_answer(answer)"
            reply = Reply(f"```python\n{code}\n```")
        else:
            reply = _calling(next_of(plan.calls.policy, plan.calls.arguments, _answers(prompt)), prompt)
        emit(TextDelta(reply.text))
        return reply


def _answers(prompt: Prompt) -> list[str]:
    """What the tools gave, in order, without what is said beside it of the replies that are left."""
    return [_NOTE.sub("", message.text) for message in prompt.messages if message.role == "tool"]


def _calling(next_one: Wanted | tuple[Any], prompt: Prompt) -> Reply:
    """The next call in the provider's own form, or the answer, which a tuple is told in as text: JSON has none."""
    if isinstance(next_one, Wanted):
        name, arguments = next_one.tool, _named(next_one, prompt.tools)
    else:
        (answer,) = next_one
        name, arguments = "final_answer", {"value": repr(answer) if isinstance(answer, tuple) else answer}
    return Reply(
        "", tool_calls=(NativeCall(f"call_{len(prompt.messages)}", name, json.dumps(arguments)),), finish="tool_calls"
    )


def _named(call: Wanted, tools: Sequence[ToolDeclaration]) -> dict[str, Any]:
    """The arguments by the names that the declaration gives them; a list takes all that are left."""
    (declared,) = (tool for tool in tools if tool.name == call.tool)
    names, left = list(declared.parameters["properties"].items()), list(call.args)
    return {
        name: left[place:] if schema.get("type") == "array" else left[place]
        for place, (name, schema) in enumerate(names)
    }

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
_VALUE = re.compile(r"^<value (\w+)>\n(.*)\n</value \1>", re.DOTALL | re.MULTILINE)  # in plain text
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
            step = next_of(plan.calls.policy, plan.calls.arguments, _answers(prompt))
            reply = _calling(step, prompt) if self._action == "json" else Reply(_line(step))
        emit(TextDelta(reply.text))
        return reply


def _answers(prompt: Prompt) -> list[str]:
    """What the tools gave, in order, without what is said beside it."""
    told = [_NOTE.sub("", one.text) for one in prompt.messages if one.role == "tool"]
    return told or [found[2] for one in prompt.messages if one.role == "user" and (found := _VALUE.search(one.text))]


def _line(step: Wanted | tuple[Any]) -> str:
    """The next call in plain text, or the answer."""
    if isinstance(step, Wanted):
        return "Action: " + ", ".join([step.tool, *map(json.dumps, step.args)])
    return f"Answer: {json.dumps(repr(step[0])) if isinstance(step[0], tuple) else step[0]}"


def _calling(step: Wanted | tuple[Any], prompt: Prompt) -> Reply:
    """The next call in the provider's own form, or the answer, which a tuple is told in as text: JSON has none."""
    if isinstance(step, Wanted):
        name, arguments = step.tool, _named(step, prompt.tools)
    else:
        (answer,) = step
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

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
from .policies import Plans, plans
from .written import source_of

NAME, MANY = "oracle", "oracle?calls=many"
_VALUE = re.compile(r"^<value (\w+)>\n(.*)\n</value \1>", re.DOTALL | re.MULTILINE)  # in plain text
_NOTE = re.compile(r"\n(?:One reply is left:.*|\d+ replies are left\.)\s*\Z")


class Oracle:
    """Does these tasks in this form of action. It is asked like any model, and may be asked many times at once.

    With `many` it makes all calls at once that do not need each other, where the form of action lets it.
    """

    def __init__(self, tasks: Sequence[Task], action: Form, *, many: bool = False) -> None:
        known = plans()
        self._tasks = {task.instruction: known[task.name] for task in tasks}
        self._action = action
        self._many = many

    @property
    def name(self) -> str:
        """`oracle`, or `oracle?calls=many`."""
        return MANY if self._many else NAME

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        """What a perfect model replies at this point."""
        await anyio.lowlevel.checkpoint()
        task = next((one.text for one in prompt.messages if one.role == "user"), "")
        plan = self._tasks.get(task)
        if plan is None:
            raise ModelRejected(f"{NAME} knows the tasks of m3tooleval alone, not {task[:60]!r}")
        reply = self._reply(plan, prompt)
        emit(TextDelta(reply.text))
        return reply

    def _reply(self, plan: Plans, prompt: Prompt) -> Reply:
        if self._action == "code":
            first = not any(one.role == "assistant" for one in prompt.messages)
            return Reply(f"```python\n{source_of(plan.code) if first else 'final_answer(answer)'}\n```")
        by_name = self._action == "json"
        answered = _called(prompt) if by_name else _written(prompt)
        step = next_of(plan.calls.policy, plan.calls.arguments, answered, many=self._many and by_name)
        return _calling(step, prompt.tools) if by_name else Reply(_line(step))


# -- calls in a provider's own form ------------------------------------------------------------------------------------


def _called(prompt: Prompt) -> list[tuple[Wanted, str]]:
    """The calls made so far, each with what it gave, without what is said beside it of the replies that are left."""
    calls: dict[str, NativeCall] = {}
    found = []
    for message in prompt.messages:
        calls |= {call.id: call for call in message.tool_calls}
        if message.role == "tool":
            found.append((_wanted(calls[message.answers]), _NOTE.sub("", message.text)))
    return found


def _wanted(call: NativeCall) -> Wanted:
    arguments = json.loads(call.arguments).values()
    return Wanted(
        call.name, tuple(one for value in arguments for one in (value if isinstance(value, list) else [value]))
    )


def _calling(step: list[Wanted] | tuple[Any], tools: Sequence[ToolDeclaration]) -> Reply:
    """The next calls, or the answer, which a tuple is told in as text: JSON has none."""
    if isinstance(step, list):
        asked = [(call.tool, _named(call, tools)) for call in step]
    else:
        (answer,) = step
        asked = [("final_answer", {"value": repr(answer) if isinstance(answer, tuple) else answer})]
    calls = (
        NativeCall(f"call_{number}", name, json.dumps(arguments)) for number, (name, arguments) in enumerate(asked, 1)
    )
    return Reply("", tool_calls=tuple(calls), finish="tool_calls")


def _named(call: Wanted, tools: Sequence[ToolDeclaration]) -> dict[str, Any]:
    """The arguments by the names that the declaration gives them; a list takes all that are left."""
    (declared,) = (tool for tool in tools if tool.name == call.tool)
    found, left = {}, list(call.args)
    for name, schema in declared.parameters["properties"].items():
        found[name], left = (left, []) if schema.get("type") == "array" else (left[0], left[1:])
    return found


# -- calls in plain text -----------------------------------------------------------------------------------------------


def _written(prompt: Prompt) -> list[tuple[Wanted, str]]:
    """The same of calls that stand in the replies' text, one in each, and of values between marks."""
    calls = [_read(one.text) for one in prompt.messages if one.role == "assistant"]
    told = [one.text for one in prompt.messages if one.role == "user"][1:]
    return [(call, found[2]) for call, text in zip(calls, told, strict=True) if (found := _VALUE.search(text))]


def _read(line: str) -> Wanted:
    name, _, args = line.removeprefix("Action: ").partition(", ")
    return Wanted(name, tuple(json.loads(f"[{args}]")))


def _line(step: list[Wanted] | tuple[Any]) -> str:
    if isinstance(step, list):
        return "Action: " + ", ".join([step[0].tool, *map(json.dumps, step[0].args)])
    return f"Answer: {json.dumps(repr(step[0])) if isinstance(step[0], tuple) else step[0]}"

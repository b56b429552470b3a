"""A tool asks which call it is answering."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from codeact import CodeAgent, Interpreter, ToolCallingAgent
from codeact.core.events import ToolCalled
from codeact.core.messages import NativeCall, Reply
from codeact.testing import ScriptedModel
from codeact.tools import Call, current_call
from codeact.tools.schemas.described import DescribedTool

SEEN: list[Call] = []


def pay(amount: int) -> str:
    SEEN.append(current_call())
    return current_call().key


async def refund(amount: int) -> str:
    await asyncio.sleep(0)
    SEEN.append(current_call())
    return current_call().key


async def _send(arguments: dict[str, Any]) -> str:
    return current_call().key


remote = DescribedTool("remote", {"type": "object", "properties": {"amount": {"type": "integer"}}}, _send)


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    SEEN.clear()


def test_a_tool_in_its_thread_in_its_task_or_behind_a_server_reads_the_key_of_its_call() -> None:
    code = "```python\nfinal_answer([pay(1), pay(1), await refund.aio(1), remote(amount=1)])\n```"
    result = CodeAgent(model=ScriptedModel(code), tools=[pay, refund, remote]).run("Pay.")
    keys = [event.key for event in result.events if isinstance(event, ToolCalled)]
    assert result.output == keys and len(set(keys)) == 4, "each call has a key of its own"
    assert [
        Call(key, result.run_id, 1, tool) for key, tool in zip(keys, ["pay", "pay", "refund"], strict=False)
    ] == SEEN


def test_a_call_in_a_providers_own_form_is_seen_alike() -> None:
    calls = tuple(NativeCall(str(n), "pay", json.dumps({"amount": n})) for n in (1, 2))
    done = NativeCall("a", "final_answer", json.dumps({"value": "paid"}))
    model = ScriptedModel(
        Reply("", tool_calls=calls, finish="tool_calls"), Reply("", tool_calls=(done,), finish="tool_calls")
    )
    result = ToolCallingAgent(model=model, tools=[pay]).run("Pay.")
    keys = {event.key for event in result.events if isinstance(event, ToolCalled)}
    assert result.output == "paid" and {call.key for call in SEEN} == keys and len(keys) == 2


def test_two_interpreters_never_have_the_same_key() -> None:
    keys = set()
    for _ in range(2):
        with Interpreter(tools=[pay]) as python:
            keys.add(python.run("pay(1)").value)
    assert len(keys) == 2


def test_outside_of_a_call_there_is_none_and_the_error_says_so() -> None:
    with pytest.raises(RuntimeError, match="inside a tool"):
        current_call()

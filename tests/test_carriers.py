"""Code may stand in a fence, in tags, or in a call of a tool: nothing else changes by it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from codeact import Allow, CodeAgent, Deny, ToolCallingAgent, UsageError, tool
from codeact.core.actions import Carrier, stops
from codeact.core.approvals import Decision
from codeact.core.events import CodeRan, CodeRefused, CodeStarted, RunStarted, ToolCalled
from codeact.core.execution import ToolCall
from codeact.core.messages import Message, NativeCall, Reply
from codeact.testing import ScriptedModel

pytestmark = pytest.mark.anyio


@tool
def double(n: int) -> int:
    """Twice as much."""
    return 2 * n


def python(*sources: str, text: str = "") -> Reply:
    """A reply that carries its code by calls."""
    calls = [NativeCall(f"call_{at}", "python", json.dumps({"code": one})) for at, one in enumerate(sources)]
    return Reply(text, tool_calls=tuple(calls), finish="tool_calls")


def calling(name: str, arguments: Any) -> Reply:
    given = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return Reply("", tool_calls=(NativeCall("call_0", name, given),), finish="tool_calls")


def written(source: str, carrier: Carrier) -> Reply:
    if carrier == "tool":
        return python(source, text="I act.")
    if carrier == "fence":
        return Reply(f"I act.\n```python\n{source}\n```")
    return Reply(f"I act.\n<{carrier}>\n{source}\n</{carrier}>")


def agent(carrier: Carrier, *replies: Reply | str, **settings: Any) -> tuple[CodeAgent, ScriptedModel]:
    model = ScriptedModel(*replies)
    return CodeAgent(model=model, tools=[double], sandbox="unconfined", carrier=carrier, **settings), model


def last(model: ScriptedModel) -> Message:
    return model.prompts[-1].messages[-1]


CODE: dict[str, Any] = {"carrier": "tool", "sandbox": "unconfined"}
CARRIERS: list[Carrier] = ["fence", "execute", "code", "tool"]


@pytest.mark.parametrize("carrier", CARRIERS)
def test_the_same_code_does_the_same_in_every_carrier(carrier: Carrier) -> None:
    made, model = agent(
        carrier, *(written(source, carrier) for source in ("x = double(4)\nx", "1 / 0", "final_answer(x)"))
    )
    result = made.run("Go.")
    assert result.output == 8 and result.steps == 3
    kinds = (CodeStarted, ToolCalled, CodeRan)
    assert [type(one) for one in result.events if isinstance(one, kinds)] == [
        CodeStarted, ToolCalled, CodeRan, CodeStarted, CodeRan, CodeStarted, CodeRan,
    ]  # fmt: skip
    assert "ZeroDivisionError" in last(model).text
    assert last(model).role == ("tool" if carrier == "tool" else "user")


@pytest.mark.parametrize("carrier", CARRIERS)
def test_the_model_is_shown_the_marks_it_should_write_and_ends_there(carrier: Carrier) -> None:
    made, model = agent(carrier, written("final_answer(1)", carrier))
    made.run("Go.")
    asked = model.prompts[0]
    system = asked.messages[0].text
    shown = {"fence": "```python\nfinal_answer(sum(", "execute": "<execute>\nfinal", "code": "<code>\nfinal"}
    assert shown.get(carrier, "by this code:\n\nfinal_answer(sum(numbers))") in system
    assert asked.stop == stops(carrier) and len(asked.stop) <= 4
    assert [one.name for one in asked.tools] == (["python"] if carrier == "tool" else [])


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_model_that_writes_another_mark_is_understood_and_reads_the_right_one(carrier: Carrier) -> None:
    for other in ("fence", "execute", "code"):
        made, model = agent(carrier, written("x = 1", other), written("final_answer(x)", carrier))
        assert made.run("Go.").output == 1
        said = model.prompts[-1].messages[2].text
        assert ("```python\nx = 1" if carrier in ("fence", "tool") else f"<{carrier}>\nx = 1\n</{carrier}>") in said


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_reply_without_code_is_told_how_to_write_it(carrier: Carrier) -> None:
    made, model = agent(carrier, "I think.", written("final_answer(1)", carrier))
    assert made.run("Go.").output == 1
    how = {"fence": "```python\n# your code\n```", "execute": "<execute>\n# your code\n</execute>"}
    assert how.get(carrier, "`python`" if carrier == "tool" else "<code>\n# your code") in last(model).text


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_checks_and_gates_look_at_the_code_in_every_carrier(carrier: Carrier) -> None:
    async def gate(call: ToolCall) -> Decision:
        return Deny("not this") if "secret" in call.arguments["source"] else Allow()

    replies = [written(source, carrier) for source in ("no_such_name", "secret = 1", "final_answer(3)")]
    made, model = agent(carrier, *replies, approve=["cell"], gate=gate)
    result = await made.arun("Go.")
    assert result.output == 3
    assert [type(one) for one in result.events if isinstance(one, CodeRefused | CodeStarted)] == [
        CodeRefused,
        CodeStarted,
    ]
    messages = [one.text for one in model.prompts[-1].messages]
    assert any("no_such_name" in text and "before it ran" in text for text in messages)
    assert "not this" in messages[-1]


# -- a call of a tool --------------------------------------------------------------------------------------------------


def test_every_call_is_answered_and_several_are_one_cell() -> None:
    made, model = agent("tool", python("x = 1", "x += 1", text="Both."), python("final_answer(x)"))
    assert made.run("Go.").output == 2
    *_, asked, first, second = model.prompts[-1].messages
    assert [call.id for call in asked.tool_calls] == ["call_0", "call_1"] and asked.text == "Both."
    assert (first.answers, second.answers) == ("call_0", "call_1")
    assert "one cell" in first.text and "Cell 1 ran" in second.text and "2 blocks were run" in second.text


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (calling("double", {"n": 1}), "`double` is a tool call in another form"),
        (calling("final_answer", {"value": 1}), "`final_answer` is a tool call in another form"),
        (calling("python", "{not json"), "no code in your call: the arguments are not JSON"),
        (calling("python", {"code": 5}), "no code in your call: it takes one text, named code"),
        (calling("python", {}), "no code in your call"),
        (calling("python", {"code": " \n"}), "held no code"),
        (calling("python", {"code": "x = '\0'"}), "U+0000"),
    ],
)
def test_a_call_without_code_is_answered_with_the_reason(reply: Reply, told: str) -> None:
    made, model = agent("tool", reply, python("final_answer(1)"))
    assert made.run("Go.").output == 1
    assert last(model).role == "tool" and last(model).answers == "call_0"
    assert told in last(model).text


@pytest.mark.parametrize(
    "arguments",
    [
        {"source": "final_answer(1)"},
        {"code": "```python\nfinal_answer(1)\n```"},
        {"code": "Look:\n```\nfinal_answer(1)\n```"},
    ],
)
def test_code_by_another_name_or_in_a_fence_is_code(arguments: dict[str, str]) -> None:
    made, _ = agent("tool", calling("python", arguments))
    assert made.run("Go.").output == 1


def test_a_model_that_writes_a_fence_in_place_of_a_call_is_understood() -> None:
    made, model = agent("tool", "```python\nx = 1\n```", python("final_answer(x)"))
    assert made.run("Go.").output == 1
    assert last(model).role == "user"


async def test_what_the_user_says_meanwhile_is_no_word_of_the_tool() -> None:
    made, model = agent("tool", python("double(1)"), python("final_answer(1)"))
    async with made.session() as session:
        async for event in session.stream("Go."):
            if isinstance(event, ToolCalled):
                await session.say("Quickly.")
    answer, said = model.prompts[-1].messages[-2:]
    assert answer.role == "tool" and "Quickly" not in answer.text
    assert said.role == "user" and said.text == "The user says:\nQuickly."


@pytest.mark.parametrize("form", ["code", "json"])
async def test_calls_that_a_stopped_task_left_open_are_answered_before_the_next(form: str) -> None:
    """A server refuses a conversation with an open call."""
    begun = asyncio.Event()

    @tool
    async def wait() -> int:
        """Waits."""
        begun.set()
        await asyncio.sleep(60)
        return 1

    first = python("wait()") if form == "code" else calling("wait", {})
    answer = python("final_answer(1)") if form == "code" else calling("final_answer", {"value": 1})
    model = ScriptedModel(first, answer)
    kind, settings = (CodeAgent, CODE) if form == "code" else (ToolCallingAgent, {})
    async with kind(model=model, tools=[wait], **settings).session() as session:
        stopped = asyncio.create_task(session.run("One."))
        await begun.wait()
        stopped.cancel()
        await asyncio.wait([stopped])
        assert (await session.run("Two.")).output == 1
    asked, answered, task = model.prompts[-1].messages[-3:]
    assert [one.id for one in asked.tool_calls] == [answered.answers] == ["call_0"]
    assert "stopped" in answered.text and task.text == "Two."


# -- the profile -------------------------------------------------------------------------------------------------------


def test_the_models_name_chooses_and_a_parameter_overrides() -> None:
    def begun(name: str, **settings: Any) -> RunStarted:
        model = ScriptedModel(written("final_answer(1)", "fence"), name=name)
        first = CodeAgent(model=model, sandbox="unconfined", **settings).run("Go.").events
        with CodeAgent(model=model, sandbox="unconfined", **settings).session() as session:
            (started,) = [one for one in session.events if isinstance(one, RunStarted)]
        assert first
        return started

    small = begun("ollama:qwen2.5-coder:1.5b")
    assert (small.lesson, small.carrier) == ("small", "fence")
    assert begun("hf:xingyaoww/CodeActAgent-Mistral-7b-v0.1").carrier == "execute"
    assert begun("ollama:qwen2.5-coder:1.5b", profile="standard").lesson == "standard"
    own = begun("openai:gpt-5", profile="smollm3", carrier="fence")
    assert (own.lesson, own.carrier) == ("small", "fence")


def test_a_small_model_is_told_less_with_one_whole_example() -> None:
    def told(profile: str) -> str:
        model = ScriptedModel(written("final_answer(1)", "fence"))
        CodeAgent(model=model, sandbox="unconfined", profile=profile).run("Go.")
        return model.prompts[0].messages[0].text

    assert len(told("small")) < 0.65 * len(told("standard"))
    assert told("small").count("final_answer(total)") == 1


def test_what_is_misspelled_or_out_of_place_is_said() -> None:
    with pytest.raises(UsageError, match=r"no carrier 'xml': .*tags of XML"):
        agent("xml")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no profile 'tiny'"):
        agent("fence", profile="tiny")
    with pytest.raises(UsageError, match="for agents that act in code"):
        ToolCallingAgent(model=ScriptedModel(), carrier="tool")


def test_a_part_of_the_prompt_is_replaced_and_a_wrong_one_is_named() -> None:
    made, model = agent("fence", written("final_answer(1)", "fence"), prompt={"role": "You are {terse}.", "rules": ""})
    made.run("Go.")
    system = model.prompts[0].messages[0].text
    assert system.startswith("You are {terse}.\n\nReply with") and "stay from block to block" not in system
    with pytest.raises(UsageError, match=r"no part 'rule': role, acting, .*; did you mean 'rules'"):
        agent("fence", prompt={"rule": ""})
    with pytest.raises(UsageError, match="write instructions="):
        agent("fence", prompt={"instructions": "Be brief."})
    with pytest.raises(UsageError, match="is a text"):
        agent("fence", prompt={"rules": 5})
    with pytest.raises(TypeError, match="takes parts by name"):
        agent("fence", prompt="You are terse.")


def test_how_an_agent_acts_is_saved_with_it(tmp_path: Path) -> None:
    made = CodeAgent(model="ollama:tinyllama", carrier="execute", profile="standard", prompt={"rules": "None."})
    made.save(tmp_path)
    again = CodeAgent.load(tmp_path)
    assert (again.carrier, again.profile, again.parts) == ("execute", "standard", (("rules", "None."),))

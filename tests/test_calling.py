"""An agent that calls tools in its provider's own form: the same tools, door, gates and answers as code has."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest
from pydantic import BaseModel

from codeact import CodeAgent, Deny, ModelError, ToolCallingAgent, UsageError, tool
from codeact.core.approvals import Decision
from codeact.core.events import CallsAnswered, ToolCalled, ToolReturned
from codeact.core.execution import ToolCall
from codeact.core.messages import NativeCall, Reply
from codeact.testing import ScriptedModel

pytestmark = pytest.mark.anyio

TOGETHER = threading.Barrier(3)


class City(BaseModel):
    name: str
    people: int


@tool
def weather(city: str, unit: str = "C") -> dict[str, float]:
    """Current weather in a city."""
    if city == "Atlantis":
        raise LookupError("no such city")
    return {"temperature": 4.5 if unit == "C" else 40.1}


@tool
def met(name: str) -> str:
    """Comes back when three of it run at once."""
    TOGETHER.wait(20)
    return name


@tool
def census(cities: list[City], *more: int, **options: bool) -> int:
    """Count people."""
    return sum(city.people for city in cities) + sum(more)


def calls(*pairs: tuple[str, Any], text: str = "") -> Reply:
    made = tuple(
        NativeCall(f"call_{number}", name, given if isinstance(given, str) else json.dumps(given))
        for number, (name, given) in enumerate(pairs)
    )
    return Reply(text, tool_calls=made, finish="tool_calls")


def agent(*replies: Reply | str, **settings: Any) -> tuple[ToolCallingAgent, ScriptedModel]:
    model = ScriptedModel(*replies)
    return ToolCallingAgent(model=model, tools=[weather, met, census], **settings), model


def answer(value: Any) -> Reply:
    return calls(("final_answer", {"value": value}))


def read_by(model: ScriptedModel, question: int = -1) -> dict[str, str]:
    """What the model was told of each call, by its id."""
    last = [message for message in model.prompts[question].messages if message.role == "tool"]
    return {message.answers: message.text for message in last}


def test_a_call_is_answered_and_the_answer_ends_the_task() -> None:
    made, model = agent(calls(("weather", {"city": "Oslo"}), text="I look."), answer(4.5))
    result = made.run("How cold is Oslo?")
    assert result.output == 4.5 and result.steps == 2
    assert read_by(model) == {"call_0": "{'temperature': 4.5}"}
    assert [type(event) for event in result.events if isinstance(event, ToolCalled | ToolReturned)] == [
        ToolCalled,
        ToolReturned,
    ]


def test_several_calls_run_at_once_and_are_paired_by_id() -> None:
    made, model = agent(calls(("met", {"name": "a"}), ("met", {"name": "b"}), ("met", {"name": "c"})), answer(1))
    assert made.run("Meet.").output == 1
    assert read_by(model) == {"call_0": "a", "call_1": "b", "call_2": "c"}
    last = model.prompts[-1].messages
    assert [message.role for message in last] == ["system", "user", "assistant", "tool", "tool", "tool"]
    assert [call.id for call in last[2].tool_calls] == ["call_0", "call_1", "call_2"]


def test_the_tools_are_declared_with_their_types() -> None:
    made, model = agent(answer(1), output_type=City)
    with pytest.raises(ModelError):  # the script has no second reply
        made.run("Go.")
    declared = {one.name: one for one in model.prompts[0].tools}
    assert set(declared) == {"weather", "met", "census", "final_answer"}
    assert declared["weather"].parameters == {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    }
    assert declared["census"].parameters["properties"]["cities"]["items"] == {"$ref": "#/$defs/City"}
    assert "people" in declared["census"].parameters["$defs"]["City"]["properties"]
    assert declared["final_answer"].parameters["properties"]["value"]["required"] == ["name", "people"]
    assert "```python" not in model.prompts[0].messages[0].text


def test_what_is_wrong_with_a_call_is_told_beside_the_others() -> None:
    made, model = agent(
        calls(
            ("weather", {"city": "Oslo"}),
            ("weather", {"town": "Oslo"}),
            ("weather", "{not json"),
            ("weather", {"city": "Atlantis"}),
            ("wether", {}),
            ("weather", '{"city": 5}'),
        ),
        answer("done"),
    )
    assert made.run("Go.").output == "done"
    told = read_by(model)
    assert told["call_0"] == "{'temperature': 4.5}"
    assert "unexpected keyword argument 'town'" in told["call_1"]
    assert "not JSON" in told["call_2"]
    assert told["call_3"] == "LookupError: no such city"
    assert "no tool named 'wether'" in told["call_4"] and "weather" in told["call_4"]
    assert "city" in told["call_5"]


def test_arguments_of_every_kind_of_parameter() -> None:
    made, model = agent(
        calls(("census", {"cities": [{"name": "Oslo", "people": 5}], "more": [1, 2], "strict": True})), answer(0)
    )
    made.run("Count.")
    assert read_by(model) == {"call_0": "8"}


def test_an_answer_of_the_wrong_type_is_told_and_mended() -> None:
    made, model = agent(answer({"name": "Oslo"}), answer({"name": "Oslo", "people": 7}), output_type=City)
    result = made.run("Which?")
    assert result.output == City(name="Oslo", people=7) and result.steps == 2
    assert "people" in read_by(model)["call_0"]


async def test_gates_ask_before_a_call_of_this_form_too() -> None:
    async def gate(call: ToolCall) -> Decision:
        return Deny("not today")

    made, model = agent(calls(("weather", {"city": "Oslo"})), answer(1), gate=gate)
    result = await made.arun("Go.")
    assert read_by(model) == {"call_0": "PermissionError: weather() was not allowed: not today"}
    assert not any(isinstance(event, ToolCalled) for event in result.events)


def test_prose_is_no_action_and_three_in_a_row_stall() -> None:
    made, model = agent("It is cold.", "It is cold.", "It is cold.")
    result = made.run("Go.")
    assert result.stop_reason == "stalled"
    assert "held no tool call" in model.prompts[1].messages[-1].text


def test_the_same_calls_again_and_again_stall() -> None:
    again = [calls(("weather", {"city": "Oslo"}))] * 6
    made, model = agent(*again)
    assert made.run("Go.").stop_reason == "stalled"
    assert "had the same outcome 3 times" in read_by(model, 3)["call_0"] or "3 times" in str(model.prompts[3])


def test_a_reply_that_was_cut_off_calls_nothing() -> None:
    cut = Reply("", tool_calls=(NativeCall("a", "weather", '{"city": "Os'),), finish="length")
    made, model = agent(cut, answer(1))
    result = made.run("Go.")
    assert result.output == 1 and not any(isinstance(event, ToolCalled) for event in result.events)
    assert "cut off" in model.prompts[1].messages[-1].text


async def test_cancelling_stops_the_calls() -> None:
    started = asyncio.Event()

    async def slow() -> None:
        """Take long."""
        started.set()
        await asyncio.sleep(60)

    made = ToolCallingAgent(model=ScriptedModel(calls(("slow", {}))), tools=[slow])
    task = asyncio.ensure_future(made.arun("Go."))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_values_are_shown_to_the_model_as_text_for_want_of_variables() -> None:
    made, model = agent(answer(1))
    made.run("Go.", additional_args={"rows": [1, 2, 3]})
    assert "rows" in model.prompts[0].messages[1].text and "[1, 2, 3]" in model.prompts[0].messages[1].text


async def test_what_needs_an_interpreter_is_refused_by_name() -> None:
    made, _ = agent()
    async with made.session() as session:
        with pytest.raises(UsageError, match="no interpreter"):
            await session.bind(x=1)
        with pytest.raises(UsageError, match="no interpreter"):
            await session.fetch("x")
        assert len(await session.fork(2)) == 2  # each has the conversation
        assert session.level == ""


def test_no_sandbox_is_started() -> None:
    made, _ = agent(answer(1), sandbox="container:there.is/no/such:image")
    assert made.run("Go.").output == 1


def test_it_is_made_and_changed_like_any_agent() -> None:
    made, _ = agent(answer(1), answer(1))
    other = made.replace(max_steps=3)
    assert type(other) is ToolCallingAgent and isinstance(other, CodeAgent)
    assert other.run("Go.").output == 1


def test_the_prompt_only_grows_at_its_end() -> None:
    made, model = agent(calls(("weather", {"city": "Oslo"})), calls(("weather", {"city": "Rome"})), answer(1))
    result = made.run("Go.")
    for earlier, later in zip(model.prompts, model.prompts[1:], strict=False):
        assert later.messages[: len(earlier.messages)] == earlier.messages and later.tools == earlier.tools
    assert sum(isinstance(event, CallsAnswered) for event in result.events) == 3


async def test_what_the_user_says_meanwhile_is_read_behind_the_results() -> None:
    async def slow() -> str:
        """Take a while."""
        await session.say("Hurry up.")
        return "done"

    model = ScriptedModel(calls(("slow", {})), answer(1))
    async with ToolCallingAgent(model=model, tools=[slow]).session() as session:
        await session.run("Go.")
    assert [message.role for message in model.prompts[1].messages][-2:] == ["tool", "user"]
    assert model.prompts[1].messages[-1].text == "The user says:\nHurry up."

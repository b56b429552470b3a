"""Tools in the provider's own form: declared, called, and answered by id."""

from __future__ import annotations

from typing import Any

import pytest

from codeact.core.errors import ModelRejected
from codeact.core.messages import (
    Image,
    Message,
    NativeCall,
    Prompt,
    Text,
    ToolDeclaration,
    answered,
    arguments_of,
    say,
)
from codeact.models.server.chat import as_messages

from . import server as s
from .asking import ask, model_at

WEATHER = ToolDeclaration(
    "weather",
    "Current weather in a city.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
OSLO, BERGEN = (NativeCall(id, "weather", f'{{"city": "{city}"}}') for id, city in (("a", "Oslo"), ("b", "Bergen")))
ASKED = (say("system", "S"), say("user", "Which is colder?"))
CALLED = Message("assistant", (Text("I look."),), (OSLO, BERGEN))


async def test_tools_are_declared_and_a_conversation_with_calls_is_told_in_the_servers_form() -> None:
    talk = (*ASKED, CALLED, answered(OSLO, "3"), answered(BERGEN, "7"), say("user", "Go on."))
    with s.serving(s.says("Oslo")) as server:
        await ask(model_at(server), Prompt(talk, tools=(WEATHER,)))
    [body] = server.questions
    assert body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "Current weather in a city.",
                "parameters": WEATHER.parameters,
            },
        }
    ]
    assert body["messages"][2:] == [
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}},
                {"id": "b", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Bergen"}'}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "3"},
        {"role": "tool", "tool_call_id": "b", "content": "7"},
        {"role": "user", "content": "Go on."},
    ]


def test_pictures_of_tools_are_shown_once_all_calls_of_the_turn_are_answered() -> None:
    picture = Image(b"\x89PNG")
    talk = (*ASKED, CALLED, answered(OSLO, "seen", picture), answered(BERGEN, "7"))
    told = as_messages(Prompt(talk))
    assert [message["role"] for message in told] == ["system", "user", "assistant", "tool", "tool", "user"]
    assert told[-1]["content"][0]["type"] == "image_url"
    blind = as_messages(Prompt(talk), pictures=False)
    assert blind[-1]["role"] == "tool" and "takes no pictures" in blind[3]["content"]


@pytest.mark.parametrize(
    ("call", "name", "arguments"),
    [
        (NativeCall("c", "f", '{"x": '), "f", '{"not_json": "{\\"x\\": "}'),
        (NativeCall("c", "f", "[1]"), "f", '{"not_json": "[1]"}'),
        (NativeCall("c", "f", ""), "f", "{}"),
        (NativeCall("c", "no name!", "{}"), "no_name_", "{}"),
        (NativeCall("c", "", "{}"), "_", "{}"),
    ],
)
def test_a_call_that_no_server_would_read_is_told_in_a_form_it_reads(
    call: NativeCall, name: str, arguments: str
) -> None:
    told: Any = as_messages(Prompt((Message("assistant", (), (call,)),)))
    assert told[0]["tool_calls"][0]["function"] == {"name": name, "arguments": arguments}
    assert told[0]["content"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ('{"x": ', "not JSON: Expecting value"),
        ('{"x": NaN}', "NaN is no JSON"),
        ("[1]", "a JSON object with a key for each, not '[1]'"),
        ("[" * 99_999, "nested too deeply"),
    ],
)
def test_arguments_that_are_none_say_to_the_model_what_is_wrong_with_them(arguments: str, words: str) -> None:
    with pytest.raises(ValueError, match="the arguments") as caught:
        arguments_of(NativeCall("c", "f", arguments))
    assert words in str(caught.value)


def test_no_arguments_at_all_are_none() -> None:
    assert arguments_of(NativeCall("c", "f", " ")) == {}


async def test_calls_without_an_id_or_with_the_same_one_get_one_each_and_a_stop_with_calls_is_a_call() -> None:
    def call(index: int, id: str | None) -> bytes:
        return s.chunk(tool_calls=[{"index": index, "id": id, "function": {"name": "f", "arguments": "{}"}}])

    with s.serving([s.OPEN, call(0, "call_2"), call(1, None), call(2, "call_2"), s.chunk(finish="stop")]) as server:
        came = await ask(model_at(server))
    assert came.reply is not None and came.reply.finish == "tool_calls"
    assert [call.id for call in came.reply.tool_calls] == ["call_2", "call_3", "call_4"]


async def test_a_server_without_tools_says_so_and_is_not_asked_without_them() -> None:
    refusal = s.status(400, s.error("registry.ollama.ai/library/m does not support tools"))
    with s.serving(refusal) as server:
        came = await ask(model_at(server), Prompt(ASKED, tools=(WEATHER,)))
    assert type(came.error) is ModelRejected and "does not support tools" in str(came.error)
    assert len(server.questions) == 1

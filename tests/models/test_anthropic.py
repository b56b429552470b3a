"""What the Messages API is told, and what becomes of what it says."""

from __future__ import annotations

from typing import Any

import pytest

from codeact.core.errors import ModelRejected, ModelUnavailable
from codeact.core.messages import Image, Message, NativeCall, Prompt, Text, ToolDeclaration, Usage, answered, say

from . import server as s
from .asking import KEY, PROMPT, ask, claude_at
from .sayings import OPENED, STOP, block, grows, named, started, stopped, wrote

GOOD: list[s.Step] = [OPENED, wrote("Oslo"), stopped(), STOP]
MARK = {"type": "ephemeral"}


async def test_the_request_carries_key_version_system_prompt_and_stop_sequences() -> None:
    with s.serving(GOOD) as server:
        await ask(claude_at(server, parameters={"temperature": 0, "reasoning_effort": "low"}))
    [asked] = server.asked
    assert (asked.path, asked.headers["x-api-key"]) == ("/v1/messages", KEY)
    assert asked.headers["anthropic-version"] == "2023-06-01" and "authorization" not in asked.headers
    assert asked.body == {
        "model": "m",
        "max_tokens": 16_000,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": MARK}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Which city is colder?", "cache_control": MARK}]}
        ],
        "stream": True,
        "stop_sequences": ["Observation:"],
        "temperature": 0,
        "output_config": {"effort": "low"},
    }


async def test_what_stays_the_same_is_marked_for_the_cache_up_to_the_last_turn_of_the_user() -> None:
    talk = [say("system", "S")]
    for n in range(3):
        talk += [say("user", f"observation {n}"), say("assistant", f"reply {n}")]
    with s.serving(GOOD) as server:
        await ask(claude_at(server), Prompt((*talk, say("user", "observation 3"))))
    [body] = server.questions
    marked = [
        part["text"] for turn in body["messages"] for part in turn["content"] if part.get("cache_control") == MARK
    ]
    assert marked == ["observation 2", "observation 3"]
    assert body["system"][0]["cache_control"] == MARK


async def test_pictures_and_blank_text_are_told_as_the_protocol_takes_them() -> None:
    talk = (
        say("system", " "),
        Message("user", (Text("look"), Image(b"\x89PNG"), Text(" \n"))),
        say("assistant", ""),
        say("user", "and?"),
    )
    with s.serving(GOOD) as server:
        await ask(claude_at(server), Prompt(talk))
    [body] = server.questions
    assert "system" not in body and "stop_sequences" not in body
    picture = {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}
    assert body["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "look"},
                {"type": "image", "source": picture, "cache_control": MARK},
            ],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "(nothing)"}]},
        {"role": "user", "content": [{"type": "text", "text": "and?", "cache_control": MARK}]},
    ]


async def test_thinking_is_kept_apart_from_the_text_and_never_becomes_code() -> None:
    steps: list[s.Step] = [
        s.OPEN,
        started(input_tokens=1),
        block(0, "thinking", thinking="", signature=""),
        grows(0, "thinking_delta", thinking="hm ```python\n"),
        grows(0, "thinking_delta", thinking="rm()\n```"),
        grows(0, "signature_delta", signature="c2ln"),
        named("content_block_stop", index=0),
        block(1, "redacted_thinking", data="c2VjcmV0"),
        block(2, "text", text=""),
        wrote("Oslo", 2),
        stopped(),
        STOP,
    ]
    with s.serving(steps) as server:
        came = await ask(claude_at(server))
    assert came.reply is not None
    assert (came.reply.text, came.text) == ("Oslo", "Oslo")
    assert came.reply.reasoning == came.reasoning == "hm ```python\nrm()\n```"


@pytest.mark.parametrize(
    ("first", "last", "expected", "odd"),
    [
        ({"input_tokens": 9, "output_tokens": 1}, {"output_tokens": 5}, Usage(9, 5), False),
        (
            {"input_tokens": 9, "cache_creation_input_tokens": 100, "cache_read_input_tokens": 1000},
            {"output_tokens": 5},
            Usage(1109, 5, 1000, cache_write_tokens=100),
            False,
        ),
        (
            {"input_tokens": 9, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 1},
            {"input_tokens": 10, "output_tokens": 5},
            Usage(10, 5, 0, cache_write_tokens=0),
            False,
        ),
        ({"cache_read_input_tokens": 7}, {}, Usage(None, None, 7), False),
        ({"input_tokens": -9, "output_tokens": 1}, {"output_tokens": "5"}, Usage(None, 1), True),
        ({}, [1], Usage(), False),
    ],
)
async def test_the_cache_is_counted_as_part_of_the_input_and_what_is_unknown_is_none(
    first: dict[str, Any], last: Any, expected: Usage, odd: bool
) -> None:
    with s.serving([s.OPEN, started(**first), wrote("x"), stopped(usage=last), STOP]) as server:
        came = await ask(claude_at(server))
    assert came.reply is not None
    assert came.reply.usage == expected
    assert bool(came.reply.notes) == odd


@pytest.mark.parametrize(
    ("reason", "expected", "note"),
    [
        ("end_turn", "stop", None),
        ("stop_sequence", "stop", None),
        ("max_tokens", "length", None),
        ("model_context_window_exceeded", "length", None),
        ("refusal", "content_filter", None),
        ("pause_turn", "unknown", "pause_turn"),
        (None, "unknown", "no reason"),
    ],
)
async def test_how_the_reply_ended(reason: str | None, expected: str, note: str | None) -> None:
    with s.serving([OPENED, wrote("Oslo"), stopped(reason), STOP]) as server:
        came = await ask(claude_at(server))
    assert came.reply is not None and came.reply.text == "Oslo"
    assert came.reply.finish == expected
    assert note in came.reply.notes[0] if note else came.reply.notes == ()


async def test_a_refusal_without_words_is_told_by_its_explanation() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "That would harm."}
    with s.serving([OPENED, stopped("refusal", stop_details=details), STOP]) as server:
        came = await ask(claude_at(server))
    assert came.reply is not None
    assert (came.reply.text, came.reply.finish) == ("That would harm.", "content_filter")


OSLO, BERGEN = NativeCall("a", "weather", '{"city": "Oslo"}'), NativeCall("b", "weather", '{"city": "Bergen"}')


async def test_parallel_calls_are_assembled_and_what_tools_of_the_server_do_is_none_of_ours() -> None:
    steps: list[s.Step] = [
        OPENED,
        wrote("I look."),
        block(1, "tool_use", id="a", name="weather", input={}),
        block(2, "tool_use", id="b", name="weather", input={}),
        grows(1, "input_json_delta", partial_json=""),
        grows(1, "input_json_delta", partial_json='{"city"'),
        grows(2, "input_json_delta", partial_json='{"city": "Bergen"}'),
        grows(1, "input_json_delta", partial_json=': "Oslo"}'),
        block(3, "server_tool_use", id="c", name="web_search", input={}),
        grows(3, "input_json_delta", partial_json='{"query": 1}'),
        stopped("tool_use"),
        STOP,
    ]
    with s.serving(steps) as server:
        came = await ask(claude_at(server))
    assert came.reply is not None
    assert (came.reply.text, came.reply.finish) == ("I look.", "tool_calls")
    assert came.reply.tool_calls == (OSLO, BERGEN)


async def test_tools_are_declared_and_their_results_stand_first_in_the_users_turn() -> None:
    weather = ToolDeclaration("weather", "Weather now.", {"type": "object", "properties": {}})
    strange = NativeCall("call:1/2", "weather?", "[no JSON")
    talk = (
        *PROMPT.messages,
        Message("assistant", (), (OSLO, strange)),
        answered(OSLO, "3", Image(b"\x89PNG")),
        answered(strange, ""),
        say("user", "Go on."),
    )
    with s.serving(GOOD) as server:
        await ask(claude_at(server), Prompt(talk, tools=(weather,)))
    [body] = server.questions
    assert body["tools"] == [
        {"name": "weather", "description": "Weather now.", "input_schema": {"type": "object", "properties": {}}}
    ]
    calls, results = body["messages"][1:]
    assert calls["content"] == [
        {"type": "tool_use", "id": "a", "name": "weather", "input": {"city": "Oslo"}},
        {"type": "tool_use", "id": "call_1_2", "name": "weather_", "input": {"not_json": "[no JSON"}},
    ]
    assert [part["type"] for part in results["content"]] == ["tool_result", "tool_result", "text"]
    assert [part["type"] for part in results["content"][0]["content"]] == ["text", "image"]
    assert results["content"][1]["tool_use_id"] == "call_1_2"
    assert results["content"][1]["content"] == [{"type": "text", "text": "(nothing)"}]


async def test_a_message_that_is_not_streamed_is_taken_whole() -> None:
    whole = {
        "type": "message",
        "model": "m",
        "content": [{"type": "text", "text": "Oslo"}, {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}}],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 3, "output_tokens": 2},
    }
    with s.serving(s.status(200, whole, Content_Type="application/json")) as server:
        came = await ask(claude_at(server))
    assert came.reply is not None
    assert (came.reply.text, came.reply.tool_calls) == ("Oslo", (NativeCall("a", "f", '{"x": 1}'),))
    assert came.reply.usage == Usage(3, 2)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("overloaded_error", ModelUnavailable), ("api_error", ModelUnavailable), ("permission_error", ModelRejected)],
)
async def test_an_error_in_the_middle_of_a_stream_is_of_its_kind(kind: str, expected: type[Exception]) -> None:
    error = named("error", error={"type": kind, "message": "Not now"})
    with s.serving([OPENED, wrote("Os"), error]) as server:
        came = await ask(claude_at(server))
    assert type(came.error) is expected and "Not now" in str(came.error)


async def test_a_parameter_that_newer_models_no_longer_take_is_left_out_and_said_to_be() -> None:
    refusal = s.error("temperature: this model does not support setting it")
    with s.serving(s.status(400, refusal), GOOD) as server:
        came = await ask(claude_at(server, parameters={"temperature": 0}))
    assert came.reply is not None and "does not take temperature" in came.reply.notes[0]
    assert "temperature" not in server.questions[1]


async def test_the_url_may_end_in_v1_or_not() -> None:
    from codeact.models.anthropic import AnthropicModel

    with s.serving(GOOD, GOOD) as server:
        for url in (server.url, server.url.removesuffix("/v1") + "/"):
            assert (await ask(AnthropicModel("m", base_url=url))).reply is not None
    assert [asked.path for asked in server.asked] == ["/v1/messages"] * 2
    assert "x-api-key" not in server.asked[0].headers

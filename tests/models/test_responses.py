"""The protocol of responses: what it is told, and what becomes of what it says."""

from __future__ import annotations

from typing import Any

import pytest

from codeact.core.errors import ContextOverflow, ModelError, ModelProtocolError, ModelRejected, ModelUnavailable
from codeact.core.messages import Image, Message, NativeCall, Prompt, Text, ToolDeclaration, Usage, answered, say

from . import server as s
from .asking import KEY, PROMPT, Came, ask, model_at
from .sayings import completed, created, named, out

OSLO = NativeCall("a", "weather", '{"city": "Oslo"}')


async def asked(*steps: bytes, **settings: Any) -> Came:
    with s.serving([s.OPEN, *steps]) as server:
        return await ask(model_at(server, api="responses", **settings))


async def test_the_request_keeps_nothing_on_the_server_and_tells_parameters_under_their_names_here() -> None:
    parameters = {"max_tokens": 9, "reasoning_effort": "low", "verbosity": "low", "temperature": 0}
    with s.serving([s.OPEN, created(), out("x"), completed()]) as server:
        await ask(model_at(server, api="responses", parameters=parameters))
    [request] = server.asked
    assert (request.path, request.headers["authorization"]) == ("/v1/responses", f"Bearer {KEY}")
    assert request.body == {
        "model": "m",
        "instructions": "Be brief.",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "Which city is colder?"}]}],
        "stream": True,
        "store": False,
        "max_output_tokens": 9,
        "reasoning": {"effort": "low"},
        "text": {"verbosity": "low"},
        "temperature": 0,
    }


async def test_a_conversation_is_a_list_of_items() -> None:
    picture = Message("user", (Text("look"), Image(b"\x89PNG")))
    weather = ToolDeclaration("weather", "Weather now.", {"type": "object", "properties": {}})
    talk = (
        say("system", "S"),
        picture,
        Message("assistant", (Text("I look."),), (OSLO,)),
        answered(OSLO, "3"),
        say("user", "And?"),
    )
    with s.serving([s.OPEN, created(), out("x"), completed()]) as server:
        await ask(model_at(server, api="responses"), Prompt(talk, tools=(weather,)))
    [body] = server.questions
    assert body["input"] == [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "look"},
                {"type": "input_image", "image_url": "data:image/png;base64,iVBORw=="},
            ],
        },
        {"role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
        {"type": "function_call", "call_id": "a", "name": "weather", "arguments": '{"city": "Oslo"}'},
        {"type": "function_call_output", "call_id": "a", "output": "3"},
        {"role": "user", "content": [{"type": "input_text", "text": "And?"}]},
    ]
    [tool] = body["tools"]
    assert (tool["type"], tool["name"], tool["parameters"]) == ("function", "weather", weather.parameters)


async def test_reasoning_usage_and_calls_are_collected() -> None:
    def item(kind: str, place: int, **more: Any) -> bytes:
        return named(kind, output_index=place, item={"type": "function_call", "name": "weather", **more})

    came = await asked(
        created(),
        named("response.reasoning_summary_text.delta", output_index=0, summary_index=0, delta="I think"),
        out("I look."),
        item("response.output_item.added", 1, call_id="a", arguments=""),
        named("response.function_call_arguments.delta", output_index=1, delta='{"city": '),
        named("response.function_call_arguments.delta", output_index=1, delta='"Oslo"}'),
        item("response.output_item.done", 1, call_id="a", arguments='{"city": "Oslo"}'),
        item("response.output_item.done", 2, call_id="b", arguments="{}"),  # one that was not streamed
        completed(),
    )
    assert came.reply is not None
    assert (came.reply.text, came.reply.reasoning, came.reply.finish) == ("I look.", "I think", "tool_calls")
    assert came.reply.tool_calls == (OSLO, NativeCall("b", "weather", "{}"))
    assert came.reply.usage == Usage(11, 2, 4)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("max_output_tokens", "length"), ("content_filter", "content_filter"), ("tired", "unknown")],
)
async def test_a_response_that_is_incomplete_says_why(reason: str, expected: str) -> None:
    came = await asked(created(), out("x"), completed("incomplete", incomplete_details={"reason": reason}))
    assert came.reply is not None and came.reply.finish == expected


async def test_a_refusal_is_told_in_the_models_own_words() -> None:
    came = await asked(created(), named("response.refusal.delta", delta="I will not."), completed())
    assert came.reply is not None
    assert (came.reply.text, came.reply.finish) == ("I will not.", "content_filter")


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (completed("failed", error={"code": "server_error", "message": "Oops"}), ModelUnavailable),
        (completed("failed", error={"code": "rate_limit_exceeded", "message": "Slow"}), ModelUnavailable),
        (completed("failed", error={"code": "context_length_exceeded", "message": "Long"}), ContextOverflow),
        (named("error", code="invalid_api_key", message="No", param=None), ModelUnavailable),
        (named("error", error={"type": "invalid_request_error", "message": "No"}), ModelRejected),
    ],
)
async def test_a_response_that_fails_is_an_error_of_its_kind(event: bytes, kind: type[ModelError]) -> None:
    came = await asked(created(), out("Os"), event)
    assert type(came.error) is kind


async def test_a_response_that_is_not_streamed_is_taken_whole_and_anything_else_is_none() -> None:
    whole = {
        "object": "response",
        "model": "m",
        "status": "completed",
        "output": [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
            {"type": "message", "content": [{"type": "output_text", "text": "Oslo"}]},
            {"type": "function_call", "call_id": "a", "name": "weather", "arguments": '{"city": "Oslo"}'},
        ],
    }
    with s.serving(*[s.status(200, value, Content_Type="application/json") for value in (whole, {"x": 1})]) as server:
        model = model_at(server, api="responses")
        came, other = await ask(model), await ask(model)
    assert came.reply is not None
    assert (came.reply.text, came.reply.reasoning, came.reply.tool_calls) == ("Oslo", "hm", (OSLO,))
    assert type(other.error) is ModelProtocolError and "not a response" in str(other.error)


async def test_a_stream_that_only_says_that_it_is_done_is_no_reply() -> None:
    with s.serving([s.OPEN, created(), out("Os"), s.DONE]) as server:
        came = await ask(model_at(server, api="responses"), PROMPT)
    assert type(came.error) is ModelUnavailable and "cut off" in str(came.error)

"""Models of pydantic-ai, by its own models for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from pydantic_ai import exceptions
from pydantic_ai.messages import BinaryContent, ModelMessage
from pydantic_ai.models.function import AgentInfo, DeltaThinkingPart, DeltaToolCall, FunctionModel
from pydantic_ai.models.test import TestModel

from codeact import assemble
from codeact.core.errors import (
    ContextOverflow,
    ModelError,
    ModelProtocolError,
    ModelRejected,
    ModelUnavailable,
    UsageError,
)
from codeact.core.messages import Image, Message, NativeCall, Prompt, Text, ToolDeclaration, answered, say
from codeact.models.bridge import BridgeModel
from codeact.models.server import Deadlines
from codeact.testing import check_model

from . import server as s
from .asking import KEY, PROMPT, ask

OSLO = NativeCall("a", "weather", '{"city": "Oslo"}')
WEATHER = ToolDeclaration("weather", "Weather now.", {"type": "object", "properties": {"city": {"type": "string"}}})


def model_of(*pieces: Any, heard: list[Any] | None = None, then: Callable[[], Any] | None = None) -> BridgeModel:
    """A model that streams these pieces and keeps what it was asked."""

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        if heard is not None:
            heard.append((messages, info))
        for piece in pieces:
            yield piece
        if then is not None:
            await then()

    return BridgeModel(FunctionModel(stream_function=stream))


async def test_the_librarys_own_model_for_tests_answers_and_keeps_the_contract() -> None:
    model = BridgeModel(TestModel(custom_output_text="Oslo is colder."))
    reply = await check_model(model, PROMPT)
    assert (reply.text, model.name) == ("Oslo is colder.", "pydantic:test:test")
    assert reply.usage.input_tokens and reply.usage.cached_tokens is None


async def test_text_streams_and_thinking_is_kept_apart() -> None:
    came = await ask(model_of({0: DeltaThinkingPart(content="hm ")}, {0: DeltaThinkingPart(content="hm")}, "Os", "lo"))
    assert came.reply is not None
    assert (came.reply.text, came.reply.reasoning) == ("Oslo", "hm hm")
    assert (came.text, came.reasoning) == ("Oslo", "hm hm")


async def test_a_conversation_with_pictures_and_calls_is_told_in_the_librarys_parts() -> None:
    heard: list[Any] = []
    talk = (
        say("system", "S"),
        Message("user", (Text("look"), Image(b"\x89PNG"))),
        Message("assistant", (Text("I look."),), (OSLO,)),
        answered(OSLO, "3"),
        say("user", "And?"),
    )
    await ask(model_of("x", heard=heard), Prompt(talk, ("STOP",), (WEATHER,)))
    [(told, info)] = heard
    assert [[part.part_kind for part in message.parts] for message in told] == [
        ["system-prompt", "user-prompt"],
        ["text", "tool-call"],
        ["tool-return", "user-prompt"],
    ]
    assert told[0].parts[1].content[0] == "look" and isinstance(told[0].parts[1].content[1], BinaryContent)
    assert (told[1].parts[1].tool_call_id, told[1].parts[1].args) == ("a", {"city": "Oslo"})
    assert (told[2].parts[0].tool_name, told[2].parts[0].tool_call_id) == ("weather", "a")
    assert [(tool.name, tool.parameters_json_schema) for tool in info.function_tools] == [
        ("weather", WEATHER.parameters)
    ]
    assert info.model_settings["stop_sequences"] == ["STOP"]


async def test_calls_are_collected_from_their_pieces() -> None:
    came = await ask(
        model_of(
            {0: DeltaToolCall(name="weather", json_args='{"city": ', tool_call_id="a")},
            {0: DeltaToolCall(json_args='"Oslo"}')},
            {1: DeltaToolCall(name="weather", json_args="[no JSON", tool_call_id="b")},
        )
    )
    assert came.reply is not None, came.error
    assert came.reply.tool_calls == (OSLO, NativeCall("b", "weather", "[no JSON"))


async def test_a_model_that_goes_on_after_a_stop_sequence_is_cut_off() -> None:
    forever = asyncio.Event()
    came = await ask(model_of("code\nObser", "vation: it is 5", then=forever.wait))
    assert came.reply is not None
    assert (came.reply.text, came.reply.finish) == ("code\n", "stop")


async def test_a_model_that_falls_silent_is_given_up() -> None:
    forever = asyncio.Event()
    for pieces, deadlines, words in (
        ((), Deadlines(first_token=0.05), "no token in time"),
        (("Os",), Deadlines(between_tokens=0.05), "silent in the middle"),
    ):
        model = model_of(*pieces, then=forever.wait)
        model._deadlines = deadlines
        came = await ask(model)
        assert type(came.error) is ModelUnavailable and words in str(came.error)


@pytest.mark.parametrize(
    ("error", "kind", "wait"),
    [
        (exceptions.ModelHTTPError(429, "m", {"x": 1}, headers={"Retry-After": "7"}), ModelUnavailable, 7.0),
        (exceptions.ModelHTTPError(503, "m"), ModelUnavailable, None),
        (exceptions.ModelHTTPError(400, "m"), ModelRejected, None),
        (exceptions.ModelContextWindowExceededError("m", "too long"), ContextOverflow, None),
        (exceptions.ModelAuthenticationError("m", "no key"), ModelRejected, None),
        (exceptions.ModelQuotaExceededError("m", "no credit"), ModelRejected, None),
        (exceptions.ModelConnectionError("m", "no route"), ModelUnavailable, None),
        (exceptions.UnexpectedModelBehavior("what?"), ModelProtocolError, None),
        (exceptions.UserError("not so"), ModelRejected, None),
    ],
)
async def test_an_error_of_the_library_is_one_of_ours(
    error: Exception, kind: type[ModelError], wait: float | None
) -> None:
    async def fail() -> None:
        raise error

    came = await ask(model_of("Os", then=fail))
    assert type(came.error) is kind and str(came.error).startswith("pydantic:function:")
    if isinstance(came.error, ModelUnavailable):
        assert came.error.retry_after == wait


def test_a_provider_that_the_library_does_not_have_or_cannot_ask_is_said_with_its_words() -> None:
    with pytest.raises(UsageError, match="pydantic-ai does not make 'nonsense:x' a model"):
        assemble.model("pydantic:nonsense:x")
    with pytest.raises(UsageError, match=r"GROQ_API_KEY|groq"):
        assemble.model("groq:llama")


async def test_a_provider_of_the_library_is_asked_by_its_specification(monkeypatch: pytest.MonkeyPatch) -> None:
    with s.serving(s.says("Os", "lo")) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        model = assemble.model("pydantic:openai-chat:m?temperature=0&retries=0")
        came = await ask(model)
    assert came.reply is not None, came.error
    assert (came.reply.text, came.text, model.name) == (
        "Oslo",
        "Oslo",
        "pydantic:openai-chat:m?temperature=0&retries=0",
    )
    assert (came.reply.usage.input_tokens, came.reply.usage.cached_tokens) == (11, 4)
    [body] = server.questions
    assert (body["temperature"], body["stop"], body["model"]) == (0, ["Observation:"], "m")

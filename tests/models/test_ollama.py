"""Ollama cuts a long prompt without a word: how much it can see is asked, set, and said when it is little."""

from __future__ import annotations

from typing import Any

import pytest

from codeact.core.messages import Image, Message, NativeCall, Prompt, Text, Usage, answered, say
from codeact.models.ollama import OllamaModel
from codeact.models.ollama.context import Context, context_of

from . import server as s
from .asking import ask
from .sayings import LINES, line

QWEN = {"model_info": {"general.architecture": "qwen3", "qwen3.context_length": 40_960}}
SHOWN = {**QWEN, "parameters": 'stop "<|im_end|>"\nnum_ctx                        8192\ntop_k 20'}


def running(length: int | None) -> dict[str, Any]:
    return {"models": [{"name": "other:1b", "context_length": 99}, {"model": "qwen3:latest", "context_length": length}]}


def test_what_the_model_runs_with_what_its_file_says_and_what_it_was_made_for() -> None:
    assert context_of("qwen3", SHOWN, running(4096)) == Context(4096, 8192, 40_960)
    assert context_of("qwen3", QWEN, {"models": []}) == Context(None, None, 40_960)
    for nonsense in (None, 3, {}, {"model_info": {"a.context_length": "x"}, "parameters": 3}, {"models": [3]}):
        assert context_of("qwen3", nonsense, nonsense) == Context()


@pytest.mark.parametrize(
    ("context", "asked_for", "words"),
    [
        (Context(4096, None, 40_960), None, "4,096 tokens of context, and cuts a longer prompt without a word"),
        (Context(4096, None, 40_960), None, "ollama:qwen3?num_ctx=32768 asks for more"),
        (Context(None, 8192, 40_960), None, "with 8,192 tokens"),
        (Context(None, None, 40_960), None, "with 4,096 tokens"),
        (Context(2048, None, 2048), None, "little for an agent"),
        (Context(8192, None, 40_960), 8192, "with 8,192 tokens"),
        (Context(40_960, None, 40_960), 99_999, "made for 40,960 tokens of context: num_ctx=99999 is more"),
        (Context(32_768, None, 40_960), None, None),
        (Context(32_768, None, 40_960), 32_768, None),
        (Context(), None, None),
    ],
)
def test_too_little_context_is_said_with_the_line_that_mends_it(
    context: Context, asked_for: int | None, words: str | None
) -> None:
    note = context.note("qwen3", asked_for)
    assert words in note if words and note else note is words
    if context.largest == 2048:
        assert note and "asks for more" not in note


async def test_the_server_is_asked_once_and_a_small_context_is_noted_with_every_reply() -> None:
    with s.serving(s.says("a"), s.says("b")) as server:
        server.tells = {"/api/show": SHOWN, "/api/ps": running(4096)}
        model = OllamaModel("qwen3", base_url=server.url)
        for text in ("a", "b"):
            came = await ask(model)
            assert came.reply is not None and came.reply.text == text
            assert "4,096 tokens of context" in came.reply.notes[-1]
    paths = [asked.path for asked in server.asked]
    assert paths == ["/v1/chat/completions", "/api/show", "/api/ps", "/v1/chat/completions"]


async def test_a_server_that_does_not_tell_is_not_wondered_at() -> None:
    with s.serving(s.says("a")) as server:
        came = await ask(OllamaModel("m", base_url=server.url))
    assert came.reply is not None and came.reply.notes == ()


async def test_a_length_that_is_asked_for_goes_by_ollamas_own_protocol_with_all_that_belongs_to_it() -> None:
    parameters = {"num_ctx": 32_768, "temperature": 0, "max_tokens": 9, "reasoning_effort": "low", "seed": 1}
    call = NativeCall("c", "weather", '{"city": "Oslo"}')
    talk = (
        say("system", "S"),
        Message("user", (Text("look"), Image(b"\x89PNG"))),
        Message("assistant", (), (call,)),
        answered(call, "3"),
    )
    with s.serving([LINES, line("Os", thinking="hm"), line("lo"), line(done="stop")]) as server:
        server.tells = {"/api/show": QWEN, "/api/ps": running(32_768)}
        came = await ask(OllamaModel("qwen3", base_url=server.url, parameters=parameters), Prompt(talk, ("STOP",)))
    [body] = server.questions
    assert body == {
        "model": "qwen3",
        "messages": [
            {"role": "system", "content": "S"},
            {"role": "user", "content": "look", "images": ["iVBORw=="]},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"id": "c", "function": {"name": "weather", "arguments": {"city": "Oslo"}}}],
            },
            {"role": "tool", "content": "3", "tool_name": "weather", "tool_call_id": "c"},
        ],
        "stream": True,
        "truncate": False,
        "shift": False,
        "think": "low",
        "options": {"num_ctx": 32_768, "temperature": 0, "num_predict": 9, "seed": 1, "stop": ["STOP"]},
    }
    assert came.reply is not None
    assert (came.reply.text, came.reply.reasoning, came.reply.usage) == ("Oslo", "hm", Usage(11, 2))
    assert came.reply.notes == ()


async def test_calls_come_whole_and_get_an_id_each() -> None:
    calls = [{"function": {"name": "weather", "arguments": {"city": city}}} for city in ("Oslo", "Bergen")]
    with s.serving([LINES, line(tool_calls=calls[:1]), line(tool_calls=calls[1:]), line(done="stop")]) as server:
        came = await ask(OllamaModel("m", base_url=server.url, parameters={"num_ctx": 32_768}))
    assert came.reply is not None and came.reply.finish == "tool_calls"
    assert came.reply.tool_calls == (
        NativeCall("call_1", "weather", '{"city": "Oslo"}'),
        NativeCall("call_2", "weather", '{"city": "Bergen"}'),
    )


async def test_an_error_in_the_middle_is_one() -> None:
    with s.serving([LINES, line("Os"), b'{"error": "model runner has stopped"}\n']) as server:
        came = await ask(OllamaModel("m", base_url=server.url, parameters={"num_ctx": 32_768}))
    assert came.error is not None and "model runner has stopped" in str(came.error)

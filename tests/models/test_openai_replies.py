"""What an OpenAI-compatible server says, in all the shapes that servers say it, becomes one Reply."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

from codeact.core.messages import Image, Message, NativeCall, Prompt, Text, Usage, say
from codeact.models.openai import OpenAIModel
from codeact.models.server.chat import as_messages

from . import server as s
from .asking import KEY, ask, model_at


async def test_text_streams_and_the_reply_holds_all_of_it_with_its_usage() -> None:
    with s.serving(s.says("Os", "lo", ".")) as server:
        came = await ask(model_at(server))
    assert came.reply is not None
    assert (came.reply.text, came.reply.finish, came.reply.notes) == ("Oslo.", "stop", ())
    assert came.text == "Oslo."
    assert came.reply.usage == Usage(11, 3, 4)


async def test_the_request_carries_the_prompt_the_stop_sequences_and_the_key() -> None:
    with s.serving(s.says("x")) as server:
        await ask(model_at(server, "m", parameters={"temperature": 0}))
    [asked] = server.asked
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Which city is colder?"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0,
        "stop": ["Observation:"],
    }


async def test_an_image_goes_as_a_data_url_and_a_lone_surrogate_is_replaced() -> None:
    picture = Message("user", (Text("look \ud83d \ud83d\ude00"), Image(b"\x89PNG")))
    with s.serving(s.says("x")) as server:
        await ask(model_at(server), Prompt((picture,)))
    [body] = server.questions
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "look \ufffd \U0001f600"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
    ]
    assert "stop" not in body


async def test_nothing_of_openai_in_the_environment_reaches_another_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID"):
        monkeypatch.setenv(f"OPENAI_{name}", "openai-secret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer openai-secret\nX-Team: openai-secret")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with s.serving(s.says("x"), s.says("x")) as server:
        with_key = await ask(model_at(server))
        without = await ask(model_at(server, key=None))
    assert with_key.reply and without.reply, "a proxy was asked for this machine"
    assert "openai-secret" not in str(server.asked)
    assert "authorization" not in server.asked[1].headers


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_reasoning_is_kept_apart_from_the_text(field: str) -> None:
    thought = [s.chunk(**{field: piece}) for piece in ("it is ", "```python\nrm()\n```")]
    with s.serving([s.OPEN, *thought, s.chunk("Oslo"), s.chunk(finish="stop"), s.DONE]) as server:
        came = await ask(model_at(server))
    assert came.reply is not None
    assert came.reply.text == came.text == "Oslo"
    assert came.reply.reasoning == came.reasoning == "it is ```python\nrm()\n```"


def _call(index: int | None, id: str | None, name: str | None, arguments: Any) -> bytes:
    function = {"name": name, "arguments": arguments}
    return s.chunk(tool_calls=[{"index": index, "id": id, "type": "function", "function": function}])


@pytest.mark.parametrize(
    "pieces",
    [
        [
            _call(0, "a", "run", ""),
            _call(0, None, None, '{"x"'),
            _call(0, None, None, ": 1}"),
            _call(1, "b", "end", "{}"),
        ],
        [_call(0, "a", "run", '{"x": 1}'), _call(0, "b", "end", "{}")],  # all are number 0
        [_call(0, "a", "run", {"x": 1}), _call(1, "b", "end", {})],  # arguments as an object
    ],
    ids=["streamed", "all-zero", "objects"],
)
async def test_native_tool_calls_are_collected(pieces: list[bytes]) -> None:
    with s.serving([s.OPEN, *pieces, s.chunk(finish="tool_calls"), s.DONE]) as server:
        came = await ask(model_at(server))
    assert came.reply is not None
    assert came.reply.tool_calls == (NativeCall("a", "run", '{"x": 1}'), NativeCall("b", "end", "{}"))
    assert came.reply.finish == "tool_calls"


@pytest.mark.parametrize(
    ("finish", "expected", "note"),
    [
        ("stop", "stop", None),
        ("length", "length", None),
        ("content_filter", "content_filter", None),
        ("function_call", "tool_calls", None),
        ("max_tokens_or_so", "unknown", "max_tokens_or_so"),
        (None, "unknown", "no reason"),
    ],
)
async def test_how_the_reply_ended(finish: str | None, expected: str, note: str | None) -> None:
    with s.serving([s.OPEN, s.chunk("Oslo"), s.chunk(finish=finish), s.DONE]) as server:
        came = await ask(model_at(server))
    assert came.reply is not None and came.reply.text == "Oslo"
    assert came.reply.finish == expected
    assert note in came.reply.notes[0] if note else came.reply.notes == ()


async def test_a_refusal_is_told_in_the_models_own_words() -> None:
    with s.serving(
        [s.OPEN, s.chunk(refusal="I will "), s.chunk(refusal="not."), s.chunk(finish="stop"), s.DONE]
    ) as server:
        came = await ask(model_at(server))
    assert came.reply is not None
    assert (came.reply.finish, came.reply.text) == ("content_filter", "I will not.")


@pytest.mark.parametrize(
    ("counts", "expected", "odd"),
    [
        ({"prompt_tokens": 7, "completion_tokens": 2}, Usage(7, 2, None), False),
        ({"prompt_tokens": -7, "completion_tokens": 2}, Usage(None, 2, None), True),
        ({"prompt_tokens": "7", "completion_tokens": True}, Usage(None, None, None), True),
        ({"prompt_tokens": 7, "completion_tokens": 2, "prompt_cache_hit_tokens": 5}, Usage(7, 2, 5), False),
        ({"prompt_tokens": 7, "prompt_tokens_details": None}, Usage(7, None, None), False),
        (None, Usage(None, None, None), False),
        ([1], Usage(None, None, None), False),
    ],
)
async def test_usage_that_is_not_known_is_none_and_never_zero(counts: Any, expected: Usage, odd: bool) -> None:
    told = s.event({"choices": [], "usage": counts})
    with s.serving([s.OPEN, s.chunk("x"), s.chunk(finish="stop"), told, s.DONE]) as server:
        came = await ask(model_at(server))
    assert came.reply is not None
    assert came.reply.usage == expected
    assert bool(came.reply.notes) == odd


WHOLE = {"choices": [{"message": {"content": "Oslo"}, "finish_reason": "stop"}]}


@pytest.mark.parametrize(
    "steps",
    [
        [s.OPEN, s.chunk("Oslo"), s.chunk(finish="stop")],  # ends without [DONE], but says that it is whole
        [s.OPEN, s.chunk("Oslo"), s.chunk(finish="stop"), s.Cut()],
        [s.OPEN, s.chunk("Oslo"), s.chunk(finish="stop"), b"data: [DONE]"],  # no blank line
        [s.OPEN, s.chunk("Oslo"), s.chunk(finish="stop"), s.DONE, s.DONE, b"data: {garbage\n\n"],
        [
            s.OPEN,
            b": working\n\n" * 99,
            b"event: x\nretry: 1\nid: 7\n",
            s.chunk("Oslo"),
            s.chunk(finish="stop"),
            s.DONE,
        ],
        [s.OPEN, s.chunk("Oslo").replace(b"\n", b"\r\n"), s.chunk(finish="stop").replace(b"\n", b"\r"), s.DONE],
        [s.OPEN, s.event({"choices": None}), s.chunk(finish="stop"), s.chunk("Oslo"), s.DONE],  # out of order
        [s.OPEN, s.chunk([{"type": "text", "text": "Os"}, {"type": "text", "text": "lo"}], "stop"), s.DONE],  # type: ignore[arg-type]
        s.status(200, WHOLE, Content_Type="application/json"),
    ],
    ids=[
        "no-done",
        "reset-after-the-end",
        "no-blank-line",
        "done-twice",
        "comments",
        "crlf",
        "order",
        "parts",
        "whole",
    ],
)
async def test_a_reply_that_is_whole_is_taken_however_it_comes(steps: list[s.Step]) -> None:
    with s.serving(steps) as server:
        came = await ask(model_at(server))
    assert came.error is None and came.reply is not None
    assert (came.reply.text, came.reply.finish) == ("Oslo", "stop")


async def test_a_connection_the_server_would_keep_is_closed_once_the_reply_is_there() -> None:
    events = [s.chunk("Oslo", "stop"), s.DONE]
    chunked = [b"%x\r\n%s\r\n" % (len(event), event) for event in events]
    kept = s.OPEN.replace(b"Connection: close", b"Transfer-Encoding: chunked")
    with s.serving([kept, *chunked, b"0\r\n\r\n", s.Hold()]) as server:
        came = await ask(model_at(server))
        assert server.left.wait(30), "the connection stayed open"
    assert came.reply is not None and came.reply.text == "Oslo"


async def test_null_content_is_an_empty_reply() -> None:
    with s.serving([s.OPEN, s.chunk(content=None), s.chunk(finish="stop"), s.DONE]) as server:
        came = await ask(model_at(server))
    assert came.reply is not None and came.reply.text == ""


async def test_characters_cut_anywhere_come_out_whole() -> None:
    whole = b"".join([s.event({"choices": [{"delta": {"content": "é€😀"}, "finish_reason": "stop"}]})])
    raw = whole.replace(json.dumps("é€😀").encode(), '"é€😀"'.encode())  # as bytes, not as escapes
    assert raw != whole
    with s.serving([s.OPEN, *(raw[i : i + 1] for i in range(len(raw))), s.DONE]) as server:
        came = await ask(model_at(server))
    assert came.reply is not None and came.reply.text == "é€😀"


async def test_an_emoji_cut_between_two_events_is_joined_and_half_of_one_is_marked() -> None:
    with s.serving([s.OPEN, s.chunk("a\ud83d"), s.chunk("\ude00 \ud83d"), s.chunk(finish="stop"), s.DONE]) as server:
        came = await ask(model_at(server))
    assert came.reply is not None and came.reply.text == "a\U0001f600 \ufffd"
    assert all(text.encode() for text in came.text)


async def test_a_server_that_goes_on_after_a_stop_sequence_is_cut_off() -> None:
    with s.serving(
        [s.OPEN, s.chunk("code\nObser"), s.chunk("vation: it is"), s.chunk(" 5 degrees"), s.Hold()]
    ) as server:
        came = await ask(model_at(server))
        assert server.left.wait(30), "the connection stayed open"
    assert came.reply is not None
    assert (came.reply.text, came.reply.finish) == ("code\n", "stop")
    assert came.reply.usage == Usage() and "stop sequence" in came.reply.notes[0]


async def test_a_snapshot_of_the_model_is_the_model_and_another_one_is_noted() -> None:
    def answered(by: str) -> list[s.Step]:
        return [
            s.OPEN,
            s.event({"model": by, "choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}]}),
            s.DONE,
        ]

    with s.serving(answered("gpt-5-2025-08-07"), answered("llama")) as server:
        model = model_at(server, "openai/gpt-5")
        same, other = await ask(model), await ask(model)
    assert same.reply is not None and same.reply.notes == ()
    assert other.reply is not None and "'llama' answered" in other.reply.notes[0]


NO_STOP = s.error("Unsupported parameter: 'stop' is not supported.", param="stop", code="unsupported_parameter")
NO_TEMPERATURE = s.error(
    "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported.",
    param="temperature",
    code="unsupported_value",
)
NO_OPTIONS = {"detail": [{"loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}]}
OTHER_LIMIT = s.error(
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    param="max_tokens",
    code="unsupported_parameter",
)


@pytest.mark.parametrize(
    ("parameter", "refusal", "then"),
    [
        ("stop", NO_STOP, None),
        ("temperature", NO_TEMPERATURE, None),
        ("stream_options", NO_OPTIONS, None),
        ("max_tokens", OTHER_LIMIT, "max_completion_tokens"),
        ("max_tokens", {"message": "unknown field: max_tokens"}, None),
    ],
)
async def test_a_parameter_the_server_does_not_know_is_left_out_and_that_is_remembered(
    parameter: str, refusal: dict[str, Any], then: str | None
) -> None:
    refused = s.status(422 if "detail" in refusal else 400, refusal)
    with s.serving(refused, s.says("a"), s.says("b")) as server:
        model = model_at(server, parameters={"temperature": 0, "max_tokens": 9})
        first, second = await ask(model), await ask(model)
    bodies = server.questions
    assert [parameter in body for body in bodies] == [True, False, False]
    assert all(then in body for body in bodies[1:]) if then else True
    assert first.reply is not None and second.reply is not None
    lost = parameter in ("temperature", "max_tokens") and not then
    for reply in (first.reply, second.reply):
        assert any(parameter in note for note in reply.notes) == lost, "what the user set is not lost quietly"


async def test_a_model_that_rejects_one_parameter_after_another_still_answers() -> None:
    refusals = [
        s.status(400, s.error(f"{name} is not supported")) for name in ("stop", "temperature", "stream_options")
    ]
    with s.serving(*refusals, s.says("a")) as server:
        came = await ask(model_at(server, parameters={"temperature": 0}))
    assert came.reply is not None
    assert set(server.questions[-1]) == {"model", "messages", "stream"}


async def test_a_value_out_of_range_is_not_quietly_dropped() -> None:
    refusal = s.error(
        "Invalid 'temperature': expected a value <= 2", param="temperature", code="decimal_above_max_value"
    )
    with s.serving(s.status(400, refusal)) as server:
        came = await ask(model_at(server, parameters={"temperature": 3}))
    assert came.error is not None and "expected a value <= 2" in str(came.error)
    assert len(server.questions) == 1


async def test_one_object_answers_many_questions_at_once_and_from_several_loops() -> None:
    with s.serving(*[s.says("x")] * 12) as server:
        model = model_at(server)

        async def four() -> list[Any]:
            return list(await asyncio.gather(*(ask(model) for _ in range(4))))

        heard: list[Any] = []
        threads = [threading.Thread(target=lambda: heard.extend(asyncio.run(four()))) for _ in range(2)]
        for thread in threads:
            thread.start()
        heard += await four()
        for thread in threads:
            await asyncio.to_thread(thread.join)
    assert [came.reply and came.reply.text for came in heard] == ["x"] * 12


def test_the_name_never_holds_a_key_and_a_key_over_plain_http_is_warned_of() -> None:
    far = OpenAIModel("m", base_url="http://models.example/v1", key=KEY)
    near = OpenAIModel("m", base_url="http://127.0.0.1:9/v1", key=KEY)
    assert far.name == "http://models.example/v1#m"
    assert far.warning is not None and "plain http" in far.warning and KEY not in far.warning
    assert near.warning is None
    assert OpenAIModel("m", base_url="http://models.example/v1").warning is None


def test_neighbours_of_one_role_are_joined_since_templates_want_the_roles_to_alternate() -> None:
    turns = [say("system", "S"), say("user", "a"), say("user", "b"), say("assistant", "c"), say("user", "d")]
    told = [(message["role"], message["content"]) for message in as_messages(Prompt(tuple(turns)))]
    assert told == [("system", "S"), ("user", "a\n\nb"), ("assistant", "c"), ("user", "d")]

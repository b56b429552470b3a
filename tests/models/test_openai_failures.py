"""How an OpenAI-compatible server fails, and what the user is told: a ModelError of the right kind, in plain words."""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
from email.utils import formatdate

import anyio
import anyio.lowlevel
import pytest

from codeact.core.errors import (
    ContextOverflow,
    ModelError,
    ModelProtocolError,
    ModelRejected,
    ModelUnavailable,
    UsageError,
)
from codeact.models.openai import Deadlines, OpenAIModel
from codeact.models.server.refusal import retry_after

from . import server as s
from .asking import KEY, PROMPT, ask, model_at

_HALF_EURO = s.event({"choices": [{"delta": {"content": "?"}}]}).replace(b"?", "€".encode()[:2])


@pytest.mark.parametrize(
    "steps",
    [
        [s.OPEN, s.chunk("Os")],
        [s.OPEN, s.chunk("Os"), s.Cut()],
        [s.OPEN, s.chunk("Os"), s.chunk("lo")[:-9]],
        [s.OPEN, s.chunk("Os"), s.chunk("lo")[:3], s.Cut()],
        [s.OPEN, s.chunk("Os"), _HALF_EURO[: _HALF_EURO.index(b"\xe2") + 2]],
        [s.OPEN, b'data: {"cho'],
        [s.OPEN.replace(b"Connection: close", b"Transfer-Encoding: chunked"), b"ff\r\n", s.chunk("Os")],
        [s.OPEN.replace(b"Connection: close", b"Content-Length: 9999"), s.chunk("Os")],
        [s.Cut()],
        [b""],
        [b"HTTP/1.1 200 OK\r\nContent-Ty"],
    ],
    ids=[
        "eof",
        "reset",
        "half a line",
        "half a word",
        "half a character",
        "half the first",
        "chunked",
        "length",
        "no headers, reset",
        "no headers, closed",
        "half the headers",
    ],
)
async def test_a_reply_that_is_cut_off_is_no_reply(steps: list[s.Step]) -> None:
    with s.serving(steps) as server:
        came = await ask(model_at(server))
    assert came.reply is None
    assert type(came.error) is ModelUnavailable
    assert "127.0.0.1" in str(came.error)


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([s.OPEN, b"data: {bad json\n\n"], "not JSON"),
        ([s.OPEN, b"data: [1, 2]\n\n"], "not a completion"),
        ([s.OPEN, b"data: " + b"[" * 100_000 + b"\n\n"], "not JSON"),
        ([s.OPEN, b": only\n\n: comments\n\n"], "no stream"),
        ([s.OPEN, b"<html>Bad gateway</html>"], "no stream"),
        ([s.OPEN], "no stream"),
        (s.status(200, b"<html>Log in</html>", Content_Type="text/html; charset=utf-8"), "web page"),
        (s.status(200, b"{bad", Content_Type="application/json"), "not JSON"),
        ([s.OPEN, s.event({"choices": []}), s.DONE], "no choices"),
        ([s.OPEN, s.event({"choices": [3, None]}), s.DONE], "no choices"),
        ([s.OPEN, s.DONE], "no choices"),
        ([s.OPEN, b"data: " + b"x" * (9 << 20)], "8 MiB"),
        ([s.OPEN, (b"data: " + b"x" * 1000 + b"\n") * 9000], "8 MiB"),
        ([s.OPEN, *[s.chunk("x" * (1 << 20))] * 9, s.Hold()], "8 MiB"),
        ([s.OPEN, *[s.chunk(reasoning="x" * (1 << 20))] * 9, s.Hold()], "8 MiB"),
        (s.status(200, gzip.compress(b"data: " + b"x" * (64 << 20)), Content_Encoding="gzip"), "8 MiB"),
        (s.status(200, b"not gzip", Content_Encoding="gzip"), "decompressed"),
    ],
)
async def test_an_answer_that_is_not_of_the_protocol_is_said_to_be_that(steps: list[s.Step], words: str) -> None:
    with s.serving(steps) as server:
        came = await ask(model_at(server))
    assert type(came.error) is ModelProtocolError
    assert words in str(came.error)
    assert len(str(came.error)) < 300


@pytest.mark.parametrize(
    ("steps", "deadlines", "words"),
    [
        ([s.Hold()], Deadlines(first_token=0.05), "no token within 0.05 s"),
        ([s.OPEN, s.Hold()], Deadlines(first_token=0.05), "no token within 0.05 s"),
        ([s.OPEN, s.chunk(role="assistant", text=""), s.Hold()], Deadlines(first_token=0.05), "no token within"),
        ([s.OPEN, b": still loading\n\n", s.Hold()], Deadlines(first_token=0.05), "no token within"),
        ([s.OPEN, s.Drip(b": still loading\n\n")], Deadlines(first_token=0.05), "no token within"),
        ([s.OPEN, s.chunk("Os"), s.Drip(b"data: ")], Deadlines(between_tokens=0.05), "silent in the middle"),
        ([s.OPEN, s.Drip(s.chunk("Os"))], Deadlines(total=0.05), "did not finish its reply within 0.05 s"),
        ([s.OPEN, s.chunk("Os"), s.Hold()], Deadlines(between_tokens=0.05), "silent in the middle"),
        ([s.OPEN, s.chunk(reasoning="hm"), s.Hold()], Deadlines(between_tokens=0.05), "silent in the middle"),
        ([s.OPEN, s.chunk("Os"), s.Hold()], Deadlines(total=0.05), "did not finish its reply within 0.05 s"),
    ],
    ids=[
        "no headers",
        "no token",
        "only a role",
        "only comments",
        "comments for ever",
        "half a line for ever",
        "tokens for ever",
        "stall",
        "stall in thought",
        "total",
    ],
)
async def test_a_server_that_falls_silent_is_given_up(steps: list[s.Step], deadlines: Deadlines, words: str) -> None:
    with s.serving(steps) as server:
        came = await ask(model_at(server, deadlines=deadlines))
        assert server.left.wait(30), "the connection stayed open"
    assert type(came.error) is ModelUnavailable and words in str(came.error)


@pytest.mark.parametrize("more", [s.Hold(), s.Drip(b": comment\n\n"), s.Drip(s.chunk("."))])
async def test_a_server_that_does_not_close_after_a_whole_reply_does_not_hold_us_up(more: s.Step) -> None:
    with s.serving([s.OPEN, s.chunk("Oslo"), s.chunk(finish="stop"), more]) as server:
        came = await ask(model_at(server, deadlines=Deadlines(between_tokens=0.05)))
    assert came.reply is not None and came.reply.usage.input_tokens is None
    assert came.reply.text.rstrip(".") == "Oslo"


async def test_a_server_that_is_not_running_is_named_with_what_to_look_at() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    came = await ask(OpenAIModel("m", base_url=f"http://127.0.0.1:{port}/v1"))
    assert type(came.error) is ModelUnavailable
    assert str(came.error) == f"cannot reach 127.0.0.1:{port}: Connection refused: is the server running?"


async def test_a_server_that_takes_no_connection_is_given_up_after_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        came = await ask(OpenAIModel("m", base_url=f"http://127.0.0.1:{port}/v1", deadlines=Deadlines(connect=0.1)))
        for filler in fillers:
            filler.close()
    assert type(came.error) is ModelUnavailable and "no connection within 0.1 s" in str(came.error)


TOO_LARGE = s.error("the request exceeds the available context size", type="exceed_context_size_error")
TOO_LONG = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."


@pytest.mark.parametrize(
    ("code", "body", "kind", "words"),
    [
        (401, s.error(f"Incorrect API key provided: {KEY}"), ModelRejected, "export CITY_KEY="),
        (402, s.error("Insufficient credits"), ModelRejected, "no credit"),
        (403, s.error("Not from your country"), ModelRejected, "Not from your country"),
        (400, s.error(TOO_LONG, code="context_length_exceeded"), ContextOverflow, "longer than m"),
        (400, {"object": "error", "message": TOO_LONG, "code": 400}, ContextOverflow, "longer than m"),
        (400, TOO_LARGE, ContextOverflow, "longer than m"),
        (413, b"<html>413</html>", ContextOverflow, "longer than m"),
        (400, s.error("Invalid image"), ModelRejected, "Invalid image"),
        (422, {"detail": [{"msg": "messages: too short"}]}, ModelRejected, "too short"),
        (429, s.error("Slow down"), ModelUnavailable, "asked too often (429). It says: Slow down"),
        (429, s.error("You exceeded your current quota", code="insufficient_quota"), ModelRejected, "no credit"),
        (500, s.error("oops"), ModelUnavailable, "(500)"),
        (502, b"<html><h1>Bad Gateway</h1></html>", ModelUnavailable, "does not answer just now (502)."),
        (503, b"", ModelUnavailable, "(503)"),
        (503, b"{}", ModelUnavailable, "just now (503)."),
        (504, b"\xff\xfe", ModelUnavailable, "(504)"),
        (529, {"error": "Overloaded"}, ModelUnavailable, "Overloaded"),
        (500, s.error(f"cannot use {KEY} \x1b[31m\n\n" + "x" * 9999), ModelUnavailable, "*** ?[31m x"),
        (503, b"x" * (9 << 20), ModelUnavailable, "(503)"),
        (418, b"[" * 50_000, ModelRejected, "(418)"),
    ],
)
async def test_a_refusal_says_who_refused_and_what_to_do(
    code: int, body: object, kind: type[ModelError], words: str
) -> None:
    with s.serving(s.status(code, body)) as server:
        came = await ask(model_at(server))
    assert type(came.error) is kind
    assert words in str(came.error) and f"127.0.0.1:{server.port}" in str(came.error)
    assert not str(came.error).endswith("It says: ")
    assert len(str(came.error)) < 500 and "\n" not in str(came.error) and "<" not in str(came.error)
    assert len(server.questions) == 1, "asked again"


async def test_a_refusal_whose_body_is_cut_off_is_still_that_refusal() -> None:
    head = b"HTTP/1.1 401 X\r\nContent-Length: 99\r\n\r\n"
    with s.serving([head, b"half"], [head, s.Cut()]) as server:
        model = model_at(server)
        for _ in range(2):
            assert type((await ask(model)).error) is ModelRejected


async def test_a_missing_key_is_asked_for_by_its_variable() -> None:
    with s.serving(s.status(401, s.error("no key")), s.status(401, s.error("no key"))) as server:
        named = await ask(model_at(server, key=None))
        unnamed = await ask(model_at(server, key=None, key_variable=None))
    assert str(named.error).endswith("wants a key (401): export CITY_KEY=...")
    assert str(unnamed.error).endswith("wants a key (401)")


@pytest.mark.parametrize(
    ("models", "refusal", "words"),
    [
        (
            ["gpt-5", "o3"],
            s.status(404, s.error("no")),
            "no model 'gtp-5'; did you mean 'gpt-5'? It has: gpt-5, o3",
        ),
        (["llama"], s.status(404, s.error("not found")), "has no model 'gtp-5'. It has: llama"),
        ([], s.status(404, s.error("not found")), "It has: none"),
        (["gpt-5"], s.status(400, s.error("no such model", code="model_not_found")), "did you mean 'gpt-5'?"),
        (None, s.status(404, b"404 page not found"), "ends in /v1). It says: 404 page not found"),
    ],
)
async def test_an_unknown_model_is_answered_with_the_nearest(
    models: list[str] | None, refusal: list[s.Step], words: str
) -> None:
    with s.serving(refusal, models=models) as server:
        came = await ask(model_at(server, "gtp-5"))
    assert type(came.error) is ModelRejected and words in str(came.error)


async def test_a_redirect_is_not_followed_and_the_key_stays_here() -> None:
    with s.serving() as other, s.serving(s.status(307, Location=f"{other.url}/chat/completions?x=1")) as server:
        came = await ask(model_at(server))
    assert type(came.error) is ModelRejected and f"127.0.0.1:{other.port}" in str(came.error)
    assert other.asked == []


@pytest.mark.parametrize(
    ("chunk", "kind", "words"),
    [
        (s.error("Provider returned error", code=502), ModelUnavailable, "(502)"),
        (s.error("slow down", code="429"), ModelUnavailable, "(429)"),
        (s.error(TOO_LONG, code=400), ContextOverflow, "longer"),
        (
            {"error": "model runner has stopped"},
            ModelUnavailable,
            "broke off its reply with an error. It says: mod",
        ),
        ({"object": "error", "message": "boom", "code": 500}, ModelUnavailable, "boom"),
    ],
)
async def test_an_error_in_the_middle_of_a_stream(chunk: dict[str, object], kind: type[ModelError], words: str) -> None:
    with s.serving([s.OPEN, s.chunk("Os"), s.event(chunk), s.DONE]) as server:
        came = await ask(model_at(server))
    assert type(came.error) is kind and words in str(came.error)
    assert came.text == "Os"


async def test_what_the_server_asks_us_to_wait_is_passed_on() -> None:
    with s.serving(s.status(429, s.error("slow"), Retry_After="7"), s.status(503)) as server:
        model = model_at(server)
        told, untold = await ask(model), await ask(model)
    assert isinstance(told.error, ModelUnavailable) and told.error.retry_after == 7.0
    assert isinstance(untold.error, ModelUnavailable) and untold.error.retry_after is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        ("1e9", 1e9),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("", None),
        ("soon", None),
        (formatdate(1_000_030, usegmt=True), 30.0),
        (formatdate(999_000, usegmt=True), 0.0),
        ("Mon, 99 Foo 99999999 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(value: str, expected: float | None) -> None:
    assert retry_after({"retry-after": value}, now=1_000_000) == expected
    assert retry_after({}, now=1_000_000) is None


@pytest.mark.parametrize("steps", [[s.Hold()], [s.OPEN, s.Hold()], [s.OPEN, s.chunk("Os"), s.Hold()]])
async def test_a_cancelled_question_leaves_no_connection_and_no_task(steps: list[s.Step]) -> None:
    before = asyncio.all_tasks()
    with s.serving(steps) as server:
        model = model_at(server)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(model.ask, PROMPT, lambda _: None)
            with anyio.fail_after(30):
                while not server.asked:
                    await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        assert await asyncio.to_thread(server.left.wait, 30), "the connection stayed open"
    assert asyncio.all_tasks() == before


async def test_a_listener_that_fails_is_heard_and_the_connection_is_closed() -> None:
    def fail(_: object) -> None:
        raise RuntimeError("the screen is gone")

    with s.serving([s.OPEN, s.chunk("Os"), s.Hold()]) as server:
        with pytest.raises(RuntimeError, match="the screen is gone"):
            await model_at(server).ask(PROMPT, fail)
        assert server.left.wait(30)


async def test_a_parameter_refused_after_text_had_come_is_not_quietly_asked_again() -> None:
    late = s.event(s.error("stop is not supported", code=400))
    with s.serving([s.OPEN, s.chunk("Os"), late], s.says("x")) as server:
        came = await ask(model_at(server))
    assert type(came.error) is ModelRejected and len(server.questions) == 1


@pytest.mark.parametrize(
    "url", ["models.example", "ftp://x/v1", "http://", "http://[x/v1", "http://x:99999/v1", "http://me:pw@x/v1"]
)
def test_what_is_no_url_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="the URL of the model"):
        OpenAIModel("m", base_url=url)


@pytest.mark.parametrize("key", ["", "a b", "a\nb", "schlüssel", "a\x00"])
def test_what_cannot_be_a_key_is_refused_and_not_printed(key: str) -> None:
    with pytest.raises(UsageError, match="CITY_KEY") as caught:
        OpenAIModel("m", base_url="https://models.example/v1", key=key, key_variable="CITY_KEY")
    assert not key or key not in str(caught.value)


async def test_a_flood_of_tiny_tokens_is_read_in_reasonable_time() -> None:
    with s.serving([s.OPEN, s.chunk("x") * 20_000, s.chunk(finish="stop"), s.DONE]) as server:
        began = time.process_time()
        came = await ask(model_at(server))
    assert came.reply is not None and len(came.reply.text) == 20_000
    assert time.process_time() - began < 10

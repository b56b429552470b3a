"""Every protocol is held to the same: a whole reply is taken, a broken one is none, and silence has its end."""

from __future__ import annotations

import gzip

import pytest

from codeact.core.errors import (
    ContextOverflow,
    ModelError,
    ModelProtocolError,
    ModelRejected,
    ModelUnavailable,
)
from codeact.core.messages import Image, Message, Prompt, Text, say
from codeact.models.server import Deadlines
from codeact.testing import check_model

from . import server as s
from .asking import KEY, PROMPT, ask
from .sayings import PROTOCOLS, Saying


@pytest.fixture(params=PROTOCOLS)
def saying(request: pytest.FixtureRequest) -> Saying:
    return PROTOCOLS[request.param]


def without_a_key(saying: Saying) -> bool:
    return saying is PROTOCOLS["ollama"]


async def test_text_streams_and_the_reply_holds_all_of_it(saying: Saying) -> None:
    with s.serving(saying.good) as server:
        came = await ask(saying.model(server))
    assert came.reply is not None, came.error
    assert (came.reply.text, came.text, came.reply.finish, came.reply.notes) == ("Oslo", "Oslo", "stop", ())


async def test_it_keeps_the_contract_of_a_model(saying: Saying) -> None:
    with s.serving(saying.good) as server:
        await check_model(saying.model(server), PROMPT)


async def test_a_stream_cut_at_any_byte_gives_the_whole_reply_or_none(saying: Saying) -> None:
    """After the end was said a cut does no harm; before, what came is no reply."""
    whole = b"".join(step for step in saying.good if isinstance(step, bytes))
    first = len(saying.open) - 3
    cuts = [*range(first, len(whole), 17), len(whole) - 1]
    with s.serving(*[[whole[:cut]] for cut in cuts]) as server:
        model = saying.model(server)
        for cut in cuts:
            came = await ask(model)
            if came.reply is None:
                assert type(came.error) is ModelUnavailable or type(came.error) is ModelProtocolError, (cut, came.error)
            else:
                assert (came.reply.text, came.reply.finish) == ("Oslo", "stop"), cut
    assert len(server.questions) == len(cuts)


async def test_a_reply_that_arrives_byte_by_byte_is_the_same(saying: Saying) -> None:
    text = "é€😀"
    raw = (saying.text(text) + saying.end).replace(b"\\u00e9\\u20ac\\ud83d\\ude00", text.encode())
    with s.serving([saying.open, *(raw[i : i + 1] for i in range(len(raw)))]) as server:
        came = await ask(saying.model(server))
    assert came.reply is not None and came.reply.text == text


@pytest.mark.parametrize("end", [[], [s.Cut()]], ids=["closed", "reset"])
async def test_a_reply_that_is_cut_off_is_no_reply(saying: Saying, end: list[s.Step]) -> None:
    with s.serving([saying.open, saying.text("Os"), *end], [*end, b""]) as server:
        model = saying.model(server)
        for _ in range(2):
            came = await ask(model)
            assert type(came.error) is ModelUnavailable and "127.0.0.1" in str(came.error)


async def test_an_answer_that_is_not_of_the_protocol_is_said_to_be_that(saying: Saying) -> None:
    large = saying.text("x" * (1 << 20))
    answers: list[tuple[list[s.Step], str]] = [
        ([saying.open, saying.garbage], "not JSON"),
        ([saying.open, saying.garbage.replace(b"{bad json", b"[1, 2]")], "not a completion"),
        ([saying.open, saying.garbage.replace(b"{bad json", b"[" * 100_000)], "not JSON"),
        (s.status(200, b"<html>Log in</html>", Content_Type="text/html; charset=utf-8"), "web page"),
        ([saying.open, b"data: {" + b"x" * (9 << 20)], "8 MiB"),
        ([saying.open, *[large] * 9, s.Hold()], "8 MiB"),
        (s.status(200, gzip.compress(b"data: " + b"x" * (64 << 20)), Content_Encoding="gzip"), "8 MiB"),
    ]
    with s.serving(*[steps for steps, _ in answers]) as server:
        model = saying.model(server)
        for _, words in answers:
            came = await ask(model)
            assert type(came.error) is ModelProtocolError and words in str(came.error), words
            assert len(str(came.error)) < 300


async def test_a_server_that_falls_silent_is_given_up(saying: Saying) -> None:
    first, between = Deadlines(first_token=0.05), Deadlines(between_tokens=0.05)
    for steps, deadlines, words in (
        ([s.Hold()], first, "no token within 0.05 s"),
        ([saying.open, s.Hold()], first, "no token within 0.05 s"),
        ([saying.open, saying.text("Os"), s.Hold()], between, "silent in the middle"),
        ([saying.open, s.Drip(saying.text("Os"))], Deadlines(total=0.05), "did not finish its reply within 0.05 s"),
    ):
        with s.serving(steps) as server:  # type: ignore[arg-type]
            came = await ask(saying.model(server, deadlines=deadlines))
            assert server.left.wait(30), "the connection stayed open"
        assert type(came.error) is ModelUnavailable and words in str(came.error)


async def test_a_server_that_goes_on_after_a_stop_sequence_is_cut_off(saying: Saying) -> None:
    with s.serving([saying.open, saying.text("code\nObser"), saying.text("vation: it is 5"), s.Hold()]) as server:
        came = await ask(saying.model(server))
        assert server.left.wait(30), "the connection stayed open"
    assert came.reply is not None
    assert (came.reply.text, came.reply.finish) == ("code\n", "stop")
    assert "stop sequence" in came.reply.notes[0]


TOO_LONG = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."


@pytest.mark.parametrize(
    ("code", "body", "kind", "words"),
    [
        (400, s.error(TOO_LONG), ContextOverflow, "longer than m"),
        (429, s.error("Slow down"), ModelUnavailable, "asked too often (429). It says: Slow down"),
        (500, s.error(f"cannot use {KEY}"), ModelUnavailable, "(500)"),
        (529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, ModelUnavailable, "O"),
        (403, s.error("Not from your country"), ModelRejected, "Not from your country"),
        (401, s.error(f"invalid {KEY}"), ModelRejected, "(401)"),
    ],
)
async def test_a_refusal_says_who_refused_and_why(
    saying: Saying, code: int, body: object, kind: type[ModelError], words: str
) -> None:
    if code == 500 and without_a_key(saying):
        body = s.error("oops")
    with s.serving(s.status(code, body, Retry_After="7")) as server:
        came = await ask(saying.model(server))
    assert type(came.error) is kind and words in str(came.error)
    if isinstance(came.error, ModelUnavailable):
        assert came.error.retry_after == 7
    if code == 401 and not without_a_key(saying):
        assert "export CITY_KEY=" in str(came.error)


async def test_an_unknown_model_is_answered_with_the_nearest(saying: Saying) -> None:
    with s.serving(s.status(404, s.error("no such model")), models=["gpt-5", "o3"]) as server:
        came = await ask(saying.model(server, "gtp-5"))
    assert type(came.error) is ModelRejected and "did you mean 'gpt-5'?" in str(came.error)


async def test_a_redirect_is_not_followed_and_the_key_stays_here(saying: Saying) -> None:
    with s.serving() as other, s.serving(s.status(307, Location=other.url)) as server:
        came = await ask(saying.model(server))
    assert type(came.error) is ModelRejected and f"127.0.0.1:{other.port}" in str(came.error)
    assert other.asked == []


async def test_a_server_that_takes_no_pictures_is_asked_without_them(saying: Saying) -> None:
    prompt = Prompt((say("system", "Look."), Message("user", (Text("[image 1]"), Image(b"\x89PNG")))))
    with s.serving(s.status(400, s.error("m is not a multimodal model")), saying.good) as server:
        came = await ask(saying.model(server), prompt)
    assert came.reply is not None and "takes no pictures" in came.reply.notes[0]
    with_it, without = map(str, server.questions)
    assert "iVBORw==" in with_it and "iVBORw==" not in without and "takes no pictures" in without


async def test_nothing_of_the_environment_reaches_a_server(saying: Saying, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.setenv(name, "a-secret-of-mine")
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "X-Team: a-secret-of-mine")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with s.serving(saying.good) as server:
        came = await ask(saying.model(server))
    assert came.reply is not None, "a proxy was asked for this machine"
    assert "a-secret-of-mine" not in str(server.asked)
    assert (KEY in str([asked.headers for asked in server.asked])) != without_a_key(saying)

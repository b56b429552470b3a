"""Servers that take no pictures, each in its own words: they are asked without."""

from __future__ import annotations

import pytest

from codeact.core.errors import ModelRejected, ModelUnavailable
from codeact.core.messages import Image, Message, Prompt, Text, say

from . import server as s
from .asking import ask, model_at

PICTURES = Prompt(
    (
        say("system", "Look."),
        Message("user", (Text("[image 1: 2x1]"), Image(b"\x89PNG"))),
        say("assistant", "I see."),
        Message("user", (Text("[image 1: 1x2]"), Image(b"\x89PNG"))),
    )
)
UNSEEN = "[image 1: 2x1]\n(This server takes no pictures: they are not shown to you. Work with the numbers.)"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "Invalid content type. image_url is only supported by certain models."),
        (400, "Failed to deserialize the JSON body: messages[1]: unknown variant `image_url`, expected `text`"),
        (400, "city-7b is not a multimodal model"),
        (400, "'messages.1' : content must be a string"),
        (404, "No endpoints found that support image input"),
        (500, "image input is not supported - hint: you may need to provide the mmproj"),
    ],
)
async def test_a_server_that_takes_no_pictures_is_asked_without_them_from_then_on(status: int, words: str) -> None:
    with s.serving(s.status(status, s.error(words)), s.says("x"), s.says("y")) as server:
        model = model_at(server)
        for text in ("x", "y"):
            came = await ask(model, PICTURES)
            assert came.reply is not None and came.reply.text == text
            assert came.reply.notes == (f"127.0.0.1:{server.port} takes no pictures for m: asked without them",)
    refused, *asked = server.questions
    assert [type(message["content"]) for message in refused["messages"]] == [str, list, str, list]
    assert [body["messages"][1]["content"] for body in asked] == [UNSEEN] * 2


async def test_a_refusal_for_another_reason_leaves_the_pictures() -> None:
    with s.serving(s.status(400, s.error("temperature 9 is too high")), s.says("x")) as server:
        model = model_at(server)
        assert isinstance((await ask(model, PICTURES)).error, ModelRejected)
        assert (await ask(model, PICTURES)).text == "x"
    assert all(isinstance(body["messages"][1]["content"], list) for body in server.questions)


async def test_a_server_that_refuses_anyhow_is_not_taken_for_one_that_sees_nothing() -> None:
    refusals = [s.status(500, s.error("out of memory for this image"))] * 2
    with s.serving(*refusals, s.says("x")) as server:
        model = model_at(server)
        assert isinstance((await ask(model, PICTURES)).error, ModelUnavailable)
        came = await ask(model, PICTURES)
    assert came.reply is not None and came.reply.notes == ()
    assert [type(body["messages"][1]["content"]) for body in server.questions] == [list, str, list]

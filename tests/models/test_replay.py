"""Recorded replies, in the file format that users write and keep."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from codeact.core.errors import ContextOverflow, ModelError, ModelUnavailable, UsageError
from codeact.core.events import Delta, ReasoningDelta, TextDelta
from codeact.core.messages import Message, NativeCall, Prompt, Reply, Usage, say
from codeact.models.replay import ReplayModel


def written(folder: Path, *lines: Any) -> Path:
    path = folder / "replies.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines), "utf-8")
    return path


def question(answered: int) -> Prompt:
    """A prompt of a run in which the model has replied so often."""
    talk: list[Message] = [say("system", "s"), say("user", "task")]
    for n in range(answered):
        talk += [say("assistant", f"reply {n}"), say("user", "observation")]
    return Prompt(tuple(talk))


def silent(_: Delta) -> None:
    pass


async def test_the_nth_reply_answers_the_nth_question_in_whatever_order_they_are_asked(tmp_path: Path) -> None:
    model = ReplayModel(written(tmp_path, *({"text": str(n)} for n in range(4))))
    replies = await asyncio.gather(*(model.ask(question(n), silent) for n in (2, 0, 3, 0, 1)))
    assert [reply.text for reply in replies] == ["2", "0", "3", "0", "1"]


async def test_a_line_holds_all_that_a_reply_can_be(tmp_path: Path) -> None:
    calls = [{"id": "c", "name": "run", "arguments": {"x": 1}}, {"name": "end", "arguments": "{}"}]
    full = {
        "text": "t",
        "reasoning": "r",
        "tool_calls": calls,
        "finish": "length",
        "usage": {"input_tokens": 3, "output_tokens": None, "cached_tokens": 0},
    }
    model = ReplayModel(written(tmp_path, full, "", {"tool_calls": calls[1:]}, {"text": ""}))
    assert await model.ask(question(0), silent) == Reply(
        "t", "r", (NativeCall("c", "run", '{"x": 1}'), NativeCall("call_2", "end", "{}")), "length", Usage(3, None, 0)
    )
    calls_only = await model.ask(question(1), silent)
    assert (calls_only.text, calls_only.finish, calls_only.usage) == ("", "tool_calls", Usage())
    assert (await model.ask(question(2), silent)).finish == "stop"


async def test_text_streams_in_small_pieces_reasoning_first(tmp_path: Path) -> None:
    heard: list[Delta] = []
    reply = await ReplayModel(written(tmp_path, {"text": "Oslo is colder.", "reasoning": "hm"})).ask(
        question(0), heard.append
    )
    assert heard[0] == ReasoningDelta("hm") and len(heard) > 3
    assert "".join(delta.text for delta in heard[1:] if isinstance(delta, TextDelta)) == reply.text


async def test_a_rate_paces_the_stream(tmp_path: Path) -> None:
    model = ReplayModel(written(tmp_path, {"text": "four" * 5}), rate=500)
    began = asyncio.get_running_loop().time()
    await model.ask(question(0), silent)
    assert asyncio.get_running_loop().time() - began >= 0.01


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        ("server down", ModelError, "server down"),
        ({"type": "ModelUnavailable", "message": "busy"}, ModelUnavailable, "busy"),
        ({"type": "ContextOverflow", "message": "long"}, ContextOverflow, "long"),
        ({"message": "what"}, ModelError, "what"),
    ],
)
async def test_a_recorded_error_is_raised_as_what_it_was(
    tmp_path: Path, error: Any, kind: type[ModelError], message: str
) -> None:
    model = ReplayModel(written(tmp_path, {"error": error}))
    with pytest.raises(ModelError) as caught:
        await model.ask(question(0), silent)
    assert type(caught.value) is kind and str(caught.value) == message


async def test_what_was_said_before_an_error_is_heard(tmp_path: Path) -> None:
    heard: list[Delta] = []
    with pytest.raises(ModelError, match="cut off"):
        await ReplayModel(written(tmp_path, {"text": "Oslo", "error": "cut off"})).ask(question(0), heard.append)
    assert heard == [TextDelta("Oslo")]


async def test_out_of_replies_is_an_error_that_says_so(tmp_path: Path) -> None:
    path = written(tmp_path, {"text": "only"})
    with pytest.raises(ModelError) as caught:
        await ReplayModel(path).ask(question(1), silent)
    assert str(caught.value) == f"replay:{path} has 1 reply; question 2 has none"
    with pytest.raises(ModelError, match="has 0 replies; question 1 has none"):
        await ReplayModel(written(tmp_path)).ask(question(0), silent)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"text": "x", "finsh": "stop"}, "unknown key 'finsh' in a reply; did you mean 'finish'?"),
        ({"text": "x", "tool_calls": [{"name": "f", "arguments": {}, "x": 1}]}, "unknown key 'x' in a tool call"),
        ({"text": "x", "usage": {"tokens": 1}}, "unknown key 'tokens' in a usage"),
        ({"error": {"type": "ModelGone", "message": ""}}, "unknown error 'ModelGone'"),
        ({"error": "x", "finish": "stop"}, "holds nothing else"),
        ({"error": 3}, "an error is a JSON object"),
        ({}, "a reply needs 'text'"),
        ({"text": 3}, "'text' is text, not 3"),
        (
            {"text": "x", "finish": "done"},
            "one of stop, length, tool_calls, content_filter, unknown, not 'done'",
        ),
        ({"text": "x", "finish": ["stop"]}, "'finish' is one of"),
        ({"text": "x", "tool_calls": {}}, "'tool_calls' is a list"),
        ({"text": "x", "tool_calls": [{"name": "f"}]}, "needs 'name' and 'arguments'"),
        ({"text": "x", "usage": {"input_tokens": -1}}, "'input_tokens' is a count, not -1"),
        ("[1]", "a reply is a JSON object, not [1]"),
        ("{'text': 'x'}", "Expecting property name"),
        ("[" * 99_999, "nested"),
    ],
)
def test_a_wrong_line_is_named_by_its_number(tmp_path: Path, line: Any, words: str) -> None:
    path = written(tmp_path, {"text": "good"}, line)
    with pytest.raises(UsageError) as caught:
        ReplayModel(path)
    assert str(caught.value).startswith(f"{path}, line 2: ") and words in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read the replies in .*gone\.jsonl: No such file"):
        ReplayModel(tmp_path / "gone.jsonl")
    with pytest.raises(UsageError, match="Is a directory"):
        ReplayModel(tmp_path)
    (tmp_path / "latin").write_bytes(b'{"text": "\xe9"}')
    with pytest.raises(UsageError, match="not UTF-8"):
        ReplayModel(tmp_path / "latin")


def test_its_name_is_how_it_is_typed(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert ReplayModel(path).name == f"replay:{path}"

"""Models that wrap models: one that waits for its turn, one that asks the next, one that keeps what was said."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from codeact import CodeAgent
from codeact.core.errors import (
    ContextOverflow,
    ModelError,
    ModelProtocolError,
    ModelRejected,
    ModelUnavailable,
    UsageError,
)
from codeact.core.events import Delta, Discarded, ModelFailed, TextDelta, Waiting
from codeact.core.messages import NativeCall, Prompt, Reply, Usage, say
from codeact.models.fallback import Fallback
from codeact.models.limited import RateLimited
from codeact.models.recording import Recording
from codeact.models.replay import ReplayModel
from codeact.models.retrying import Retrying
from codeact.ports import Emit
from codeact.testing import ScriptedModel, check_model

ASKED = Prompt((say("system", "S"), say("user", "task")))


def later(answered: int) -> Prompt:
    """A prompt of a conversation with so many replies."""
    return Prompt((*ASKED.messages, *[say("assistant", "a"), say("user", "b")] * answered))


def silent(_: Delta) -> None:
    pass


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


# -- RateLimited -------------------------------------------------------------------------------------------------------


async def test_no_minute_holds_more_questions_than_allowed() -> None:
    clock, times = Clock(), list[float]()

    class Timed:
        name = "timed"

        async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
            times.append(clock.now)
            return Reply("x")

    heard: list[Delta] = []
    model = RateLimited(Timed(), 3, clock.sleep, clock)
    for _ in range(7):
        await model.ask(ASKED, heard.append)
    assert times == [100, 100, 100, 160, 160, 160, 220]
    assert heard == [Waiting("timed may be asked again in 60 s")] * 2
    assert model.name == "timed"


async def test_questions_at_once_wait_in_the_order_in_which_they_came_and_less_than_one_a_minute_works() -> None:
    clock, waits = Clock(), list[float]()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    model = RateLimited(ScriptedModel("x"), 0.5, sleep, clock)
    await asyncio.gather(*(model.ask(ASKED, silent) for _ in range(3)))
    assert waits == [120, 240]


async def test_every_try_of_a_retry_takes_its_turn() -> None:
    clock = Clock()
    failing = ScriptedModel(ModelUnavailable("busy"))
    model = Retrying(RateLimited(failing, 1, clock.sleep, clock), retries=2, sleep=clock.sleep, chance=lambda: 0.5)
    with pytest.raises(ModelUnavailable):
        await model.ask(ASKED, silent)
    assert clock.now >= 100 + 2 * 60


def test_a_rate_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="more than 0"):
        RateLimited(ScriptedModel(), 0)


# -- Fallback ----------------------------------------------------------------------------------------------------------


class Broken:
    """Says something, then fails."""

    name = "broken"

    def __init__(self, error: ModelError) -> None:
        self._error = error

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        emit(TextDelta("Os"))
        raise self._error


@pytest.mark.parametrize("error", [ModelUnavailable("down"), ModelProtocolError("nonsense")])
async def test_when_a_server_fails_the_next_one_is_asked_and_the_reply_says_so(error: ModelError) -> None:
    heard: list[Delta] = []
    model = Fallback(Broken(error), ScriptedModel(Reply("Oslo", notes=("odd",)), name="spare"))
    reply = await model.ask(ASKED, heard.append)
    assert reply.text == "Oslo" and reply.usage.requests == 2
    assert reply.notes == (f"broken failed, spare was asked: {error}", "odd")
    assert heard == [TextDelta("Os"), Discarded(f"{error}; asking spare"), Waiting(f"{error}; asking spare"),
                     TextDelta("Oslo")]  # fmt: skip
    assert model.name == "broken | spare"


async def test_what_a_server_rejects_is_raised_unless_told_otherwise() -> None:
    spare = ScriptedModel("x")
    for error in (ModelRejected("no key"), ContextOverflow("too long")):
        with pytest.raises(type(error)):
            await Fallback(Broken(error), spare).ask(ASKED, silent)
        assert (await Fallback(Broken(error), spare, on=[ModelError]).ask(ASKED, silent)).text == "x"


async def test_when_all_fail_the_last_error_is_raised() -> None:
    with pytest.raises(ModelUnavailable, match="second"):
        await Fallback(Broken(ModelUnavailable("first")), Broken(ModelUnavailable("second"))).ask(ASKED, silent)
    both, told = Fallback(Broken(ModelUnavailable("a")), Broken(ModelUnavailable("b"))), []
    with pytest.raises(ModelUnavailable, match="b"):
        await CodeAgent(model=both, listeners=[told.append]).arun("task")
    assert [event.partial for event in told if isinstance(event, ModelFailed)] == ["Os"]  # and not that of both
    with pytest.raises(UsageError, match="no model"):
        Fallback()


# -- Recording ---------------------------------------------------------------------------------------------------------

FULL = Reply(
    "é \ud83d ``",
    "hm",
    (NativeCall("c", "f", "[no JSON"),),
    "tool_calls",
    Usage(3, None, 1, 4, 2),
)


async def test_what_was_recorded_is_replayed_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    script = [Reply("one", usage=Usage(1, 2)), FULL, Reply("cut", finish="length"), Reply("odd", finish="unknown")]
    model = Recording(ScriptedModel(*script), path)
    for n in range(4):
        await model.ask(later(n), silent)
    replayed = ReplayModel(path)
    assert [await replayed.ask(later(n), silent) for n in range(4)] == script
    assert path.stat().st_mode & 0o777 == 0o600
    assert model.name == "scripted"


async def test_a_recording_keeps_the_contract_of_a_model(tmp_path: Path) -> None:
    await check_model(Recording(ScriptedModel("x"), tmp_path / "r"))
    await check_model(Fallback(ScriptedModel("x")))
    await check_model(RateLimited(ScriptedModel("x"), 60))


async def test_an_error_is_recorded_and_a_question_that_is_asked_again_takes_its_place(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    broken, good = Broken(ModelUnavailable("down")), ScriptedModel("one", "two", "three")

    class Changing:
        name = "changing"
        now: Broken | ScriptedModel = good

        async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
            return await self.now.ask(prompt, emit)

    inner = Changing()
    model = Recording(inner, path)
    await model.ask(later(0), silent)
    inner.now = broken
    with pytest.raises(ModelUnavailable):
        await model.ask(later(1), silent)
    with pytest.raises(ModelUnavailable, match="down"):
        await ReplayModel(path).ask(later(1), silent)
    inner.now = good
    for n in (1, 2, 1):
        await model.ask(later(n), silent)
    assert [json.loads(line)["text"] for line in path.read_text().splitlines()] == ["one", "two"]


async def test_a_recording_that_begins_in_the_middle_of_a_conversation_says_so(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    await Recording(ScriptedModel("a", "b", "c"), path).ask(later(2), silent)
    replayed = ReplayModel(path)
    with pytest.raises(ModelError, match="before the recording began"):
        await replayed.ask(later(0), silent)
    assert (await replayed.ask(later(2), silent)).text == "c"


async def test_no_secret_stands_in_a_recording_also_where_the_model_says_it(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    secret = "sk-a-secret"
    reply = Reply(f"it is {secret}", secret, (NativeCall("c", "f", f'{{"key": "{secret}"}}'),))
    await Recording(ScriptedModel(reply), path, (secret, "", "sk-a")).ask(ASKED, silent)
    kept = path.read_text()
    assert secret not in kept and kept.count("***") == 3


def test_a_file_that_is_there_already_is_not_touched_and_one_that_cannot_be_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        Recording(ScriptedModel(), path)
    assert path.read_text() == "mine"
    with pytest.raises(UsageError, match="cannot write the recording"):
        Recording(ScriptedModel(), tmp_path / "gone" / os.devnull.strip("/"))

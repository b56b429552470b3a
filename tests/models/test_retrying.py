"""A model that fails is asked again; the waits are given to a clock of ours, so nothing sleeps."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from codeact.core.errors import ContextOverflow, ModelError, ModelProtocolError, ModelRejected, ModelUnavailable
from codeact.core.events import Delta, Discarded, TextDelta, Waiting
from codeact.core.messages import Prompt, Reply, Usage, say
from codeact.models.retrying import Retrying
from codeact.ports import Emit

PROMPT = Prompt((say("user", "hi"),))


@dataclass
class Moody:
    """A model that raises what its script holds, after `streams` of text, and then answers."""

    script: list[ModelError]
    streams: str = ""
    name: str = "moody"
    asked: int = 0

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        self.asked += 1
        if self.streams:
            emit(TextDelta(self.streams))
        if self.script:
            raise self.script.pop(0)
        return Reply("done", usage=Usage(5, 1, 0))


@dataclass
class Clock:
    waits: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


async def ask(model: Moody, chance: float = 0.5, retries: int = 3) -> tuple[Reply, list[float], list[Delta]]:
    clock, heard = Clock(), list[Delta]()
    reply = await Retrying(model, retries, sleep=clock.sleep, chance=lambda: chance).ask(PROMPT, heard.append)
    return reply, clock.waits, heard


async def test_a_reply_at_once_is_passed_on_untouched() -> None:
    reply, waits, heard = await ask(Moody([], streams="do"))
    assert reply == Reply("done", usage=Usage(5, 1, 0)) and waits == []
    assert heard == [TextDelta("do")]


async def test_waits_grow_and_the_screen_is_told_of_each() -> None:
    moody = Moody(
        [ModelUnavailable("h is asked too often (429)"), ModelProtocolError("garbage"), ModelUnavailable("gone")]
    )
    reply, waits, heard = await ask(moody)
    assert waits == [1, 2, 4]
    assert heard == [
        Waiting("h is asked too often (429); trying again in 1 s (1 of 3)"),
        Waiting("garbage; trying again in 2 s (2 of 3)"),
        Waiting("gone; trying again in 4 s (3 of 3)"),
    ]
    assert reply.usage == Usage(5, 1, 0, requests=4), "every request is counted"


async def test_what_had_streamed_is_taken_back_before_the_next_try() -> None:
    _, _, heard = await ask(Moody([ModelUnavailable("cut off")], streams="do"))
    assert heard == [
        TextDelta("do"),
        Discarded("cut off; asking again from the start"),
        Waiting("cut off; trying again in 1 s (1 of 3)"),
        TextDelta("do"),
    ]


@pytest.mark.parametrize(
    ("asked", "chance", "waited"),
    [
        (7.0, 0.5, 7.5),
        (0.0, 0.0, 0.0),
        (59.9, 1.0, 60.0),
        (1e9, 0.5, 60.0),
        (None, 0.0, 0.75),
        (None, 1.0, 1.25),
    ],
)
async def test_the_server_may_ask_for_a_wait_up_to_the_cap(asked: float | None, chance: float, waited: float) -> None:
    _, waits, _ = await ask(Moody([ModelUnavailable("busy", asked)]), chance)
    assert waits == [waited]


async def test_many_retries_never_wait_longer_than_the_cap() -> None:
    _, waits, _ = await ask(Moody([ModelUnavailable("busy")] * 90), 1.0, retries=90)
    assert max(waits) == 60 and sorted(waits) == waits


async def test_after_the_last_retry_the_last_error_is_raised() -> None:
    moody = Moody([ModelUnavailable(f"gone {n}") for n in range(9)])
    with pytest.raises(ModelUnavailable, match="gone 3"):
        await ask(moody)
    assert moody.asked == 4


@pytest.mark.parametrize("error", [ModelRejected("no key"), ContextOverflow("too long"), ModelError("no replies left")])
async def test_what_another_try_cannot_mend_is_raised_at_once(error: ModelError) -> None:
    moody = Moody([error])
    with pytest.raises(type(error)):
        await ask(moody)
    assert moody.asked == 1


def test_it_goes_by_the_name_of_the_model_it_asks() -> None:
    assert Retrying(Moody([])).name == "moody"

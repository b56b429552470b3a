"""Any bytes and any order of words: the host's ear knows two errors, and a conversation has outcomes only.

`fuzz/wire.py` is the long program of the same, run by hand.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from codeact.core.execution import Failure, Limits, Outcome, Policy, ToolSpec
from codeact.guest import values, wire
from codeact.interpreter import Interpreter
from codeact.interpreter.conversation import Asked
from codeact.testing import FakeGuest, FakeSandbox

sys.path.insert(0, str(Path(__file__).parent / "fuzz"))
from frames import GOOD, digest

CALM = settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow])


@CALM
@given(st.binary(max_size=300), st.integers(0, 300))
def test_wr_18_of_any_bytes_come_words_or_a_protocol_error(data: bytes, cut: int) -> None:
    digest(data, cut)


@CALM
@given(st.sampled_from([frame for frame in GOOD if len(frame) < 10_000]), st.data())
def test_wr_18_of_good_frames_changed_anywhere_come_words_or_a_protocol_error(
    frame: bytes, data: st.DataObject
) -> None:
    broken = bytearray(frame)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(broken)))
        broken[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    digest(bytes(broken), data.draw(st.integers(0, len(broken))))


TAGS = [
    "str",
    "bytes",
    "int",
    "float",
    "tuple",
    "set",
    "frozenset",
    "dict",
    "datetime",
    "date",
    "time",
    "timedelta",
    "decimal",
    "complex",
]
TAGS += ["array", "frame", "series", "index", "missing", "image", "unknown"]
_leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9)
_trees = st.recursive(
    _leaves | st.sampled_from(["nan", "-0x1", "2026-11-22", "AAAA", "<i8", "1e9"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([f"${tag}" for tag in TAGS]), inner, min_size=1, max_size=1)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@CALM
@given(_trees, st.lists(st.binary(max_size=40), max_size=3))
def test_wr_18_of_any_tree_comes_a_value_or_a_refusal(tree: Any, blobs: list[bytes]) -> None:
    with contextlib.suppress(values.Refused):
        values.decode(values.Packed(tree, blobs))


# -- a conversation --------------------------------------------------------------------------------------------------

LIMITS = Limits(seconds=30, grace=1, calls=3, open_calls=2, output=100_000)
PATIENCE = 10


@dataclass
class Seat:
    """The guest that plays now, and what it heard."""

    guest: FakeGuest
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    runs: asyncio.Queue[wire.Run] = field(default_factory=asyncio.Queue)
    more: asyncio.Queue[wire.More] = field(default_factory=asyncio.Queue)
    returned: asyncio.Queue[wire.Returned] = field(default_factory=asyncio.Queue)


async def _door(asked: Asked) -> values.Packed | Failure:
    return values.encode(asked.tool)


def _done(run: wire.Run, **changes: Any) -> wire.Done:
    fields: dict[str, Any] = dict.fromkeys(("value", "preview", "error", "answer", "images"))
    return wire.Done(**{"nonce": run.nonce, "ended": "done", "complete": 0, "notes": [], **fields, **changes})


class Conversation(RuleBasedStateMachine):
    """A guest that says any word at any time. The model of it: who is alive, what it may say, what it printed."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.seats: list[Seat] = []
        self.python = Interpreter(FakeSandbox(self._play), Policy(LIMITS), [ToolSpec("look", "()")])
        self.cell = 0
        self.run: wire.Run | None = None
        self.task: asyncio.Task[Outcome] | None = None
        self.asked = self.calls = self.parts = 0
        self.alive = True  # whether the guest of the last cell is the one of the next
        self.printed = ""
        self.wait(self.python.__aenter__())

    def wait(self, what: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run(asyncio.wait_for(what, PATIENCE))

    def teardown(self) -> None:
        if self.task is not None:
            self.seat.gone.set()
            self.wait(self._ended())
        self.wait(self.python.__aexit__())
        self.loop.close()

    async def _play(self, guest: FakeGuest) -> None:
        seat = Seat(guest)
        self.seats.append(seat)
        await guest.hear()
        guest.say(wire.Ready("3.11.7"))
        hearing = asyncio.ensure_future(self._hear(seat))
        try:
            await seat.gone.wait()
        finally:
            hearing.cancel()

    async def _hear(self, seat: Seat) -> None:
        while True:
            word = await seat.guest.hear()
            heard = {wire.Run: seat.runs, wire.More: seat.more}.get(type(word), seat.returned)
            heard.put_nowait(word)

    @property
    def seat(self) -> Seat:
        return self.seats[-1]

    async def _ended(self) -> Outcome:
        assert self.task is not None
        outcome = await self.task
        self.task = self.run = None
        return outcome

    def _over(self, kept: bool) -> Outcome:
        outcome: Outcome = self.wait(self._ended())
        assert outcome.kept == kept and outcome.stdout == self.printed
        if not kept:
            assert outcome.error is not None and outcome.error.type == "SandboxDied" and not outcome.ok
            self.asked, self.alive = 0, False
        return outcome

    @precondition(lambda self: self.task is None)
    @rule(parts=st.integers(0, 3))
    def begin(self, parts: int = 0) -> None:
        async def following() -> tuple[str, bool]:
            self.parts -= 1
            return "more", self.parts > 0

        async def start() -> None:
            self.cell += 1
            self.parts = parts
            more = following if parts else None
            run = self.python.run(self.cell, "x", bytes(16), _door, lambda delta: None, more)
            self.task = asyncio.ensure_future(run)
            guests = len(self.seats)
            while (self.seat.runs.empty() or len(self.seats) < guests) and not self.task.done():
                await asyncio.sleep(0)
            self.run = None if self.seat.runs.empty() else self.seat.runs.get_nowait()

        self.printed, self.calls, self.alive = "", 0, True
        self.wait(start())
        assert self.run is not None, "a cell begins with a guest that is alive, whatever was before"

    @precondition(lambda self: self.run is not None)
    @rule(text=st.text("ab\n", max_size=9))
    def prints(self, text: str) -> None:
        self.seat.guest.print(text.encode())
        self.printed += text

    @precondition(lambda self: self.run is not None)
    @rule(tool=st.sampled_from(["look", "absent"]), skipped=st.integers(1, 9), cut=st.integers(1, 20))
    def calls_a_tool(self, tool: str, skipped: int, cut: int) -> None:
        async def ask() -> wire.Returned:
            frame = wire.encode(wire.Call(self.run.nonce, self.asked, tool, values.encode([[], {}])))
            self.seat.guest.say_bytes(frame[:cut])
            self.seat.guest.say_bytes(frame[cut:])
            return await self.seat.returned.get()

        self.asked += skipped
        self.calls += 1
        answer = self.wait(ask())
        assert answer.id == self.asked
        assert (answer.failure is None) == (tool == "look" and self.calls <= LIMITS.calls)

    @precondition(lambda self: self.run is not None)
    @rule()
    def asks_for_more(self) -> None:
        """Where there is no more it is out of its place."""

        async def ask() -> wire.More:
            return await self.seat.more.get()

        self.seat.guest.say(wire.Next(self.run.nonce))
        if self.parts == 0:
            self._over(kept=False)
            return
        more = self.wait(ask())
        assert (more.nonce, values.decode(more.source), more.more) == (self.run.nonce, "more", self.parts > 0)

    @precondition(lambda self: self.run is not None)
    @rule(how=st.sampled_from(["value", "error", "answer", "answer and error"]))
    def ends(self, how: str) -> None:
        changes: dict[str, Any] = {"value": {"value": values.encode("1")}, "error": {"error": ["E", "m", "t"]}}.get(
            how, {}
        )
        if how.startswith("answer"):
            changes = {"ended": "final_answer", "answer": values.encode([1])}
            changes |= {"error": ["E", "m", "t"]} if "error" in how else {}
        self.seat.guest.say(_done(self.run, **changes))
        outcome = self._over(kept=True)
        assert (outcome.answer is not None) == (how == "answer") and (outcome.error is not None) == ("error" in how)

    @precondition(lambda self: self.run is not None)
    @rule(what=st.integers(0, 13))
    def says_what_is_not_its_turn(self, what: int) -> None:
        run = self.run
        assert run is not None
        packed = values.encode([[], {}])
        self.seat.guest.say_bytes(
            [
                b"\xff" * 8,
                wire.encode(wire.Ready("3")),
                wire.encode(wire.Bound(1, None)),
                wire.encode(wire.Poised(1, None)),
                wire.encode(wire.Copied(1, None)),
                wire.encode(wire.Fetched(1, packed, None)),
                wire.encode(wire.Returned(1, packed, None)),
                wire.encode(wire.Call(run.nonce, self.asked, "look", packed)),
                wire.encode(wire.Call("0" * 16, self.asked + 1, "look", packed)),
                wire.encode(_done(run, nonce="0" * 16)),
                wire.encode(wire.Next("0" * 16)),
                wire.encode(_done(run, ended="paused")),
                wire.encode(_done(run, value=packed)),
                wire.encode(_done(run, error=["E"])),
            ][what]
        )
        self._over(kept=False)

    @precondition(lambda self: self.run is not None)
    @rule()
    def leaves(self) -> None:
        self.seat.gone.set()
        self._over(kept=False)

    @precondition(lambda self: self.task is None and self.alive)
    @rule(data=st.sampled_from([b"\0\0\0\1", wire.encode(wire.Bound(9, None)), wire.encode(wire.Ready("3"))]))
    def speaks_between_cells(self, data: bytes) -> None:
        self.seat.guest.print(b"stray")
        self.seat.guest.say_bytes(data)
        self.begin()
        self._over(kept=False)


Conversation.TestCase.settings = settings(deadline=None, max_examples=150, stateful_step_count=15)
test_wr_19_every_order_of_words_has_the_outcome_that_the_model_says = Conversation.TestCase

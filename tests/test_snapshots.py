"""Snapshots, forks and what is kept for a loss, over a guest that only plays: what the host does of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from codeact.core.errors import InterpreterDied, SnapshotRefused
from codeact.core.execution import Gone, Limits, Outcome, Policy
from codeact.guest import values, wire
from codeact.interpreter import Asked, Interpreter, Snapshot
from codeact.testing import FakeGuest, FakeSandbox

POLICY = Policy(Limits(seconds=0.5, tool_seconds=0.5, grace=0.1, snapshots=3), snapshots=True)


@dataclass
class Stage:
    """Guests whose only variable is a list of the cells that they ran; a copy goes on from the one that it is of.

    The cell `die` ends them, `still` names why they refuse to be copied, and `deaf` are words they do not answer.
    """

    memories: list[list[str]] = field(default_factory=list)  # of those that are copied now
    still: str | None = None
    deaf: type | None = None
    slowly: asyncio.Event | None = None  # what they wait for before they are copied
    fragile: bool = False  # to be copied ends them
    alive: int = 0
    asked: list[wire.Copy] = field(default_factory=list)

    async def play(self, guest: FakeGuest) -> None:
        assert isinstance(await guest.hear(), wire.Open)
        guest.say(wire.Ready("3.11.7"))
        await self._live(guest, [])

    async def copy(self, guest: FakeGuest) -> None:
        memory = list(self.memories.pop())
        guest.say(wire.Copied(self.asked[-1].id, None))
        await self._live(guest, memory)

    async def _live(self, guest: FakeGuest, memory: list[str]) -> None:
        self.alive += 1
        try:
            while True:
                word = await guest.hear()
                if type(word) is self.deaf:
                    continue
                match word:
                    case wire.Run():
                        source = values.decode(word.source)
                        if source == "die":
                            return
                        memory.append(source)
                        none: dict[str, Any] = dict.fromkeys(("value", "preview", "error", "answer", "images"))
                        guest.say(wire.Done(word.nonce, "done", 1, notes=[], **none))
                    case wire.Bind():
                        memory.extend(values.decode(word.values))
                        guest.say(wire.Bound(word.id, None))
                    case wire.Fetch(name="die"):
                        return
                    case wire.Fetch():
                        guest.say(wire.Fetched(word.id, values.encode(memory), None))
                    case wire.Copy():
                        self.asked.append(word)
                        if self.slowly is not None:
                            await self.slowly.wait()
                        if self.fragile:
                            return
                        guest.say(wire.Poised(word.id, self.still))
                        if self.still is None:
                            self.memories.append(memory)
                            guest.say(wire.Copied(word.id, None))
        finally:
            self.alive -= 1


async def door(asked: Asked) -> values.Packed:
    raise AssertionError("nothing is called here")


async def run(python: Interpreter, cell: int, source: str = "") -> Outcome:
    return await python.run(cell, source or f"cell {cell}", bytes(16), door, lambda delta: None)


@asynccontextmanager
async def staged(
    stage: Stage, *, keep: bool = False, copies: bool = True, policy: Policy = POLICY
) -> AsyncIterator[Interpreter]:
    told: list[Gone] = []

    async def parted(gone: Gone) -> None:
        told.append(gone)

    wall = FakeSandbox(stage.play, stage.copy if copies else None)
    async with asyncio.timeout(10), Interpreter(wall, policy, parted=parted, keep=keep) as python:
        vars(python)["told"] = told
        yield python
    await asyncio.sleep(0)
    assert stage.alive == 0


async def test_a_snapshot_is_gone_back_to_as_often_as_one_likes() -> None:
    stage = Stage()
    async with staged(stage) as python:
        await run(python, 1)
        point = await python.snapshot()
        for _ in range(3):
            await run(python, 2)
            await python.restore(point)
            assert await python.fetch("all") == ["cell 1"]
        assert point.cell == 1
        assert [word.how for word in stage.asked] == ["freeze", "thaw", "thaw", "thaw"]


async def test_a_dead_interpreter_is_restored() -> None:
    async with staged(Stage()) as python:
        await run(python, 1)
        point = await python.snapshot()
        outcome = await run(python, 2, "die")
        assert outcome.gone == Gone("the interpreter left by itself (exit status 0)")
        await python.restore(point)
        assert await python.fetch("all") == ["cell 1"]


async def test_a_fork_goes_on_by_itself() -> None:
    stage = Stage()
    async with staged(stage) as python:
        await run(python, 1)
        async with await python.fork() as other:
            await run(other, 2, "other")
            await run(python, 2, "this")
            assert await other.fetch("all") == ["cell 1", "other"]
            assert await python.fetch("all") == ["cell 1", "this"]
            assert stage.alive == 2
        await asyncio.sleep(0)
        assert stage.alive == 1
        await python.fork()
        assert [(word.how, word.number, word.forks) for word in stage.asked] == [("fork", 1, []), ("fork", 2, [])]


async def test_snapshots_and_forks_are_counted_together() -> None:
    async with staged(Stage()) as python:
        first, _, fork = await python.snapshot(), await python.snapshot(), await python.fork()
        for each in (python.snapshot, fork.snapshot, python.fork, fork.fork):
            with pytest.raises(SnapshotRefused, match=r"2 snapshots and 1 forks are held: drop\(\) or close\(\) one"):
                await each()
        await first.drop()
        await first.drop()
        await fork.snapshot()


async def test_a_snapshot_that_was_dropped_or_is_anothers_is_refused() -> None:
    async with staged(Stage()) as python:
        point = await python.snapshot()
        other = await python.fork()
        with pytest.raises(SnapshotRefused, match="is another interpreter's"):
            await other.restore(point)
        await point.drop()
        with pytest.raises(SnapshotRefused, match="was dropped"):
            await python.restore(point)
        assert await python.fetch("all") == []


async def test_a_wall_that_cannot_copy_is_named() -> None:
    async with staged(Stage(), copies=False) as python:
        for each in (python.snapshot, python.fork):
            with pytest.raises(SnapshotRefused, match="the wall 'fake' cannot copy an interpreter"):
                await each()


async def test_a_guest_that_cannot_be_copied_now_says_why_and_lives_on() -> None:
    stage = Stage(still="2 threads of the cell are still running: join them first")
    async with staged(stage) as python:
        await run(python, 1)
        with pytest.raises(SnapshotRefused, match="2 threads of the cell are still running: join them first"):
            await python.snapshot()
        assert await python.fetch("all") == ["cell 1"]


async def test_a_guest_that_does_not_answer_is_lost() -> None:
    stage = Stage(deaf=wire.Copy)
    async with staged(stage) as python:
        await run(python, 1)
        with pytest.raises(InterpreterDied, match=r"it did not answer within 0.5 s; all variables are lost"):
            await python.snapshot()
        assert vars(python)["told"] == [Gone("it did not answer within 0.5 s")]
        assert await python.fetch("all") == []


# -- what is kept ------------------------------------------------------------------------------------------------------


async def test_while_an_interpreter_is_built_again_it_is_copied_once_at_the_end() -> None:
    stage = Stage()
    async with staged(stage, keep=True) as python:
        async with python.kept_at_the_end():
            for cell in range(1, 20):
                await run(python, cell)
            assert python.kept_at is None and not stage.asked
        await python.settled()
        assert python.kept_at == 19 and len(stage.asked) == 1
        await run(python, 20)
        await python.settled()
        assert python.kept_at == 20


async def test_what_was_kept_goes_on_after_a_death() -> None:
    stage = Stage()
    async with staged(stage, keep=True) as python:
        assert python.kept_at is None
        for cell in (1, 2, 3):
            assert (await run(python, cell)).kept
            await python.settled()
            assert (python.kept_at, python.unkept) == (cell, "")
        outcome = await run(python, 4, "die")
        assert outcome.gone is not None and (outcome.gone.restored, outcome.gone.unkept) == (3, "")
        assert outcome.kept and not outcome.ok
        assert await python.fetch("all") == ["cell 1", "cell 2", "cell 3"]
        await run(python, 5)
        await python.settled()
        assert python.kept_at == 5
        await asyncio.sleep(0)
        assert stage.alive == 2  # itself, and the one copy


async def test_nothing_was_kept_of_a_first_cell_that_died() -> None:
    async with staged(Stage(), keep=True) as python:
        outcome = await run(python, 1, "die")
        assert outcome.gone == Gone("the interpreter left by itself (exit status 0)")
        assert not outcome.kept
        await run(python, 2)
        await python.settled()
        assert python.kept_at == 2


async def test_what_was_bound_is_kept_too_and_bound_again_where_it_could_not_be() -> None:
    stage = Stage()
    async with staged(stage, keep=True) as python:
        await python.bind({"a": 1})
        await python.settled()
        assert python.kept_at == 0
        await run(python, 1)
        await python.settled()
        stage.still = "a thread lives"
        await python.bind({"b": 1})
        await python.settled()
        assert (python.kept_at, python.unkept) == (1, "a thread lives")
        stage.still = None
        outcome = await run(python, 2, "die")
        assert outcome.gone is not None and (outcome.gone.restored, outcome.gone.unkept) == (1, "a thread lives")
        assert not outcome.kept
        assert await python.fetch("all") == ["a", "cell 1", "b"]
        assert python.unkept == ""


async def test_behind_a_wall_that_cannot_copy_nothing_is_kept_and_nobody_is_bothered_with_it() -> None:
    async with staged(Stage(), keep=True, copies=False) as python:
        await run(python, 1)
        assert python.kept_at is None and python.unkept == ""
        outcome = await run(python, 2, "die")
        assert outcome.gone is not None and outcome.gone.restored is None and outcome.gone.unkept == ""


async def test_a_death_between_cells_is_told_with_where_it_stands_again() -> None:
    async with staged(Stage(), keep=True) as python:
        await run(python, 1)
        with pytest.raises(InterpreterDied, match="it stands again as after cell 1"):
            await python.fetch("die")
        assert vars(python)["told"] == [Gone("the interpreter left by itself (exit status 0)", 1)]
        assert await python.fetch("all") == ["cell 1"]


async def test_a_fork_keeps_for_itself() -> None:
    async with staged(Stage(), keep=True) as python:
        await run(python, 1)
        async with await python.fork() as other:
            assert other.kept_at == 1
            outcome = await run(other, 2, "die")
            assert outcome.gone is not None and outcome.gone.restored == 1
            assert await other.fetch("all") == ["cell 1"]


async def test_a_cell_that_was_cut_off_is_not_in_what_was_kept() -> None:
    stage = Stage(deaf=None)
    async with staged(stage, keep=True) as python:
        await run(python, 1)
        stage.deaf = wire.Run
        task = asyncio.ensure_future(run(python, 2))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait([task])
        assert "cell 2 was cut off" in python.unkept


async def test_nobody_waits_for_what_is_kept_of_a_cell_but_the_next_to_ask() -> None:
    stage = Stage()
    async with staged(stage, keep=True) as python:
        stage.slowly = asyncio.Event()
        assert (await run(python, 1)).ok
        second = asyncio.ensure_future(run(python, 2))
        forked = asyncio.ensure_future(python.fork())
        while not stage.asked:
            await asyncio.sleep(0)
        assert python.kept_at is None and not second.done() and not forked.done()
        stage.slowly.set()
        assert (await second).ok
        async with await forked as other:
            assert await other.fetch("all") == ["cell 1", "cell 2"]
        assert python.kept_at == 2


async def test_an_interpreter_that_is_closed_does_not_wait_for_a_copy_that_nobody_needs() -> None:
    stage = Stage()
    async with staged(stage, keep=True, policy=Policy(Limits(seconds=60), snapshots=True)) as python:
        stage.slowly = asyncio.Event()  # which is never set
        assert (await run(python, 1)).ok
        while not stage.asked:
            await asyncio.sleep(0)


async def test_a_guest_that_dies_of_being_copied_is_told_to_whoever_is_next() -> None:
    stage = Stage()
    async with staged(stage, keep=True) as python:
        assert (await run(python, 1)).kept
        await python.settled()
        stage.fragile = True
        assert (await run(python, 2)).kept
        await python.settled()
        assert vars(python)["told"] == []
        stage.fragile = False
        assert await python.fetch("all") == ["cell 1"]
        (gone,) = vars(python)["told"]
        assert gone.restored == 1 and gone.unkept


# -- guests that lie ---------------------------------------------------------------------------------------------------


def lying(*words: Callable[[int], wire.Word]) -> FakeSandbox:
    """A guest that answers Copy by these words, and whose copy says it stands."""
    asked: list[int] = []

    async def play(guest: FakeGuest) -> None:
        await guest.hear()
        guest.say(wire.Ready("3.11.7"))
        word = await guest.hear()
        asked.append(word.id)
        guest.say(*(each(word.id) for each in words))
        await asyncio.sleep(60)

    async def copy(guest: FakeGuest) -> None:
        guest.say(wire.Copied(asked[-1], None))
        await asyncio.sleep(60)

    return FakeSandbox(play, copy)


LIES: dict[str, list[Callable[[int], wire.Word]]] = {
    "Copied before Poised": [lambda n: wire.Copied(n, None)],
    "another number": [lambda n: wire.Poised(n + 1, None)],
    "a copy of another number": [lambda n: wire.Poised(n, None), lambda n: wire.Copied(n + 1, None)],
    "a copy that stands and is said to be none": [lambda n: wire.Poised(n, None), lambda n: wire.Copied(n, "no")],
    "Poised twice": [lambda n: wire.Poised(n, None), lambda n: wire.Poised(n, None)],
    "nothing of the copy": [lambda n: wire.Poised(n, None)],
}


@pytest.mark.parametrize("name", LIES)
async def test_a_guest_that_lies_about_its_copy_is_ended(name: str) -> None:
    async with Interpreter(lying(*LIES[name]), POLICY) as python:
        with pytest.raises(InterpreterDied):
            async with asyncio.timeout(10):
                await python.snapshot()


async def test_a_copy_that_says_nonsense_is_ended_and_its_guest_lives_on() -> None:
    stage = Stage()

    async def copy(guest: FakeGuest) -> None:
        guest.say_bytes(b"\xff" * 100)
        await asyncio.sleep(60)

    async with Interpreter(FakeSandbox(stage.play, copy), POLICY) as python:
        await run(python, 1)
        with pytest.raises(SnapshotRefused, match="the copy does not stand: it broke the protocol"):
            await python.snapshot()
        assert await python.fetch("all") == ["cell 1"]


async def test_a_snapshot_whose_copy_died_is_refused_and_a_fresh_guest_is_there() -> None:
    stage = Stage()
    async with staged(stage) as python:
        await run(python, 1)
        point: Snapshot = await python.snapshot()
        stage.deaf = wire.Copy
        with pytest.raises(SnapshotRefused, match="the snapshot cannot be restored: it did not answer"):
            await python.restore(point)
        assert await python.fetch("all") == []

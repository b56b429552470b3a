"""A run that branches off another: it holds what had happened, calls nothing again, and goes its own way from there."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from codeact import CodeAgent, ToolCallingAgent, tool
from codeact.core.branch import upto
from codeact.core.errors import ModelUnavailable, ReplayDivergence, RunDiffers, UsageError
from codeact.core.events import CodeRan, CodeStarted, Event, Forked, RunStarted, TaskGiven, ToolCalled
from codeact.core.messages import NativeCall, Reply
from codeact.journals.sqlite import SqliteStore
from codeact.testing import ScriptedModel

CALLED: Counter[str] = Counter()  # what really happened, counted outside of every run


@pytest.fixture(autouse=True)
def clean() -> None:
    CALLED.clear()


@tool
def book(seat: int) -> str:
    """Book a seat."""
    CALLED[f"book {seat}"] += 1
    return f"seat {seat}"


def cell(source: str) -> str:
    return f"I do it.\n```python\n{source}\n```"


REPLIES = (
    cell("import random\nseats = [book(1), book(2)]\nearly = random.random()\nprint(early)"),
    cell("late = random.random()\nseats.append(book(3))"),
    cell("final_answer([seats, early, late])"),
)


def agent(store: SqliteStore, *replies: object, **more: object) -> CodeAgent:
    return CodeAgent(model=ScriptedModel(*(replies or REPLIES)), tools=[book], journal=store, **more)  # type: ignore[arg-type]


def events_of(store: SqliteStore, run: str) -> list[Event]:
    return [entry.event for entry in store.entries(run)]


async def test_a_fork_has_the_variables_calls_nothing_again_and_goes_its_own_way(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    first = await agent(store).arun("Book seats.")
    before = events_of(store, first.run_id)
    forked = await agent(store).afork(first.run_id, at=1)

    assert forked.run_id != first.run_id and events_of(store, first.run_id) == before
    (seats, early, late), (seats_too, early_too, late_too) = first.output, forked.output
    assert (seats_too, early_too) == (seats, early) and late_too != late
    assert CALLED == {"book 1": 1, "book 2": 1, "book 3": 2}
    after = events_of(store, forked.run_id)
    place = next(n for n, event in enumerate(after) if isinstance(event, Forked))
    assert after[:place] == before[:place] and after[place] == Forked(first.run_id, 1)
    assert [event.cell for event in before[:place] if isinstance(event, CodeRan)] == [1]
    times = [entry.at for entry in store.entries(first.run_id)][:place]
    assert [entry.at for entry in store.entries(forked.run_id)][:place] == times


async def test_what_is_said_at_a_fork_is_what_the_model_reads_next(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    first = await agent(store).arun("Book seats.")
    model = ScriptedModel(*REPLIES[:2], cell("final_answer(len(seats))"))
    forked = await agent(store).replace(model=model).afork(first.run_id, at=2, say="Only say how many.")
    assert forked.output == 3 and len(model.prompts) == 1
    last = model.prompts[0].messages[-1]
    assert last.role == "user" and last.text.endswith("Only say how many.")


async def test_an_answer_is_not_the_end_where_something_is_said_behind_it(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    first = await agent(store, max_steps=3).arun("Book seats.")
    same = await agent(store).afork(first.run_id, at=3)
    assert same.output == first.output
    more = agent(store, *REPLIES, cell("final_answer(seats[0])"))
    none_left = await more.afork(first.run_id, at=3, say="Only the first.")
    assert none_left.stop_reason == "max_steps"
    assert (await more.afork(first.run_id, at=3, say="Only the first.", max_steps=5)).output == "seat 1"


async def test_a_fork_at_0_begins_the_task_anew_with_what_was_given(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    one = agent(store, cell("final_answer(len(word))"))
    first = await one.arun("How long is it?", additional_args={"word": "kernel"})
    model = ScriptedModel(cell("final_answer(word.upper())"), name="another")
    forked = await one.replace(model=model).afork(first.run_id, at=0)
    assert forked.output == "KERNEL"
    started = events_of(store, forked.run_id)[0]
    assert isinstance(started, RunStarted) and started.model == "another"


async def test_a_run_that_was_cut_off_can_be_forked_where_it_was_whole(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    with pytest.raises(ModelUnavailable):
        await agent(store, *REPLIES[:2], ModelUnavailable("down")).arun("Book seats.")
    (run,) = store.runs()
    forked = await agent(store).afork(run.run, at=2)
    assert forked.output[0] == ["seat 1", "seat 2", "seat 3"] and set(CALLED.values()) == {1}
    for at, why in ((3, "no step 3 to go on from: the run has 2 steps"), (-1, "the number of a step")):
        with pytest.raises(UsageError, match=why):
            await agent(store).afork(run.run, at=at)


async def test_a_step_that_was_cut_off_in_its_cell_is_none_to_go_on_from(tmp_path: Path) -> None:
    whole, store = SqliteStore(tmp_path / "whole.db"), SqliteStore(tmp_path / "runs.db")
    first = await agent(whole).arun("Book seats.")
    events = events_of(whole, first.run_id)
    cut = next(n for n, event in enumerate(events) if isinstance(event, ToolCalled) and event.cell == 2)
    journal = store.create(first.run_id)
    for event in events[: cut + 1]:
        await journal.append(event)
    journal.close()
    with pytest.raises(UsageError, match="step 2 was cut off before its end: go on from step 1"):
        await agent(store).afork(first.run_id, at=2)
    assert (await agent(store).afork(first.run_id, at=1)).answered


async def test_steps_are_counted_through_a_conversation_and_forks_can_be_forked_and_resumed(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    replies = (
        cell("seats = [book(1)]\nfinal_answer(seats)"),
        cell("seats.append(book(2))"),
        cell("final_answer(seats)"),
    )
    one = agent(store, *replies)
    async with one.session() as session:
        await session.run("Book one.")
        await session.run("Book another.")
    first = session.run_id
    second = await one.afork(first, at=2)
    assert [e.task for e in events_of(store, second.run_id) if isinstance(e, TaskGiven)] == [
        "Book one.",
        "Book another.",
    ]
    third = await agent(store, *replies, cell("final_answer(seats + [book(9)])")).afork(
        second.run_id, at=3, say="And nine.", max_steps=9
    )
    assert third.output == ["seat 1", "seat 2", "seat 9"]
    async with one.session(resume=third.run_id) as again:
        assert await again.fetch("seats") == ["seat 1", "seat 2"]
    assert set(CALLED.values()) == {1}
    keys = {e.key for e in events_of(store, third.run_id) if isinstance(e, ToolCalled)}
    assert len(keys) == 3


@pytest.mark.parametrize("at", [1, 2])
async def test_a_fork_is_forked_where_it_began(tmp_path: Path, at: int) -> None:
    """What both began with is the first run's: its calls are served from there."""
    store = SqliteStore(tmp_path / "runs.db")
    first = await agent(store).arun("Book seats.")
    second = await agent(store).afork(first.run_id, at=2)
    third = await agent(store).afork(second.run_id, at=at)
    assert third.output[:2] == first.output[:2]
    assert CALLED["book 1"] == CALLED["book 2"] == 1 and CALLED["book 3"] == 3 - at
    forks = [event for event in events_of(store, third.run_id) if isinstance(event, Forked)]
    assert forks == [Forked(first.run_id, at)]


async def test_the_run_of_an_agent_below_is_not_copied_its_call_is_served(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    clerk = CodeAgent(
        model=ScriptedModel(cell("final_answer(book(7))")), tools=[book], name="clerk", description="Books seats."
    )
    replies = (cell("got = clerk('Book seven.')"), cell("final_answer(got)"))
    chief = CodeAgent(model=ScriptedModel(*replies), managed_agents=[clerk], journal=store)
    first = await chief.arun("Have a seat booked.")
    forked = await chief.afork(first.run_id, at=1)
    assert forked.output == "seat 7" and CALLED == {"book 7": 1}
    assert [len(store.runs(parent=run)) for run in (first.run_id, forked.run_id)] == [1, 0]


async def test_an_agent_that_calls_tools_forks_without_an_interpreter(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    calls = [
        Reply("", tool_calls=(NativeCall("1", "book", '{"seat": 1}'),), finish="tool_calls"),
        Reply("", tool_calls=(NativeCall("2", "final_answer", '{"value": "done"}'),), finish="tool_calls"),
    ]
    one = ToolCallingAgent(model=ScriptedModel(*calls), tools=[book], journal=store)
    first = await one.arun("Book a seat.")
    assert (await one.afork(first.run_id, at=1)).output == first.output == "done"
    assert CALLED == {"book 1": 1}


async def test_other_parts_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    first = await agent(store).arun("Book seats.")
    with pytest.raises(RunDiffers):
        await agent(store, imports=["csv", "numpy"]).afork(first.run_id, at=1)
    assert len(store.runs()) == 1


def test_a_fork_with_a_fresh_interpreter_tells_the_model_so(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    first = agent(store).run("Book seats.")
    model = ScriptedModel(*REPLIES[:2], cell("final_answer('seats' in globals())"))
    forked = agent(store, static_check=False).replace(model=model).fork(first.run_id, at=2, fresh=True)
    assert forked.output is False and set(CALLED.values()) == {1}
    assert "fresh" in model.prompts[0].messages[-1].text


def test_every_step_of_a_run_has_one_end() -> None:
    with pytest.raises(UsageError, match="before its task had begun"):
        upto([RunStarted("m", "linux")], 0)
    started = [RunStarted("m", "linux"), TaskGiven("Do."), CodeStarted(1, "1", b"")]
    assert upto(started, 0) == 2


async def test_of_a_fork_that_cannot_stand_nothing_is_left(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    chance = "```python\nprint(open('/dev/urandom', 'rb').read(8))\n```"
    made = CodeAgent(model=ScriptedModel(chance, "```python\nfinal_answer(1)\n```"), journal=store)
    result = await made.arun("Print some.")
    with pytest.raises(ReplayDivergence):
        await made.afork(result.run_id, at=1)
    assert [one.run for one in store.runs()] == [result.run_id]

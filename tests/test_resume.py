"""A run that was cut off goes on: nothing is asked twice, nothing is called twice, and its variables are there."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from codeact import Budget, CodeAgent, ToolCallingAgent, tool
from codeact.core.approvals import Allow, Deny
from codeact.core.errors import (
    CodeactError,
    ModelUnavailable,
    ReplayDivergence,
    RunDiffers,
    RunLocked,
    UsageError,
)
from codeact.core.events import (
    CodeStarted,
    Compacted,
    Event,
    ModelAsked,
    ModelReplied,
    Resumed,
    SandboxReady,
    Summarised,
    SummaryAsked,
    TaskEnded,
    ToolCalled,
    ToolReturned,
)
from codeact.core.execution import ToolCall
from codeact.core.messages import NativeCall, Reply
from codeact.core.recovery import Failed, Happened, Recovery, Retry
from codeact.journals.sqlite import SqliteStore
from codeact.session.result import RunResult
from codeact.testing import ScriptedModel

EFFECTS: Counter[str] = Counter()  # what really happened, counted outside of every run


@pytest.fixture(autouse=True)
def clean() -> None:
    EFFECTS.clear()


@tool
def book(seat: int) -> str:
    """Book a seat."""
    EFFECTS[f"book {seat}"] += 1
    return f"seat {seat} is yours"


@tool
async def price(seat: int) -> float:
    """What a seat costs."""
    await asyncio.sleep(0.001 * (seat % 3))
    EFFECTS[f"price {seat}"] += 1
    if seat == 13:
        raise ValueError("there is no seat 13")
    return seat * 1.5


def cell(source: str) -> str:
    return f"I do it.\n```python\n{source}\n```"


CELLS = (
    "import random, datetime as dt\nrows = [{'seat': n, 'of': {n, n + 1}} for n in range(3)]\nrandom.random()",
    "import asyncio\ncosts = await asyncio.gather(*(price.aio(seat=n) for n in (4, 5, 6)))\ncosts",
    "try:\n    price(13)\nexcept ValueError as error:\n    rows.append(str(error))\nprint(rows[-1])",
    "class Basket:\n    def __init__(self): self.seats = []\nbasket = Basket()\nlucky = random.randrange(10**9)",
    "for n in range(3):\n    basket.seats.append(book(n))\nprint(len(basket.seats), lucky)",
    "final_answer({'costs': costs, 'seats': basket.seats, 'lucky': lucky, 'last': rows[-1]})",
)
REPLIES = tuple(map(cell, CELLS))


def agent(store: Any, *replies: Any, **more: Any) -> CodeAgent:
    more.setdefault("tools", [book, price])
    return CodeAgent(model=ScriptedModel(*(replies or REPLIES)), journal=store, **more)


async def cut_off(whole: SqliteStore, run: str, length: int, place: Path) -> SqliteStore:
    """A journal that holds the first events of a run, as if all had been pulled out of the wall just then."""
    store = SqliteStore(place)
    journal = store.create(run)
    for entry in list(whole.entries(run))[:length]:
        await journal.append(entry.event)
    journal.close()
    return store


def asked(events: Sequence[Event]) -> int:
    return sum(isinstance(event, ModelReplied) for event in events)


async def test_a_run_cut_off_at_any_event_ends_as_it_would_have(tmp_path: Path) -> None:
    whole = SqliteStore(tmp_path / "whole.db")
    result = await agent(whole).arun("Book seats.")
    effects = dict(EFFECTS)
    assert result.answered and set(effects.values()) == {1}
    events = list(whole.entries(result.run_id))
    for length in range(2, len(events) + 1):
        EFFECTS.clear()
        happened = [entry.event for entry in events[:length]]
        store = await cut_off(whole, result.run_id, length, tmp_path / f"{length}.db")
        model = ScriptedModel(*REPLIES)
        again = agent(store).replace(model=model)
        done = {event.key for event in happened if isinstance(event, ToolReturned)}
        unknown = [e for e in happened if isinstance(e, ToolCalled) and e.key not in done]
        if not any(type(event).__name__ == "TaskGiven" for event in happened):
            continue
        resumed = await again.aresume(result.run_id)
        if unknown:
            assert resumed.stop_reason == "paused" and {one.key for one in resumed.unknown} == {e.key for e in unknown}
            assert all(one.key in (resumed.error or "") for one in unknown) and not EFFECTS

            async def nothing_came_of_it(call: ToolCall) -> Recovery:
                return Retry()

            resumed = await again.aresume(result.run_id, knows=nothing_came_of_it)
        # random numbers are drawn where the cell starts
        drawn = any(isinstance(event, CodeStarted) and event.cell == 4 for event in happened)
        answer = resumed.output | ({} if drawn else {"lucky": result.output["lucky"]})
        assert answer == result.output, length
        ended = (event for event in happened if isinstance(event, ToolCalled) and event.key in done)
        assert dict(Counter(f"{event.tool} {event.arguments['seat']}" for event in ended) + EFFECTS) == effects
        assert len(model.prompts) == len(CELLS) - asked(happened)
        assert (await again.aresume(result.run_id)).output == resumed.output  # a second time there is nothing to do
        assert len(model.prompts) == len(CELLS) - asked(happened)


async def test_the_prompt_after_a_resume_is_the_one_it_would_have_been(tmp_path: Path) -> None:
    whole = SqliteStore(tmp_path / "whole.db")
    model = ScriptedModel(*REPLIES)
    result = await agent(whole).replace(model=model).arun("Book seats.")
    events = [entry.event for entry in whole.entries(result.run_id)]
    cut = next(i for i, event in enumerate(events) if isinstance(event, ModelAsked) and event.step == 5) + 1
    store = await cut_off(whole, result.run_id, cut, tmp_path / "cut.db")
    again = ScriptedModel(*REPLIES)
    resumed = await agent(store).replace(model=again).aresume(result.run_id)
    assert again.prompts[0] == model.prompts[4]
    assert resumed.steps == result.steps == 6


async def test_a_run_whose_model_was_down_goes_on_when_it_is_up(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    down = agent(store, REPLIES[0], REPLIES[1], ModelUnavailable("the server is down"))
    async with down.session() as session:
        with pytest.raises(ModelUnavailable):
            await session.run("Book seats.")
    resumed = await agent(store).aresume(session.run_id)
    assert resumed.output["costs"] == [6.0, 7.5, 9.0] and EFFECTS["price 4"] == 1
    assert [type(event) for event in resumed.events].count(Resumed) == 1


async def test_a_budget_of_seconds_goes_on_where_it_was(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    first = cell("import time\ntime.sleep(1.5)")
    bounded = agent(store, first, ModelUnavailable("down")).replace(budget=Budget(seconds=2.5))
    async with bounded.session() as session:
        with pytest.raises(ModelUnavailable):
            await session.run("t")
    resumed = await bounded.replace(model=ScriptedModel(first, cell("time.sleep(30)"))).aresume(session.run_id)
    assert resumed.stop_reason == "budget"
    went = {type(entry.event): entry.at for entry in store.entries(session.run_id)}
    assert went[TaskEnded] - went[Resumed] < 2.4


async def test_variables_and_files_that_the_user_gave_are_there_again(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    (tmp_path / "data.csv").write_text("a,b\n1,2\n")
    replies = (cell("first = rows[0]\ntext = open('inputs/data.csv').read()"), ModelUnavailable("down"))
    async with agent(store, *replies).session() as session:
        await session.bind(factor=3)
        with pytest.raises(ModelUnavailable):
            await session.run("t", additional_args={"rows": [(1, 2)]}, files=[tmp_path / "data.csv"])
    (tmp_path / "data.csv").unlink()
    end = cell("final_answer([first, text, factor, rows])")
    resumed = await agent(store, replies[0], end).aresume(session.run_id)
    assert resumed.output == [(1, 2), "a,b\n1,2\n", 3, [(1, 2)]]


async def test_a_cell_that_was_stopped_at_its_limit_is_there_as_far_as_it_came(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    replies = (cell("a = 1\nb = 2; c = 3\nwhile True: c += 0"), ModelUnavailable("down"))
    async with agent(store, *replies, seconds=0.3).session() as session:
        with pytest.raises(ModelUnavailable):
            await session.run("t")
    resumed = await agent(store, replies[0], cell("final_answer([a, b, c])"), seconds=0.3).aresume(session.run_id)
    assert resumed.output == [1, 2, 3]


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("print(open('/dev/urandom', 'rb').read(8))", "stdout"),
        ("price(int.from_bytes(open('/dev/urandom', 'rb').read(4), 'big'))", "what it calls"),
        ("import os\nnumber = int.from_bytes(open('/dev/urandom', 'rb').read(4), 'big')\nnumber", "value"),
    ],
)
async def test_a_cell_that_does_something_else_stops_it_and_calls_nothing(
    tmp_path: Path, source: str, what: str
) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    replies = (cell(source), ModelUnavailable("down"))
    async with agent(store, *replies).session() as session:
        with pytest.raises(ModelUnavailable):
            await session.run("t")
    EFFECTS.clear()
    before = [entry.event for entry in store.entries(session.run_id)]
    with pytest.raises(ReplayDivergence, match="cell 1 did not run again as it had") as stopped:
        await agent(store, replies[0], cell("final_answer(0)")).aresume(session.run_id)
    assert (stopped.value.cell, what in stopped.value.what) == (
        1,
        True,
    ) and stopped.value.expected != stopped.value.seen
    assert not EFFECTS
    after = [entry.event for entry in store.entries(session.run_id)]
    assert [event for event in after if not isinstance(event, SandboxReady)] == [
        event for event in before if not isinstance(event, SandboxReady)
    ]
    told = ScriptedModel(replies[0], cell("try:\n    number\nexcept NameError:\n    final_answer('fresh')"))
    fresh = await agent(store).replace(model=told).aresume(session.run_id, fresh=True)
    assert fresh.output == "fresh" and not EFFECTS
    assert any("All variables, functions, imports and files are gone" in m.text for m in told.prompts[-1].messages)


async def recorded(store: SqliteStore, *, seat: int = 7) -> tuple[str, tuple[str, ...]]:
    """A run that was cut off in the middle of a call of which nobody knows the end."""
    replies = (cell(f"x = 5\ngot = book({seat})"), cell("final_answer([x, got])"))
    whole = SqliteStore(store.path.with_name("whole.db"))
    result = await agent(whole, *replies).arun("t")
    events = [entry.event for entry in whole.entries(result.run_id)]
    length = next(i for i, event in enumerate(events) if isinstance(event, ToolReturned))
    await cut_off(whole, result.run_id, length, store.path)
    EFFECTS.clear()
    return result.run_id, replies


@pytest.mark.parametrize(
    ("found", "answer", "effects"),
    [
        (Happened("as it was"), [5, "as it was"], {}),
        (Retry(), [5, "seat 7 is yours"], {"book 7": 1}),
        (None, None, {}),
    ],
)
async def test_whoever_knows_says_what_became_of_a_call(
    tmp_path: Path, found: Recovery | None, answer: Any, effects: dict[str, int]
) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    run, replies = await recorded(store)
    seen: list[ToolCall] = []

    async def knows(call: ToolCall) -> Recovery | None:
        seen.append(call)
        return found

    result = await agent(store, *replies).aresume(run, knows=knows)
    assert [(call.tool, call.arguments) for call in seen] == [("book", {"seat": 7})]
    assert (result.output if result.answered else None) == answer and dict(EFFECTS) == effects
    assert (result.stop_reason == "paused") is (found is None)


async def test_a_call_that_failed_is_an_exception_that_the_code_can_handle(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    run, replies = await recorded(store)

    async def knows(call: ToolCall) -> Recovery:
        return Failed("the line was cut")

    model = ScriptedModel(replies[0], cell("final_answer(x)"))
    result = await agent(store).replace(model=model).aresume(run, knows=knows)
    assert result.output == 5 and not EFFECTS
    assert "RuntimeError: the line was cut" in model.prompts[-1].messages[-1].text


async def test_a_tool_that_may_be_called_twice_is_and_one_with_a_probe_is_asked(tmp_path: Path) -> None:
    probed: list[ToolCall] = []

    def look(call: ToolCall) -> Recovery | None:
        probed.append(call)
        return Happened("probed")

    for options, answer in (({"idempotent": True}, "seat 7 is yours"), ({"probe": look}, "probed")):
        store = SqliteStore(tmp_path / answer / "runs.db")
        run, replies = await recorded(store)
        again = agent(store, *replies, tools=[tool(name="book", **options)(book), price])  # type: ignore[call-overload]
        assert (await again.aresume(run)).output == [5, answer]
    assert [call.tool for call in probed] == ["book"]


async def test_two_cannot_go_on_with_one_run(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    run, replies = await recorded(store)
    waiting, go = asyncio.Event(), asyncio.Event()

    async def knows(call: ToolCall) -> Recovery:
        waiting.set()
        await go.wait()
        return Happened("late")

    first = asyncio.create_task(agent(store, *replies).aresume(run, knows=knows))
    await waiting.wait()
    with pytest.raises(RunLocked, match=rf"in use by process {os.getpid()} on .* since {datetime.now():%Y}-"):
        await agent(store, *replies).aresume(run)
    go.set()
    assert (await first).output == [5, "late"]


async def test_an_agent_of_other_parts_is_refused_with_all_that_differs(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    run, replies = await recorded(store)

    @tool(name="book")
    def book_two(seat: int, row: int = 1) -> str:
        """Another."""
        return "?"

    other = CodeAgent(model=ScriptedModel(*replies, name="other"), tools=[book_two], imports=["numpy"], journal=store)
    with pytest.raises(RunDiffers) as differs:
        await other.aresume(run)
    told = str(differs.value)
    for words in ("model: it was 'scripted', and is 'other'", "book took", "price() is not there", "imports:"):
        assert words in told
    assert len(differs.value.differences) == 4
    with pytest.raises(RunDiffers) as differs:
        await agent(store).replace(carrier="execute", profile="small", prompt={"rules": "Be brief."}).aresume(run)
    assert [told.partition(":")[0] for told in differs.value.differences] == ["carrier", "lesson", "parts"]

    async def knows(call: ToolCall) -> Recovery:
        return Happened("anyway")

    with pytest.raises(CodeactError):
        await other.aresume(run, knows=knows)
    assert (await other.aresume(run, knows=knows, anyway=True)).output == [5, "anyway"]


async def test_an_approval_outlives_its_process(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    replies = (cell("a = book(1)\nb = book(2)"), cell("final_answer([a, b])"))
    waits = asyncio.Event()
    keys: list[str] = []

    def listen(event: Any) -> None:
        if type(event).__name__ == "ApprovalAsked":
            keys.append(event.key)
            waits.set()

    async with agent(store, *replies, approve=["book"]).session(listeners=[listen]) as session:
        working = asyncio.create_task(session.run("t"))
        await waits.wait()
        session.decide(keys[0], Allow())
        waits.clear()
        await waits.wait()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    assert dict(EFFECTS) == {"book 1": 1}
    for decision, answer in ((Deny("too dear"), None), (Allow(), ["seat 1 is yours", "seat 2 is yours"])):
        copy = await cut_off(store, session.run_id, 10**6, tmp_path / f"{type(decision).__name__}.db")
        again = agent(copy, *replies, approve=["book"])
        if answer is None:
            told = ScriptedModel(replies[0], cell("final_answer(a)"))
            result = await again.replace(model=told).aresume(session.run_id, decisions={keys[1]: decision})
            assert "PermissionError" in told.prompts[-1].messages[-1].text and result.output == "seat 1 is yours"
            assert dict(EFFECTS) == {"book 1": 1}
        else:
            result = await again.aresume(session.run_id, decisions={keys[1]: decision})
            assert result.output == answer and dict(EFFECTS) == {"book 1": 1, "book 2": 1}


async def test_tool_calls_in_the_providers_own_form_are_not_made_twice(tmp_path: Path) -> None:
    def call(*named: tuple[str, str]) -> Reply:
        calls = tuple(NativeCall(f"c{i}", name, given) for i, (name, given) in enumerate(named))
        return Reply("", tool_calls=calls, finish="tool_calls")

    replies = (
        call(("book", '{"seat": 1}'), ("price", '{"seat": 4}')),
        call(("final_answer", '{"value": "done"}')),
    )
    whole = SqliteStore(tmp_path / "whole.db")

    def made(store: SqliteStore) -> ToolCallingAgent:
        return ToolCallingAgent(model=ScriptedModel(*replies), tools=[book, price], journal=store)

    result = await made(whole).arun("t")
    events = [entry.event for entry in whole.entries(result.run_id)]
    for length in range(2, len(events)):
        happened = events[:length]
        store = await cut_off(whole, result.run_id, length, tmp_path / f"{length}.db")
        EFFECTS.clear()
        resumed: RunResult = await made(store).aresume(result.run_id)
        done = {event.key for event in happened if isinstance(event, ToolReturned)}
        calls = [event for event in happened if isinstance(event, ToolCalled)]
        if any(event.key not in done for event in calls):
            assert resumed.stop_reason == "paused" and not EFFECTS
        elif len(happened) > 2:
            assert resumed.output == "done" and sum(EFFECTS.values()) == 2 - len(done)


async def test_a_conversation_goes_on_with_its_variables_after_it_had_ended(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    replies = (cell("kept = 41\nfinal_answer(kept)"), cell("final_answer(kept + 1)"))
    first = await agent(store, *replies).arun("t")
    async with agent(store, *replies).session(resume=first.run_id) as session:
        assert (await session.run("And one more?")).output == 42


@pytest.mark.parametrize("gone_on", [False, True])
async def test_what_a_cancelled_cell_had_done_is_there_whenever_its_run_is_taken_up(
    tmp_path: Path, gone_on: bool
) -> None:
    waits = asyncio.Event()

    @tool(idempotent=True)
    async def ready() -> int:
        """Wait, the first time."""
        EFFECTS["ready"] += 1
        if EFFECTS["ready"] == 1:
            waits.set()
            await asyncio.sleep(60)
        return 1

    look = cell("final_answer([one for one in 'abc' if one in globals()])")
    made = agent(
        tmp_path / "runs.db", cell("a = book(1)\nb = 2\nready()\nc = 3"), look, look, look, tools=[book, ready]
    )
    async with made.session() as session:
        working = asyncio.create_task(session.run("Go."))
        await waits.wait()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    if gone_on:
        assert (await made.aresume(session.run_id)).output == ["a", "b", "c"]
    for _ in range(2):
        async with made.session(resume=session.run_id) as again:
            assert (await again.run("And now?")).output == (["a", "b", "c"] if gone_on else ["a", "b"])
    assert EFFECTS["book 1"] == 1


async def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    await agent(store).arun("t")
    with pytest.raises(UsageError, match="there is no run 'nothing'"):
        await agent(store).aresume("nothing")
    with pytest.raises(UsageError, match="in no journal"):
        await agent("memory").aresume("nothing")


async def test_a_conversation_that_was_shortened_goes_on_from_the_short_one(tmp_path: Path) -> None:
    cells = [cell(f"x{n} = {n}  # {'word ' * 400}\nprint('y' * 3000)") for n in range(1, 8)]
    replies = (*cells[:5], "x1 to x4 hold numbers.", *cells[5:], cell("final_answer(x1 + x7)"))

    def shortened(store: Any) -> tuple[CodeAgent, ScriptedModel]:
        model = ScriptedModel(*replies)
        return CodeAgent(model=model, journal=store, context_tokens=5_000), model

    whole = SqliteStore(tmp_path / "whole.db")
    first, model = shortened(whole)
    result = await first.arun("Count.")
    events = [entry.event for entry in whole.entries(result.run_id)]
    assert result.output == 8 and any(isinstance(event, Summarised) for event in events)
    for number, event in enumerate(events):
        if not isinstance(event, Compacted | SummaryAsked | Summarised):
            continue
        store = await cut_off(whole, result.run_id, number + 1, tmp_path / f"{number}.db")
        again, heard = shortened(store)
        assert (await again.aresume(result.run_id)).output == 8
        assert heard.prompts[0] == model.prompts[-len(heard.prompts)]


async def test_an_agent_below_goes_on_where_it_was_and_asks_nothing_twice(tmp_path: Path) -> None:
    below = (cell("seat = book(1)\nx = 5"), cell("final_answer([seat, x, rows])"))
    above = (cell("found = helper('Book.', rows=(1, 2))\nmine = book(2)"), cell("final_answer([found, mine])"))

    def made(store: SqliteStore, *told: ScriptedModel) -> CodeAgent:
        models = told or (ScriptedModel(*above), ScriptedModel(*below))
        helper = CodeAgent(model=models[1], name="helper", description="Books.", tools=[book], journal="memory")
        return CodeAgent(model=models[0], tools=[book], managed_agents=[helper], journal=store)

    whole = SqliteStore(tmp_path / "whole.db")
    result = await made(whole).arun("t")
    (child,) = (run.run for run in whole.runs(parent=result.run_id))
    entries = sorted(
        [*whole.entries(result.run_id), *whole.entries(child)], key=lambda entry: entry.at
    )  # in the order in which they were kept
    assert result.output == [["seat 1 is yours", 5, (1, 2)], "seat 2 is yours"] and len(entries) > 20
    for length in range(4, len(entries)):
        happened = entries[:length]
        store = SqliteStore(tmp_path / f"{length}.db")
        for run, parent in ((result.run_id, None), (child, result.run_id)):
            if any(entry.run == run for entry in happened):
                journal = store.create(run, parent)
                for entry in happened:
                    if entry.run == run:
                        await journal.append(entry.event)
                journal.close()
        EFFECTS.clear()
        told = ScriptedModel(*above), ScriptedModel(*below)
        resumed = await made(store, *told).aresume(result.run_id)
        if resumed.stop_reason == "paused":
            (call,) = resumed.unknown
            assert call.tool in ("helper", "book") and not EFFECTS

            async def again(call: ToolCall) -> Recovery:
                return Retry()

            resumed = await made(store, *told).aresume(result.run_id, knows=again)
        assert resumed.output == result.output, length
        done = {entry.event.key for entry in happened if isinstance(entry.event, ToolReturned)}
        kept = [e.event for e in happened if isinstance(e.event, ToolCalled) and e.event.key in done]
        booked = Counter(f"book {event.arguments['seat']}" for event in kept if event.tool == "book")
        assert dict(booked + EFFECTS) == {"book 1": 1, "book 2": 1}, length
        for model, run in zip(told, (result.run_id, child), strict=True):
            assert len(model.prompts) == 2 - asked([entry.event for entry in happened if entry.run == run])


@pytest.mark.parametrize("waits", range(0, 60, 2))
async def test_wherever_a_task_is_cancelled_the_journal_holds_what_is_known(tmp_path: Path, waits: int) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    async with agent(store).session() as session:
        working = asyncio.create_task(session.run("Book seats."))
        for _ in range(waits):
            await asyncio.sleep(0)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        assert working.cancelled()
        assert [entry.event for entry in store.entries(session.run_id)] == list(session.events)
        assert not session.events[2:] or session.result.stop_reason == "cancelled"


def test_a_journal_that_code_would_see_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "runs.db", tmp_path / "below" / "runs.db"):
        with pytest.raises(UsageError, match="keep it elsewhere"):
            agent(path, mounts=[tmp_path])
    (tmp_path / "data").mkdir()
    assert agent(tmp_path / "runs.db", mounts=[tmp_path / "data"]).policy.mounts

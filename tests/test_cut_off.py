"""Calls that were cut off: what is said of one is kept, and those of an agent below are told by their own names."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from codeact import CodeAgent, openapi_tools, tool
from codeact.core.events import CodeRan, Event, ToolCalled, ToolReturned
from codeact.core.execution import ToolCall
from codeact.core.recovery import Failed, Happened, Recovery, Retry
from codeact.journals.memory import MemoryStore
from codeact.journals.sqlite import SqliteStore
from codeact.testing import ScriptedModel
from codeact.tools.toolbox import ask_user, fetch, llm, read_file, visit_webpage, web_search

EFFECTS: Counter[str] = Counter()  # what really happened, counted outside of every run


@pytest.fixture(autouse=True)
def clean() -> None:
    EFFECTS.clear()


@tool
def book(seat: int) -> str:
    """Book a seat."""
    EFFECTS[f"book {seat}"] += 1
    return f"seat {seat} is yours"


def code(source: str) -> str:
    return f"So.\n```python\n{source}\n```"


async def cut(store: SqliteStore, run: str, at: Any, place: Path) -> SqliteStore:
    """The same journal, as if all had been pulled out of the wall once the first such event of the run was kept."""
    copy = SqliteStore(place)
    entries = list(store.entries(run))
    last = next(entry for entry in entries if at(entry.event))
    for one in (run, *(summary.run for summary in store.runs(parent=run))):
        kept = [entry for entry in store.entries(one) if entry.at <= last.at]
        if kept:
            journal = copy.create(one, kept[0].parent)
            for entry in kept:
                await journal.append(entry.event)
            journal.close()
    return copy


async def test_tools_that_only_read_or_ask_are_called_again_without_a_word(tmp_path: Path) -> None:
    document: Any = {"openapi": "3.1.0", "paths": {"/a": {"get": {}, "post": {}}}}
    get, post = openapi_tools(document, base_url="http://x")
    reading = [*llm(), ask_user(), fetch(), read_file(tmp_path), visit_webpage(), web_search(), get]
    again: list[Any] = [
        await one.recover(ToolCall("k", 1, one.spec.name, {}), MemoryStore()) for one in (*reading, post)
    ]
    assert again == [Retry()] * len(reading) + [None]


def says(recovery: Recovery | None, asked: list[ToolCall]) -> Any:
    async def knows(call: ToolCall) -> Recovery | None:
        asked.append(call)
        return recovery

    return knows


@pytest.mark.parametrize("said", [Happened("seat 7, by telephone"), Failed("no seat")])
async def test_what_was_said_of_a_call_is_not_asked_again_when_the_process_dies_again(
    tmp_path: Path, said: Recovery
) -> None:
    store = SqliteStore(tmp_path / "whole.db")
    replies = (
        code("try:\n    got = book(7)\nexcept RuntimeError as error:\n    got = str(error)"),
        code("final_answer(got)"),
    )

    def agent(store: SqliteStore) -> CodeAgent:
        return CodeAgent(model=ScriptedModel(*replies), tools=[book], journal=store)

    run = (await agent(store).arun("t")).run_id
    first = await cut(store, run, lambda event: isinstance(event, ToolCalled), tmp_path / "first.db")
    EFFECTS.clear()
    asked: list[ToolCall] = []
    whole = await agent(first).aresume(run, knows=says(said, asked))
    for number, again in enumerate((ToolReturned, CodeRan)):
        second = await cut(first, run, lambda event, kind=again: isinstance(event, kind), tmp_path / f"{number}.db")
        assert (await agent(second).aresume(run)).output == whole.output
    assert len(asked) == 1 and not EFFECTS


async def test_a_call_that_an_agent_below_was_cut_off_in_is_told_of_by_its_own_name_and_key(tmp_path: Path) -> None:
    above = (code("found = helper('Book.')"), code("final_answer(found)"))
    below = (code("first = book(1)"), code("final_answer([first, book(2)])"))

    def agent(store: SqliteStore) -> CodeAgent:
        helper = CodeAgent(model=ScriptedModel(*below), name="helper", description="Books.", tools=[book])
        return CodeAgent(model=ScriptedModel(*above), managed_agents=[helper], journal=store)

    store = SqliteStore(tmp_path / "whole.db")
    run = (await agent(store).arun("t")).run_id
    (child,) = (summary.run for summary in store.runs(parent=run))
    at = [entry.at for entry in store.entries(child) if isinstance(entry.event, ToolCalled)][1]

    async def left(place: str) -> SqliteStore:
        copy = SqliteStore(tmp_path / place)
        for one, parent in ((run, None), (child, run)):
            journal = copy.create(one, parent)
            for entry in store.entries(one):
                if entry.at <= at:
                    await journal.append(entry.event)
            journal.close()
        EFFECTS.clear()
        return copy

    cut_off = await left("cut.db")
    paused = await agent(cut_off).aresume(run)
    (call,) = paused.unknown
    assert (paused.stop_reason, call.name, call.arguments) == ("paused", "helper.book", {"seat": 2})
    assert f"helper.book (key {call.key})" in (paused.error or "") and not EFFECTS

    asked: list[ToolCall] = []
    done = await agent(cut_off).aresume(run, knows=says(Happened("seat 2, by telephone"), asked))
    assert done.output == ["seat 1 is yours", "seat 2, by telephone"] and not EFFECTS and len(asked) == 1
    kept: list[Event] = [entry.event for entry in cut_off.entries(child)]
    assert [event.returned.value for event in kept if isinstance(event, ToolReturned)] == done.output

    again = await agent(await left("retry.db")).aresume(run, knows=says(Retry(), []))
    assert again.output == ["seat 1 is yours", "seat 2 is yours"] and dict(EFFECTS) == {"book 2": 1}

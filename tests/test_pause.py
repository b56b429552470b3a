"""A question that nobody answers now: the run pauses, and goes on days later where it was."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from codeact import CodeAgent, ToolCallingAgent, tool
from codeact.core.approvals import Allow, Decision, Deny, Edit, Later
from codeact.core.execution import ToolCall
from codeact.core.messages import NativeCall, Reply
from codeact.journals.sqlite import SqliteStore
from codeact.questions import questions
from codeact.testing import ScriptedModel

CALLED: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def clean() -> None:
    CALLED.clear()


@tool
def pay(to: str, amount: int) -> str:
    """Pay somebody."""
    CALLED[f"pay {to} {amount}"] += 1
    return f"paid {amount}"


@tool
async def wait_long(seconds: float) -> str:
    """Take a while."""
    await asyncio.sleep(seconds)
    CALLED["waited"] += 1
    return "done"


async def later(call: ToolCall) -> Decision:
    return Later()


def cell(source: str) -> str:
    return f"I do it.\n```python\n{source}\n```"


def agent(store: SqliteStore, *replies: Any, **more: Any) -> CodeAgent:
    more = {"tools": [pay, wait_long], "approve": ["pay"], "gate": later, **more}
    return CodeAgent(model=ScriptedModel(*replies), journal=store, **more)


async def test_a_run_waits_for_an_answer_in_its_journal_and_goes_on_with_it(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    one = agent(store, cell("x = 1\nx += 1\ngot = pay('Ada', 3)"), cell("final_answer((got, x))"))
    paused = await one.arun("Pay.")
    assert paused.stop_reason == "paused" and not CALLED
    (asked,) = paused.waiting
    assert (asked.tool, asked.arguments) == ("pay", {"to": "Ada", "amount": 3}) and asked.key in str(paused.error)
    assert [question.asked for question in questions(store, paused.run_id)] == [asked]

    still = await one.aresume(paused.run_id)
    assert still.stop_reason == "paused" and [one.key for one in still.waiting] == [asked.key]
    done = await one.aresume(paused.run_id, decisions={asked.key: Edit({"to": "Ada", "amount": 2})})
    assert done.output == ("paid 2", 2) and CALLED == {"pay Ada 2": 1} and not done.waiting


async def test_calls_that_are_at_work_end_before_a_run_pauses(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    source = "import asyncio\ngot = await asyncio.gather(pay.aio('Ada', 1), wait_long.aio(0.3), pay.aio('Bob', 2))"
    one = agent(store, cell(source), cell("final_answer(got)"))
    paused = await one.arun("Pay.")
    assert paused.stop_reason == "paused" and CALLED == {"waited": 1}
    answers = {asked.key: Allow() if asked.arguments["to"] == "Ada" else Deny() for asked in paused.waiting}
    assert len(answers) == 2
    done = await one.aresume(paused.run_id, decisions={**answers, paused.waiting[1].key: Allow()})
    assert done.output == ["paid 1", "done", "paid 2"]
    assert CALLED == {"waited": 1, "pay Ada 1": 1, "pay Bob 2": 1}


@pytest.mark.parametrize("what", ["cell", "plan"])
async def test_a_cell_and_a_plan_wait_too(tmp_path: Path, what: str) -> None:
    replies = [*(["1. Answer."] if what == "plan" else []), cell("final_answer(1)")]
    more = {"planning_interval": 5} if what == "plan" else {}
    one = agent(SqliteStore(tmp_path / "runs.db"), *replies, approve=[what], **more)
    paused = await one.arun("Answer.")
    (asked,) = paused.waiting
    assert (paused.stop_reason, asked.tool) == ("paused", what)
    assert (await one.aresume(paused.run_id, decisions={asked.key: Allow()})).output == 1


async def test_the_question_of_an_agent_below_pauses_the_run_that_called_it(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    clerk = CodeAgent(
        model=ScriptedModel(cell("final_answer(pay('Ada', 7))")), tools=[pay], name="clerk", description="Pays."
    )
    replies = (cell("got = clerk('Pay seven.')"), cell("final_answer(got)"))
    chief = CodeAgent(model=ScriptedModel(*replies), managed_agents=[clerk], journal=store, approve=["pay"], gate=later)
    paused = await chief.arun("Have it paid.")
    assert paused.stop_reason == "paused" and not CALLED
    (question,) = questions(store, paused.run_id)
    assert question.run != paused.run_id and question.asked.arguments == {"to": "Ada", "amount": 7}
    done = await chief.aresume(paused.run_id, decisions={question.asked.key: Allow()})
    assert done.output == "paid 7" and CALLED == {"pay Ada 7": 1}


async def test_an_agent_that_calls_tools_waits_too(tmp_path: Path) -> None:
    calls = [
        Reply("", tool_calls=(NativeCall("1", "pay", '{"to": "Ada", "amount": 1}'),), finish="tool_calls"),
        Reply("", tool_calls=(NativeCall("2", "final_answer", '{"value": "done"}'),), finish="tool_calls"),
    ]
    one = ToolCallingAgent(
        model=ScriptedModel(*calls), tools=[pay], journal=SqliteStore(tmp_path / "r.db"), approve="all", gate=later
    )
    paused = await one.arun("Pay.")
    (asked,) = paused.waiting
    done = await one.aresume(paused.run_id, decisions={asked.key: Allow()})
    assert done.output == "done" and CALLED == {"pay Ada 1": 1}


async def test_a_fork_of_a_run_that_waits_begins_before_its_question(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    replies = (cell("x = 20"), cell("pay('Ada', x)"))
    paused = await agent(store, *replies).arun("Pay.")
    other = agent(store, replies[0], cell("final_answer(x + 1)"))
    assert (await other.afork(paused.run_id, at=1)).output == 21 and not CALLED

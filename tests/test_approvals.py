"""Somebody is asked before a call runs, in the middle of a cell: nothing is lost by it, and nothing runs twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from codeact import Allow, CodeAgent, Deny, Edit, UsageError, tool
from codeact.core.approvals import Decision
from codeact.core.events import ApprovalAsked, ApprovalGiven, CodeRan, CodeStarted, ToolCalled, ToolReturned
from codeact.core.execution import ToolCall
from codeact.session.session import Session
from codeact.testing import ScriptedModel

pytestmark = pytest.mark.anyio

PAID: list[tuple[str, int]] = []


@tool
def pay(to: str, amount: int = 1) -> int:
    """Pay somebody."""
    PAID.append((to, amount))
    return amount


@tool
def total(*amounts: int) -> int:
    """Add up."""
    return sum(amounts)


@pytest.fixture(autouse=True)
def nobody_is_paid_yet() -> None:
    PAID.clear()


def code(source: str) -> str:
    return f"So.\n```python\n{source}\n```"


def agent(*replies: str, **settings: Any) -> CodeAgent:
    return CodeAgent(model=ScriptedModel(*replies), tools=[pay, total], **settings)


async def test_a_cell_waits_in_the_middle_of_a_loop_and_goes_on_with_its_state() -> None:
    asked: list[ToolCall] = []

    async def gate(call: ToolCall) -> Decision:
        asked.append(call)
        await asyncio.sleep(0.05)
        return Deny("too much") if call.arguments["amount"] == 2 else Allow()

    source = (
        "done = []\nfor n in range(4):\n    try:\n        done.append(pay('Ada', n))\n"
        "    except PermissionError as error:\n        done.append(str(error))\nfinal_answer(done)"
    )
    result = await agent(code(source), gate=gate).arun("Pay.")
    assert result.output == [0, 1, "pay() was not allowed: too much", 3]
    assert PAID == [("Ada", 0), ("Ada", 1), ("Ada", 3)]
    assert [len(call.before) for call in asked] == [0, 1, 2, 3]
    assert sum(isinstance(event, CodeStarted) for event in result.events) == 1
    assert [event.decision for event in result.events if isinstance(event, ApprovalGiven)] == ["allow"] * 2 + [
        "deny",
        "allow",
    ]


async def test_a_denial_cannot_be_swallowed_into_a_call() -> None:
    async def gate(call: ToolCall) -> Decision:
        return Deny()

    source = "try:\n    pay('Eve', 10)\nexcept BaseException:\n    pass\nfinal_answer('over')"
    result = await agent(code(source), gate=gate).arun("Pay.")
    assert result.output == "over" and PAID == []
    assert not any(isinstance(event, ToolCalled) for event in result.events)


async def test_arguments_can_be_edited_and_both_are_recorded() -> None:
    async def gate(call: ToolCall) -> Decision:
        if call.tool == "total":
            return Edit({"amounts": [1, 2, 3]})
        return Edit({**call.arguments, "amount": 5})

    result = await agent(code("final_answer([pay('Ada', amount=500), total(9, 9)])"), gate=gate).arun("Pay.")
    assert result.output == [5, 6] and PAID == [("Ada", 5)]
    (called, _) = [event for event in result.events if isinstance(event, ToolCalled)]
    assert called.arguments == {"to": "Ada", "amount": 500} and called.edited == {"to": "Ada", "amount": 5}


async def test_edited_arguments_are_validated_like_any_others() -> None:
    async def gate(call: ToolCall) -> Decision:
        return Edit({"to": "Ada", "amount": "much"})

    source = "try:\n    pay('Ada', 1)\nexcept Exception as error:\n    final_answer(type(error).__name__)"
    result = await agent(code(source), gate=gate).arun("Pay.")
    assert PAID == [] and "Error" in result.output


async def test_allowing_for_the_session_is_asked_once_also_by_calls_that_already_wait() -> None:
    asked = 0

    async def gate(call: ToolCall) -> Decision:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.02)
        return Allow(session=True)

    source = "import asyncio\nfinal_answer(sum(await asyncio.gather(*(pay.aio('Ada', n) for n in range(20)))))"
    async with agent(code(source), code("final_answer(pay('Bob'))"), gate=gate).session() as session:
        assert (await session.run("Pay.")).output == 190
        assert (await session.run("Pay again.")).output == 1
    assert asked == 1


async def test_questions_of_threads_are_asked_one_at_a_time() -> None:
    open_questions = most = 0

    async def gate(call: ToolCall) -> Decision:
        nonlocal open_questions, most
        open_questions += 1
        most = max(most, open_questions)
        await asyncio.sleep(0.005)
        open_questions -= 1
        return Allow()

    source = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(8) as pool:\n    final_answer(sum(pool.map(lambda n: pay('Ada', n), range(16))))"
    )
    assert (await agent(code(source), gate=gate).arun("Pay.")).output == 120
    assert most == 1


async def test_a_question_takes_no_time_from_the_cell_and_none_from_the_tool() -> None:
    async def gate(call: ToolCall) -> Decision:
        await asyncio.sleep(0.9)
        return Allow()

    result = await agent(code("final_answer(pay('Ada'))"), gate=gate, seconds=0.6).arun("Pay.")
    assert result.output == 1


async def test_only_what_is_named_is_asked_about() -> None:
    async def gate(call: ToolCall) -> Decision:
        return Deny()

    both = code("final_answer(total(1, 2))")
    assert (await agent(both, approve=["pay"], gate=gate).arun("Add.")).output == 3
    dear = agent(
        code("pay('Ada', 3)\nfinal_answer(PermissionError.__name__)"),
        approve=lambda call: call.tool == "pay" and call.arguments["amount"] > 100,
        gate=gate,
    )
    assert (await dear.arun("Pay.")).output == "PermissionError" and PAID == [("Ada", 3)]


async def decide(session: Session, task: str, *decisions: Decision) -> None:
    left = list(decisions)
    async for event in session.stream(task):
        if isinstance(event, ApprovalAsked):
            session.decide(event.key, left.pop(0))
    assert left == []


async def test_without_a_gate_an_answer_may_come_from_anywhere() -> None:
    async with agent(code("final_answer(pay('Ada', 7))"), approve="all").session() as session:
        await decide(session, "Pay.", Allow())
        assert session.result.output == 7
        with pytest.raises(UsageError, match="nothing waits"):
            session.decide("0" * 32, Allow())
        with pytest.raises(TypeError, match="Allow"):
            session.decide("0" * 32, True)  # type: ignore[arg-type]


async def test_a_task_that_is_cancelled_while_it_is_asked_runs_nothing() -> None:
    async with agent(code("pay('Ada')"), approve="all").session() as session:
        task = asyncio.ensure_future(session.run("Pay."))
        while not any(isinstance(event, ApprovalAsked) for event in session.events):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert PAID == [] and session.result.stop_reason == "cancelled"
        assert not any(isinstance(event, ApprovalGiven | ToolReturned) for event in session.events)


async def test_a_gate_that_fails_ends_the_run_and_nothing_runs() -> None:
    async def gate(call: ToolCall) -> Decision:
        raise RuntimeError("the approval service is down")

    with pytest.raises(RuntimeError, match="approval service"):
        await agent(code("pay('Ada')"), gate=gate).arun("Pay.")
    assert PAID == []


async def test_a_gate_that_says_true_is_not_guessed_at() -> None:
    async def gate(call: ToolCall) -> Any:
        return True

    with pytest.raises(TypeError, match=r"Allow\(\)"):
        await agent(code("pay('Ada')"), gate=gate).arun("Pay.")
    assert PAID == []


async def test_a_cell_can_be_asked_about_denied_and_edited() -> None:
    answers = [Deny("no loops"), Edit({"source": "n = 5"}), Allow()]
    seen = []

    async def gate(call: ToolCall) -> Decision:
        seen.append(call.arguments["source"])
        return answers.pop(0)

    first, second, third = "while True: pass", "n = 6", "final_answer(n)"
    script = agent(code(first), code(second), code(third), approve=["cell"], gate=gate)
    async with script.session() as session:
        result = await session.run("Go.")
        told = [message.text for message in session._history.state.messages if message.role == "user"]
    assert result.output == 5 and [source.strip() for source in seen] == [first, second, third]
    assert "did not allow this code to run" in told[1] and "no loops" in told[1]
    assert "changed this code" in told[2] and "n = 5" in told[2]
    assert sum(isinstance(event, CodeRan) for event in result.events) == 2


def test_a_misspelt_approval_is_refused_when_the_agent_is_made() -> None:
    with pytest.raises(TypeError, match=r"approve=\['pay'\]"):
        agent(approve="pay")

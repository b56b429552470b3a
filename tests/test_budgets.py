"""A budget for a task and all that is asked for it: told of in time, stopped in truth, unknown where it is."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from codeact import Budget, CodeAgent, NoAnswer, ToolCallingAgent, UsageError
from codeact.core.budget import Price
from codeact.core.events import BudgetEnded, BudgetWarned, TaskEnded, ToolCalled
from codeact.core.messages import NativeCall, Prompt, Reply, Usage
from codeact.testing import ScriptedModel

pytestmark = pytest.mark.anyio

KNOWN = Usage(300, 100, 0)


def says(*cells: str, usage: Usage = KNOWN, **settings: Any) -> ScriptedModel:
    return ScriptedModel(*(Reply(f"```python\n{cell}\n```", usage=usage) for cell in cells), **settings)


def double(n: int) -> int:
    return 2 * n


def test_a_budget_of_tokens_warns_the_model_and_ends_the_task_with_what_there_is() -> None:
    model = says("x = 1", "x = 2", "x = 3", "final_answer(x)")
    with CodeAgent(model=model, budget=Budget(tokens=1300)).session() as session:
        result = session.run("Count.")
        assert session.fetch("x") == 3, "the state is kept"
    assert (result.stop_reason, result.steps, result.usage.input_tokens) == ("budget", 3, 900)
    assert "1,200 tokens spent" in str(result.error) and str(result) == "(no answer: budget)"
    with pytest.raises(NoAnswer, match="budget"):
        _ = result.output
    assert "The budget is nearly used up: 800 of 1,300 tokens." in model.prompts[-1].messages[-1].text
    assert [event.kind for event in result.events if isinstance(event, BudgetWarned)] == ["tokens"]


def test_each_task_of_a_session_has_the_whole_budget() -> None:
    model = says("final_answer(1)", "final_answer(2)", "final_answer(3)")
    with CodeAgent(model=model, budget=Budget(steps=1)).session() as session:
        assert [session.run("Go.").output for _ in range(3)] == [1, 2, 3]


def test_a_tool_call_beyond_the_budget_is_an_exception_and_the_task_ends_after_the_cell() -> None:
    cell = (
        "done = []\ntry:\n    for n in range(9): done.append(double(n))\nexcept Exception as e: print(type(e).__name__)"
    )
    agent = CodeAgent(model=says(cell, "final_answer(1)"), tools=[double], budget=Budget(tool_calls=3))
    result = agent.run("Double.")
    assert result.stop_reason == "budget" and result.steps == 1
    assert sum(isinstance(event, ToolCalled) for event in result.events) == 3
    assert "the budget of 3 tool calls is used up" in str(result.error)
    answered = CodeAgent(model=says(cell + "\nfinal_answer(done)"), tools=[double], budget=Budget(tool_calls=3)).run(
        "Double."
    )
    assert answered.output == [0, 2, 4], "what there is may still be the answer"


def test_calls_that_run_at_once_do_not_overshoot() -> None:
    cell = (
        "import asyncio\n"
        "got = await asyncio.gather(*[double.aio(n) for n in range(20)], return_exceptions=True)\n"
        "final_answer(sum(isinstance(g, int) for g in got))"
    )
    assert CodeAgent(model=says(cell), tools=[double], budget=Budget(tool_calls=7)).run("Double.").output == 7


def test_seconds_stop_a_cell_in_the_middle_and_keep_the_variables() -> None:
    agent = CodeAgent(model=says("x = 7\nimport time\ntime.sleep(30)", "final_answer(x)"), budget=Budget(seconds=1))
    began = time.monotonic()
    with agent.session() as session:
        result = session.run("Wait.")
        assert session.fetch("x") == 7
    assert result.stop_reason == "budget" and time.monotonic() - began < 20
    assert result.error == "the budget of 1 s is used up"
    assert isinstance(result.events[-1], TaskEnded) and any(isinstance(one, BudgetEnded) for one in result.events)


async def test_seconds_stop_a_tool_and_a_model_in_the_middle() -> None:
    stopped = []

    async def wait() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            stopped.append("tool")

    class Silent:
        name = "silent"

        async def ask(self, prompt: Prompt, emit: Any) -> Reply:
            try:
                await asyncio.sleep(30)
            finally:
                stopped.append("model")
            raise AssertionError

    for agent in (
        CodeAgent(model=says("wait()"), tools=[wait], budget=Budget(seconds=0.5)),
        CodeAgent(model=Silent(), budget=Budget(seconds=0.2)),
    ):
        result = await agent.arun("Wait.")
        assert result.stop_reason == "budget"
    assert stopped == ["tool", "model"]


def test_what_it_cost_is_told_by_the_prices_and_unknown_without() -> None:
    prices = {"scripted": (1.0, 10.0)}
    assert CodeAgent(model=says("final_answer(1)"), prices=prices).run("Go.").cost == pytest.approx(0.0013)
    cached = Price(1.0, 10.0, cached=0.1)
    partly = says("final_answer(1)", usage=Usage(300, 100, 200))
    assert CodeAgent(model=partly, prices={"scripted": cached}).run("Go.").cost == pytest.approx(0.00112)
    assert CodeAgent(model=says("final_answer(1)")).run("Go.").cost is None
    assert CodeAgent(model=says("final_answer(1)", usage=Usage()), prices=prices).run("Go.").cost is None


def test_a_budget_of_money_needs_a_price_and_replies_that_tell_their_tokens() -> None:
    with pytest.raises(UsageError, match=r"prices=\{'scripted': \(input, output\)\}"):
        CodeAgent(model=says(), budget=Budget(money=1))
    silent = says("x = 1", "final_answer(x)", usage=Usage())
    result = CodeAgent(model=silent, budget=Budget(money=1), prices={"scripted": (1, 1)}).run("Go.")
    assert result.stop_reason == "budget" and "did not tell how many tokens it used" in str(result.error)
    paid = CodeAgent(
        model=says("x = 1", "x = 2", "x = 3", "x = 4"), budget=Budget(money=0.004), prices={"scripted": (1.0, 10.0)}
    ).run("Go.")
    assert paid.stop_reason == "budget" and paid.cost is not None and paid.cost <= 0.004


def test_an_agent_that_calls_tools_natively_is_warned_and_stopped_alike() -> None:
    def call(n: int) -> Reply:
        calls = tuple(NativeCall(f"{n}{k}", "double", '{"n": 1}') for k in range(3))
        return Reply("", tool_calls=calls, finish="tool_calls", usage=KNOWN)

    model = ScriptedModel(call(1), call(2), call(3))
    result = ToolCallingAgent(model=model, tools=[double], budget=Budget(tool_calls=5)).run("Double.")
    assert result.stop_reason == "budget" and result.steps == 2
    assert sum(isinstance(event, ToolCalled) for event in result.events) == 5
    warned = ToolCallingAgent(model=ScriptedModel(call(1), call(2)), tools=[double], budget=Budget(steps=2))
    assert warned.run("Double.").stop_reason == "budget"
    assert "1 of 2 steps" in warned.model.prompts[1].messages[-1].text  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"tokens": 0}, UsageError),
        ({"tokens": 1.5}, TypeError),
        ({"money": float("nan")}, UsageError),
        ({"steps": True}, TypeError),
    ],
)
def test_a_budget_that_is_none_is_refused_when_it_is_made(given: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(given))):
        Budget(**given)


def test_what_is_no_budget_is_refused_with_the_line_to_write() -> None:
    with pytest.raises(TypeError, match="Budget\\(tokens"):
        CodeAgent(model=says(), budget=5000)  # type: ignore[arg-type]

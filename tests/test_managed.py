"""An agent that code calls: a function with a task and data, in a session of its own, under all that is above it."""

from __future__ import annotations

import asyncio
import datetime
import json
from typing import Any

import pytest

from codeact import (
    Allow,
    Budget,
    CodeAgent,
    Deny,
    Interpreter,
    Limits,
    ToolCallingAgent,
    ToolDefinitionError,
    UsageError,
)
from codeact.core.approvals import Decision
from codeact.core.events import (
    ApprovalAsked,
    Charged,
    CodeRan,
    CodeStarted,
    Delta,
    Event,
    Nested,
    TaskEnded,
    ToolReturned,
)
from codeact.core.execution import ToolCall
from codeact.core.messages import NativeCall, Prompt, Reply, Usage
from codeact.session.managed import AgentTool
from codeact.testing import ScriptedModel, check_tool
from codeact.tools import metered

pytestmark = pytest.mark.anyio

KNOWN = Usage(300, 100, 0)
ONE = {"scripted": (1.0, 1.0)}


def says(*cells: str) -> ScriptedModel:
    return ScriptedModel(*(Reply(f"```python\n{cell}\n```", usage=KNOWN) for cell in cells))


def researcher(*cells: str, **settings: Any) -> CodeAgent:
    return CodeAgent(**{"model": says(*cells), "name": "researcher", "description": "Looks things up.", **settings})


def test_code_calls_an_agent_with_a_task_and_data_and_its_answer_keeps_its_type() -> None:
    below = researcher("first = rows[0]\nfinal_answer({'when': first['when'], 'pair': (len(rows), b'\\0')})")
    day = datetime.date(2026, 11, 22)
    above = CodeAgent(
        model=says("got = researcher('Look.', rows=rows)\nfinal_answer([got, type(got['pair']).__name__])"),
        managed_agents=[below],
    )
    result = above.run("Ask.", additional_args={"rows": [{"when": day}]})
    assert result.output == [{"when": day, "pair": (1, b"\0")}, "tuple"]
    task = below.model.prompts[0].messages[1].text  # type: ignore[attr-defined]
    assert task.startswith("Look.") and "- rows:" in task, "the data stands in variables, with a preview"
    system = above.model.prompts[0].messages[0].text  # type: ignore[attr-defined]
    assert "def researcher(task: str, **data: Any) -> Any:" in system and "Looks things up." in system


def test_an_agent_among_the_tools_is_the_same_and_a_typed_answer_is_in_its_signature() -> None:
    below = researcher("final_answer(7)", output_type=int)
    above = CodeAgent(model=says("final_answer(researcher('Count.') + 1)"), tools=[below])
    assert above.run("Ask.").output == 8
    assert repr(above.tools["researcher"]) == "<agent researcher(task: str, **data: Any) -> int>"


async def test_an_agent_as_a_tool_keeps_the_contract_of_tools() -> None:
    assert await check_tool(AgentTool(researcher("final_answer(n)")), "Give n.", n=3) == 3


def test_what_an_agent_needs_to_be_called_is_said_when_it_is_made() -> None:
    nameless = CodeAgent(model=says())
    with pytest.raises(ToolDefinitionError, match="needs a name: CodeAgent\\(name='researcher'"):
        CodeAgent(model=says(), managed_agents=[nameless])
    with pytest.raises(ToolDefinitionError, match="needs a description"):
        CodeAgent(model=says(), tools=[nameless.replace(name="one")])
    with pytest.raises(ToolDefinitionError, match="'my agent' cannot be the name"):
        CodeAgent(model=says(), tools=[nameless.replace(name="my agent", description="It is.")])
    with pytest.raises(ToolDefinitionError, match="two tools are named 'researcher'"):
        CodeAgent(model=says(), tools=[researcher()], managed_agents=[researcher()])
    with pytest.raises(TypeError, match="functions go into tools="):
        CodeAgent(model=says(), managed_agents=[print])  # type: ignore[list-item]


def test_an_agent_that_does_not_answer_is_an_exception_that_says_why() -> None:
    cell = "try:\n    researcher('Look.')\nexcept Exception as e:\n    final_answer([type(e).__name__, str(e)])"
    steps = researcher("1", "2", "3", max_steps=2)
    got = CodeAgent(model=says(cell), tools=[steps], prices=ONE).run("Ask.")
    assert got.output == ["AgentError", "researcher ended without an answer: max_steps: no answer after 2 steps"]
    assert got.cost == pytest.approx(0.0012) and got.usage.requests == 3, "what it cost is known all the same"
    silent = CodeAgent(model=says(cell), tools=[researcher()]).run("Ask.")
    assert silent.output[0] == "AgentError" and "error: ModelUnavailable: the script has 0 replies" in silent.output[1]


def test_each_call_has_a_session_of_its_own_and_several_run_at_once() -> None:
    cell = (
        "import asyncio\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "one = await asyncio.gather(*[researcher.aio('Square it.', n=n) for n in range(3)])\n"
        "with ThreadPoolExecutor(3) as pool: two = list(pool.map(lambda n: researcher('Square it.', n=n), range(3)))\n"
        "final_answer([one, two])"
    )
    below = researcher("assert 'seen' not in globals()\nseen = n\nfinal_answer(n * n)")
    result = CodeAgent(model=says(cell), tools=[below]).run("Ask.")
    assert result.output == [[0, 1, 4], [0, 1, 4]]


async def test_its_events_are_nested_in_the_callers_stream_and_its_run_is_named_by_the_call() -> None:
    above = CodeAgent(model=says("final_answer(researcher('Look.'))"), tools=[researcher("print(5)\nfinal_answer(5)")])
    async with above.session() as session:
        seen = [item async for item in session.stream("Ask.")]
        key = next(event.key for event in session.events if isinstance(event, ToolReturned))
        assert not any(isinstance(event, Nested) for event in session.events)
    nested = [item for item in seen if isinstance(item, Nested)]
    assert {(one.agent, one.key) for one in nested} == {("researcher", key)}
    assert len({one.run for one in nested}) == 1 and nested[0].run != session.run_id
    kinds = [type(one.item).__name__ for one in nested]
    assert kinds[0] == "RunStarted" and kinds[-1] == "TaskEnded" and "OutputDelta" in kinds
    places = [type(item).__name__ for item in seen]
    assert places.index("ToolCalled") < places.index("Nested") < places.index("Charged") < places.index("ToolReturned")


async def test_an_agent_two_below_is_nested_twice() -> None:
    low = researcher("final_answer(1)", name="low")
    middle = researcher("final_answer(low('Look.') + 1)", name="middle", tools=[low])
    seen: list[Event | Delta] = []
    top = CodeAgent(model=says("final_answer(middle('Look.') + 1)"), tools=[middle], listeners=[seen.append])
    result = await top.arun("Ask.")
    assert result.output == 3 and result.usage.requests == 3
    lowest = [one.item for one in seen if isinstance(one, Nested) and isinstance(one.item, Nested)]
    assert {one.agent for one in lowest} == {"low"} and isinstance(lowest[-1].item, TaskEnded)
    assert [event.usage.requests for event in result.events if isinstance(event, Charged)] == [2]


def test_agents_call_each_other_three_deep_and_no_deeper() -> None:
    cell = "try:\n    got = below('Go on.')\nexcept RecursionError as e:\n    got = str(e)\nfinal_answer(got)"
    agent = researcher("final_answer('the bottom')", name="below")
    for _ in range(4):
        agent = researcher(cell, name="below", tools=[agent])
    assert "Limits(depth=...)" in agent.run("Go.").output
    assert agent.replace(limits=Limits(depth=4)).run("Go.").output == "the bottom", "each bounds what is below it"
    shallow = CodeAgent(model=says(cell), tools=[researcher("final_answer(1)", name="below")], limits=Limits(depth=0))
    assert "was not asked" in shallow.run("Go.").output


def test_a_function_that_asks_its_own_agent_comes_to_an_end() -> None:
    asked = []

    def again(n: int) -> Any:
        asked.append(n)
        return agent.run(f"Go on from {n}.").output

    cell = "try:\n    got = again(1)\nexcept Exception as e:\n    got = type(e).__name__\nfinal_answer(got)"
    agent = CodeAgent(model=says(cell), tools=[again])
    assert agent.run("Go.").output == "RecursionError" and len(asked) == 4


# -- what is above it --------------------------------------------------------------------------------------------------


def test_one_budget_counts_the_whole_tree() -> None:
    below = researcher("1", "2", "3", "4", "final_answer(5)")
    cell = "try:\n    got = researcher('Look.')\nexcept Exception as e:\n    got = str(e)\ngot"
    result = CodeAgent(model=says(cell, "final_answer(got)"), tools=[below], budget=Budget(steps=4)).run("Ask.")
    assert result.stop_reason == "budget" and result.usage.requests == 4
    ran = next(event for event in result.events if isinstance(event, CodeRan))
    assert str(ran.outcome.value).startswith("'researcher ended without an answer: budget")
    money = CodeAgent(model=says(cell, "final_answer(1)"), tools=[below], budget=Budget(money=0.0016), prices=ONE).run(
        "Ask."
    )
    assert money.stop_reason == "budget" and money.cost is not None and money.cost <= 0.0016


def test_agents_side_by_side_do_not_overshoot() -> None:
    cell = (
        "import asyncio\n"
        "got = await asyncio.gather(*[researcher.aio('Look.', n=n) for n in range(8)], return_exceptions=True)\n"
        "final_answer(sum(isinstance(one, int) for one in got))"
    )
    below = researcher("n += 1", "final_answer(n)")
    for budget, most in ((Budget(steps=8), 8), (Budget(tokens=3200), 8), (Budget(output_tokens=799), 7)):
        result = CodeAgent(model=says(cell), tools=[below], budget=budget).run("Ask.")
        assert result.usage.requests <= most and result.stop_reason == "final_answer"


def test_an_agent_with_a_budget_of_its_own_ends_by_it_and_its_caller_goes_on() -> None:
    cell = "try:\n    researcher('Look.')\nexcept Exception as e:\n    final_answer(str(e))"
    result = CodeAgent(model=says(cell), tools=[researcher("1", "2", budget=Budget(steps=1))]).run("Ask.")
    assert "ended without an answer: budget: the budget of 1 step is used up" in result.output


def test_money_needs_the_price_of_every_model_below() -> None:
    other = ScriptedModel(Reply("```python\nfinal_answer(1)\n```", usage=KNOWN), name="other")
    with pytest.raises(UsageError, match="needs the price of other, too"):
        CodeAgent(model=says(), tools=[researcher(model=other)], budget=Budget(money=1), prices=ONE)
    above = CodeAgent(
        model=says("final_answer(researcher('Look.'))"),
        tools=[researcher(model=other)],
        budget=Budget(money=1),
        prices={**ONE, "other": (2.0, 2.0)},
    )
    assert above.run("Ask.").cost == pytest.approx(0.0012), "the caller's prices count below"


async def test_cancelling_goes_down_the_tree() -> None:
    ended: list[TaskEnded] = []
    running = asyncio.Event()

    def listen(item: Event | Delta) -> None:
        if isinstance(item, Nested) and isinstance(item.item, CodeStarted):
            running.set()
        if isinstance(item, Nested) and isinstance(item.item, TaskEnded):
            ended.append(item.item)

    above = CodeAgent(
        model=says("researcher('Wait.')"), tools=[researcher("import time\ntime.sleep(60)")], listeners=[listen]
    )
    task = asyncio.create_task(above.arun("Ask."))
    await asyncio.wait_for(running.wait(), 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [end.stop_reason for end in ended] == ["cancelled"]


def test_the_seconds_of_a_budget_stop_an_agent_below() -> None:
    above = CodeAgent(
        model=says("researcher('Wait.')", "final_answer(1)"),
        tools=[researcher("import time\ntime.sleep(60)")],
        budget=Budget(seconds=1.5),
    )
    assert above.run("Ask.").stop_reason == "budget"


def test_a_tools_deadline_does_not_end_an_agent() -> None:
    above = CodeAgent(
        model=says("final_answer(researcher('Wait.'))"),
        tools=[researcher("import time\ntime.sleep(0.5)\nfinal_answer(1)")],
        limits=Limits(tool_seconds=0.1),
    )
    assert above.run("Ask.").output == 1


def delete(name: str) -> str:
    return f"{name} is gone"


def test_what_the_caller_is_asked_about_is_asked_of_the_agents_below_too() -> None:
    asked: list[tuple[str, str]] = []

    async def gate(call: ToolCall) -> Decision:
        asked.append((call.agent, call.tool))
        return Deny("not today") if call.tool == "delete" else Allow()

    below = researcher("try:\n    delete('x')\nexcept PermissionError as e:\n    final_answer(str(e))", tools=[delete])
    above = CodeAgent(model=says("final_answer(researcher('Clean.'))"), tools=[below], approve="all", gate=gate)
    assert "not today" in above.run("Ask.").output
    assert asked == [("", "researcher"), ("researcher", "delete")]


def test_an_agent_with_a_gate_of_its_own_is_asked_by_both() -> None:
    asked = []

    def gate(name: str, decision: Decision) -> Any:
        async def ask(call: ToolCall) -> Decision:
            asked.append(name)
            return decision

        return ask

    cell = "try:\n    got = delete('x')\nexcept PermissionError as e:\n    got = str(e)\nfinal_answer(got)"
    for lower, upper, names in ((Allow(), Deny("no"), ["low", "high"]), (Deny("no"), Allow(), ["low"])):
        asked.clear()
        below = researcher(cell, tools=[delete], approve=["delete"], gate=gate("low", lower))
        above = CodeAgent(
            model=says("final_answer(researcher('Clean.'))"),
            tools=[below],
            approve=["delete"],
            gate=gate("high", upper),
        )
        assert above.run("Ask.").output == "delete() was not allowed: no" and asked == names


async def test_a_question_of_an_agent_below_is_decided_in_the_callers_session() -> None:
    below = researcher("final_answer([delete('x'), delete('y')])", tools=[delete], approve="all")
    cell = "final_answer([researcher('Clean.'), researcher('Clean again.')])"
    above = CodeAgent(model=says(cell), tools=[below])
    questions = 0
    async with above.session() as session:
        async for item in session.stream("Ask."):
            if isinstance(item, Nested) and isinstance(item.item, ApprovalAsked):
                questions += 1
                key = item.item.key
                asyncio.get_running_loop().call_soon(session.decide, key, Allow(session=True))
        assert session.result.output == [["x is gone", "y is gone"]] * 2
    assert questions == 1, "what was allowed for the session is allowed in the next session of that agent, too"


# -- other ways to call ------------------------------------------------------------------------------------------------


def test_an_agent_that_acts_by_native_calls_manages_agents_too() -> None:
    call = NativeCall("1", "researcher", json.dumps({"task": "Count.", "rows": [1, 2]}))
    done = NativeCall("2", "final_answer", json.dumps({"value": "two"}))
    model = ScriptedModel(*(Reply("", tool_calls=(one,), finish="tool_calls", usage=KNOWN) for one in (call, done)))
    result = ToolCallingAgent(model=model, managed_agents=[researcher("final_answer(len(rows))")]).run("Ask.")
    assert result.output == "two" and result.usage.requests == 3
    assert model.prompts[1].messages[-1].text == "2"


def test_a_native_agent_may_be_the_one_below() -> None:
    done = NativeCall("2", "final_answer", json.dumps({"value": {"n": 2}}))
    model = ScriptedModel(Reply("", tool_calls=(done,), finish="tool_calls", usage=KNOWN))
    below = ToolCallingAgent(model=model, name="caller", description="Calls.")
    assert CodeAgent(model=says("final_answer(caller('Go.')['n'])"), tools=[below]).run("Ask.").output == 2


def test_an_interpreter_alone_calls_an_agent() -> None:
    with Interpreter(tools=[researcher("final_answer(n + 1)")]) as python:
        assert python.run("researcher('Add one.', n=1)").value == "2"


def test_an_agent_that_a_function_of_the_users_asks_is_under_the_same_budget_and_is_heard() -> None:
    seen: list[str] = []
    below = researcher("1", "2", "final_answer(3)")

    def ask(task: str) -> Any:
        return below.run(task).output

    def listen(item: Event | Delta) -> None:
        if isinstance(item, Nested):
            seen.append(item.agent)

    above = CodeAgent(model=says("ask('Look.')"), tools=[ask], budget=Budget(steps=3), listeners=[listen])
    result = above.run("Ask.")
    assert result.stop_reason == "budget" and result.usage.requests == 3 and set(seen) == {"researcher"}


async def test_a_tool_that_asks_the_model_itself_is_under_the_budget_and_on_the_bill() -> None:
    async def llm(question: str) -> str:
        reply = await metered().ask(Prompt((above.model.prompts[0].messages[0],)), lambda delta: None)  # type: ignore[attr-defined]
        return reply.text

    cell = (
        "got = []\ntry:\n    while True: got.append(llm('What?'))\n"
        "except Exception as e:\n    got.append(type(e).__name__)\nfinal_answer(got[1:])"
    )
    above = CodeAgent(model=says(cell), tools=[llm], budget=Budget(steps=3), prices=ONE)
    result = await above.arun("Ask.")
    assert result.output[-1] == "BudgetExhausted" and len(result.output) == 2
    assert [event.cost for event in result.events if isinstance(event, Charged)] == [0.0004, 0.0004]
    assert result.cost == pytest.approx(0.0012) and result.usage.requests == 3

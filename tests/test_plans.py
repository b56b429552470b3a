"""Plans: asked for before step one and every n steps, looked at by whoever has to, and no step themselves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from codeact import Allow, CodeAgent, Deny, Edit, ToolCallingAgent, UsageError, tool
from codeact.core.events import ApprovalAsked, ModelAsked, PlanMade, TaskEnded
from codeact.core.execution import ToolCall
from codeact.core.messages import NativeCall, Prompt, Reply, Usage
from codeact.ports import Gate
from codeact.testing import ScriptedModel


def code(source: str) -> str:
    return f"So.\n```python\n{source}\n```"


def told(prompt: Prompt) -> list[str]:
    """What the user's side said, in order."""
    return [message.text for message in prompt.messages if message.role == "user"]


PLAN = "1. Count.\n2. Answer."
ANSWER = code("final_answer(1)")


def test_a_plan_is_made_before_the_first_step_and_again_after_every_two() -> None:
    replies = [PLAN, code("1"), code("2"), "1. Done.\n2. Answer.", code("3"), ANSWER]
    model = ScriptedModel(*(Reply(text, usage=Usage(10, 1, 0)) for text in replies))
    result = CodeAgent(model=model, planning_interval=2).run("How many?")
    assert (result.output, result.steps, result.usage.requests, result.usage.input_tokens) == (1, 4, 6, 60)
    asked = [(one.purpose, one.step) for one in result.events if isinstance(one, ModelAsked)]
    assert asked == [("plan", 1), ("step", 1), ("step", 2), ("plan", 3), ("step", 3), ("step", 4)]
    plans = [(one.step, one.plan) for one in result.events if isinstance(one, PlanMade)]
    assert plans == [(1, PLAN), (3, "1. Done.\n2. Answer.")]
    first, second, *_, last = model.prompts
    assert told(first)[0] == "How many?" and "Before you begin, plan." in told(first)[1]
    assert second.messages[3].text == PLAN and told(second)[-1] == "Go on by this plan."
    assert "look at your plan again" in told(last)[5] and PLAN in last.messages[3].text
    assert last.messages[: len(second.messages)] == second.messages  # it only grows
    assert [step.plan for step in result.step_list] == [PLAN, None, plans[1][1], None]


def test_without_an_interval_there_are_no_plans_and_the_last_step_needs_none() -> None:
    model = ScriptedModel(ANSWER)
    result = CodeAgent(model=model).run("How many?")
    assert not [one for one in result.events if isinstance(one, PlanMade)]
    result = CodeAgent(model=ScriptedModel(PLAN, code("1"), code("2")), planning_interval=2, max_steps=2).run("Go.")
    assert (result.stop_reason, len([one for one in result.events if isinstance(one, PlanMade)])) == ("max_steps", 1)


def test_code_in_a_plan_is_not_run_and_no_plan_is_told() -> None:
    result = CodeAgent(model=ScriptedModel(code("open('x', 'w')"), ANSWER), planning_interval=5).run("Go.")
    assert (result.output, result.code) == (1, "# Cell 1 gave the final answer.\nfinal_answer(1)\n")
    model = ScriptedModel(" ", ANSWER)
    assert CodeAgent(model=model, planning_interval=5).run("Go.").output == 1
    assert told(model.prompts[1])[-1] == "There is no plan. Go on without one."


def asking(*decisions: Any) -> tuple[Gate, list[ToolCall]]:
    waiting, seen = list(decisions), []

    async def gate(call: ToolCall) -> Any:
        seen.append(call)
        return waiting.pop(0)

    return gate, seen


def test_a_plan_that_is_denied_is_made_again_with_the_reason() -> None:
    gate, seen = asking(Deny("count twice"), Allow())
    model = ScriptedModel(PLAN, "1. Count twice.", ANSWER)
    result = CodeAgent(model=model, planning_interval=3, approve=["plan"], gate=gate).run("How many?")
    assert (result.output, result.steps, result.usage.requests) == (1, 1, 3)
    assert [(call.kind, call.tool, call.arguments) for call in seen] == [
        ("plan", "plan", {"plan": PLAN}),
        ("plan", "plan", {"plan": "1. Count twice."}),
    ]
    assert seen[0].key != seen[1].key
    assert told(model.prompts[1])[-1].startswith("The user does not allow this plan: count twice\nMake another one")
    assert [one.plan for one in result.events if isinstance(one, PlanMade)] == ["1. Count twice."]


def test_a_plan_that_was_edited_counts_as_it_was_edited() -> None:
    gate, _ = asking(Edit({"plan": "1. Answer at once."}))
    model = ScriptedModel(PLAN, ANSWER)
    result = CodeAgent(model=model, planning_interval=3, approve=["plan"], gate=gate).run("How many?")
    assert [one.plan for one in result.events if isinstance(one, PlanMade)] == ["1. Answer at once."]
    assert "The user has changed the plan. This one counts:\n\n1. Answer at once." in told(model.prompts[1])[-1]


def test_somebody_who_allows_no_plan_at_all_ends_the_task() -> None:
    gate, seen = asking(*[Deny("no")] * 9)
    model = ScriptedModel(*[PLAN] * 9)
    result = CodeAgent(model=model, planning_interval=1, approve=["plan"], gate=gate).run("How many?")
    assert (result.stop_reason, result.error, len(seen)) == ("stalled", "5 plans in a row were not allowed", 5)


async def test_a_plan_waits_for_a_decision_of_the_session() -> None:
    agent = CodeAgent(model=ScriptedModel(PLAN, "2. Sleep.", ANSWER), planning_interval=3, approve=["plan"])
    async with agent.session() as session:
        async for event in session.stream("How many?"):
            if isinstance(event, ApprovalAsked):
                session.decide(event.key, Deny("sleep") if event.arguments["plan"] == PLAN else Allow(session=True))
        assert session.result.output == 1


def test_all_tool_calls_are_asked_about_also_of_a_tool_named_plan_and_plans_are_not() -> None:
    @tool
    def plan(text: str) -> str:
        """Write a plan down."""
        return text

    gate, seen = asking(Deny("not now"))
    source = "try:\n    plan('x')\nexcept PermissionError as error:\n    final_answer(str(error))"
    agent = CodeAgent(model=ScriptedModel(PLAN, code(source)), tools=[plan], planning_interval=3, gate=gate)
    assert agent.run("Go.").output == "plan() was not allowed: not now"
    assert [call.kind for call in seen] == ["tool"]


def test_an_agent_that_calls_tools_plans_in_words_too() -> None:
    calls = Reply("", tool_calls=(NativeCall("a", "final_answer", '{"value": 2}'),), finish="tool_calls")
    early = Reply("1. Answer.", tool_calls=calls.tool_calls, finish="tool_calls")  # it was told to call nothing
    model = ScriptedModel(early, calls)
    result = ToolCallingAgent(model=model, planning_interval=3).run("How many?")
    assert (result.output, result.steps) == (2, 1)
    assert model.prompts[1].messages[3].text == "1. Answer." and not model.prompts[1].messages[3].tool_calls
    assert model.prompts[0].tools == model.prompts[1].tools


async def test_what_the_user_says_while_a_plan_waits_is_read_next() -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def gate(call: ToolCall) -> Any:
        asked.set()
        await go.wait()
        return Allow()

    model = ScriptedModel(PLAN, ANSWER)
    async with CodeAgent(model=model, planning_interval=3, approve=["plan"], gate=gate).session() as session:
        task = asyncio.ensure_future(session.run("How many?"))
        await asked.wait()
        await session.say("In dozens.")
        go.set()
        assert (await task).output == 1
    assert told(model.prompts[1])[-1] == "Go on by this plan.\n\nThe user says:\nIn dozens."


@pytest.mark.parametrize("interval", [0, -1, 1.5, True, "2"])
def test_what_is_no_interval_is_refused_when_the_agent_is_made(interval: Any) -> None:
    with pytest.raises(UsageError, match="planning_interval="):
        CodeAgent(model=ScriptedModel(), planning_interval=interval)


# -- the last answer ---------------------------------------------------------------------------------------------------


def test_at_the_end_of_its_steps_the_model_is_asked_for_the_best_it_has() -> None:
    model = ScriptedModel(code("x = 20"), code("x += 1"), code("final_answer(2 * x)"))
    result = CodeAgent(model=model, max_steps=2, last_answer=True).run("Count.")
    assert (result.stop_reason, result.output, str(result), result.steps) == ("max_steps", 42, "42", 2)
    assert result.error == "no answer after 2 steps" and result.usage.requests == 3
    assert "No step is left." in told(model.prompts[2])[-1]
    assert isinstance(result.events[-1], TaskEnded) and result.events[-1].last is not None


def test_words_are_a_last_answer_too_where_no_type_is_asked_for() -> None:
    agent = CodeAgent(model=ScriptedModel(code("1"), "About forty."), max_steps=1, last_answer=True)
    assert (agent("Count."), agent.run("Count.").stop_reason) == ("About forty.", "max_steps")
    typed = agent.replace(output_type=int).run("Count.")
    assert (typed.answered, str(typed)) == (False, "(no answer: max_steps)")


def test_a_last_answer_that_does_not_come_is_no_answer() -> None:
    agent = CodeAgent(model=ScriptedModel(code("1"), code("1 / 0"), ANSWER), max_steps=1, last_answer=True)
    result = agent.run("Count.")
    assert (result.stop_reason, result.answered) == ("max_steps", False)
    with agent.session() as session:  # and the session goes on
        assert not session.run("Count.").answered
        assert session.run("Count on.").stop_reason == "final_answer"


def test_an_answer_in_time_is_no_last_answer() -> None:
    agent = CodeAgent(model=ScriptedModel(ANSWER), max_steps=1, last_answer=True)
    assert agent.run("Count.").stop_reason == "final_answer"

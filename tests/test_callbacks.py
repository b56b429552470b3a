"""What is called after each step, with how much it takes, and what it may do to the task."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from codeact import CodeAgent, Deny, ToolCallingAgent, tool
from codeact.core.events import CodeRan, Event, TaskEnded
from codeact.core.messages import NativeCall, Reply
from codeact.core.steps import Step, steps_of
from codeact.testing import ScriptedModel


def code(source: str) -> str:
    return f"So.\n```python\n{source}\n```"


REPLIES = (code("x = 20\nx"), code("1 / 0"), "I wonder.", code("final_answer(x)"))


def agent(*callbacks: Any, replies: tuple[Any, ...] = REPLIES, **arguments: Any) -> CodeAgent:
    return CodeAgent(model=ScriptedModel(*replies), step_callbacks=list(callbacks), **arguments)


def test_a_callback_is_called_after_each_step_the_last_one_too() -> None:
    seen: list[Step] = []
    result = agent(seen.append).run("Go.")
    assert [step.number for step in seen] == [1, 2, 3, 4] and tuple(seen) == result.step_list
    first, second, third, last = seen
    assert (first.source, first.outcome and first.outcome.value, first.cell) == ("x = 20\nx\n", "20", 1)
    assert second.outcome is not None and second.outcome.error is not None
    assert (third.source, third.outcome, third.reply.text) == (None, None, "I wonder.")
    assert last.outcome is not None and last.outcome.final_answer == 20


def test_it_is_given_as_much_as_it_takes() -> None:
    seen: dict[str, Any] = {}

    async def two(step: Step, events: tuple[Event, ...]) -> None:
        seen["two"] = step.number, isinstance(events[-1], CodeRan)

    def three(step: Step, events: tuple[Event, ...], agent: CodeAgent) -> None:
        seen["three"] = len(events), agent

    def of_elsewhere(memory_step: Step, agent: CodeAgent) -> None:
        seen["of elsewhere"] = agent

    def by_name(step: Step, *, agent: CodeAgent, events: Any = None) -> None:
        seen["by name"] = agent, len(events)

    def with_default(step: Step, factor: int = 2) -> None:
        seen["with default"] = factor

    class Object:
        async def __call__(self, *given: Any) -> None:
            seen["object"] = len(given)

    def partial(step: Step, note: str) -> None:
        seen["partial"] = note

    bound = functools.partial(partial, note="mine")
    one = agent(two, three, of_elsewhere, by_name, with_default, Object(), bound, replies=(code("final_answer(1)"),))
    one.run("Go.")
    assert seen["two"] == (1, True) and seen["with default"] == 2 and seen["partial"] == "mine"
    assert seen["three"][1] is seen["of elsewhere"] is seen["by name"][0] is one
    assert seen["object"] == 3 and seen["by name"][1] == seen["three"][0]


@pytest.mark.parametrize("callback", [lambda: None, lambda a, b, c, d: None, 7, lambda step, *, extra: None])
def test_what_cannot_be_called_so_is_refused_when_the_agent_is_made(callback: Any) -> None:
    with pytest.raises(TypeError, match="step callback"):
        agent(callback)


@pytest.mark.parametrize("callbacks", [print, {Step: print}, "print"])
def test_callbacks_are_a_list(callbacks: Any) -> None:
    with pytest.raises(TypeError, match=r"step_callbacks=\[\.\.\.\]"):
        CodeAgent(model=ScriptedModel(), step_callbacks=callbacks)


def test_a_callback_that_raises_ends_the_task_and_not_the_session() -> None:
    def stop(step: Step) -> None:
        if step.number == 2:
            raise LookupError("enough")

    with agent(stop).session() as session:
        with pytest.raises(LookupError, match="enough"):
            session.run("Go.")
        assert (session.result.stop_reason, session.result.error, session.result.steps) == ("error", "enough", 2)
        assert isinstance(session.events[-1], TaskEnded)
        assert session.fetch("x") == 20


def test_what_kept_code_from_running_stands_in_the_step() -> None:
    async def gate(call: Any) -> Any:
        return Deny("not that")

    seen: list[Step] = []
    replies = (code("nothing_there()"), code("final_answer(1)"))
    one = agent(seen.append, replies=replies, approve=["cell"], gate=gate, max_steps=2)
    one.run("Go.")
    assert "nothing_there" in seen[0].complaints[0] and seen[0].outcome is None
    assert seen[1].denied == "not that"


def test_calls_in_a_providers_own_form_and_in_cells_stand_in_the_step() -> None:
    @tool
    def double(n: int) -> int:
        """Twice n."""
        return 2 * n

    replies = (Reply("", tool_calls=(NativeCall("a", "double", '{"n": 4}'),), finish="tool_calls"),)
    seen: list[Step] = []
    native = ToolCallingAgent(model=ScriptedModel(*replies), tools=[double], step_callbacks=[seen.append], max_steps=1)
    native.run("Go.")
    assert [(one.call.name, one.text) for one in seen[0].calls] == [("double", "8")]
    assert [(one.tool, one.arguments) for one in seen[0].tool_calls] == [("double", {"n": 4})]
    result = agent(replies=(code("final_answer(double(double(1)))"),), tools=[double]).run("Go.")
    assert [one.arguments for one in result.step_list[0].tool_calls] == [{"n": 1}, {"n": 2}]
    assert steps_of(()) == ()


# -- the code of a task ------------------------------------------------------------------------------------------------


def test_the_code_of_a_task_runs_as_a_script_where_its_tools_are() -> None:
    @tool
    def weather(city: str) -> int:
        """Degrees."""
        return {"Oslo": 3, "Bergen": 7}[city]

    replies = (
        code("cities = ['Oslo', 'Bergen']; degrees = {}"),
        code("for city in cities:\n    degrees[city] = weather(city)\ndegrees['Rome']\ncities.append('Rome')"),
        code("undefined_name"),  # it is looked at, and never runs
        code("@staticmethod\ndef coldest(): return min(degrees, key=degrees.get)\nfinal_answer(coldest())\nx = 1"),
    )
    program = agent(replies=replies, tools=[weather]).run("Which is colder?").code
    said: list[Any] = []
    exec(program, {"weather": weather, "final_answer": said.append})
    assert said == ["Oslo"]
    assert "# Cell 2 raised KeyError: 'Rome'" in program and "# cities.append('Rome')" in program
    assert "undefined_name" not in program and program.endswith("# It did not come to the end of:\n# x = 1\n")


def test_what_was_lost_with_the_interpreter_stands_in_comments() -> None:
    replies = (code("x = 1"), code("x = 2\nimport os; os._exit(1)"), code("final_answer(x)"))
    result = agent(replies=replies).run("Go.")
    said: list[Any] = []
    program = result.code
    exec(program, {"final_answer": said.append})
    assert said == [result.output] and "# The interpreter was lost here (" in program

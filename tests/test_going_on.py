"""Going on from a result: the same conversation and the same variables, as often as one likes."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
from typing import Any

import pytest

from codeact import CodeAgent, ModelError, ToolCallingAgent, UsageError
from codeact.api.kept import MOST, Kept
from codeact.core.errors import ModelUnavailable
from codeact.core.events import Event, RunStarted, TaskGiven
from codeact.core.messages import NativeCall, Reply
from codeact.session.result import RunResult
from codeact.session.session import Session
from codeact.testing import ScriptedModel


def code(source: str) -> str:
    return f"So.\n```python\n{source}\n```"


unconfined = pytest.mark.filterwarnings("ignore:the sandbox 'unconfined'")
GROW = code("x = [*globals().get('x', []), len(globals().get('x', []))]\nfinal_answer(x)")


def agent(*replies: Any, **arguments: Any) -> CodeAgent:
    return CodeAgent(model=ScriptedModel(*(replies or [GROW] * 20)), **arguments)


def behind(result: RunResult) -> Session:
    """The session that is kept behind a result."""
    assert isinstance(result.kept, Kept)
    session = result.kept._place.session
    assert session is not None
    return session


def can_copy(result: RunResult) -> bool:
    return behind(result).level.startswith("full")


def test_one_goes_on_from_a_result_with_its_conversation_and_its_variables() -> None:
    one = agent(code("degrees = {'Oslo': 3}\nfinal_answer(3)"), code("degrees['Tromso'] = -4\nfinal_answer(degrees)"))
    first = one.run("How cold is it in Oslo?")
    second = one.run("And in Tromso?", after=first)
    assert (first.output, second.output) == (3, {"Oslo": 3, "Tromso": -4})
    assert [event.task for event in second.events if isinstance(event, TaskGiven)] == ["And in Tromso?"]
    assert isinstance(one.model, ScriptedModel)
    said = [message.text for message in one.model.prompts[-1].messages]
    assert said[1] == "How cold is it in Oslo?" and said[-1] == "And in Tromso?" and second.steps == 1


def test_a_result_is_a_value_that_one_can_go_on_from_again() -> None:
    one = agent()
    first = one.run("Grow.")
    if not can_copy(first):
        pytest.skip("only the level `full` has copies")
    second = one.run("Grow.", after=first)
    other = one.run("Grow.", after=first)
    third = one.run("Grow.", after=second)
    assert [result.output for result in (first, second, other, third)] == [[0], [0, 1], [0, 1], [0, 1, 2]]
    assert second.run_id == first.run_id != other.run_id


def test_one_goes_back_again_and_again() -> None:
    one = agent()
    first = one.run("Grow.")
    if not can_copy(first):
        pytest.skip("only the level `full` has copies")
    assert [one.run("Grow.", after=first).output for _ in range(9)] == [[0, 1]] * 9


@unconfined
def test_where_nothing_can_be_copied_one_goes_on_once_and_is_told_so() -> None:
    one = agent(sandbox="unconfined")
    first = one.run("Grow.")
    second = one.run("Grow.", after=first)
    assert one.run("Grow.", after=second).output == [0, 1, 2]
    with pytest.raises(UsageError, match="one went on from it already, and no copy could be left"):
        one.run("Grow.", after=first)


def test_after_its_steps_were_used_up_a_task_is_gone_on_with() -> None:
    one = agent(code("x = 1"), code("final_answer(x + 1)"), max_steps=1)
    cut = one.run("Add.")
    assert cut.stop_reason == "max_steps"
    assert one.run("Go on.", after=cut).output == 2


def test_a_long_chain_holds_few_copies() -> None:
    one = agent()
    chain = one.run("Grow.")
    held = []
    for _ in range(12):
        chain = one.run("Grow.", after=chain)
        held.append(chain)
    assert chain.output == list(range(13))


def test_what_is_no_result_of_this_agent_is_refused() -> None:
    one, other = agent(), agent()
    result = one.run("Grow.")
    with pytest.raises(UsageError, match="of another agent"):
        other.run("Grow.", after=result)
    with pytest.raises(TypeError, match="after= takes the result of a run"):
        one.run("Grow.", after="Grow.")  # type: ignore[arg-type]
    with one.session() as session, pytest.raises(UsageError, match=r"session\.run"):
        one.run("Grow.", after=session.run("Grow."))


async def test_a_result_nobody_holds_keeps_nothing() -> None:
    one = agent()
    result = await one.arun("Grow.")
    session = behind(result)
    assert session.is_open
    del result
    gc.collect()
    async with asyncio.timeout(10):
        while session.is_open:
            await asyncio.sleep(0.01)


async def test_of_many_results_the_last_ones_can_be_gone_on_from() -> None:
    one = agent()
    results = [await one.arun("Grow.") for _ in range(MOST + 2)]
    with pytest.raises(UsageError, match=f"{MOST} others were used since"):
        await one.arun("Grow.", after=results[0])
    assert (await one.arun("Grow.", after=results[-1])).output == [0, 1]


def test_an_event_loop_that_ends_takes_its_sessions_along() -> None:
    one = agent()
    result = asyncio.run(one.arun("Grow."))
    with pytest.raises(UsageError, match="its event loop has ended"):
        one.run("Grow.", after=result)
    with pytest.raises(UsageError, match="its event loop has ended"):
        asyncio.run(one.arun("Grow.", after=result))


async def test_results_of_both_forms_of_run_can_be_gone_on_from() -> None:
    one = agent()
    blocking = one.run("Grow.")
    assert (await one.arun("Grow.", after=blocking)).output == [0, 1]
    mine = await one.arun("Grow.")
    with pytest.raises(UsageError, match=r"await agent\.arun"):
        one.run("Grow.", after=mine)  # it would wait for the loop that waits for it
    assert (await asyncio.to_thread(lambda: one.run("Grow.", after=mine))).output == [0, 1]


@unconfined
def test_a_run_that_fails_leaves_the_result_that_it_went_on_from() -> None:
    for sandbox in ("linux", "unconfined"):
        replies = [code("x = 1\nfinal_answer(x)"), ModelUnavailable("the server is down")]
        model = ScriptedModel(*replies)
        one = CodeAgent(model=model, sandbox=sandbox)
        first = one.run("Set.")
        with pytest.raises(ModelError):
            one.run("Add.", after=first)
        model._replies = (replies[0], code("final_answer(x + 1)"))
        assert one.run("Add.", after=first).output == 2


def test_who_listens_hears_what_it_is_made_of_and_only_its_own_run() -> None:
    seen: list[list[str]] = [[], []]
    one = agent()
    first = one.run("Grow.", listeners=[lambda item: seen[0].append(type(item).__name__)])
    heard = len(seen[0])
    one.run("Grow.", after=first, listeners=[lambda item: seen[1].append(type(item).__name__)])
    assert seen[1][:3] == ["RunStarted", "SandboxReady", "TaskGiven"] and seen[1][-1] == "TaskEnded"
    assert len(seen[0]) == heard


def test_the_agents_own_listeners_hear_of_no_copy() -> None:
    seen: list[Event] = []
    one = agent(listeners=[lambda item: seen.append(item)])  # type: ignore[arg-type]
    first = one.run("Grow.")
    second = one.run("Grow.", after=first)
    assert len([event for event in seen if isinstance(event, RunStarted)]) == 1
    assert [event.task for event in seen if isinstance(event, TaskGiven)] == ["Grow.", "Grow."]
    if can_copy(second):
        one.run("And again.", after=first)
        assert [event.task for event in seen if isinstance(event, TaskGiven)][-1] == "And again."


def test_an_agent_that_calls_tools_is_gone_on_with_as_often_as_one_likes() -> None:
    def answer(value: int) -> Reply:
        return Reply("", tool_calls=(NativeCall("a", "final_answer", f'{{"value": {value}}}'),), finish="tool_calls")

    one = ToolCallingAgent(model=ScriptedModel(answer(1), answer(2)))
    first = one.run("One?")
    assert [one.run("Two?", after=first).output for _ in range(3)] == [2, 2, 2]


def test_a_copy_of_a_result_has_nothing_behind_it() -> None:
    result = agent().run("Grow.")
    for other in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result)):
        assert other == result and other.kept is None

"""Stopping a task at whatever it waits for, and saying something in the middle: the session stays usable and honest."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from codeact import Allow, CodeAgent, ToolCallingAgent, tool
from codeact.core.events import ApprovalAsked, CodeStarted, Event, ModelAsked, TaskEnded, ToolCalled
from codeact.core.messages import Message, NativeCall, Prompt, Reply
from codeact.ports import Emit
from codeact.testing import ScriptedModel


def code(source: str) -> str:
    return f"So.\n```python\n{source}\n```"


class Slow:
    """A scripted model that never answers the questions of these numbers; a task after that goes on behind them."""

    name = "slow"

    def __init__(self, never: set[int], *replies: str) -> None:
        self._script = ScriptedModel(*replies)
        self._never = never
        self.prompts = self._script.prompts

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        if len(self.prompts) + 1 in self._never:
            self._never.discard(len(self.prompts) + 1)
            await asyncio.Event().wait()
        return await self._script.ask(prompt, emit)


reached = threading.Event()  # by what has no event of its own


@tool
async def wait() -> None:
    """Wait for ever."""
    await asyncio.Event().wait()


@tool
def block() -> None:
    """Wait for long, in a thread."""
    threading.Event().wait(60)


async def hang(*_: Any) -> Any:
    reached.set()
    await asyncio.Event().wait()


def hang_in_a_thread(*_: Any) -> None:
    reached.set()
    threading.Event().wait(60)


def of(kind: type, **fields: Any) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, kind) and all(getattr(event, key) == one for key, one in fields.items())


SET, GO_ON, PLAN = code("x = 20\nx"), code("final_answer(x + 1)"), "1. Answer."
WAITS: dict[str, tuple[dict[str, Any], list[str], Callable[[Event], bool] | None]] = {
    "the model": (dict(model=Slow({2}, SET, GO_ON)), [], of(ModelAsked, step=2)),
    "the model's plan": (
        dict(model=Slow({3}, PLAN, SET, PLAN, GO_ON), planning_interval=1),
        [],
        of(ModelAsked, step=2, purpose="plan"),
    ),
    "somebody who looks at a plan": (
        dict(planning_interval=1, approve=lambda call: call.arguments.get("plan") == "2. Wait."),
        [PLAN, SET, "2. Wait.", PLAN, GO_ON],
        of(ApprovalAsked, tool="plan"),
    ),
    "the last answer": (
        dict(model=Slow({2}, SET, GO_ON), max_steps=1, last_answer=True),
        [],
        of(ModelAsked, step=2, purpose="answer"),
    ),
    "a cell that computes": ({}, [SET, code("while True: pass"), GO_ON], of(CodeStarted, cell=2)),
    "a cell that sleeps": ({}, [SET, code("import time; time.sleep(60)"), GO_ON], of(CodeStarted, cell=2)),
    "a tool": (dict(tools=[wait]), [SET, code("y = 1\nwait()"), GO_ON], of(ToolCalled)),
    "a tool in a thread": (dict(tools=[block]), [SET, code("block()"), GO_ON], of(ToolCalled)),
    "tools side by side": (
        dict(tools=[wait]),
        [SET, code("import asyncio\nawait asyncio.gather(wait.aio(), wait.aio())"), GO_ON],
        of(ToolCalled),
    ),
    "somebody who allows a call": (dict(tools=[wait], approve="all"), [SET, code("wait()"), GO_ON], of(ApprovalAsked)),
    "somebody who allows a cell": (
        dict(approve=lambda call: "y = 2" in str(call.arguments)),
        [SET, code("y = 2"), GO_ON],
        of(ApprovalAsked),
    ),
    "a gate": (
        dict(tools=[wait], approve=["wait"], gate=hang),
        [SET, code("wait()"), GO_ON],
        None,
    ),
    "a callback": (
        dict(step_callbacks=[lambda step: hang() if step.source == "y = 2\n" else None]),
        [SET, code("y = 2"), GO_ON],
        None,
    ),
    "a callback in a thread": (
        dict(step_callbacks=[lambda step: hang_in_a_thread() if step.source == "y = 2\n" else None]),
        [SET, code("y = 2"), GO_ON],
        None,
    ),
    "a check of the answer": (
        dict(final_answer_checks=[lambda value: hang() if value == "wait" else None]),
        [SET, code("final_answer('wait')"), GO_ON],
        None,
    ),
}


@pytest.mark.parametrize("wait_for", WAITS)
async def test_a_task_is_cancelled_wherever_it_waits_and_the_session_goes_on(wait_for: str) -> None:
    arguments, replies, there = WAITS[wait_for]
    arguments = {"model": ScriptedModel(*replies), **arguments}
    here = asyncio.Event()
    reached.clear()
    async with CodeAgent(**arguments).session(
        listeners=[lambda e: here.set() if there and there(e) else None]
    ) as session:  # type: ignore[arg-type]
        task = asyncio.ensure_future(session.run("Wait."))
        async with asyncio.timeout(30):
            await (here.wait() if there else asyncio.to_thread(reached.wait))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert isinstance(session.events[-1], TaskEnded) and session.result.stop_reason == "cancelled"
        assert await session.fetch("x") == 20
        again = await session.run("Go on.", max_steps=5)
        assert (again.output, again.stop_reason) == (21, "final_answer")


async def test_the_model_is_told_what_was_cut_off() -> None:
    model = ScriptedModel(SET, code("y = 2\nwait()"), code("final_answer(y)"))
    called = asyncio.Event()
    listen: Any = lambda event: called.set() if isinstance(event, ToolCalled) else None  # noqa: E731
    async with CodeAgent(model=model, tools=[wait]).session(listeners=[listen]) as session:
        task = asyncio.ensure_future(session.run("Wait."))
        await called.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await session.run("What is y?")).output == 2  # nothing says that there is no `y`
    told = model.prompts[-1].messages[-1].text
    assert told.startswith("What is y?\n\nThe user stopped the task before this one in the middle of cell 2: it may")


def paired(messages: tuple[Message, ...]) -> bool:
    """Whether every call in a provider's own form is answered right behind it, as providers demand."""
    open_calls: list[str] = []
    for message in messages:
        if message.role == "tool":
            open_calls.remove(message.answers)
        elif open_calls:
            return False
        open_calls += [call.id for call in message.tool_calls]
    return not open_calls


async def test_calls_that_were_cut_off_are_answered_before_anything_else_is_said() -> None:
    calls = (NativeCall("a", "wait", "{}"), NativeCall("b", "wait", "{}"))
    model = ScriptedModel(
        Reply("", tool_calls=calls, finish="tool_calls"),
        Reply("", tool_calls=(NativeCall("c", "final_answer", '{"value": 1}'),), finish="tool_calls"),
    )
    called = asyncio.Event()
    listen: Any = lambda event: called.set() if isinstance(event, ToolCalled) else None  # noqa: E731
    async with ToolCallingAgent(model=model, tools=[wait]).session(listeners=[listen]) as session:
        task = asyncio.ensure_future(session.run("Wait."))
        await called.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await session.run("Go on.")).output == 1
    assert paired(model.prompts[-1].messages)
    assert "whether it took effect is not known" in model.prompts[-1].messages[3].text


async def test_a_run_alone_is_cancelled_too() -> None:
    task = asyncio.ensure_future(CodeAgent(model=Slow({1})).arun("Wait."))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def said_at(there: Callable[[Event], bool], **arguments: Any) -> list[str]:
    """What the user's side had said when the model was asked last; the user spoke at this moment."""
    words: list[asyncio.Task[None]] = []

    def listen(event: Any) -> None:
        if there(event) and not words:
            words.append(asyncio.ensure_future(session.say("Only Norway.")))

    async with CodeAgent(**arguments).session(listeners=[listen]) as session:
        await session.run("Which city?")
        await words[0]
    model: Any = arguments["model"]
    return [message.text for message in model.prompts[-1].messages if message.role == "user"]


@pytest.mark.parametrize(
    "kind", ["ModelAsked", "ModelReplied", "CodeStarted", "ToolCalled", "ApprovalAsked", "PlanMade"]
)
async def test_what_the_user_says_is_read_next_whenever_it_is_said(kind: str) -> None:
    @tool
    async def ask() -> int:
        """Ask."""
        await asyncio.sleep(0)
        return 1

    async def gate(call: Any) -> Any:
        await asyncio.sleep(0)
        return Allow()

    model = ScriptedModel(PLAN, code("y = ask()"), code("final_answer(y)"))
    told = await said_at(
        lambda event: type(event).__name__ == kind,
        model=model,
        tools=[ask],
        approve="all",
        gate=gate,
        planning_interval=9,
    )
    assert sum("The user says:\nOnly Norway." in text for text in told) == 1

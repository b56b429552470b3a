"""Code that runs while the model is still writing it: the model is a typist that waits where a test wants, the rest
is real."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Sequence
from typing import Any

import pytest

from codeact import Allow, CodeAgent, Deny, ToolCallingAgent, UsageError, tool
from codeact.core.errors import ModelUnavailable, SnapshotRefused
from codeact.core.events import (
    CodeContinued,
    CodeRan,
    CodeRefused,
    CodeStarted,
    Event,
    ModelFailed,
    ModelReplied,
    Noted,
    OutputDelta,
    RunStarted,
    TaskEnded,
    TextDelta,
    ToolCalled,
)
from codeact.core.messages import Finish, Prompt, Reply
from codeact.models.fallback import Fallback
from codeact.models.recording import Recording
from codeact.models.retrying import Retrying
from codeact.ports import Emit
from codeact.testing import ScriptedModel


class Typist:
    """Types what it is given: text, an event that it waits for, an error that it raises, a way to finish."""

    name = "typist"

    def __init__(self, *replies: Sequence[Any] | str) -> None:
        self._replies = [[reply] if isinstance(reply, str) else reply for reply in replies]
        self.prompts: list[Prompt] = []
        self.stopped = 0

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        pieces = self._replies[len(self.prompts)]
        self.prompts.append(prompt)
        typed, finish = "", "stop"
        try:
            for piece in pieces:
                match piece:
                    case asyncio.Event():
                        await piece.wait()
                    case Exception():
                        raise piece
                    case "length" | "content_filter":
                        finish = piece
                    case _:
                        for start in range(0, len(piece), 5):
                            typed += piece[start : start + 5]
                            emit(TextDelta(piece[start : start + 5]))
                            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        return Reply(typed, finish=_finish(finish))

    @property
    def told(self) -> str:
        """What it was told last."""
        return self.prompts[-1].messages[-1].text

    @property
    def said(self) -> str:
        """What it reads of itself last."""
        return [message.text for message in self.prompts[-1].messages if message.role == "assistant"][-1]


def _finish(text: str) -> Finish:
    return "length" if text == "length" else "content_filter" if text == "content_filter" else "stop"


def code(source: str) -> str:
    return f"```python\n{source}\n```\n"


def of(events: Sequence[Event], *kinds: type) -> list[Any]:
    return [event for event in events if isinstance(event, kinds)]


ANSWER = code("final_answer(x)")


class Desk:
    """A tool that says when it was called, and never before."""

    def __init__(self) -> None:
        self.called = asyncio.Event()

    def tools(self) -> list[Any]:
        @tool
        async def look(value: int) -> int:
            """Look at a value."""
            self.called.set()
            return 2 * value

        return [look]


async def test_a_statement_runs_while_the_model_writes_the_next() -> None:
    desk = Desk()
    model = Typist(["I look.\n```python\nx = look(4)\n", desk.called, "x += 1\nx\n```"], ANSWER)
    result = await CodeAgent(model=model, tools=desk.tools(), eager=True).arun("Go.")
    assert result.output == 9
    kinds = [
        type(event).__name__ for event in result.events if type(event).__name__.startswith(("Code", "Model", "Tool"))
    ]
    assert kinds[:8] == [
        *["ModelAsked", "CodeStarted", "ToolCalled", "ToolReturned"],
        *["CodeContinued", "CodeContinued", "ModelReplied", "CodeRan"],
    ]
    assert model.said.endswith("```python\nx = look(4)\nx += 1\nx\n```") and "<value" in model.told
    assert result.step_list[0].source == "x = look(4)\nx += 1\nx\n" and "x += 1" in result.code
    assert len(result.step_list) == result.steps == 2


async def test_the_model_reads_the_same_as_when_its_code_waits_for_the_end() -> None:
    replies = [code("x = [1, 2]\nprint(x)\n\nfor i in x:\n    print(i)\nlen(x)"), code("1 / 1\nx"), ANSWER]
    read = []
    for eager in (False, True):
        model = ScriptedModel(*replies)
        result = await CodeAgent(model=model, eager=eager, tools=Desk().tools()).arun("Go.")
        assert result.output == [1, 2]
        marks = [event.seed.hex()[:8] for event in of(result.events, CodeStarted)]
        text = "\n".join(message.text for message in model.prompts[-1].messages)
        for mark in marks:
            text = text.replace(mark, "mark")
        read.append(re.sub(r" in \d+(\.\d)? s", "", text))  # what takes long is told with its time
    assert read[0] == read[1]


async def test_an_exception_stops_the_model() -> None:
    model = Typist(["Hm.\n```python\nx = 5\n1 / 0\nx = 6\n", asyncio.Event()], ANSWER)
    result = await CodeAgent(model=model, eager=True).arun("Go.")
    assert (result.output, model.stopped) == (5, 1)
    assert model.said == "Hm.\n```python\nx = 5\n1 / 0\n```"
    assert "line 2, in <module>\n    1 / 0" in model.told
    assert model.told.endswith("Your reply was stopped there. Nothing of it after this code ran.")


async def test_the_answer_stops_the_model() -> None:
    model = Typist(["```python\nfinal_answer(3)\n", asyncio.Event(), "final_answer(4)\n```"])
    result = await CodeAgent(model=model, eager=True).arun("Go.")
    assert (result.output, result.stop_reason, model.stopped) == (3, "final_answer", 1)


async def test_a_reply_that_ends_with_the_answer_is_heard_to_its_end() -> None:
    """It tells what it cost."""
    result = await CodeAgent(model=Typist("```python\nfinal_answer(3)\n```"), eager=True).arun("Go.")
    assert result.output == 3 and of(result.events, ModelReplied)[0].broken is None


async def test_a_reply_that_breaks_off_after_code_of_it_ran_is_not_asked_again() -> None:
    desk = Desk()
    broken = ["```python\nx = look(1)\n", desk.called, "y = 2\nz =", ModelUnavailable("the line broke")]
    model = Typist(broken, ANSWER)
    agent = CodeAgent(model=Retrying(model, sleep=_at_once), tools=desk.tools(), eager=True)
    result = await agent.arun("Go.")
    assert (result.output, len(of(result.events, ToolCalled)), len(model.prompts)) == (2, 1, 2)
    assert model.said == "```python\nx = look(1)\ny = 2\n```"
    assert model.told.endswith("Your reply broke off: the line broke. Nothing of it after this code ran.")
    assert of(result.events, CodeRan)[0].outcome.ok


async def test_neither_does_another_model_write_it_again() -> None:
    first = Typist(["```python\nx = 1\ny", ModelUnavailable("gone")], [ModelUnavailable("gone")])
    second = Typist(ANSWER)
    result = await CodeAgent(model=Fallback(first, second), eager=True).arun("Go.")
    assert (result.output, len(first.prompts), len(second.prompts)) == (1, 2, 1)
    assert "broke off: gone." in second.told


async def test_one_that_breaks_off_before_any_code_was_whole_is_asked_again() -> None:
    model = Typist(["I see.\n```python\nx =", ModelUnavailable("gone")], code("x = 7"), ANSWER)
    result = await CodeAgent(model=Retrying(model, sleep=_at_once), eager=True).arun("Go.")
    assert (result.output, result.steps, len(model.prompts)) == (7, 2, 3)
    assert [event.source for event in of(result.events, CodeStarted)] == ["x = 7\n", "final_answer(x)\n"]


async def _at_once(seconds: float) -> None:
    return None


async def test_an_error_before_any_code_is_the_run_s_error() -> None:
    with pytest.raises(ModelUnavailable):
        await CodeAgent(model=Typist(["Let me", ModelUnavailable("gone")]), eager=True).arun("Go.")


async def test_a_recording_keeps_what_was_heard_of_it(tmp_path: Any) -> None:
    model = Typist(["```python\nx = 1\ny", ModelUnavailable("gone")], ANSWER)
    recording = Recording(Retrying(model), tmp_path / "said.jsonl")
    result = await CodeAgent(model=recording, eager=True).arun("Go.")
    assert result.output == 1
    again = await CodeAgent(model=f"replay:{tmp_path / 'said.jsonl'}", eager=True).arun("Go.")
    assert again.output == 1 and of(again.events, ModelReplied)[0].broken is not None


@pytest.mark.parametrize(
    ("end", "told"),
    [
        ("length", "was cut off before its end"),
        ("content_filter", "withheld by the provider's filter"),
        ("y = '''", "your last block is not whole and did not run"),
        ("y = '\0'\n```", "holds U+0000"),
    ],
)
async def test_of_a_reply_that_does_not_end_as_it_should_what_came_whole_ran(end: str, told: str) -> None:
    model = Typist(["```python\nx = 1\nx += 1\n", end], ANSWER)
    result = await CodeAgent(model=model, eager=True).arun("Go.")
    assert result.output == 2 and told in model.told.lower().replace("u+0000", "U+0000")
    assert model.said == "```python\nx = 1\nx += 1\n```"


async def test_a_statement_is_looked_at_before_it_runs_and_the_ones_above_it_are_kept() -> None:
    desk = Desk()
    wrong = "x = look(1)\nfor i in range(3):\n    look(size=i)\nx = 0\n"
    model = Typist(["```python\n" + wrong, asyncio.Event()], ANSWER)
    result = await CodeAgent(model=model, tools=desk.tools(), eager=True).arun("Go.")
    assert result.output == 2
    assert len(of(result.events, ToolCalled)) == 1 and len(of(result.events, CodeRefused)) == 1
    first, _ = of(result.events, ModelReplied)[:2]
    assert first.broken == "was stopped there"
    told = model.prompts[1].messages[-1].text
    assert "- line 3: look(): got an unexpected keyword argument 'size'" in told and "Cell 1 ran" in told


async def test_who_is_sure_writes_the_same_statement_again() -> None:
    wrong = "look(size=1)\n"
    model = Typist(["```python\nx = 1\n" + wrong, asyncio.Event()], ["```python\n" + wrong, asyncio.Event()], ANSWER)
    result = await CodeAgent(model=model, tools=Desk().tools(), eager=True).arun("Go.")
    assert len(of(result.events, CodeRefused)) == 1
    second = of(result.events, CodeRan)[1].outcome
    assert second.error is not None and second.error.type == "TypeError"


async def test_a_wrong_first_statement_is_refused_as_a_cell_is() -> None:
    model = Typist(["Ho.\n```python\nlook(size=1)\nx = 2\n", asyncio.Event()], code("x = 1"), ANSWER)
    result = await CodeAgent(model=model, tools=Desk().tools(), eager=True).arun("Go.")
    assert result.output == 1 and model.stopped == 1
    second = model.prompts[1].messages
    assert second[-2].text == "Ho.\n```python\nlook(size=1)\n```" and "One mistake was found" in second[-1].text


async def test_names_that_come_later_are_no_mistake() -> None:
    source = "def f():\n    return helper()\n\ndef helper():\n    return 4\n\nx = f()"
    result = await CodeAgent(model=Typist(code(source), ANSWER), eager=True).arun("Go.")
    assert result.output == 4 and not of(result.events, CodeRefused)


async def test_blocks_are_one_cell_and_a_made_up_observation_ends_it() -> None:
    reply = f"First.\n{code('x = 1')}Then.\n{code('x += 1')}Observation: 99\n{code('x = 99')}"
    model = Typist(reply, ANSWER)
    result = await CodeAgent(model=model, eager=True).arun("Go.")
    assert result.output == 2 and [event.cell for event in of(result.events, CodeRan)] == [1, 2]
    assert "2 blocks were run as one cell." in model.told and "was dropped" in model.told


async def test_calls_are_approved_while_the_model_writes() -> None:
    desk = Desk()

    async def gate(call: Any) -> Allow | Deny:
        return Deny("too large") if call.arguments["value"] > 5 else Allow()

    model = Typist(["```python\nx = look(1)\n", desk.called, "look(9)\n", asyncio.Event()], ANSWER)
    result = await CodeAgent(model=model, tools=desk.tools(), gate=gate, eager=True).arun("Go.")
    assert result.output == 2 and "PermissionError: look() was not allowed: too large" in model.told


@pytest.mark.parametrize("approve", [["cell"], lambda call: call.tool == "cell"], ids=["by name", "by a function"])
async def test_where_somebody_looks_at_cells_code_waits_and_a_note_says_so(approve: Any) -> None:
    async def gate(call: Any) -> Allow | Deny:
        assert call.arguments["source"].count("\n") == 2 or call.cell == 2
        return Allow()

    news: list[Any] = []
    model = Typist(["```python\nx = 1\n", "x += 1\n```"], ANSWER)
    result = await CodeAgent(model=model, approve=approve, gate=gate, eager=True, listeners=[news.append]).arun("Go.")
    assert result.output == 2 and not of(news, CodeContinued)
    assert not of(news, RunStarted)[0].eager and "somebody looks at cells first" in of(news, Noted)[0].text
    assert "looks at cells" not in str(model.prompts[0].messages)


def test_an_agent_that_calls_tools_has_nothing_to_run_ahead() -> None:
    with pytest.raises(UsageError, match="agents that act in code"):
        ToolCallingAgent(model=ScriptedModel(), eager=True)


async def test_waiting_for_the_model_is_no_time_of_the_cell() -> None:
    class Slow(Typist):
        async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
            if not self.prompts:
                emit(TextDelta("```python\nx = 1\n"))
                await asyncio.sleep(1.2)
            return await super().ask(prompt, emit)

    model = Slow(["```python\nx = 1\n", "x += 1\n```"], ANSWER)
    result = await CodeAgent(model=model, eager=True, seconds=0.8).arun("Go.")
    outcome = of(result.events, CodeRan)[0].outcome
    assert outcome.ended == "done" and outcome.seconds < 1.2


async def test_a_task_is_cancelled_while_code_waits_for_the_model_and_the_session_goes_on() -> None:
    printed = asyncio.Event()

    def listen(news: Any) -> None:
        if isinstance(news, OutputDelta):
            printed.set()

    model = Typist(["```python\nx = 6\nprint('here')\n", asyncio.Event()], ANSWER)
    async with CodeAgent(model=model, eager=True, listeners=[listen]).session() as session:
        task = asyncio.ensure_future(session.run("Go."))
        await printed.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert model.stopped == 1 and session.result.stop_reason == "cancelled"
        assert (await session.run("And now?")).output == 6
    assert model.said == "```python\nx = 6\nprint('here')\n```"


async def test_a_guest_that_dies_in_the_middle_ends_the_reply() -> None:
    model = Typist(["```python\nx = 1\nimport os\nos._exit(3)\n", asyncio.Event()], code("x = 2"), ANSWER)
    result = await CodeAgent(model=model, eager=True, snapshots=False).arun("Go.")
    assert (result.output, model.stopped) == (2, 1)
    assert "ended the interpreter" in model.prompts[1].messages[-1].text


async def test_thinking_that_only_its_end_marks_ends_the_reply_where_code_of_it_ran() -> None:
    model = Typist(f"Let me think.\n{code('x = 1')}</think>\nSo:\n{code('x = 2')}", code("x = 3"), ANSWER)
    result = await CodeAgent(model=model, eager=True).arun("Go.")
    ran = [event.source for event in of(result.events, CodeStarted, CodeContinued)]
    assert "x = 2\n" not in ran
    assert "ended in other words" in model.prompts[1].messages[-1].text


async def test_code_in_marked_thinking_never_runs() -> None:
    model = Typist(f"<think>\n{code('x = 1')}</think>\n{code('x = 2')}", ANSWER)
    assert (await CodeAgent(model=model, eager=True).arun("Go.")).output == 2


async def test_what_a_fork_of_a_session_runs_is_eager_too() -> None:
    model = Typist(code("x = 1"), code("final_answer(x)"), code("x += 1\nfinal_answer(x)"))
    async with CodeAgent(model=model, eager=True).session() as session:
        await session.run("Go.")
        try:
            (other,) = await session.fork()
        except SnapshotRefused as refused:
            pytest.skip(str(refused))
        assert (await other.run("More.")).output == 2


async def test_every_pair_is_closed_and_every_failure_is_told() -> None:
    model = Typist(["```python\nx = 1\nx", ModelUnavailable("gone")], [ModelUnavailable("still gone")])
    news: list[Any] = []
    with pytest.raises(ModelUnavailable, match="still gone"):
        await CodeAgent(model=model, eager=True, listeners=[news.append]).arun("Go.")
    kinds = [type(event) for event in of(news, CodeStarted, CodeRan, ModelReplied, ModelFailed, TaskEnded)]
    assert kinds == [CodeStarted, ModelReplied, CodeRan, ModelFailed, TaskEnded]


async def test_a_server_sees_its_request_cancelled_and_is_not_asked_again_for_what_ran() -> None:
    """The whole way: a server on loopback, its stream, the retries that every such model has."""
    left = asyncio.Event()
    pieces = [
        ["Go.\n```python\n", "x = 41\n", "1 / 0\n", "y = 2\n"],  # then it waits, and is left
        ["```python\n", "x += 1\n"],  # then the line breaks
        ["```python\nfinal_answer(x)\n```", None],
    ]

    def event(text: str | None) -> bytes:
        choice = {"index": 0, "delta": {"content": text or ""}, "finish_reason": None if text else "stop"}
        return b"data: " + json.dumps({"model": "m", "choices": [choice]}).encode() + b"\n\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        mine = pieces.pop(0)
        writer.writelines(map(event, mine))
        await writer.drain()
        if len(pieces) == 2:
            with contextlib.suppress(ConnectionError):
                while await reader.read(1000):
                    pass
            left.set()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        result = await CodeAgent(model=f"http://127.0.0.1:{port}/v1#m", eager=True).arun("Go.")
        await asyncio.wait_for(left.wait(), 30)
    assert (result.output, result.steps, pieces) == (42, 3, [])
    broken = [event.broken for event in of(result.events, ModelReplied)]
    assert broken[0] == "was stopped there" and "cut off its reply before the end" in str(broken[1])
    assert broken[2] is None

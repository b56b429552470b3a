"""An agent at work: the model is scripted, all else is real."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from codeact import ALL, CodeAgent, Interpreter, ModelError, NoAnswer, UsageError, only, tool
from codeact.core.errors import InterpreterDied, ModelUnavailable, ValueRefused
from codeact.core.events import CodeRan, Event, InterpreterLost, TaskEnded, TextDelta
from codeact.core.messages import Image, Reply, Usage
from codeact.session.session import Session
from codeact.testing import ScriptedModel


def code(source: str) -> str:
    return f"Let me see.\n```python\n{source}\n```"


@tool
def weather(city: str, unit: str = "C") -> dict[str, Any]:
    """Current weather in a city."""
    if city == "Atlantis":
        raise LookupError("no such city: Atlantis")
    return {"city": city, "degrees": 7 if city == "Oslo" else 9, "unit": unit}


def agent(*replies: Any, **arguments: Any) -> CodeAgent:
    return CodeAgent(model=ScriptedModel(*replies), tools=[weather], **arguments)


def observations(events: tuple[Event, ...]) -> list[str]:
    """What the model was shown, turn by turn."""
    from functools import reduce

    from codeact.core.state import State, after

    state = reduce(after, events, State())
    return [message.text for message in state.messages if message.role == "user"]


COMPARE = code("colder = min(['Oslo', 'Bergen'], key=lambda c: weather(c)['degrees'])\ncolder")


def test_a_task_from_question_to_answer() -> None:
    result = agent(COMPARE, code("final_answer(colder)")).run("Is it colder in Oslo or in Bergen?")
    assert (result.output, str(result), result.stop_reason, result.steps) == ("Oslo", "Oslo", "final_answer", 2)
    kinds = [type(event).__name__ for event in result.events]
    assert kinds == [
        "TaskGiven",
        *["ModelAsked", "ModelReplied", "CodeStarted", *["ToolCalled", "ToolReturned"] * 2, "CodeRan"],
        *["ModelAsked", "ModelReplied", "CodeStarted", "CodeRan", "TaskEnded"],
    ]


def test_a_plot_goes_to_the_model_as_a_picture_once() -> None:
    plot = code("import matplotlib.pyplot as plt\nplt.plot([3, 1, 2])\nplt.show()")
    model = ScriptedModel(plot, code("1"), code("plt.figure(figsize=(1, 1))\nfinal_answer('falling')"))
    result = CodeAgent(model=model, imports=["matplotlib"]).run("How does it go?")
    assert result.output == "falling"
    asked = [[part for message in prompt.messages for part in message.parts] for prompt in model.prompts]
    seen = [[part for part in parts if isinstance(part, Image)] for parts in asked]
    assert [len(images) for images in seen] == [0, 1, 0]
    assert [(image.size, image.data[:4]) for image in seen[1]] == [((640, 480), b"\x89PNG")]
    told = model.prompts[1].messages[-1].text
    assert told.endswith("\n[image 1: 640x480]") and "printed nothing" not in told
    drawn = [[image.size for image in event.outcome.images] for event in result.events if isinstance(event, CodeRan)]
    assert drawn == [[(640, 480)], [], [(100, 100)]]


def test_the_bare_answer_and_the_absence_of_one() -> None:
    assert agent(code("final_answer(None)"))("Say nothing.") is None
    with pytest.raises(NoAnswer, match="max_steps"):
        agent(code("1"), max_steps=1)("Count.")


async def test_one_agent_runs_a_hundred_tasks_at_once() -> None:
    class Echo:
        name = "echo"

        async def ask(self, prompt: Any, emit: Any) -> Reply:
            number = prompt.messages[1].text.rpartition(" ")[2]
            step = sum(message.role == "assistant" for message in prompt.messages)
            source = f"mine = weather('{number}')['city']" if step == 0 else "final_answer(mine)"
            return Reply(code(source), usage=Usage(1, 1, 0))

    one = CodeAgent(model=Echo(), tools=[weather])
    results = await asyncio.gather(*(one.arun(f"Task {number}") for number in range(100)))
    assert [result.output for result in results] == [str(number) for number in range(100)]
    assert len({result.run_id for result in results}) == 100


async def test_a_blocking_run_works_inside_a_running_loop() -> None:
    assert agent(code("final_answer(1)")).run("One.").output == 1


def test_a_session_keeps_its_variables_from_task_to_task() -> None:
    script = agent(code("x = 20\nfinal_answer(x)"), code("final_answer(x + 1)"))
    with script.session() as session:
        assert session.run("Set.").output == 20
        assert session.run("Add.").output == 21
        assert session.fetch("x") == 20


async def test_a_session_async_and_what_passes_meanwhile() -> None:
    async with agent(code("print('hi')\nfinal_answer(3)")).session() as session:
        seen = [item async for item in session.stream("Go.")]
    assert any(isinstance(item, TextDelta) for item in seen)
    assert isinstance(seen[-1], TaskEnded) and seen[-1].output == 3


async def test_leaving_the_stream_does_not_stop_the_task_but_leaving_the_session_does() -> None:
    async with agent(code("import time; time.sleep(0.2)\nx = 1"), code("final_answer(x)")).session() as session:
        async for _ in session.stream("Go."):
            break
        async with asyncio.timeout(60):
            while session.result.stop_reason != "final_answer":
                await asyncio.sleep(0.01)
    async with agent(code("while True: pass")).session() as session:
        async for _ in session.stream("Go."):
            break
    assert session.result.stop_reason == "cancelled"


def test_data_is_given_as_variables_and_shown_only_in_part() -> None:
    script = agent(code("final_answer(sum(row['n'] for row in rows))"))
    rows = [{"n": number} for number in range(10_000)]
    result = script.run("Add them up.", additional_args={"rows": rows})
    assert result.output == sum(range(10_000))
    assert len(observations(result.events)[0]) < 1_000


def test_a_tools_exception_is_the_codes_to_handle() -> None:
    source = "try:\n    weather('Atlantis')\nexcept LookupError as error:\n    final_answer(str(error))"
    assert agent(code(source)).run("Atlantis?").output == "no such city: Atlantis"


def test_a_wrong_argument_is_told_to_the_model_with_the_parameter() -> None:
    result = agent(code("weather('Oslo', unit=3)"), code("final_answer(0)")).run("Go.")
    assert "unit" in observations(result.events)[1]


def test_a_dead_interpreter_is_replaced_and_the_model_is_told() -> None:
    script = agent(
        code("x = 1"), code("import os; os._exit(1)"), code("x"), code("final_answer('ok')"), snapshots=False
    )
    result = script.run("Die.")
    told = observations(result.events)
    assert result.output == "ok"
    assert any(isinstance(event, InterpreterLost) for event in result.events)
    assert "variables" in told[2] and "gone" in told[2]
    assert "there is no name 'x'" in told[3]


def test_a_cell_over_its_time_keeps_what_it_had() -> None:
    script = agent(code("x = 41"), code("while True: pass"), code("final_answer(x + 1)"), seconds=0.3)
    result = script.run("Wait.")
    assert result.output == 42
    ran = [event.outcome for event in result.events if isinstance(event, CodeRan)]
    assert (ran[1].ended, ran[1].kept) == ("timeout", True)


def test_a_model_that_fails_raises_and_the_session_goes_on() -> None:
    model = ScriptedModel(code("x = 1"), ModelUnavailable("the server is down"))
    with CodeAgent(model=model).session() as session:
        with pytest.raises(ModelError, match="server is down"):
            session.run("Go.")
        assert (session.result.stop_reason, session.result.error_type) == ("error", "ModelUnavailable")
        assert session.fetch("x") == 1


async def test_cancelling_a_run_says_so_and_leaves_nothing() -> None:
    seen: list[Event] = []
    script = agent(code("while True: pass"), listeners=[lambda item: seen.append(item)])  # type: ignore[arg-type]
    task = asyncio.ensure_future(script.arun("Loop."))
    async with asyncio.timeout(60):
        while not any(type(item).__name__ == "CodeStarted" for item in seen):
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert isinstance(seen[-1], TaskEnded) and seen[-1].stop_reason == "cancelled"


def test_a_listener_that_raises_does_not_end_the_run(caplog: pytest.LogCaptureFixture) -> None:
    def broken(item: object) -> None:
        raise RuntimeError("my screen is broken")

    assert agent(code("final_answer(1)"), listeners=[broken]).run("Go.").output == 1
    assert "my screen is broken" in caplog.text


def test_a_refusal_is_no_answer() -> None:
    result = agent(Reply("I cannot help with that.", finish="content_filter")).run("Do harm.")
    assert (result.stop_reason, result.error) == ("refused", "I cannot help with that.")


def test_code_in_a_cut_reply_is_not_run() -> None:
    called = threading.Event()

    @tool
    def launch() -> None:
        """Launch."""
        called.set()

    model = ScriptedModel(Reply(code("launch()"), finish="length"), code("final_answer(0)"))
    assert CodeAgent(model=model, tools=[launch]).run("Wait.").output == 0
    assert not called.is_set()


def test_an_agent_does_not_change_but_makes_another() -> None:
    first = agent(code("1"), code("final_answer(2)"))
    short = first.replace(max_steps=1)
    assert first.run("Go.").output == 2
    assert short.run("Go.").stop_reason == "max_steps"
    with pytest.raises(AttributeError, match=r"agent\.replace\(max_steps=\.\.\.\)"):
        first.max_steps = 3  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match=r"agent\.replace\(tools="):
        first.tools["x"] = weather  # type: ignore[index]
    assert first.tools["weather"].spec.name == "weather"


MODEL = ScriptedModel()
MISTAKES = [
    (dict(model=MODEL, max_step=3), TypeError, "did you mean 'max_steps'"),
    (dict(model=MODEL, max_steps=0), UsageError, "max_steps=0: from 1"),
    (dict(model=MODEL, max_steps=-1), UsageError, "from 1"),
    (dict(model=MODEL, max_steps=True), TypeError, "max_steps must be a whole number"),
    (dict(model=MODEL, max_steps="5"), TypeError, "not '5'"),
    (dict(model=MODEL, seconds=0), UsageError, "seconds=0: from 0.01"),
    (dict(model=MODEL, seconds=float("inf")), UsageError, "seconds"),
    (dict(model=MODEL, seconds=float("nan")), UsageError, "seconds"),
    (dict(model=MODEL, memory=-1), UsageError, "size"),
    (dict(model=MODEL, memory="2 flops"), UsageError, "512MiB"),
    (dict(model=MODEL, imports="numpy"), TypeError, r"imports=\['numpy'\]"),
    (dict(model=MODEL, imports=["*"]), UsageError, "imports=ALL"),
    (dict(model=MODEL, imports=["not a module"]), UsageError, "not a module"),
    (dict(model=MODEL, tools=weather), TypeError, r"tools=\[\.\.\.\]"),
    (dict(model=MODEL, tools=[weather, weather]), TypeError, "weather"),
    (dict(model=MODEL, sandbox="docker"), UsageError, "linux"),
    (dict(model=MODEL, share=True), TypeError, "nothing is served"),
    (dict(model=None), UsageError, "openai:gpt-5"),
    (dict(model="opanai:gpt-5"), UsageError, "openai"),
]


@pytest.mark.parametrize(("arguments", "error", "says"), MISTAKES, ids=[mistake[2] for mistake in MISTAKES])
def test_a_mistake_in_the_making_is_told_at_once(arguments: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        CodeAgent(**arguments)


@pytest.mark.parametrize("task", ["", "   ", "\n", None, 7, b"bytes", ["a"], "x" * 1_000_001])
def test_what_is_no_task_is_refused_before_it_costs_anything(task: Any) -> None:
    model = ScriptedModel(code("final_answer(1)"))
    with pytest.raises((TypeError, UsageError)):
        CodeAgent(model=model).run(task)
    assert not model.prompts


@pytest.mark.parametrize("task", ["{x} {{7*7}} %s", "\0", "\ud800", "🎈", "```python\n1\n```"])
def test_a_task_reaches_the_model_word_for_word(task: str) -> None:
    model = ScriptedModel(code("final_answer(1)"))
    CodeAgent(model=model).run(task)
    assert model.prompts[0].messages[-1].text == task


def test_run_refuses_what_it_does_not_know() -> None:
    with pytest.raises(TypeError, match="session"):
        agent().run("Go.", reset=False)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("imports", "source", "fine"),
    [
        ([], "import json, math, collections", True),
        ([], "import numpy", False),
        (["numpy"], "import numpy.linalg", True),
        (ALL, "import subprocess", True),
        (only("math"), "import math", True),
        (only("math"), "import json", False),
    ],
)
def test_imports_follow_the_policy(imports: Any, source: str, fine: bool) -> None:
    result = agent(code(source), code("final_answer(0)"), imports=imports).run("Import.")
    ran = next(event.outcome for event in result.events if isinstance(event, CodeRan))
    assert (ran.error is None) == fine
    if ran.error is not None:
        assert ran.error.type == "ImportPolicyError"


async def test_one_task_at_a_time_in_a_session() -> None:
    async with agent(code("1"), code("final_answer(1)")).session() as session:
        first = asyncio.ensure_future(session.run("One."))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another session"):
            await session.run("Two.")
        assert (await first).output == 1


@pytest.fixture
def closed_session() -> Iterator[Session]:
    with agent(code("final_answer(1)")).session() as session:
        session.run("Go.")
    yield session._session


def test_a_result_outlives_its_session(closed_session: Session) -> None:
    assert closed_session.result.output == 1


def test_data_that_cannot_cross_is_refused_with_its_path_before_the_model_is_asked() -> None:
    model = ScriptedModel(code("final_answer(1)"))
    with pytest.raises(ValueRefused, match=r"\$\.data\.lock"):
        CodeAgent(model=model).run("Go.", additional_args={"data": {"lock": threading.Lock()}})
    assert not model.prompts


def test_an_interpreter_that_died_between_two_tasks_is_replaced_and_the_model_is_told() -> None:
    later = "x = 1\nimport os, threading\nthreading.Timer(0.05, os._exit, [1]).start()\nfinal_answer(1)"
    model = ScriptedModel(code(later), code("y"), code("final_answer(y)"))
    with CodeAgent(model=model, imports=ALL, snapshots=False).session() as session:
        session.run("Die soon.")
        with pytest.raises(InterpreterDied):
            while True:
                session.fetch("x")
                time.sleep(0.01)
        result = session.run("Go on.", additional_args={"y": 2})
        assert result.output == 2
    assert "interpreter was lost" in observations(session._session.events)[2]


def test_what_a_model_made_up_after_its_code_is_not_said_to_it_again() -> None:
    model = ScriptedModel(code("x = 1") + "\nObservation: x is 7, all is well.\n", code("final_answer(x)"))
    assert CodeAgent(model=model).run("Go.").output == 1
    assert "x is 7" not in "".join(message.text for message in model.prompts[1].messages)


def test_a_session_that_was_left_is_closed(closed_session: Session) -> None:
    with pytest.raises(RuntimeError, match="this session is closed"):
        asyncio.run(closed_session.run("Go on."))


def test_a_session_must_be_entered() -> None:
    with pytest.raises(AttributeError, match=r"with agent\.session\(\) as session"):
        agent().session().run("Go.")  # type: ignore[attr-defined]


def test_the_model_is_told_of_the_replies_that_this_task_has() -> None:
    model = ScriptedModel(code("1"), code("2"), code("final_answer(0)"))
    assert CodeAgent(model=model).run("Go.", max_steps=3).output == 0
    assert "One reply is left" in model.prompts[2].messages[-1].text


def test_what_the_user_gave_is_given_again_to_a_fresh_interpreter_and_the_model_knows() -> None:
    script = agent(code("import os; os._exit(1)"), code("final_answer(rows)"), imports=ALL, snapshots=False)
    result = script.run("Go.", additional_args={"rows": [1, 2]})
    assert result.output == [1, 2]
    assert "`rows` is set again." in observations(result.events)[1]


def test_an_interpreter_may_be_entered_twice() -> None:
    python = Interpreter()
    for _ in range(2):
        with python as cells:
            assert cells.run("'x' in globals()").value == "False"
            cells.run("x = 1")


def test_a_cell_is_interrupted_from_another_thread() -> None:
    with Interpreter() as python:
        timer = threading.Timer(0.2, python.interrupt)
        timer.start()
        outcome = python.run("x = 1\nwhile True: pass")
        timer.join()
        assert outcome.error is not None and outcome.error.type == "KeyboardInterrupt"
        assert python.run("x").value == "1"


def test_data_too_large_to_cross_is_refused_and_the_interpreter_lives() -> None:
    with Interpreter(memory="2GiB") as python:
        python.run("x = 1\nbig = bytes(70 << 20)")
        with pytest.raises(ValueRefused, match="fit into one message"):
            python.set(data=bytes(70 << 20))
        with pytest.raises(ValueRefused, match="fit into one message"):
            python.get("big")
        assert python.get("x") == 1
        assert "at most" in (python.run("#" * (16 << 20)).error or pytest.fail("it ran")).message


def test_what_the_user_says_meanwhile_is_read_with_the_next_observation() -> None:
    model = ScriptedModel(code("look()"), code("1"), code("final_answer(1)"), code("final_answer(2)"))

    def look() -> None:
        session.say("Only Norway counts.")

    with CodeAgent(model=model, tools=[look]).session() as session:
        session.run("Which city?")
        told = [message.text for message in model.prompts[1].messages if message.role == "user"]
        assert told[1].startswith("Cell 1 ran") and told[1].endswith("The user says:\nOnly Norway counts.")
        later = [message.text for message in model.prompts[2].messages if message.role == "user"]
        assert "Norway" not in later[2]
        session.say("And now Sweden.")
        session.run("Which city?")
        assert model.prompts[3].messages[-1].text == "Which city?\n\nThe user says:\nAnd now Sweden."

"""Tasks and settings that cannot be right, or are only odd: by their numbers in the catalogue of bad input."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from cli.command import CODEACT, codeact, environment
from codeact import CodeAgent, Interpreter, UsageError
from codeact.core.events import ModelAsked
from codeact.core.execution import Limits
from codeact.testing import ScriptedModel

ANSWER = "So.\n```python\nfinal_answer(1)\n```"


def agent(**given: Any) -> CodeAgent:
    return CodeAgent(model=ScriptedModel(ANSWER), **given)


@pytest.mark.parametrize(
    ("task", "error"),
    [
        pytest.param("", UsageError, id="u-01 empty"),
        pytest.param(" \n\t", UsageError, id="u-01 blank"),
        pytest.param(None, TypeError, id="u-01 None"),
        pytest.param(b"go", TypeError, id="u-01 bytes"),
        pytest.param(["go"], TypeError, id="u-01 list"),
        pytest.param("x" * (50 << 20), UsageError, id="u-01 50 MiB"),
    ],
)
def test_what_cannot_be_a_task_is_refused_before_it_costs_anything(task: Any, error: type[Exception]) -> None:
    model = ScriptedModel(ANSWER)
    with pytest.raises(error, match="task"):
        CodeAgent(model=model).run(task)
    assert model.prompts == []


@pytest.mark.parametrize(
    "task", ["🙂🙂", "a\x00b", "{x} {0} %s $y", "{{7*7}} {% raw %}", "```python\nx\n```", "\ud83d alone"], ids=ascii
)
def test_u_01_any_other_task_reaches_the_model_as_it_is(task: str) -> None:
    model = ScriptedModel(ANSWER)
    assert CodeAgent(model=model).run(task).output == 1
    said = model.prompts[0].messages[1].text
    assert task.replace("\x00", "\\x00").replace("\ud83d", "\\ud83d") in said or task in said
    assert "49" not in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in ("max_steps",) for value in (0, -1, 10**9, True, "5", 2.5)),
        *(("seconds", value) for value in (0, -1, float("inf"), float("nan"), "5", True)),
        *(("memory", value) for value in (-1, 0, "2Q", "", 1, True, [1])),
    ],
    ids=lambda value: f"u-03 {value!r}",
)
def test_a_bound_that_makes_no_sense_is_refused_with_its_range_or_its_unit(name: str, value: Any) -> None:
    with pytest.raises((UsageError, TypeError)) as caught:
        agent(**{name: value})
    said = str(caught.value)
    assert name in said or "size" in said or "memory" in said
    assert any(word in said for word in ("from", "number", "byte", "MiB")), said


def test_u_03_bounds_in_their_usual_forms_are_taken() -> None:
    limits = agent(max_steps=None, seconds=5, memory="2G").policy.limits
    assert (limits.steps, limits.seconds, limits.memory) == (Limits().steps, 5, 2 << 30)


@pytest.mark.parametrize(
    ("made", "near"),
    [
        (lambda: agent(max_step=3), "max_steps"),
        (lambda: agent(tool=[]), "tools"),
        (lambda: Interpreter(import_=["os"]), "imports"),
        (lambda: agent().run("x", aditional_args={}), "additional_args"),
        (lambda: agent().replace(sandboxx="linux"), "sandbox"),
    ],
    ids=lambda value: f"u-04 {value}" if isinstance(value, str) else "",
)
def test_an_unknown_argument_is_told_with_the_nearest(made: Any, near: str) -> None:
    with pytest.raises(TypeError, match=f"has no argument .*did you mean '{near}'"):
        made()


@pytest.mark.parametrize(
    ("model", "words"),
    [
        pytest.param(None, "name one, such as", id="u-05 None"),
        pytest.param("", "model", id="u-05 empty"),
        pytest.param("opnai:gpt-5", "openai", id="u-05 a provider misspelled"),
        pytest.param("gpt-5", "names no provider", id="u-05 no provider"),
        pytest.param("openai:", "names no model", id="u-05 no model"),
    ],
)
def test_a_model_that_is_none_is_refused_with_the_line_to_write(model: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        CodeAgent(model=model)


@pytest.mark.parametrize("key", ["", "sk-secret\n", "'sk-secret'", "sk-se cret", "sk-sécret"], ids=ascii)
def test_u_05_a_key_that_cannot_be_one_is_never_shown(key: str, tmp_path: Path) -> None:
    done = codeact("run", "x", "--model", "openai:gpt-5", home=tmp_path, OPENAI_API_KEY=key, OPENAI_BASE_URL=NOWHERE)
    assert done.code != 0 and "Traceback" not in done.err
    assert "secret" not in done.err + done.out and "cret" not in done.err.replace("secret", "")
    assert "OPENAI_API_KEY" in done.err or "openai:gpt-5" in done.err or "127.0.0.1" in done.err


NOWHERE = "http://127.0.0.1:9/v1"


PLACES = ["no/such/folder", "/", "~nobody-of-this-name", "", "\x00", "/proc", "/etc/passwd"]


@pytest.mark.parametrize("path", PLACES, ids=lambda path: f"u-07 {path!a}")
def test_a_mount_that_cannot_be_is_refused_and_names_the_path(path: str) -> None:
    with pytest.raises(UsageError, match="mounts: "), Interpreter(mounts=[path]) as python:
        python.run("1")


def test_u_08_one_agent_runs_again_at_once_from_threads_and_inside_a_running_loop() -> None:
    one = agent()
    assert [one.run("x").output, one.run("x").output] == [1, 1]
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(one.run("x").output)) for _ in range(3)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]

    async def inside() -> list[Any]:
        there = one.run("x").output  # as in a notebook, whose loop runs already
        return [there, *(result.output for result in await asyncio.gather(one.arun("x"), one.arun("y")))]

    assert found == [1, 1, 1] and asyncio.run(inside()) == [1, 1, 1]


def test_u_08_what_is_closed_says_so() -> None:
    with agent().session() as session:
        assert session.run("x").output == 1
    with pytest.raises(RuntimeError, match="session is closed"):
        session.run("x")
    with Interpreter() as python:
        python.run("1")
    with pytest.raises(RuntimeError, match="was closed"):
        python.run("1")
    with pytest.raises(AttributeError, match=r"run: it is not open yet: `with Interpreter"):
        Interpreter().run("1")  # type: ignore[attr-defined]


async def test_an_interpreter_of_another_event_loop_says_so() -> None:
    def elsewhere() -> None:
        asyncio.run(python.run("1"))  # as in a fork of this process, too

    async with Interpreter() as python:
        with pytest.raises(RuntimeError, match="opened in another event loop, or before this process was forked"):
            await asyncio.to_thread(elsewhere)
        assert (await python.run("6 * 7")).value == "42"


ODD: dict[str, Any] = {
    "LANG=C": {"LANG": "C", "LC_ALL": "C"},
    "TZ odd": {"TZ": "Nowhere/At_All"},
    "HOME unset": {"HOME": None},
    "HOME read-only": {"HOME": "/proc"},
    "TMPDIR missing": {"TMPDIR": "/no/such/place"},
}


def run_in(tmp_path: Path, before: str, **more: str | None) -> subprocess.CompletedProcess[str]:
    whole = {**environment(tmp_path), **more}
    env = {name: value for name, value in whole.items() if value is not None}
    words = [sys.executable, "-c", f"import os, resource, sys\n{before}\nos.execv(sys.argv[1], sys.argv[1:])"]
    command = [*words, CODEACT, "exec", "-c", "print('é', 6 * 7)"]
    return subprocess.run(
        command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120, encoding="utf-8", check=False
    )


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: f"u-09 {odd}")
def test_an_odd_environment_changes_nothing(odd: str, tmp_path: Path) -> None:
    done = run_in(tmp_path, "", **ODD[odd])
    assert (done.returncode, done.stdout) == (0, "é 42\n"), done.stderr


@pytest.mark.parametrize(
    "before",
    [
        "os.umask(0o777)",
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))",
        "os.closerange(0, 3)",
        "resource.setrlimit(resource.RLIMIT_AS, (64 << 20, -1))",
    ],
    ids=["u-09 umask 777", "u-09 64 files", "u-09 no standard streams", "u-09 64 MiB"],
)
def test_an_odd_process_works_or_says_what_it_lacks_in_one_line(before: str, tmp_path: Path) -> None:
    done = run_in(tmp_path, before)
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1, 3)
    if done.returncode == 0 and "closerange" not in before:
        assert done.stdout == "é 42\n"


def test_u_10_a_listener_that_raises_is_left_behind_and_the_run_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    heard = []

    def broken(event: Any) -> None:
        heard.append(event)
        raise RuntimeError("the screen is broken")

    result = agent(listeners=[broken]).run("x")
    assert result.output == 1 and any(isinstance(event, ModelAsked) for event in result.events)
    assert len(heard) > 5 and "the screen is broken" in caplog.text


FORKED = """
import os, signal
from codeact import CodeAgent
from codeact.testing import ScriptedModel
agent = CodeAgent(model=ScriptedModel("```python\\nfinal_answer(1)\\n```"), journal="memory")
print(agent.run("x").output, flush=True)
if (child := os.fork()) == 0:
    signal.alarm(50)
    print(agent.run("x").output, flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(agent.run("x").output)
"""


def test_u_08_an_agent_runs_in_a_fork_of_a_host_that_has_run_it() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "1\n1\n1\n"), done.stderr

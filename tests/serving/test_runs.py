"""Runs over HTTP: begun, watched, steered, gone on with, and taken up again by another server."""

from __future__ import annotations

import asyncio
import base64
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from codeact import CodeAgent, tool
from codeact.core.events import (
    CodeRan,
    CodeStarted,
    Entry,
    Event,
    ModelAsked,
    ModelReplied,
    RunStarted,
    SandboxReady,
    TaskEnded,
    TaskGiven,
    TextDelta,
)
from codeact.core.execution import Outcome
from codeact.core.messages import Prompt, Reply, Usage
from codeact.journals.sqlite import SqliteStore
from codeact.ports import Emit
from codeact.testing import ScriptedModel
from serving.site import Site, entries, site


def code(*cells: str) -> tuple[str, ...]:
    return tuple(f"I think.\n```python\n{cell}\n```" for cell in cells)


@tool
def send(to: str, text: str = "hi") -> str:
    """Send a letter."""
    return f"sent to {to}: {text}"


class Hold:
    """A model that says some words and then waits until somebody lets it go on, or stops it."""

    name = "hold"

    def __init__(self) -> None:
        self.asked = 0

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        """Its reply never comes."""
        self.asked += 1
        emit(TextDelta("I am "))
        emit(TextDelta("thinking"))
        await asyncio.Event().wait()
        raise AssertionError


ASKS = """
try:
    answer = send("Ann")
except PermissionError as error:
    answer = str(error)
final_answer(answer)
"""
FILES = """
import os
text = open("inputs/in.txt").read()
os.makedirs("outputs", exist_ok=True)
open('outputs/é "<b>.html', "w").write(text.upper())
final_answer(len(text))
"""
LARGE = """
open('outputs/big.bin', 'wb').write(b'abc' * 1_000_000)
open('outputs/small.txt', 'w').write('all of it')
final_answer({'text': 'y' * 2_000_000, 'few': [1, 2], 'many': list(range(20_000)), 'raw': b'z' * 600_000})
"""
LOUD = [f"print({n}, 'y' * 100_000)" for n in range(15)]


def agents(journal: Path) -> list[CodeAgent]:
    def agent(name: str, *cells: str, **more: Any) -> CodeAgent:
        return CodeAgent(model=ScriptedModel(*code(*cells), name=name), name=name, journal=journal, **more)

    doubler = agent("doubler", "print('below')\nfinal_answer(TEXT * 2)", description="doubles a text")
    clerk = agent("clerk", ASKS, tools=[send], approve=["send"], description="writes letters")
    return [
        agent("agent", "x = 20; print('hello')", "final_answer(x + 1)", "final_answer(x + 2)"),
        agent("outer", "final_answer(doubler('double it', TEXT='ab'))", managed_agents=[doubler]),
        agent("careful", ASKS, tools=[send], approve=["send"]),
        agent("loud", *LOUD, "final_answer('end')"),
        agent("files", FILES),
        agent("large", LARGE),
        agent("chief", "final_answer(clerk('write to Ann'))", managed_agents=[clerk]),
        CodeAgent(model=Hold(), name="slow", journal=journal),
    ]


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("journal") / "runs.db"


@pytest.fixture(scope="module")
def here(journal: Path) -> Iterator[Site]:
    with site(*agents(journal)) as made:
        yield made


def names(news: list[dict[str, Any]]) -> list[str]:
    return [one["event"] for one in entries(news)]


def test_a_task_is_begun_and_watched_and_goes_on_with_its_variables(here: Site) -> None:
    run = here.begin("Add one.")
    news = here.until(run)
    assert names(news)[:3] == ["RunStarted", "SandboxReady", "TaskGiven"] and names(news)[-1] == "TaskEnded"
    assert (
        [one["seq"] for one in entries(news)] == list(range(len(entries(news)))) == [one["id"] for one in entries(news)]
    )
    assert entries(news)[-1]["output"] == [21]
    again = here.post(f"/api/runs/{run}/continue", {"task": "And two."})
    assert again == {"run": run}
    more = here.until(run, entries(news)[-1]["id"])
    assert names(more)[0] == "TaskGiven" and entries(more)[-1]["output"] == [22]
    told = here.get(f"/api/runs/{run}")
    assert (told["state"], told["stop_reason"], told["task"], told["agent"]) == (
        "ended",
        "final_answer",
        "Add one.",
        "agent",
    )
    assert told["level"] and told["steps"] == 3 and told["waiting"] == [] and told["files"] == []
    assert run in [one["run"] for one in here.get("/api/runs?limit=5")]


def test_the_agents_are_told_of_with_their_tools_and_limits(here: Site) -> None:
    told = {one["name"]: one for one in here.get("/api/agents")}
    assert set(told) == {"agent", "outer", "careful", "slow", "files", "large", "loud", "chief"}
    assert told["careful"]["tools"] == [
        {"name": "send", "signature": "(to: str, text: str = 'hi') -> str", "doc": "Send a letter."}
    ]
    assert told["agent"]["limits"]["steps"] == 20 and told["agent"]["level"] in ("full", "plain")


def test_a_run_below_is_told_of_with_the_call_that_it_answers(here: Site) -> None:
    run = here.begin(agent="outer")
    news = here.until(run)
    below = [one for one in entries(news) if one["run"] != run]
    called = next(one for one in entries(news) if one["event"] == "ToolCalled")
    assert {(one["parent"], one["agent"], one["key"]) for one in below} == {(run, "doubler", called["key"])}
    assert [one["seq"] for one in below] == list(range(len(below)))
    assert {one["id"] for one in below} == {called["seq"]}
    # who comes back gets what he may have missed of it again, and nothing twice of the run itself
    later = entries(here.until(run, called["seq"]))
    assert next(one["seq"] for one in later if one["run"] == run) == called["seq"] + 1
    assert [one["seq"] for one in later if one["run"] != run] == [one["seq"] for one in below]


def test_who_joins_late_sees_what_streams_and_a_stopped_run_stands_where_it_was(here: Site) -> None:
    run = here.begin(agent="slow")
    with here.stream(run) as news:
        first = next(one for one in news if one["kind"] == "delta")
    with here.stream(run) as news:
        joined = next(one for one in news if one["kind"] == "delta")
        assert (joined["delta"], joined["run"]) == ("TextDelta", run)
        assert joined["text"] == "I am thinking" and "I am thinking".startswith(first["text"])
    here.post(f"/api/runs/{run}/say", {"text": "Hurry!"})
    here.post(f"/api/runs/{run}/continue", {"task": "More?"}, 409)
    assert here.get(f"/api/runs/{run}")["state"] == "running"
    here.post(f"/api/runs/{run}/stop", {})
    told = here.get(f"/api/runs/{run}")
    assert (told["state"], told["stop_reason"]) == ("cut off", "cancelled")
    assert "UserSaid" in names(here.until(run, state="cut off"))
    here.post(f"/api/runs/{run}/stop", {})  # again is nothing


def test_a_call_waits_until_somebody_allows_edits_or_denies_it(here: Site) -> None:
    for decision, output in (
        ({"decision": "allow"}, "sent to Ann: hi"),
        ({"decision": "edit", "arguments": {"to": "Bob", "text": "ho"}}, "sent to Bob: ho"),
    ):
        run = here.begin(agent="careful")
        here.until(run, state="waiting")
        (asked,) = here.get(f"/api/runs/{run}")["waiting"]
        assert (asked["tool"], asked["arguments"]) == ("send", [{"to": "Ann"}])
        here.post(f"/api/runs/{run}/approve", {"key": "0" * 32, "decision": "allow"}, 404)
        here.post(f"/api/runs/{run}/approve", {"key": asked["key"], **decision})
        assert entries(here.until(run))[-1]["output"] == [output]
        here.post(f"/api/runs/{run}/approve", {"key": asked["key"], **decision}, 404)
    run = here.begin(agent="careful")
    here.until(run, state="waiting")
    (asked,) = here.get(f"/api/runs/{run}")["waiting"]
    here.post(f"/api/runs/{run}/approve", {"key": asked["key"], "decision": "deny", "reason": "not today"})
    assert "not today" in entries(here.until(run))[-1]["output"][0]


def test_what_an_agent_below_asks_is_answered_at_the_run_above_also_later(here: Site, tmp_path: Path) -> None:
    run = here.begin(agent="chief")
    news = entries(here.until(run, state="waiting"))
    below = next(one["run"] for one in news if one["run"] != run)
    (asked,) = here.get(f"/api/runs/{run}")["waiting"]
    here.post(f"/api/runs/{below}/approve", {"key": asked["key"], "decision": "allow"})
    assert entries(here.until(run))[-1]["output"] == ["sent to Ann: hi"]
    here.post(f"/api/runs/{below}/continue", {"task": "More?"}, 400)
    with site(*agents(tmp_path / "runs.db")) as first:
        run = first.begin(agent="chief")
        first.until(run, state="waiting")
    with site(*agents(tmp_path / "runs.db")) as second:
        (asked,) = second.get(f"/api/runs/{run}")["waiting"]
        second.post(f"/api/runs/{run}/approve", {"key": asked["key"], "decision": "allow"})
        assert entries(second.until(run))[-1]["output"] == ["sent to Ann: hi"]


def test_the_end_of_one_agent_below_answers_no_question_of_another(tmp_path: Path) -> None:
    asked_for = threading.Event()

    @tool
    def read_paper() -> str:
        """Read the paper, until somebody is asked something."""
        asked_for.wait(20)
        return "read"

    def made() -> CodeAgent:
        clerk = CodeAgent(
            model=ScriptedModel(*code(ASKS)), tools=[send], approve=["send"], name="clerk", description="writes"
        )
        idler = CodeAgent(
            model=ScriptedModel(*code("final_answer(read_paper())")), tools=[read_paper], name="idler", description="-"
        )
        both = "import asyncio\nfinal_answer(await asyncio.gather(clerk.aio('Write'), idler.aio('Wait')))"
        model = ScriptedModel(*code(both))
        return CodeAgent(model=model, name="boss", managed_agents=[clerk, idler], journal=tmp_path / "runs.db")

    with site(made()) as first:
        run = first.begin(agent="boss")
        first.until(run, state="waiting")
        asked_for.set()
        with first.stream(run) as news:
            next(one for one in news if one["kind"] == "entry" and one["event"] == "TaskEnded")
        (asked,) = first.get(f"/api/runs/{run}")["waiting"]
    with site(made()) as second:
        assert [one["key"] for one in second.get(f"/api/runs/{run}")["waiting"]] == [asked["key"]]
        second.post(f"/api/runs/{run}/approve", {"key": asked["key"], "decision": "allow"})
        assert entries(second.until(run))[-1]["output"] == [["sent to Ann: hi", "read"]]


def test_files_go_in_and_come_out_to_be_saved_and_never_shown(here: Site) -> None:
    given = [{"name": "in.txt", "base64": base64.b64encode(b"<script>").decode()}]
    run = here.begin(agent="files", files=given)
    assert entries(here.until(run))[-1]["output"] == [8]
    (made,) = here.get(f"/api/runs/{run}")["files"]
    answer = here.visitor.get(f"/api/runs/{run}/files/{made['name']}")
    assert answer.content == b"<SCRIPT>"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''%C3%A9%20%22%3Cb%3E.html"
    assert here.visitor.get(f"/api/runs/{run}/files/other").status_code == 404


def test_what_is_large_is_only_named_in_the_stream_and_can_be_had_by_itself(here: Site) -> None:
    run = here.begin(agent="large")
    news = entries(here.until(run))
    collected = next(one for one in news if one["event"] == "FilesCollected")
    big, small = collected["files"]
    assert (big["name"], big["bytes"]) == ("big.bin", 3_000_000) and "data" not in big
    assert base64.b64decode(small["data"]) == b"all of it" and "bytes" not in small
    path = f"/api/runs/{run}/entries/{collected['seq']}"
    answer = here.visitor.get(f"{path}/0")
    assert answer.content == b"abc" * 1_000_000
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''big.bin"
    for wrong in (f"{path}/2", f"{path}/-1", f"{path}/x", f"/api/runs/{run}/entries/99", f"{path}/0/../../../x"):
        assert here.visitor.get(wrong).status_code == 404, wrong
    ended = news[-1]
    (output,) = ended["output"]
    assert ended["shortened"] > 2_800_000
    assert len(output["text"]) < 2_000_000 and output["few"] == [1, 2] and output["many"] == list(range(10_000))
    assert output["raw"]["bytes"] == 600_000
    assert here.get(f"/api/runs/{run}/entries/{ended['seq']}")["output"][0]["text"] == "y" * 2_000_000


def test_a_new_run_goes_on_from_a_step_of_another(here: Site) -> None:
    run = here.begin()
    here.until(run)
    new = here.post(f"/api/runs/{run}/fork", {"at": 1, "say": "Otherwise."})["run"]
    news = here.until(new)
    assert new != run and "Forked" in names(news) and entries(news)[-1]["output"] == [21]
    here.post(f"/api/runs/{run}/fork", {"at": 99}, 400)


def test_what_was_waiting_when_the_server_ended_is_answered_at_the_next_one(tmp_path: Path) -> None:
    journal = tmp_path / "runs.db"
    with site(*agents(journal)) as first:
        run, slow, held = first.begin(agent="careful"), first.begin(agent="slow"), first.begin(agent="careful")
        first.until(run, state="waiting")
        first.until(held, state="waiting")
    with site(*agents(journal)) as second:
        told = second.get(f"/api/runs/{run}")
        assert (told["state"], told["agent"]) == ("cut off", "careful")
        second.post(f"/api/runs/{run}/approve", {"key": told["waiting"][0]["key"], "decision": "allow"})
        news = second.until(run)
        assert entries(news)[-1]["output"] == ["sent to Ann: hi"] and names(news).count("ToolCalled") == 1
        assert second.until(slow, state="cut off")[-1]["kind"] == "end"
        second.post(f"/api/runs/{held}/resume", {})
        listed, told = (
            next(row for row in second.get("/api/runs") if row["run"] == held),
            second.get(f"/api/runs/{held}"),
        )
        assert len(told["waiting"]) == 1, "it is asked from the beginning on, in the list as on its page"
        assert [(one["state"], one["stop_reason"]) for one in (listed, told)] == [("waiting", None)] * 2
        second.post(f"/api/runs/{slow}/resume", {})
        second.until(slow, state="running")
        gone = second.begin("Add one.")
        second.until(gone)
    with site(agents(journal)[0]) as third:
        third.post(f"/api/runs/{gone}/continue", {"task": "And two."})
        assert entries(third.until(gone))[-1]["output"] == [22]
        third.post(f"/api/runs/{run}/continue", {"task": "Whose is it?"}, 409)


def test_a_run_goes_on_with_its_own_agent_where_another_differs_only_in_whom_it_asks(tmp_path: Path) -> None:
    replies = ScriptedModel(
        "```python\nfinal_answer(1)\n```", "```python\nfinal_answer(send(to='Ann', text='hi'))\n```"
    )
    bold = CodeAgent(model=replies, tools=[send], journal=tmp_path / "runs.db", name="bold")
    careful = bold.replace(approve=["send"], name="careful")
    with site(bold, careful) as first:
        run = first.begin(agent="careful")
        first.until(run)
    with site(bold, careful) as second:
        second.post(f"/api/runs/{run}/continue", {"task": "Send it."})
        second.until(run, state="waiting")
        assert second.get(f"/api/runs/{run}")["agent"] == "careful"


def test_a_task_chooses_among_what_is_offered_and_nothing_else(tmp_path: Path) -> None:
    replies = tmp_path / "replies.jsonl"
    replies.write_text('{"text": "```python\\nfinal_answer(\'the other\')\\n```"}\n')
    agent = CodeAgent(model=ScriptedModel(), tools=[send], journal="memory")
    with site(agent, models=[f"replay:{replies}"]) as here:
        run = here.begin(model=f"replay:{replies}", tools=[], limits={"seconds": 5, "memory": "256MiB"}, max_steps=2)
        started, *_, ended = entries(here.until(run))
        assert ended["output"] == ["the other"] and "tools" not in started
        assert (started["limits"]["seconds"], started["limits"]["memory"]) == (5, 256 << 20)
        for wrong in (
            {"model": "replay:/etc/passwd"},
            {"tools": ["sendd"]},
            {"limits": {"threads": 5}},
            {"limits": {"seconds": -1}},
            {"limits": {"seconds": "inf"}},
            {"limits": {"memory": [1]}},
            {"max_steps": 0},
            {"task": " "},
            {"agent": "agnet"},
            {"max_step": 3},
            {"files": [{"name": "../x", "base64": ""}]},
            {"files": [{"name": "x", "base64": "%"}]},
            {"files": [{"name": "x", "base64": ""}] * 2},
        ):
            said = here.post("/api/runs", {"agent": "agent", "task": "Do it.", **wrong}, 400)
            assert said["error"]["message"], wrong
        assert [one["run"] for one in here.get("/api/runs")] == [run]


def test_a_reader_that_never_reads_holds_nobody_up(here: Site) -> None:
    run = here.begin(agent="loud")
    asked = (
        f"GET /api/runs/{run}/events HTTP/1.1\r\nHost: 127.0.0.1:{here.port}\r\nAuthorization: Bearer {here.token}\r\n"
    )
    with socket.create_connection(("127.0.0.1", here.port)) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(f"{asked}\r\n".encode())
        assert entries(here.until(run))[-1]["output"] == ["end"]


async def test_a_run_of_a_thousand_steps_is_told_quickly(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "runs.db")
    run = "a" * 32
    happened: list[Event] = [RunStarted("m", "linux"), SandboxReady("full", "3.11.7"), TaskGiven("A long one.")]
    for step in range(1, 1001):
        reply = Reply("I think about it. " * 20 + f"\n```python\nprint({step})\n```", usage=Usage(1000, 100))
        happened += [ModelAsked(step), ModelReplied(reply), CodeStarted(step, f"print({step})", b"x" * 16)]
        happened += [CodeRan(step, Outcome("done", stdout="y" * 500))]
    journal = store.create(run)
    await journal.fill([Entry(seq, 1e9 + seq, run, event) for seq, event in enumerate(happened)], TaskEnded("error"))
    journal.close()

    def look() -> float:
        with site(CodeAgent(model=ScriptedModel(), journal=store)) as here:
            began = time.monotonic()
            news = here.until(run, state="cut off")
            took = time.monotonic() - began
            assert [one["seq"] for one in entries(news)] == list(range(len(happened) + 1))
            assert [one["seq"] for one in entries(here.until(run, 4000, state="cut off"))] == [4001, 4002, 4003]
            told = here.get(f"/api/runs/{run}")
            assert (told["steps"], told["usage"]["input_tokens"]) == (1000, 1_000_000)
        return took

    assert await anyio.to_thread.run_sync(look) < 10  # it takes less than one; the machine may have others to serve

"""`codeact resume`: a run that was killed goes on by the installed command, and no tool is called twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .command import CODEACT, codeact, environment

TOOLS = """
import os, time
from codeact import tool

@tool
def book(seat: int) -> str:
    \"\"\"Book a seat.\"\"\"
    with open("ledger", "a") as ledger:
        ledger.write(f"{seat}\\n")
    if seat == 2 and not os.path.exists("go"):
        time.sleep(60)
    return f"seat {seat}"
"""
FIRST = "lucky = __import__('random').random()\ngot = [book(n) for n in range(4)]"
REPLIES = [f"One.\n```python\n{FIRST}\n```", "Two.\n```python\nfinal_answer([got, lucky > 0])\n```"]


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A folder with the journal of a run that was killed while its third call was under way."""
    (tmp_path / "tools.py").write_text(TOOLS)
    (tmp_path / "replies.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in REPLIES))
    words = ["run", "Book seats.", "--model", "replay:replies.jsonl", "--tools", "tools.py", "--journal", "runs.db"]
    run = subprocess.Popen(
        [CODEACT, *words],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    ledger = tmp_path / "ledger"
    while not ledger.exists() or len(ledger.read_text().split()) < 3:
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    (tmp_path / "go").touch()
    return tmp_path


def test_a_run_that_was_killed_in_a_call_waits_for_a_person_and_then_goes_on(killed: Path) -> None:
    kept = ("--journal", "runs.db")
    listed = codeact("runs", *kept, home=killed)
    assert "not ended" in listed.out and "Book seats." in listed.out
    run = codeact("runs", *kept, "--json", home=killed).lines[0]["run"]

    paused = codeact("resume", run[:8], *kept, "--json", home=killed)
    assert (paused.code, paused.lines[0]["stop_reason"]) == (1, "paused")
    shown = next(row for row in paused.err.splitlines() if "book(seat=2)" in row and len(row.split()[0]) == 12)
    assert "--retry" in paused.err and (killed / "ledger").read_text().split() == ["0", "1", "2"]

    done = codeact("resume", run[:8], *kept, "--json", "--done", f'{shown.split()[0]}="found"', home=killed)
    assert (done.code, done.lines[0]["output"]) == (0, [["seat 0", "seat 1", "found", "seat 3"], True]), done.err
    again = codeact("resume", run, *kept, "--json", home=killed)
    assert (again.code, again.lines[0]["output"]) == (0, done.lines[0]["output"])
    assert (killed / "ledger").read_text().split() == ["0", "1", "2", "3"]


def test_a_call_that_may_be_made_again_is(killed: Path) -> None:
    run = codeact("runs", "--journal", "runs.db", "--json", home=killed).lines[0]["run"]
    paused = codeact("resume", run, "--journal", "runs.db", "--json", home=killed)
    key = paused.lines[0]["error"]["message"].split("key ")[1][:8]
    done = codeact("resume", run, "--journal", "runs.db", "--json", "--retry", key, home=killed)
    assert (done.code, done.lines[0]["output"][0][2]) == (0, "seat 2")
    assert (killed / "ledger").read_text().split() == ["0", "1", "2", "2", "3"]


def test_what_cannot_be_resumed_is_said(killed: Path) -> None:
    for words, said in (
        (["resume"], "which run"),
        (["resume", "zzzz", "--journal", "runs.db"], "no run begins with 'zzzz'"),
        (["resume", "x", "--journal", "none.db"], "there is no journal at"),
        (["resume", "", "--journal", "runs.db", "--done", "k=oops"], "the value is JSON"),
    ):
        refused = codeact(*words, home=killed)
        assert (refused.code, said in refused.err) == (2, True), refused
        assert "Traceback" not in refused.err


def test_a_run_is_kept_in_the_users_state_folder(tmp_path: Path) -> None:
    (tmp_path / "replies.jsonl").write_text(json.dumps({"text": "```python\nfinal_answer(1)\n```"}))
    assert codeact("run", "One.", "--model", "replay:replies.jsonl", home=tmp_path).code == 0
    assert (tmp_path / ".local/state/codeact/journal.db").is_file()
    assert [run["task"] for run in codeact("runs", "--json", home=tmp_path).lines] == ["One."]


APP = """
from codeact import CodeAgent, tool

@tool
def send(to: str) -> str:
    \"\"\"Send a letter.\"\"\"
    return f"sent to {to}"

@tool
def burn(what: str) -> str:
    \"\"\"Burn it.\"\"\"
    return what

agent = CodeAgent(
    model="replay:none.jsonl", tools=[send, burn], approve=["send", "burn"], journal="runs.db", instructions="Be kind."
)
"""
BEGIN = """
import asyncio, sys
from codeact.core.approvals import Later
from codeact.session.agent import with_parts
from codeact.session.session import Session
from codeact import assemble
from app import agent

async def later(call):
    return Later()

async def begin():
    chosen = agent.replace(model="replay:replies.jsonl", tools=agent.tools[:1], approve=["send"], seconds=7, gate=later)
    words = ("app.py:agent", "--model", "replay:replies.jsonl", "Write.") if sys.argv[1] == "page" else None
    made = with_parts(chosen, instructions="Be brief.", origin=(sys.path[0], *words) if words else ())
    async with Session(made, run_id=sys.argv[1]) as session:
        await session.run("Write.")

asyncio.run(begin())
"""


def test_a_run_that_chose_a_model_and_fewer_tools_goes_on_with_those(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "begin.py").write_text(BEGIN)
    (tmp_path / "none.jsonl").write_text("")
    reply = {"text": "```python\nfinal_answer(send('Ann'))\n```"}
    (tmp_path / "replies.jsonl").write_text(json.dumps(reply) + "\n")
    for name, words in (("page", ["page"]), ("api", ["api", "app.py:agent"])):
        subprocess.run([sys.executable, "begin.py", name], cwd=tmp_path, env=environment(tmp_path), check=True)
        if name == "api":
            told = codeact("resume", name, "--journal", "runs.db", home=tmp_path, CODEACT_CALLED="./run")
            assert told.code == 2 and "`./run resume api app.py:agent`" in told.err
        done = codeact("approve", *words, "--journal", "runs.db", "--json", home=tmp_path)
        assert done.code == 0, done.err
        assert json.loads(done.out)["output"] == "sent to Ann"

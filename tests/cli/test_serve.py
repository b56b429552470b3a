"""`codeact serve` as it is typed: what it says, what it refuses, and how it ends."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
import warnings
from pathlib import Path

import pytest

import codeact as package
from cli.command import codeact, environment
from cli.served import asking, served
from codeact.faces.cli import main
from codeact.testing import ScriptedModel

APP = """
from codeact import CodeAgent
from codeact.testing import ScriptedModel

calm = CodeAgent(model=ScriptedModel("```python\\nfinal_answer('calm')\\n```"))
busy = CodeAgent(model=ScriptedModel("```python\\nimport time\\ntime.sleep(25)\\n```"), name="busy_one")
"""


def test_agents_are_served_until_ctrl_c_and_what_was_cut_off_is_said(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    with served("app.py:calm", "app.py:busy", "--journal", "runs.db", home=tmp_path) as (process, said):
        link = re.search(r"(http://127\.0\.0\.1:\d+)/#token=(\S{43})\n", said)
        assert link and "serving calm (scripted), busy_one (scripted)" in said
        with asking(link[1], link[2]) as client:
            assert [agent["name"] for agent in client.get("/api/agents").json()] == ["calm", "busy_one"]
            calm, busy = (
                client.post("/api/runs", json={"agent": name, "task": "Go."}).json()["run"]
                for name in ("calm", "busy_one")
            )
            assert '"state":"ended"' in client.get(f"/api/runs/{calm}/events?until=ended").text
            with client.stream("GET", f"/api/runs/{busy}/events") as news:
                next(line for line in news.iter_lines() if "CodeStarted" in line)
                began = time.monotonic()
                process.send_signal(signal.SIGINT)  # also while somebody looks
                out, err = process.communicate(timeout=20)
        assert time.monotonic() - began < 20  # of the 25 s that the cell would take
        assert (process.returncode, out) == (130, "")
        assert f"codeact resume {busy}\n" in err and calm not in err and "Traceback" not in err
    listed = {
        run["run"]: run["stop_reason"] for run in codeact("runs", "--journal", "runs.db", "--json", home=tmp_path).lines
    }
    assert listed == {calm: "final_answer", busy: "cancelled"}


def test_flags_make_an_agent_and_its_runs_go_on_by_codeact_resume(tmp_path: Path) -> None:
    replies = [{"text": "```python\nx = 6\n```"}, {"text": "```python\nfinal_answer(x * 7)\n```"}]
    (tmp_path / "replies.jsonl").write_text("".join(json.dumps(reply) + "\n" for reply in replies))
    token = tmp_path / "token"
    with served("--model", "replay:replies.jsonl", "--token-file", "token", "--max-steps", "1", home=tmp_path) as (
        _,
        said,
    ):
        kept = token.read_text().strip()
        assert token.stat().st_mode & 0o777 == 0o600 and kept not in said and "a new token is in" in said
        port = re.search(r"http://127\.0\.0\.1:(\d+)/", said)
        assert port
        with asking(f"http://127.0.0.1:{port[1]}", kept) as client:
            run = client.post("/api/runs", json={"agent": "agent", "task": "Go."}).json()["run"]
            told = client.get(f"/api/runs/{run}/events?until=ended").text
            assert '"stop_reason":"max_steps"' in told
        taken = codeact("serve", "--model", "replay:replies.jsonl", "--port", port[1], home=tmp_path)
        assert taken.code == 2 and f"port {port[1]} is taken" in taken.err and "--port 0" in taken.err
    done = codeact("fork", run, "--at", "1", "--max-steps", "2", "--json", home=tmp_path)  # where all runs are kept
    assert done.code == 0 and done.lines[-1]["output"] == 42


def test_what_cannot_be_served_is_said_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("CODEACT_MODEL", raising=False)
    (tmp_path / "replies.jsonl").write_text("")
    (tmp_path / "open").write_text("Zq3-8fVyP171HpheDTvjJdghMrc")
    (tmp_path / "short").write_text("secret")
    (tmp_path / "short").chmod(0o600)
    (tmp_path / "app.py").touch()
    model = ("--model", "replay:replies.jsonl", "--port", "0")
    for words, why in (
        ((), "no model: name one with --model"),
        ((*model, "--host", "0.0.0.0"), "give it a token of your own (--token-file FILE)"),
        ((*model, "--host", "203.0.113.7", "--token-file", "new"), "cannot listen at 203.0.113.7"),
        ((*model, "--token-file", "open"), "chmod 600"),
        ((*model, "--token-file", "short"), "too easy to guess"),
        ((*model, "--prot", "1"), "did you mean '--port'?"),
        ((*model, "--port", "99999"), "not a port"),
        ((*model, "--name", "https://x.org/"), "not the name of a host"),
        (("app.py:agent", "--model", "replay:x"), "--model does not go with an agent of yours"),
        (("app.py:agent", "--max-steps", "3"), "--max-steps does not go with an agent of yours"),
        (("app:agent",), "did you mean app.py?"),
    ):
        try:
            code = main(["serve", *words])
        except SystemExit as left:
            code = int(str(left.code))
        said = capsys.readouterr()
        assert (code, said.out) == (2, "") and why in said.err, (words, said.err)


def test_a_port_that_is_taken_can_be_named_in_python_too(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        agent = package.CodeAgent(model=ScriptedModel())
        try:
            package.serve(agent, port=listener.getsockname()[1])
        except package.UsageError as error:
            assert "is taken" in str(error)
        else:
            raise AssertionError
    assert "serve" in package.__all__ and len(package.__all__) == 30 and package.SnapshotRefused

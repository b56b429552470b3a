"""`--secret NAME`: the environment's variable goes to tools, whichever command has their code run, and nowhere else."""

from __future__ import annotations

import json
import re
from pathlib import Path

from .command import codeact
from .served import asking, served

TOOLS = """
from codeact import tool

@tool
def login(token: str) -> str:
    \"\"\"Log in.\"\"\"
    return f"{len(token)} characters, {token}"
"""
REPLY = {"text": "```python\nfinal_answer(login(API_KEY))\n```"}
DOWN = {"error": {"type": "ModelUnavailable", "message": "down"}}
WORDS = ("run", "Log in.", "--model", "replay:replies.jsonl", "--tools", "tools.py", "--secret", "API_KEY")


def test_a_secret_of_the_environment_is_nowhere_but_in_the_tool(tmp_path: Path) -> None:
    kept = ("--journal", "runs.db")
    (tmp_path / "tools.py").write_text(TOOLS)
    (tmp_path / "replies.jsonl").write_text(json.dumps(DOWN))
    without = codeact(*WORDS, *kept, home=tmp_path)
    assert without.code == 2 and "the environment has no API_KEY" in without.err
    down = codeact(*WORDS, *kept, "--json", home=tmp_path, API_KEY="k3y-of-mine")
    run = down.lines[0]["run_id"]
    assert down.code == 1 and "<secret API_KEY>" in down.err
    (tmp_path / "replies.jsonl").write_text(json.dumps(REPLY))
    assert codeact("resume", run, *kept, home=tmp_path).code == 2
    assert codeact("fork", run, "--at", "0", *kept, home=tmp_path).code == 2
    assert [line["run"] for line in codeact("runs", "--json", *kept, home=tmp_path).lines] == [run]
    done = codeact("resume", run, *kept, "--json", home=tmp_path, API_KEY="k3y-of-mine")
    assert (done.code, done.lines[0]["output"]) == (0, "11 characters, <secret API_KEY>")
    said = "".join((down.out, down.err, done.out, done.err)).encode()
    assert b"k3y-of-mine" not in said and not _traces(tmp_path)


def test_a_server_gives_it_to_every_task_also_to_one_that_it_takes_up(tmp_path: Path) -> None:
    key, flags = {"API_KEY": "k3y-of-mine"}, (*WORDS[2:], "--journal", "runs.db")
    answer = "11 characters, <secret API_KEY>"
    (tmp_path / "tools.py").write_text(TOOLS)
    (tmp_path / "replies.jsonl").write_text(json.dumps(DOWN))
    down = codeact(*WORDS, "--journal", "runs.db", "--json", home=tmp_path, **key).lines[0]["run_id"]
    (tmp_path / "replies.jsonl").write_text(json.dumps(REPLY))
    without = codeact("serve", *flags, home=tmp_path)
    assert without.code == 2 and "the environment has no API_KEY" in without.err
    with served(*flags, "--port", "0", home=tmp_path, **key) as (process, said):
        link = re.search(r"(http://\S+)/#token=(\S+)", said)
        assert link
        with asking(link[1], link[2]) as client:
            begun = client.post("/api/runs", json={"agent": "agent", "task": "Log in."}).json()["run"]
            assert client.post(f"/api/runs/{down}/resume", json={}).status_code < 300
            told = [client.get(f"/api/runs/{run}/events?until=ended").text for run in (begun, down)]
            question = {"model": "agent", "messages": [{"role": "user", "content": "Log in."}]}
            told.append(client.post("/v1/chat/completions", json=question).text)
        process.terminate()
        told.append("".join(process.communicate(timeout=20)))
    assert all(answer in one for one in told[:3]), told
    assert '"--secret"' in told[0]  # the line that `codeact resume` reads
    assert "k3y-of-mine" not in "".join((said, *told)) and not _traces(tmp_path)


def test_a_conversation_has_it_from_its_first_turn_on_also_when_that_was_taken_back(tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text(TOOLS)
    (tmp_path / "replies.jsonl").write_text((json.dumps(REPLY) + "\n") * 2)
    turns = b"Log in.\n/undo\nAnd now?\nOnce more.\n"
    flags = (*WORDS[2:], "--journal", "runs.db", "--json")
    done = codeact("chat", *flags, home=tmp_path, stdin=turns, API_KEY="k3y-of-mine")
    assert [line["output"] for line in done.lines] == ["11 characters, <secret API_KEY>"] * 3, done.err
    assert "k3y-of-mine" not in done.out + done.err and not _traces(tmp_path)


def _traces(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and b"k3y-of-mine" in file.read_bytes()]

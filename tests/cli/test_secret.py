"""`codeact run --secret NAME`: the environment's variable goes to tools, and is given again by `codeact resume`."""

from __future__ import annotations

import json
from pathlib import Path

from .command import codeact

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
    done = codeact("resume", run, *kept, "--json", home=tmp_path, API_KEY="k3y-of-mine")
    assert (done.code, done.lines[0]["output"]) == (0, "11 characters, <secret API_KEY>")
    said = "".join((down.out, down.err, done.out, done.err)).encode()
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and b"k3y-of-mine" in file.read_bytes()]
    assert b"k3y-of-mine" not in said

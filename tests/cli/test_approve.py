"""`codeact run --approve`: a person at a terminal decides. The terminal is a real one."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

CODEACT = Path(sys.executable).with_name("codeact")
TOOLS = '''
def pay(to: str, amount: int = 1) -> int:
    """Pay somebody."""
    return amount
'''
SOURCE = """got = []
for n in range(3):
    try:
        got.append(pay('Ada\\x1b[31m', n))
    except PermissionError as error:
        got.append(str(error))
final_answer(got)"""


def folder(tmp_path: Path) -> Path:
    (tmp_path / "tools.py").write_text(TOOLS)
    reply = {"text": f"I pay.\n```python\n{SOURCE}\n```"}
    (tmp_path / "replies.jsonl").write_text(json.dumps(reply) + "\n")
    return tmp_path


LINE = ["run", "Pay.", "--model", "replay:replies.jsonl", "--tools", "tools.py", "--approve", "pay"]


def typed(tmp_path: Path, answers: list[bytes], line: list[str] = LINE) -> tuple[int, bytes]:
    """What a person at a terminal sees who types one answer to each question."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(tmp_path)
        os.execve(CODEACT, [str(CODEACT), *line], {**os.environ, "TERM": "xterm", "NO_COLOR": "1"})
    seen = b""
    left = list(answers)
    asked = 0
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                data = os.read(terminal, 1 << 16)
            except OSError:  # the other end is closed
                break
            seen += data
        questions = seen.count(b"Run it? ") + seen.count(b" -> \r") + seen.count(b"-> ") + seen.count(b"\n> ")
        if left and questions > asked:
            asked = questions
            answer = left.pop(0)
            os.write(terminal, answer if answer == b"\x03" else answer + b"\n")
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), seen


def test_a_person_allows_edits_and_denies_and_sees_nothing_that_moves_the_terminal(tmp_path: Path) -> None:
    status, seen = typed(folder(tmp_path), [b"y", b"e", b"", b"50", b"too dear"])
    assert status == 0, seen
    text = seen.decode("utf-8", "replace")
    assert "[0, 50, 'pay() was not allowed: too dear']" in text
    assert "? cell 1 calls pay(to='Ada\\x1b[31m', amount=1)" in text
    assert "pay(to='Ada\\x1b[31m', amount=50)" in text  # what it was called with stands in the story
    assert "before: pay(to='Ada\\x1b[31m', amount=0)" in text


def test_a_person_looks_at_a_plan_and_writes_another(tmp_path: Path) -> None:
    replies = ["1. Guess.", "1. Add.\n2. Answer.", "```python\nfinal_answer(3)\n```"]
    (tmp_path / "replies.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in replies))
    line = ["run", "Add.", "--model", "replay:replies.jsonl", "--planning-interval", "3", "--approve", "plan"]
    status, seen = typed(tmp_path, [b"do not guess", b"e", b"1. Answer 3.", b""], line)
    text = seen.decode("utf-8", "replace")
    assert status == 0, text
    assert "plan was not allowed: do not guess" in text and "plan was changed by you" in text
    assert text.count("1. Answer 3.") == 2  # as it was typed, and as it counts


def away(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The same where there is no terminal."""
    return subprocess.run(
        [CODEACT, *words],
        cwd=place,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )


def test_without_a_terminal_the_run_waits_and_goes_on_by_approve(tmp_path: Path) -> None:
    place, kept = folder(tmp_path), ("--journal", "runs.db")
    done = away(place, *LINE, "--json", *kept)
    line = json.loads(done.stdout)
    assert (done.returncode, line["stop_reason"]) == (1, "paused"), done.stderr
    (question,) = line["waiting"]
    assert question["arguments"] == {"to": "Ada\x1b[31m", "amount": 0}
    assert f"codeact approve {line['run_id'][:12]}" in done.stderr and "\x1b" not in done.stderr

    words = ("--key", question["key"][:8], "--arguments", '{"amount": 50}', "--json")
    second = away(place, "approve", "last", *words, *kept)
    (another,) = json.loads(second.stdout)["waiting"]
    assert second.returncode == 1 and another["arguments"]["amount"] == 1, second.stderr
    assert "changed: cell" in second.stderr and "amount=50" in second.stderr and "amount=0" not in second.stderr
    third = away(place, "approve", line["run_id"], "--deny", "--reason", "too dear", "--json", *kept)
    assert third.returncode == 1 and len(json.loads(third.stdout)["waiting"]) == 1
    last = away(place, "approve", line["run_id"], "--always", "--json", *kept)
    assert (last.returncode, json.loads(last.stdout)["output"]) == (0, [50, "pay() was not allowed: too dear", 2])


def test_a_run_that_a_program_began_goes_on_with_its_agent_named(tmp_path: Path) -> None:
    program = """
from codeact import CodeAgent
from codeact.core.approvals import Later
from tools import pay

async def gate(call):
    return Later()

agent = CodeAgent(model="replay:replies.jsonl", tools=[pay], approve=["pay"], gate=gate, journal="runs.db")
if __name__ == "__main__":
    print(agent.run("Pay.").stop_reason)
"""
    (folder(tmp_path) / "app.py").write_text(program)
    begun = subprocess.run([sys.executable, "app.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert begun.stdout == "paused\n"
    refused = away(tmp_path, "approve", "last", "--journal", "runs.db")
    assert refused.returncode == 2 and "app.py:agent" in refused.stderr and "allowed" not in refused.stderr
    done = away(tmp_path, "approve", "last", "app.py:agent", "--always", "--json", "--journal", "runs.db")
    assert (done.returncode, json.loads(done.stdout)["output"]) == (0, [0, 1, 2]), done.stderr


def test_without_a_terminal_a_run_that_is_not_kept_is_refused(tmp_path: Path) -> None:
    done = away(folder(tmp_path), *LINE, "--journal", "memory")
    assert done.returncode == 2 and done.stdout == ""
    assert "there is none; nor is the run kept" in done.stderr


@pytest.mark.parametrize("words", [["--reason", "no"], ["--deny", "--always"], ["--arguments", "[]"]])
def test_what_cannot_be_said_of_a_question_is_refused(tmp_path: Path, words: list[str]) -> None:
    done = away(tmp_path, "approve", "nobody", "--journal", "runs.db", *words)
    assert done.returncode == 2 and words[0] in done.stderr


def test_whoever_leaves_a_question_at_the_terminal_finds_it_again(tmp_path: Path) -> None:
    status, seen = typed(folder(tmp_path), [b"y", b"\x03"], [*LINE, "--journal", "runs.db"])
    text = seen.decode("utf-8", "replace")
    assert status == 1 and "The run waits for an answer:" in text and "codeact approve" in text, text
    status, seen = typed(tmp_path, [b"y", b"y"], ["approve", "last", "--journal", "runs.db"])
    assert status == 0 and b"[0, 1, 2]" in seen, seen


def test_an_unknown_name_is_refused_with_the_nearest(tmp_path: Path) -> None:
    line = [*LINE[:-1], "pya"]
    done = subprocess.run([CODEACT, *line], cwd=folder(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "no tool 'pya'; did you mean 'pay'?" in done.stderr

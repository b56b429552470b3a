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
            os.write(terminal, left.pop(0) + b"\n")
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), seen


def test_a_person_allows_edits_and_denies_and_sees_nothing_that_moves_the_terminal(tmp_path: Path) -> None:
    status, seen = typed(folder(tmp_path), [b"y", b"e", b"", b"50", b"too dear"])
    assert status == 0, seen
    text = seen.decode("utf-8", "replace")
    assert "[0, 50, 'pay() was not allowed: too dear']" in text
    assert "? cell 1 calls pay(to='Ada\\x1b[31m', amount=1)" in text
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


def test_without_a_terminal_it_is_refused_before_anything_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [CODEACT, *LINE],
        cwd=folder(tmp_path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--approve asks at the terminal, and there is none" in done.stderr and done.stdout == ""


def test_an_unknown_name_is_refused_with_the_nearest(tmp_path: Path) -> None:
    line = [*LINE[:-1], "pya"]
    done = subprocess.run([CODEACT, *line], cwd=folder(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "no tool 'pya'; did you mean 'pay'?" in done.stderr

"""The user's own files and the user's own answers."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest

from cli.command import CODEACT, codeact
from codeact import Interpreter, UsageError
from codeact.tools.toolbox import ask_user, read_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "inside"
    (inside / "notes").mkdir(parents=True)
    (inside / "notes" / "today.txt").write_text("rain, og blåbær")
    (inside / "raw.bin").write_bytes(b"\xff\x00")
    (tmp_path / "secret.txt").write_text("s3cret")
    (inside / "link.txt").symlink_to(tmp_path / "secret.txt")
    (inside / "up").symlink_to(tmp_path)
    os.mkfifo(inside / "pipe")
    return inside


def test_files_below_the_folder_are_read(folder: Path) -> None:
    with Interpreter(tools=[read_file(folder)]) as python:
        assert python.run("read_file('notes/today.txt')").value == "'rain, og blåbær'"
        assert python.run("read_file('raw.bin')").value == "b'\\xff\\x00'"


@pytest.mark.parametrize(
    ("path", "kind", "words"),
    [
        ("../secret.txt", "ValueError", "is no path below the folder"),
        ("notes/../../secret.txt", "ValueError", "is no path below the folder"),
        ("/etc/passwd", "ValueError", "is no path below the folder"),
        ("notes//today.txt", "ValueError", "is no path below the folder"),
        ("a\\0b", "ValueError", "is no path below the folder"),
        ("link.txt", "PermissionError", "'link.txt' is or goes through a link"),
        ("up/secret.txt", "PermissionError", "is or goes through a link"),
        ("pipe", "PermissionError", "'pipe' is no plain file"),
        ("raw.bin/x", "NotADirectoryError", "goes through a file"),
        ("notes", "IsADirectoryError", "'notes' is a folder; in it: today.txt"),
        ("", "IsADirectoryError", "in it: link.txt, notes/, pipe, raw.bin, up"),
        ("notes/tomorrow.txt", "FileNotFoundError", "there is no 'notes/tomorrow.txt'; where it should be: today.txt"),
    ],
)
def test_nothing_else_is_read_and_the_reason_is_told(folder: Path, path: str, kind: str, words: str) -> None:
    with Interpreter(tools=[read_file(folder)]) as python:
        error = python.run(f"read_file('{path}')").error
        assert error is not None and (error.type, words in error.message) == (kind, True), error
        assert "s3cret" not in error.message


def test_a_file_that_is_too_large_and_a_folder_that_is_none(folder: Path) -> None:
    with Interpreter(tools=[read_file(folder, largest=5)]) as python:
        error = python.run("read_file('notes/today.txt')").error
        assert error is not None and "has 17 bytes; at most 5 are read" in error.message
    for wrong in ("/", folder / "raw.bin", folder / "absent"):
        with pytest.raises(UsageError, match="read_file: "):
            read_file(wrong)


def test_the_command_line_gives_a_folder(folder: Path, tmp_path: Path) -> None:
    code = "read_file('notes/today.txt')[:4]"
    done = codeact("exec", "--tools", f"read_file:{folder}", "-c", code, home=tmp_path)
    assert (done.code, done.out) == (0, "'rain'\n"), done.err


# -- the user ----------------------------------------------------------------------------------------------------------


async def test_the_user_is_asked_at_the_terminal_and_a_question_given_up_takes_nothing() -> None:
    ours, theirs = os.openpty()
    tool = ask_user(terminal=os.ttyname(theirs))
    try:
        given_up = asyncio.create_task(tool.call({"question": "Where?"}))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait([given_up])
        asked = asyncio.create_task(tool.call({"question": "Red\x1b[2J or blue?"}))
        os.write(ours, b"blue \n")
        assert await asked == "blue"
        shown = os.read(ours, 4096).decode()
        assert "The agent asks: Red\\x1b[2J or blue?" in shown
        asked = asyncio.create_task(tool.call({"question": "And?"}))
        os.write(ours, b"\x04")
        with pytest.raises(EOFError, match="the user gave no answer"):
            await asked
    finally:
        os.close(ours)
        os.close(theirs)


def test_the_command_line_asks_and_its_drawing_does_not_cover_the_question(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text(
        json.dumps({"text": "```python\nfinal_answer(ask_user('Which?') * 2)\n```"}) + "\n"
    )
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(tmp_path)
        line = ["codeact", "run", "Ask.", "--model", "replay:r.jsonl", "--tools", "ask_user"]
        os.execve(CODEACT, line, {**os.environ, "TERM": "xterm", "NO_COLOR": "1"})
    seen, answered = b"", False
    while select.select([terminal], [], [], 60)[0]:
        try:
            seen += os.read(terminal, 1 << 16)
        except OSError:  # the other end is closed
            break
        if b"> " in seen.partition(b"The agent asks: Which?")[2] and not answered:
            answered = True
            os.write(terminal, b"left\n")
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, seen
    assert b"leftleft" in seen


def test_where_there_is_no_terminal_nobody_is_asked() -> None:
    program = (
        "import asyncio; from codeact.tools.toolbox import ask_user\n"
        "try: asyncio.run(ask_user().call({'question': 'Who?'}))\n"
        "except RuntimeError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "there is no terminal here, so nobody can be asked\n", done.stderr

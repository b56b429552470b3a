"""What is typed wrongly ends with code 2 and a line that says how it is meant."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .command import codeact


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("rnu",), "did you mean 'run'?"),
        (("--verison",), "did you mean '--version'?"),
        (("exec", "-c", "1", "--job"), "no flag '--job'; did you mean '--json'?"),
        (("exec", "-c", "1", "--tool", "x.py"), "did you mean '--tools'?"),
        (("exec", "-c"), "expected one argument"),
        (("exec", "absent.py"), "cannot read absent.py: No such file"),
        (("exec", "."), "cannot read .: Is a directory"),
        (("exec", "binary.py"), "binary.py is not Python source"),
        (("exec", "-", "-"), "one cell, not several"),
        (("exec", "-c", "1", "--memory", "5X"), "--memory: not a size: '5X'"),
        (("exec", "-c", "1", "--seconds", "0"), "--seconds: not a time: '0'"),
        (("exec", "-c", "1", "--imports", "num-py"), "not a module name: 'num-py'"),
        (("exec", "-c", "1", "--sandbox", "linx"), "did you mean 'linux'?"),
        (("exec", "-c", "1", "--python", "/nowhere"), "/nowhere"),
        (("exec", "-c", "1", "--tools", "absent.py"), "absent.py: cannot be read"),
        (("exec", "-c", "1", "--tools", "mine.py:wether"), "did you mean 'weather'?"),
        (("run",), "no task"),
        (("run", " "), "the task is empty"),
        (("run", "two", "words"), "put it in quotes"),
        (("run", "x"), "no model: name one with --model"),
        (("run", "x", "--model", "opnai:gpt-5"), "did you mean 'openai'?"),
        (("run", "x", "--model", "openai:gpt-5"), "export OPENAI_API_KEY="),
        (("run", "x", "--model", "replay:absent.jsonl"), "absent.jsonl"),
        (("run", "x", "--model", "replay:odd.jsonl"), "line 1"),
        (("run", "x", "--max-steps", "0"), "not a whole number"),
        (("run", "mine.py:agnt", "x"), "did you mean 'agent'?"),
        (("run", "mine.py:weather", "x"), "not an agent"),
        (("run", "mine.py:agent", "x", "--model", "ollama:x"), "--model does not go with an agent of yours"),
        (("demo", "x"), "it takes no word"),
        (("doctor", "--jsn"), "did you mean '--json'?"),
    ],
)
def test_a_mistake_of_the_user_is_told_in_a_line(words: tuple[str, ...], says: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("agent = 3\ndef weather(city: str) -> str:\n    return city\n")
    (tmp_path / "odd.jsonl").write_text('{"txt": "x"}\n')
    (tmp_path / "binary.py").write_bytes(b"x = '\xff'")
    done = codeact(*words, home=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert "Traceback" not in done.err


def test_a_key_is_never_printed(tmp_path: Path) -> None:
    done = codeact("run", "x", "--model", "openai:gpt-5", home=tmp_path, OPENAI_API_KEY="'sk-secret'")
    assert done.code == 2
    assert "OPENAI_API_KEY" in done.err and "secret" not in done.err


def test_without_a_model_the_ones_in_reach_are_named_with_the_line_to_type(tmp_path: Path) -> None:
    done = codeact("run", "x", home=tmp_path, OPENAI_API_KEY="sk-secret")
    assert done.code == 2
    assert "OPENAI_API_KEY is set: codeact run --model openai:" in done.err
    assert "secret" not in done.err


@pytest.mark.parametrize("command", ["run", "exec", "doctor", "demo"])
def test_every_command_tells_its_flags(command: str, tmp_path: Path) -> None:
    done = codeact(command, "--help", home=tmp_path)
    assert done.code == 0
    assert done.out.startswith(f"usage: codeact {command}")


def test_help_and_version_are_one_word_away_and_load_nothing_heavy(tmp_path: Path) -> None:
    assert "codeact run" not in codeact("--version", home=tmp_path).out
    probe = (
        "import sys; from codeact.faces.cli import main; main(['--help']); print(sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    for command in ("demo", "run", "exec", "doctor"):
        assert f"\n  {command} " in done.stdout
    loaded = set(eval(done.stderr))
    assert not loaded & {"asyncio", "anyio", "rich", "openai", "pydantic", "inspect", "dataclasses"}

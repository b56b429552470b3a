"""Points where a process can be made to die: nothing happens at them unless the environment asks for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from codeact import crashpoints

PROGRAM = """
from codeact.crashpoints import crashpoint
import codeact.crashpoints as room
for name in ("one", "two", "one", "three"):
    crashpoint(name)
    print(name, flush=True)
print("switched on" if room._strike is not None else "nothing is on")
"""


def lived(asked: str | None) -> tuple[int, list[str]]:
    environment = {name: value for name, value in os.environ.items() if name != crashpoints.SWITCH}
    if asked is not None:
        environment[crashpoints.SWITCH] = asked
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout.splitlines()


def test_nothing_is_on_by_default_and_words_that_mean_nothing_switch_nothing_on() -> None:
    for asked in (None, "", "soon", "one@", "@two"):
        assert lived(asked) == (0, ["one", "two", "one", "three", "nothing is on"])


def test_the_environment_names_the_point_at_which_a_process_dies() -> None:
    assert lived("3") == (-9, ["one", "two"])
    assert lived("one@2") == (-9, ["one", "two"])
    assert lived("two@1") == (-9, ["one"])
    assert lived("two@2") == (0, ["one", "two", "one", "three", "switched on"])


def test_a_command_that_dies_at_a_point_is_resumed(tmp_path: Path) -> None:
    replies = tmp_path / "replies.jsonl"
    replies.write_text('{"text": "```python\\nx = 6\\n```"}\n{"text": "```python\\nfinal_answer(x * 7)\\n```"}\n')
    environment = {**os.environ, "CODEACT_JOURNAL": str(tmp_path / "runs.db")}

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("codeact")), *words]
        return subprocess.run(
            command, env={**environment, **more}, capture_output=True, text=True, timeout=60, check=False
        )

    killed = run("run", "t", "--model", f"replay:{replies}", "--json", **{crashpoints.SWITCH: "send@2"})
    assert (killed.returncode, killed.stdout) == (-9, "")
    (listed,) = map(json.loads, run("runs", "--json").stdout.splitlines())
    resumed = run("resume", listed["run"], "--json")
    assert resumed.returncode == 0 and '"output": 42' in resumed.stdout, resumed.stderr

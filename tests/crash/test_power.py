"""Where the power goes, what was not synced is lost: so nothing is done on the strength of what is not."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, sys
from codeact import ToolCallingAgent, tool
from codeact.core.messages import NativeCall, Reply
from codeact.testing import ScriptedModel

told = os.open(sys.argv[1] + "/told", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

@tool
def pay(to: str) -> str:
    "Pay."
    os.write(told, b"PAID\\n")
    return to * 3000

class Model(ScriptedModel):
    async def ask(self, prompt, emit):
        os.write(told, b"ASKED\\n")
        return await super().ask(prompt, emit)

replies = [Reply("", tool_calls=(NativeCall(to, "pay", '{"to": "%s"}' % to),)) for to in ("ada", "ben", "cleo")]
replies.append(Reply("", tool_calls=(NativeCall("end", "final_answer", '{"value": 1}'),)))
agent = ToolCallingAgent(model=Model(*replies), tools=[pay], journal=sys.argv[1] + "/runs.db")
agent.run("Pay.")
os.write(told, b"ENDED\\n")
"""


def test_before_a_tool_starts_and_a_run_returns_all_that_was_written_is_synced(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("nobody can watch the writes here: Debian package strace is absent")
    seen = tmp_path / "seen"
    watch = ["strace", "-f", "-y", "-qq", "-s", "16", "-o", str(seen), "-e", "trace=write,pwrite64,fsync,fdatasync"]
    done = subprocess.run(
        [*watch, sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, timeout=100, check=False
    )
    if done.returncode and "ptrace" in done.stderr:
        pytest.skip("nobody may watch a process here (ptrace)")
    assert done.returncode == 0, done.stderr
    unsynced, syncs, told = 0, 0, []
    waits: set[str] = set()  # threads whose sync has begun
    for line in seen.read_text().splitlines():
        who = line.split()[0]
        if "runs.db-wal>" in line and "write" in line:
            unsynced += 1
        elif "runs.db-wal>" in line and "unfinished" in line:
            waits.add(who)
        elif "runs.db-wal>" in line or (who in waits and "sync resumed" in line):
            unsynced, syncs = 0, syncs + 1
            waits.discard(who)
        elif "/told>" in line:
            told.append((re.search(r'"(\w+)', line)[1], unsynced))  # type: ignore[index]
    assert [word for word, _ in told].count("PAID") == 3 and told[-1][0] == "ENDED"
    assert [word for word, left in told if left and word != "ASKED"] == []  # a question takes no effect
    assert syncs >= 2 * 3 + 3  # the intent and the end of each call, the replies

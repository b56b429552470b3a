"""A call of the set-up fails, whichever it is: the session is locked as it says, or it does not start (st-04)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from canaries import belongings, left_over

from codeact.cells import Cells
from codeact.core.errors import SandboxUnavailable
from codeact.core.execution import ALL, Policy
from codeact.sandboxes.linux import LinuxSandbox
from codeact.sandboxes.linux.launchers import SHIPPED, Parts

# the call, what it answers, and which of its calls in each process does
FAULTS = [
    ("unshare", "ENOMEM", 1),
    ("setns", "ENOMEM", 2),
    ("mount", "ENOMEM", 3),
    ("setresuid", "EAGAIN", 1),
    ("prlimit64", "ENOMEM", 1),
    ("capset", "ENOMEM", 1),
    ("prctl", "EINTR", 2),
    ("landlock_restrict_self", "EINTR", 1),
    ("seccomp", "ENOMEM", 2),
    ("close_range", "EINTR", 1),
]
ENTRY = """
import os, sys
words = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject={call}:error={error}:when={when}"]
os.execvp("strace", [*words, sys.executable, "-s", "-P", "-S", {entry!r}, sys.argv[1]])
"""
LOCKED = """
import ctypes
def opened(path):
    try: open(path).close()
    except OSError: return False
    return True
call = ctypes.CDLL(None)
call.prctl(21, 0, 0, 0, 0), call.prctl(39, 0, 0, 0, 0), opened("/etc/passwd"), call.socket(2, 1, 0)
"""


@pytest.mark.parametrize(("call", "error", "when"), FAULTS, ids=[fault[0] for fault in FAULTS])
async def test_st_04_a_call_that_fails_while_a_session_is_made_leaves_no_gap(
    call: str, error: str, when: int, tmp_path: Path
) -> None:
    if shutil.which("strace") is None:
        pytest.skip("st-04: no call can be made to fail here: the Debian package strace is absent")
    entry = tmp_path / f"{call}.py"
    entry.write_text(ENTRY.format(call=call, error=error, when=when, entry=str(SHIPPED.entry)))
    before = belongings()
    try:
        async with Cells(LinuxSandbox(_parts=Parts(entry=entry)), Policy(imports=ALL)) as cells:
            assert cells.level in ("full", "plain")
            assert (await cells.run(LOCKED)).value == "(2, 1, False, -1)"
    except SandboxUnavailable as unavailable:
        assert unavailable.layer and unavailable.cause
    # of a launcher that stands it keeps its processes and its line; no session of it is left
    assert left_over(before, stays=("processes", "descriptors", "memory")) == {}

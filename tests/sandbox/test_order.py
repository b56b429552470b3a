"""The order of a start, as the kernel saw it: the filter stands before a byte of anybody's code is read."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from sessions import _stand
from talk import HERE

from codeact.core.execution import Policy

START = """
import asyncio, sys
sys.path[:0] = {paths!r}
from sessions import LEVELS
from codeact.cells import Cells
from codeact.core.execution import ALL, Policy
async def main():
    async with Cells(LEVELS[{level!r}], Policy(python={python!r}, imports=ALL)) as cells:
        print((await cells.run("marker_of_the_user = 6 * 7; import installed; marker_of_the_user")).value)
asyncio.run(main())
"""
CALLS = "seccomp,read,pread64,readv,recvfrom,recvmsg,openat,open,execve"


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A virtual environment that would like to run something at every start."""
    venv.create(tmp_path / "venv", symlinks=True)
    library = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    (library / "installed.py").write_text("")
    (library / "wants_to_start.pth").write_text("import evil\n")
    for name in ("evil", "sitecustomize", "usercustomize"):
        (library / f"{name}.py").write_text("raise SystemExit('taken over')\n")
    return tmp_path / "venv"


async def test_kn_06_the_filter_stands_before_a_byte_of_anybodys_code_is_read(
    level: str, environment: Path, tmp_path: Path
) -> None:
    if shutil.which("strace") is None:
        pytest.skip("kn-06: nothing sees the order of calls here: the Debian package strace is absent")
    await _stand(level, Policy())
    lines = traced(level, environment, tmp_path / "calls")
    session = next(line.split()[0] for line in lines if "marker_of_the_user" in line and _is_read(line))
    own = [line for line in lines if line.split()[0] == session]
    locked = next(number for number, line in enumerate(own) if "seccomp(SECCOMP_SET_MODE_FILTER" in line)
    before, after = own[:locked], own[locked + 1 :]

    opened = [found[1] for line in before if (found := re.search(r'open(?:at)?\(.*?"(.*?)"', line))]
    assert {line.split('"')[1].split(" ")[0] for line in before if _is_read(line)} - {""}, "the witness: it did read"
    assert not [path for path in opened if path.endswith((".py", ".pyc", ".pth", ".so"))], opened
    assert not [line for line in before if re.search(r"\b(recvfrom|recvmsg|read)\(3,", line)], "the channel"
    assert any(re.search(r"\b(recvfrom|recvmsg|read)\(3,", line) for line in after)
    assert any("installed.py" in line for line in after)

    inside = [line for line in lines if line.split()[0] != lines[0].split()[0]]  # all but the host
    assert not [line for line in inside if re.search(r"(evil|sitecustomize|usercustomize)\.", line)]
    assert not [line for line in inside if "marker_of_the_user" in line and line not in after]


def traced(level: str, environment: Path, to: Path) -> list[str]:
    """The calls of a start and of one cell, of all processes, in the kernel's order."""
    paths = [str(HERE), str(HERE.parents[1] / "src")]
    program = START.format(paths=paths, level=level, python=str(environment))
    words = ["strace", "-f", "-qq", "-s", "4096", "-o", str(to), "-e", f"trace={CALLS}", sys.executable, "-c", program]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, env={**os.environ})
    if done.returncode and "ptrace" in done.stderr:
        pytest.skip(f"kn-06: this machine lets nobody be traced: {done.stderr.strip().splitlines()[0]}")
    assert done.stdout == "42\n", done.stderr
    return to.read_text(errors="replace").splitlines()


def _is_read(line: str) -> bool:
    return bool(re.search(r"\b(read|pread64|readv|recvfrom|recvmsg)\b.*\"", line))

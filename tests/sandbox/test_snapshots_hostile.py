"""Guests that answer the order to copy themselves as they should not: a guest of our own with one file changed."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from talk import HERE, descendants, sandbox, until
from test_snapshots_linux import LIMITS, python, run, value

import codeact.guest
from codeact.core.errors import InterpreterDied, SnapshotRefused
from codeact.core.execution import Limits
from codeact.sandboxes.linux import LinuxSandbox
from codeact.sandboxes.linux.launchers import SHIPPED, Parts

SHORT = Limits(seconds=1, tool_seconds=1, grace=0.2, memory=1 << 29)

# What stands at the end of the guest's copies.py, in place of what it does. `self` is its Copies.
FORKS = """
import signal
def answer(self, word, cells):
    self._channel.send(Poised(word.id, None))
    given = self._channel.way.handed(3)
    {}
    return False
Copies.answer = answer
"""
LIES = {
    "takes nothing": "self._channel.send(Poised(word.id, None)); time.sleep(60)",
    "does nothing with what it takes": FORKS.format("time.sleep(60)"),
    "dies when it has it": FORKS.format("os._exit(0)"),
    "is its own copy": FORKS.format("os.write(given[0], encode(Copied(word.id, None))); time.sleep(60)"),
    "hides its copy": FORKS.format("_fork() or time.sleep(600); self._channel.send(Copied(word.id, None))"),
    "denies its copy": FORKS.format(
        "_fork() or [self._close([*given, 0, 1, 2, 3]), time.sleep(600)]; self._close(given)\n"
        "    self._channel.send(Copied(word.id, 'there is none'))"
    ),
    "lets its copy do the talking and dies": FORKS.format(
        "_fork() and os._exit(0)\n    os.write(given[0], encode(Copied(word.id, None))); time.sleep(600)"
    ),
    "sends a copy of its copy": FORKS.format(
        "_fork()\n    try: _fork()\n    except OSError: os.write(given[0], encode(Copied(word.id, None)))\n"
        "    time.sleep(600)"
    ),
    "copies itself before it is asked": (
        "real = Copies.answer\ndef answer(self, word, cells):\n"
        "    _fork()\n    return real(self, word, cells)\nCopies.answer = answer"
    ),
}  # fmt: skip


def lying(folder: Path, how: str) -> LinuxSandbox:
    """The sandbox with such a guest."""
    guest = folder / "guest"
    shutil.copytree(Path(codeact.guest.__file__).parent, guest, ignore=shutil.ignore_patterns("__pycache__"))
    source = LIES[how]
    if "Copies.answer" not in source:
        source = f"def answer(self, word, cells):\n    {source}\nCopies.answer = answer"
    with (guest / "copies.py").open("a", encoding="utf-8") as file:
        file.write(f"\nfrom .wire import encode\n{source}\n")
    folder.chmod(0o755)
    return LinuxSandbox("full", _parts=Parts(SHIPPED.entry, guest))


@pytest.mark.parametrize("how", LIES)
async def test_a_guest_that_lies_about_its_copy_leaves_nobody_behind(how: str, tmp_path: Path) -> None:
    async with python(SHORT, lying(tmp_path, how)) as cells:
        await run(cells, "x = 1")
        standing = descendants()
        with pytest.raises((SnapshotRefused, InterpreterDied)) as told:
            await cells.snapshot()
        assert "\n" not in str(told.value) and len(str(told.value)) < 700
        after = await cells.run("globals().get('x')")
        assert after.gone is not None or after.value == ("1" if isinstance(told.value, SnapshotRefused) else None)
        assert until(lambda: len(descendants()) <= len(standing)), "somebody nobody knows lives on"


async def test_a_copy_whose_guest_lies_takes_its_family_with_it(tmp_path: Path) -> None:
    """The first copy is an honest one; at the second the guest hides what it makes."""
    wall = lying(tmp_path, "hides its copy")
    with (tmp_path / "guest" / "copies.py").open("a", encoding="utf-8") as file:
        file.write("\nlie, honest = answer, vars()['answer']\n")
    source = (tmp_path / "guest" / "copies.py").read_text(encoding="utf-8")
    source = source.replace("\nimport signal\ndef answer", "\nhonest = Copies.answer\ndef answer")
    source += "\nCopies.answer = lambda self, word, cells: (lie if word.id > 1 else honest)(self, word, cells)\n"
    (tmp_path / "guest" / "copies.py").write_text(
        source.replace("lie, honest = answer, vars()['answer']", "lie = answer")
    )
    async with python(SHORT, wall) as cells:
        await run(cells, "x = 1")
        point = await cells.snapshot()
        with pytest.raises((SnapshotRefused, InterpreterDied)):
            await cells.snapshot()
        with pytest.raises(SnapshotRefused, match="cannot be restored"):
            await cells.restore(point)


# -- forks that nobody ordered -----------------------------------------------------------------------------------------


async def test_rs_08_no_cell_forks_with_snapshots_either() -> None:
    code = """
import os, threading
def tries():
    for _ in range(50):
        try: os.fork()
        except OSError as error: errors.add(error.errno)
        else: forked.append(os.getpid())
forked, errors = [], set()
threads = [threading.Thread(target=tries) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
forked, errors
"""
    async with python() as cells:
        for _ in range(2):
            assert await value(cells, code) == ([], {1})
            point = await cells.snapshot()
            await cells.restore(point)
            refused = await cells.run("import os; os.fork()")
            assert refused.error is not None and refused.error.type == "PermissionError"


async def test_sg_02_nobody_else_is_there_to_be_signalled_in_a_session_of_its_own() -> None:
    number = {"x86_64": 234, "aarch64": 131}[platform.machine()]  # tgkill: a number may be a thread of one's own
    others = (
        "import ctypes, os; libc = ctypes.CDLL(None)\n"
        "[p for p in range(2, 40000) if p != os.getpid() and libc.kill(p, 0) == 0\n"
        f" and libc.syscall({number}, os.getpid(), p, 0) != 0]"
    )
    async with python() as cells:
        assert await value(cells, others) == []
        await cells.snapshot()
        assert len(await value(cells, others)) == 2  # its own copy and that one's thread, and no more


async def test_a_fork_of_a_thread_while_a_copy_is_ordered_is_no_way_out() -> None:
    """A thread that forks all the time never does, and with it there is no copy whose place it could take."""
    code = """
import ctypes, os
libc = ctypes.CDLL(None)
def forks(_):
    while True:
        if libc.fork() == 0:
            while True: libc.pause()
"""
    async with python(SHORT) as cells:
        await run(cells, code)
        standing = len(descendants())
        await run(cells, "import threading; t = threading.Thread(target=forks, args=(0,), daemon=True); t.start()")
        with pytest.raises(SnapshotRefused, match="1 thread of the cells is still running"):
            await cells.snapshot()
        assert len(descendants()) == standing


@pytest.mark.parametrize(
    ("machine", "why"),
    [
        ("no_watch_of_forks", r"does not let forks be watched \(EINVAL\)"),
        ("another_watches", "another program watches"),
    ],
)
async def test_where_forks_cannot_be_watched_a_session_is_as_without_snapshots(machine: str, why: str) -> None:
    wall = LinuxSandbox("full", _parts=Parts(sandbox(machine)._parts.entry, SHIPPED.guest))
    async with python(LIMITS, wall) as cells:
        assert cells.level == "full"
        with pytest.raises(SnapshotRefused, match=why):
            await cells.snapshot()
        assert "PermissionError" in str(await cells.run("import os; os.fork()"))


# -- when the host goes ------------------------------------------------------------------------------------------------

HOST = """
import asyncio, os, sys
sys.path[:0] = {paths!r}
from talk import descendants
from codeact import Interpreter
async def main():
    async with Interpreter() as python:
        await python.run("x = 1")
        point = await python.snapshot()
        other = await python.fork()
        await python.restore(point)
        print(*descendants(), flush=True)
        {last}
asyncio.run(main())
"""


@pytest.mark.parametrize("last", ["await asyncio.sleep(600)", "os._exit(1)", "await python.run('while True: pass')"])
async def test_when_the_host_goes_all_copies_go(last: str) -> None:
    async with python():  # or it is skipped
        pass
    await asyncio.to_thread(_killed, last)


def _killed(last: str) -> None:
    program = HOST.format(paths=[str(HERE), str(HERE.parents[1] / "src")], last=last)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        pids = [int(pid) for pid in host.stdout.readline().split()]
        assert len(pids) >= 7
        os.kill(host.pid, signal.SIGKILL)
    assert until(lambda: all(ended(pid) for pid in pids))


def ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True

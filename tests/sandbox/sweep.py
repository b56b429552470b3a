"""Kill by SIGKILL, at random, what a busy host consists of, and count what is left: `python sweep.py full 1000`.

A host is a program of its own (`busy` below) with sessions that start, run cells, call tools and are replaced. Its
processes lie in floors: the host, its launcher, and below that the zygote, the maker of inits, the sessions, the inits.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from canaries import mounts

HERE = Path(__file__).resolve().parent
if __name__ == "__main__":
    sys.path[:0] = [str(HERE), str(HERE.parents[1] / "src")]

_PATIENCE = 60.0
_OFTEN = (1, 1, 1, 4, 4)  # by floor: what is below the zygote is started anew the soonest
_BUSY = """
import asyncio, os, select, sys
sys.path[:0] = {paths!r}
from sessions import LEVELS
from codeact import tool
from codeact.cells import Cells
from codeact.core.errors import SandboxUnavailable
from codeact.core.execution import Limits, Policy
from codeact.sandboxes.linux.pool import POOL
from codeact.tools.function import as_tool

@tool
def double(n: int) -> int:
    "Twice."
    return 2 * n

sandbox = LEVELS[{level!r}]
sandbox._ready = 2
over = asyncio.Event()

def say(word):
    print(word, flush=True)

async def work():
    while not over.is_set():
        try:
            async with Cells(sandbox, Policy(Limits(seconds=20, memory=1 << 28)), [as_tool(double)]) as cells:
                for n in range(4):
                    outcome = await cells.run(f"open('f{{n}}', 'w').write('x' * 5000); double({{n}})".format(n=n))
                    assert outcome.gone is not None or outcome.value == str(2 * n), outcome
                    say("cell")
        except SandboxUnavailable as error:
            say(f"refused {{error}}")

async def main():
    async with Cells(sandbox, Policy()):
        pass
    before = len(os.listdir("/proc/self/fd"))
    asyncio.get_running_loop().add_reader(0, over.set)
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(work())
    POOL.close()
    asyncio.get_running_loop().remove_reader(0)
    say(f"descriptors {{len(os.listdir('/proc/self/fd')) - before}}")

asyncio.run(main())
"""


class Host:
    """A busy host, and all processes that it was seen to have."""

    def __init__(self, level: str, temporary: str) -> None:
        program = _BUSY.format(paths=[str(HERE), str(HERE.parents[1] / "src")], level=level)
        self.process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, "TMPDIR": temporary},
        )
        self.seen: set[tuple[int, int]] = set()

    def goes_on(self, cells: int = 3) -> None:
        """Wait until it ran some cells from now on: what it had said by now is of no worth."""
        said = self.process.stdout
        assert said is not None
        while select.select([said], [], [], 0)[0]:
            assert os.read(said.fileno(), 1 << 16), f"the host ended: {self.process.wait()}"
        said.readline()  # it may have been cut in two
        while cells:
            line = said.readline()
            assert line, f"the host ended: {self.process.wait()}"
            cells -= line == b"cell\n"

    def floors(self) -> list[list[int]]:
        """Its processes by how far below it they are."""
        children: dict[int, list[int]] = {}
        began = {}
        for pid, parent, when in processes():
            children.setdefault(parent, []).append(pid)
            began[pid] = when
        floors = [[self.process.pid]]
        while floors[-1]:
            floors.append([child for parent in floors[-1] for child in children.get(parent, ())])
            self.seen |= {(pid, began[pid]) for pid in floors[-1]}
        return floors[:-1]

    def leave(self) -> int:
        """Let it end by itself; how many descriptors it had more than at its beginning."""
        said, _ = self.process.communicate(timeout=_PATIENCE)
        assert self.process.returncode == 0
        return int(said.split()[-1])

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def processes() -> Iterator[tuple[int, int, int]]:
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            fields = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
            if fields[0] not in "ZX":
                yield int(name), int(fields[1]), int(fields[19])


def sweep(level: str, kills: int, seed: int) -> dict[str, int]:
    """Kill so often, and say what is left of all of it: how many of which kind; nothing, if all is well."""
    chance = random.Random(seed)
    mounted = mounts()
    with tempfile.TemporaryDirectory(prefix="sweep-") as temporary:
        os.chmod(temporary, 0o755)
        host = Host(level, temporary)
        seen = host.seen
        try:
            for _ in range(kills):
                host.goes_on(chance.randrange(1, 8))
                time.sleep(chance.uniform(0, 0.03))  # the moments are what is varied
                floors = host.floors()
                victim = chance.choice(*chance.choices(floors, _OFTEN[: len(floors)]))
                if victim == host.process.pid:
                    host.kill()
                    host = Host(level, temporary)
                    host.seen |= seen
                    seen = host.seen
                else:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(victim, signal.SIGKILL)
            host.goes_on()
            host.floors()
            left = {"descriptors": host.leave()}
        finally:
            host.kill()
        end = time.monotonic() + _PATIENCE
        while True:
            left["processes"] = len({(pid, began) for pid, _, began in processes()} & seen)
            left["mounts"] = int(mounts() != mounted)
            left["scratch folders"] = len(list(Path(temporary).glob("codeact-*")))
            left["control groups"] = sum(map(_is_left, _groups()))
            if not any(left.values()) or time.monotonic() > end:
                return {what: count for what, count in left.items() if count}
            time.sleep(0.05)


def _groups() -> list[str]:
    from codeact.sandboxes.linux import cgroups

    return [str(path) for place in cgroups.places() for path in Path(place.path).glob("codeact-*")]


def _is_left(group: str) -> bool:
    """Whether no launcher lives that has it."""
    try:
        folder = os.open(group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(folder)


if __name__ == "__main__":
    number = random.randrange(1 << 32)
    print(f"{sys.argv[1]}, {sys.argv[2]} kills, seed {number}", flush=True)
    print(sweep(sys.argv[1], int(sys.argv[2]), number) or "nothing is left")

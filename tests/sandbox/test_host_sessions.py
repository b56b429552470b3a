"""Sessions beside each other, and sessions that are being made, by the ids of the list of ways out."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from canaries import Canaries, mounts
from sessions import FREE, LEVELS, session_at
from talk import HERE, until

from codeact import tool
from codeact.cells import Cells
from codeact.core.execution import Limits, Policy
from codeact.sandboxes.linux.launchers import SHIPPED
from codeact.tools.function import as_tool

WRITTEN = """
import os, tempfile
places = ["/tmp/a", os.path.join(os.environ["HOME"], "a"), os.path.abspath("a"), "/dev/shm/a"]
places.append(os.path.join(tempfile.mkdtemp(), "a"))
done = []
for place in places:
    try: open(place, "w").write("of A"); done.append(place)
    except OSError: pass
done
"""

SEEN = """
import os
seen = []
for place in {places!r}:
    for look in (open, os.unlink, lambda place: os.listdir(os.path.dirname(place))):
        try: found = look(place)
        except OSError: continue
        if found != os.listdir(): seen.append(place)
seen, "a" in os.listdir()
"""


async def test_xs_01_what_a_session_writes_is_seen_by_no_other_and_is_gone_with_it(level: str, host: Canaries) -> None:
    async with session_at(level, host) as a, session_at(level, host) as b:
        places = await a.value(WRITTEN)
        assert len(places) >= 3
        seen = SEEN.format(places=places)
        assert await b.value(seen) == ([], False)
    async with session_at(level, host) as later:
        assert await later.value(seen) == ([], False)
    assert not any(map(os.path.exists, places))


CHANGED = """
import builtins, decimal, json, locale, logging, os, signal, sys, threading, types, warnings
builtins.x, json.y, sys.modules["m"] = 1, 2, types.ModuleType("m")
os.environ["A"] = "1"; os.umask(0o077); os.mkdir("d"); os.chdir("d"); sys.path.insert(0, "d")
signal.signal(signal.SIGUSR1, signal.SIG_IGN); warnings.simplefilter("error"); sys.setrecursionlimit(5000)
decimal.getcontext().prec = 3; logging.getLogger().addHandler(logging.NullHandler())
"""
READ = """
import builtins, decimal, json, logging, os, signal, sys, warnings
marks = [hasattr(builtins, "x"), hasattr(json, "y"), "m" in sys.modules, "A" in os.environ, os.umask(0o022) == 0o077]
marks += [os.path.basename(os.getcwd()) == "d", "d" in sys.path, sys.getrecursionlimit() == 5000]
marks += [signal.getsignal(signal.SIGUSR1) == signal.SIG_IGN, any(one[0] == "error" for one in warnings.filters)]
marks + [decimal.getcontext().prec == 3, bool(logging.getLogger().handlers)]
"""


async def test_xs_02_a_process_is_never_used_for_two_sessions(level: str, host: Canaries) -> None:
    async with session_at(level, host) as a:
        assert (await a.run(CHANGED)).ok
        assert all(await a.value(READ)), "they are seen where they were set"
        async with session_at(level, host) as b:
            assert not any(await b.value(READ))
    async with session_at(level, host) as after:
        assert not any(await after.value(READ))


SHARED = {
    "shared memory of System V": "sc(29, 0x5ec, 4096, 0o1666)",
    "a semaphore of System V": "sc(64, 0x5ec, 1, 0o1666)",
    "a queue of System V": "sc(68, 0x5ec, 0o1666)",
    "a POSIX queue": "sc(240, b'canary', 0o102, 0o666, None)",
    "POSIX shared memory": "import _posixshmem; _posixshmem.shm_open('/canary', os.O_CREAT | os.O_RDWR)",
    "an abstract socket": "import socket; socket.socket(socket.AF_UNIX).bind('\\0canary')",
}


async def test_xs_04_sessions_have_nothing_in_common_to_meet_at(level: str, host: Canaries) -> None:
    async with session_at(level, host) as a, session_at(level, host) as b:
        for session in (a, b):
            await session.prepare()
        pid = await b.value("os.getpid()")
        for what, code in SHARED.items():
            assert not (await a.run(code)).ok, what
        if level == "plain":
            assert not (await a.run(f"os.kill({pid}, 9)")).ok
        assert await a.value("[p for p in range(2, 40000) if p != os.getpid() and _l.kill(p, 0) == 0]") == []
        assert await b.value("6 * 7") == 42


DEATHS = [
    "import ctypes; ctypes.string_at(0)",
    "held = [bytearray(1 << 24) for _ in range(1000)]",
    "import os; os._exit(0)",
    "import os; os.closerange(0, 65536)",
    "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
    "import os; os.close(3)",
]


async def test_xs_05_however_a_session_dies_one_that_starts_beside_it_does_not_care(level: str, host: Canaries) -> None:
    await die_and_start(level, host, rounds=100 if level == "full" else 40)


async def die_and_start(level: str, host: Canaries, rounds: int) -> None:
    """So often a session dies, in one of the ways after the other, while another one starts."""
    few = asyncio.Semaphore(12)
    short = Policy(Limits(seconds=1, grace=0.3, memory=1 << 28), imports=FREE.imports)

    async def die(code: str) -> None:
        async with few, Cells(LEVELS[level], short) as a:
            assert not (await a.run(code)).ok
            assert (await a.run("6 * 7")).value == "42"

    async def live() -> None:
        async with few, Cells(LEVELS[level], short) as b:
            assert (await b.run("sum(range(10))")).value == "45"

    async with session_at(level, host) as witness:
        async with asyncio.TaskGroup() as group:
            for number in range(rounds):
                group.create_task(die(DEATHS[number % len(DEATHS)]))
                group.create_task(live())
        assert await witness.value("6 * 7") == 42


async def test_st_04_of_many_starts_at_once_each_is_locked(level: str, host: Canaries) -> None:
    async def locked() -> bool:
        async with Cells(LEVELS[level], FREE) as cells:
            found = await cells.run("import ctypes; ctypes.CDLL(None).prctl(21, 0, 0, 0, 0)")  # PR_GET_SECCOMP
            return (cells.level, found.value) == (level, "2")

    async with session_at(level, host):
        assert all(await asyncio.gather(*(locked() for _ in range(40))))


STARTING = """
import asyncio, sys
sys.path[:0] = {paths!r}
from pathlib import Path
from codeact.core.execution import Policy
from codeact.sandboxes.linux import LinuxSandbox
from codeact.sandboxes.linux.launchers import Parts
async def main():
    sandbox = LinuxSandbox(_parts=Parts(entry=Path({entry!r})))
    print("begun", flush=True)
    async with sandbox.launch(Policy(), lambda *_: None):
        await asyncio.sleep(600)
asyncio.run(main())
"""


def of(entry: Path) -> list[str]:
    """The processes that execute it."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.fsencode(entry) in Path("/proc", name, "cmdline").read_bytes().split(b"\0"):
                found.append(name)
        except OSError:
            continue
    return found


@pytest.mark.parametrize("moment", [0.0, 0.05, 0.15, 0.3])
def test_st_04_a_host_that_is_killed_while_a_session_is_made_leaves_nothing(moment: float, tmp_path: Path) -> None:
    entry = tmp_path / "entry.py"
    entry.symlink_to(SHIPPED.entry)
    mounted = mounts()
    program = STARTING.format(paths=[str(HERE.parents[1] / "src")], entry=str(entry))
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as starting:
        assert starting.stdout is not None
        assert starting.stdout.readline() == b"begun\n"
        time.sleep(moment)  # the moments are what is varied
        starting.send_signal(signal.SIGKILL)
    assert until(lambda: not of(entry)), of(entry)
    assert mounts() == mounted


@tool
def cheap(n: int) -> int:
    """Cheap."""
    return n


async def test_rs_23_calls_beyond_their_number_fail_in_the_cell_and_nothing_piles_up(
    level: str, host: Canaries
) -> None:
    await call_often(level, host, calls=400)


async def call_often(level: str, host: Canaries, calls: int) -> None:
    """So many calls in a loop, and from threads of which each would make more, in another cell of the same session."""
    policy = Policy(Limits(seconds=86_400, calls=calls, open_calls=4), imports=FREE.imports)
    async with session_at(level, host), Cells(LEVELS[level], policy, [as_tool(cheap)]) as cells:
        one = await cells.run("n = 0\nwhile True: n = cheap(n + 1)")
        assert one.error is not None and f"{calls:,} tool calls" in one.error.message
        threaded = 1000 if calls < 10_000 else 10_000
        many = await cells.run(f"""
from concurrent.futures import ThreadPoolExecutor
def ask(n):
    try: return cheap(n)
    except RuntimeError: return None
with ThreadPoolExecutor(50) as pool: answers = list(pool.map(ask, range({threaded})))
sum(answer is not None for answer in answers)
""")
        assert many.value == str(min(calls, threaded))


async def test_rs_24_sessions_at_their_limits_leave_the_host_its_loop(level: str, host: Canaries) -> None:
    busy = [
        "while True: pass",
        "while True: print('x' * 65536)",
        "held = []\nwhile True: held.append(bytearray(1 << 22))",
        "while True: sum(range(1000))",
    ]
    short = Policy(Limits(seconds=1.5, grace=0.5, memory=1 << 28), imports=FREE.imports)
    lags: list[float] = []

    async def burn(code: str) -> None:
        async with Cells(LEVELS[level], short) as cells:
            assert (await cells.run(code)).ended in ("timeout", "memory", "done")

    async def measure() -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.01)
            lags.append(time.monotonic() - began - 0.01)

    async with session_at(level, host) as normal:
        watch = asyncio.create_task(measure())
        async with asyncio.TaskGroup() as group:
            for code in busy * 2:
                group.create_task(burn(code))
            assert await normal.value("sum(range(10**6))") == 499999500000
        watch.cancel()
    assert sorted(lags)[len(lags) // 2] < 0.5

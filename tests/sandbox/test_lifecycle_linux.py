"""How sessions live and end: what the host hears, and that nothing is left, however either side ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from canaries import mounts
from talk import HERE, at, descendants, session, until

from codeact.core.execution import Death
from codeact.sandboxes.linux import LinuxSandbox

LEVELS = ("full", "plain")
MACHINES = {"full": None, "plain": "no_namespaces"}


@pytest.fixture(params=LEVELS)
def wall(request: pytest.FixtureRequest) -> LinuxSandbox:
    return at(str(request.param))


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def gone(folder: str) -> bool:
    return not os.path.exists(folder)


@pytest.mark.parametrize(
    ("source", "death"),
    [
        ("import os; os._exit(0)", Death("exit", "status 0")),
        ("import os; os._exit(3)", Death("exit", "status 3")),
        ("import os; os.kill(os.getpid(), 9)", Death("signal", "SIGKILL")),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", Death("signal", "SIGTERM")),
        ("import ctypes; ctypes.string_at(0)", Death("signal", "SIGSEGV")),
        ("import os; os.close(3)", Death("exit", "status 70")),
    ],
)
async def test_a_death_is_told_as_it_was(wall: LinuxSandbox, source: str, death: Death) -> None:
    async with session(wall) as ask:
        await ask.tell(source)
        assert await ask.pipe.receive() == b""
        assert await ask.pipe.ended() == death
        assert ask.pipe.usage() is None
        ask.pipe.interrupt()
        ask.pipe.kill()


async def test_a_guest_that_is_killed_was_killed(wall: LinuxSandbox) -> None:
    async with session(wall) as ask:
        await ask.tell("import time\nwhile True: time.sleep(1)")
        ask.pipe.kill()
        assert await ask.pipe.ended() == Death("killed")
        with pytest.raises(OSError):
            while True:
                await ask.pipe.send(bytes(1 << 20))


async def test_every_signal_ignored_is_of_no_use(wall: LinuxSandbox) -> None:
    async with session(wall) as ask:
        await ask("""
import signal
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
""")
        ask.pipe.kill()
        assert await ask.pipe.ended() == Death("killed")


async def test_a_guest_that_stops_itself_is_ended(wall: LinuxSandbox) -> None:
    async with session(wall) as ask:
        await ask.tell("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)")
        ask.pipe.kill()
        assert (await ask.pipe.ended()).kind == "killed"


async def test_a_guest_that_closes_everything_is_still_ended(wall: LinuxSandbox) -> None:
    async with session(wall) as ask:
        await ask.tell("import os, time\nos.closerange(0, 65536)\ntime.sleep(1000)")
        assert await ask.pipe.receive() == b""
        ask.pipe.kill()
        assert await ask.pipe.ended() == Death("killed")


async def test_an_interrupt_is_a_keyboard_interrupt(wall: LinuxSandbox) -> None:
    async with session(wall) as ask:
        await ask.tell("print('going', flush=True)\nwhile True: pass")
        while not ask.written["stdout"]:
            await asyncio.sleep(0)
        ask.pipe.interrupt()
        assert (await ask.answer())["raised"] == "KeyboardInterrupt"
        assert await ask("result = 1") == 1


async def test_what_was_written_before_an_answer_is_there_before_it(wall: LinuxSandbox) -> None:
    async with session(wall) as ask:
        for n in range(200):
            await ask(f"import os; os.write(1, b'{n} out,'); os.write(2, b'{n} err,')")
            assert ask.written["stdout"].endswith(b"%d out," % n)
            assert ask.written["stderr"].endswith(b"%d err," % n)


async def test_a_last_word_is_heard(wall: LinuxSandbox) -> None:
    async with session(wall) as ask:
        await ask.tell("import os; os.write(2, b'x' * 60000 + b'goodbye'); os._exit(1)")
        await ask.pipe.ended()
        assert ask.written["stderr"].endswith(b"xgoodbye")


async def test_a_flood_of_output_neither_stalls_an_answer_nor_fills_the_memory(wall: LinuxSandbox) -> None:
    async with session(wall, keep=1000) as ask:
        await ask("""
import os, threading
def flood():
    while True: os.write(1, b'x' * 65536)
for _ in range(2): threading.Thread(target=flood, daemon=True).start()
""")
        for _ in range(20):
            assert await ask("result = 1") == 1
        assert len(ask.written["stdout"]) <= 1000 + 65536


async def test_much_can_be_sent_both_ways(wall: LinuxSandbox) -> None:
    async with session(wall) as ask:
        text = "x" * (20 << 20)
        assert len(await ask(f"result = '{text}'")) == 20 << 20


async def test_what_a_guest_uses_can_be_seen(wall: LinuxSandbox) -> None:
    async with session(wall) as ask:
        before = ask.pipe.usage()
        await ask("""
import threading, time
held = bytearray(64 << 20)
stop = threading.Event()
threading.Thread(target=stop.wait).start()
end = time.process_time() + 0.1
while time.process_time() < end: pass
""")
        after = ask.pipe.usage()
        assert before is not None and after is not None
        assert before.threads == 1 and after.threads == 2
        assert 60 << 20 < after.memory - before.memory < 80 << 20
        assert after.cpu - before.cpu >= 0.08


async def test_a_session_leaves_no_process_no_descriptor_and_no_mount(wall: LinuxSandbox) -> None:
    async with session(wall) as ask:
        folder = await ask("import os; result = os.getcwd()")
    processes, open_ones, mounted = descendants(), descriptors(), mounts()
    for _ in range(5):
        async with session(wall) as ask:
            await ask("open('left', 'w').close()")
    assert until(lambda: descendants() <= processes)
    assert descriptors() == open_ones
    assert mounts() == mounted
    assert folder == "/tmp" or gone(folder)


async def test_a_hundred_sessions_at_once_end_together_and_leave_nothing(wall: LinuxSandbox) -> None:
    async with session(wall):
        pass
    processes, open_ones = descendants(), descriptors()
    async with AsyncExitStack() as stack:
        for _ in range(100):
            ask = await stack.enter_async_context(session(wall))
            await ask.tell("import time; time.sleep(1000)")
            ask.pipe.kill()
        began = time.monotonic()
    assert time.monotonic() - began < 30  # a second of each, one after the other, would be a hundred
    assert until(lambda: descendants() <= processes)
    assert descriptors() <= open_ones  # of what came before some may have gone


async def test_a_launch_that_is_cancelled_leaves_nothing(wall: LinuxSandbox) -> None:
    async with session(wall):
        pass
    processes, open_ones = descendants(), descriptors()

    async def start() -> None:
        async with session(wall):
            await asyncio.sleep(1000)

    for pause in range(15):
        task = asyncio.create_task(start())
        await asyncio.sleep(pause / 1000)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert until(lambda: descendants() <= processes)
    assert descriptors() == open_ones


async def test_when_the_launcher_is_killed_its_sessions_end_and_the_next_launch_starts_another(
    wall: LinuxSandbox,
) -> None:
    async with session(wall) as ask:
        launchers = [pid for pid in descendants() if parent_of(pid) == os.getpid() and is_launcher(pid)]
        for launcher in launchers:
            os.kill(launcher, signal.SIGKILL)
        death = await ask.pipe.ended()
        assert death.kind == "killed" and "launcher" in death.detail
        assert await ask.pipe.receive() == b""
    async with session(wall) as ask:
        assert await ask("result = 'again'") == "again"
    assert until(lambda: not [pid for pid in descendants() if state_of(pid) == "Z"])
    assert not set(launchers) & descendants()


def is_launcher(pid: int) -> bool:
    return b"-s\0-P\0-S\0" in Path(f"/proc/{pid}/cmdline").read_bytes()


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


HOST = """
import asyncio, os, sys
sys.path[:0] = {paths!r}
from talk import descendants, sandbox, session
async def main():
    async with session(sandbox({machine!r})) as ask:
        await ask.tell("import time\\nwhile True: time.sleep(1)")
        pids = " ".join(map(str, descendants()))
        if {fork!r} and os.fork() == 0:
            import time
            time.sleep(600)
        print(pids, flush=True)
        {last}
asyncio.run(main())
"""


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("last", "fork"),
    [
        ("await asyncio.sleep(600)", False),
        ("await asyncio.sleep(600)", True),
        ("os._exit(1)", False),
        ("sys.exit(1)", False),
    ],
    ids=["killed", "killed while a forked copy lives", "left without a word", "left"],
)
def test_sg_13_when_the_host_goes_everything_goes(level: str, last: str, fork: bool) -> None:
    paths = [str(HERE), str(HERE.parents[1] / "src")]
    at(level)
    program = HOST.format(paths=paths, machine=MACHINES[level], last=last, fork=fork)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        pids = [int(pid) for pid in host.stdout.readline().split()]
        assert pids
        copies = descendants(host.pid) - set(pids)
        if "sleep" in last:
            host.kill()
        try:
            assert until(lambda: all(state_of(pid) in ("", "Z") for pid in pids))  # who reaps orphans is not us
        finally:
            for copy in copies:
                os.kill(copy, signal.SIGKILL)


async def test_a_session_in_a_forked_copy_of_the_host_is_its_own(wall: LinuxSandbox) -> None:
    async with session(wall) as ask:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = asyncio.run(_answer_of_another(wall))
            finally:
                os._exit(code)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        assert os.waitstatus_to_exitcode(status) == 42
        assert await ask("result = 'alive'") == "alive"


async def _answer_of_another(wall: LinuxSandbox) -> int:
    async with session(wall) as ask:
        return int(await ask("result = 42"))


SIGNALS = """
import asyncio, signal, sys
sys.path[:0] = {paths!r}
from talk import sandbox, session
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
async def main():
    async with session(sandbox({machine!r})) as ask:
        await ask.tell("print('going', flush=True)\\nwhile True: pass")
        while not ask.written["stdout"]: await asyncio.sleep(0)
        ask.pipe.interrupt()
        print((await ask.answer())["raised"])
        await ask.tell("import os, signal; os.kill(os.getpid(), signal.SIGTERM)")
        print((await ask.pipe.ended()).detail)
asyncio.run(main())
"""


@pytest.mark.parametrize("level", LEVELS)
def test_signals_that_the_host_blocks_or_ignores_work_inside(level: str) -> None:
    at(level)
    program = SIGNALS.format(paths=[str(HERE), str(HERE.parents[1] / "src")], machine=MACHINES[level])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout.split() == ["KeyboardInterrupt", "SIGTERM"], done.stderr

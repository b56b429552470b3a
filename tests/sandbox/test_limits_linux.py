"""Bounds that hold without a watcher, and what a guest feels when it meets one: an exception, and life goes on."""

from __future__ import annotations

import os

import pytest
from talk import at, session, until

from codeact.core.execution import Death
from codeact.interpreter.verdict import obituary
from codeact.sandboxes.linux import LinuxSandbox

MIB = 1 << 20
LEVELS = ("full", "plain")


@pytest.fixture(params=LEVELS)
def wall(request: pytest.FixtureRequest) -> LinuxSandbox:
    return at(str(request.param))


@pytest.fixture
def full() -> LinuxSandbox:
    return at("full")


@pytest.fixture
def plain() -> LinuxSandbox:
    return at("plain")


@pytest.mark.parametrize(
    ("source", "raised"),
    [
        ("bytearray(8 << 30)", "MemoryError"),
        ("import mmap; mmap.mmap(-1, 8 << 30)", "OSError"),
        ("held = [open('/dev/null') for _ in range(20_000)]", "OSError"),
        ("f = open('sparse', 'wb'); f.truncate(1 << 40)", "OSError"),
        ("def f(): f()\nf()", "RecursionError"),
        ("import resource; resource.setrlimit(resource.RLIMIT_AS, (-1, -1))", "ValueError PermissionError OSError"),
    ],
)
async def test_too_much_is_an_exception_and_the_session_lives_on(wall: LinuxSandbox, source: str, raised: str) -> None:
    async with session(wall) as ask:
        assert (await ask(source))["raised"] in raised.split()
        await ask("held = None")
        assert await ask("result = 1 + 1") == 2


async def test_addresses_that_are_only_set_aside_are_no_memory(wall: LinuxSandbox) -> None:
    """Libraries, allocators and threads set aside far more than they use: with a few of them it is half a gigabyte."""
    async with session(wall, memory=64 * MIB) as ask:
        private = "mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS"
        assert (
            await ask(f"import mmap; aside = mmap.mmap(-1, 512 << 20, {private}, 0); result = len(aside)") == 512 * MIB
        )
        assert (await ask(f"mmap.mmap(-1, 128 << 20, {private})"))["raised"] == "OSError"
        assert (await ask("bytearray(128 << 20)"))["raised"] == "MemoryError"


async def test_too_many_threads_are_an_exception(wall: LinuxSandbox) -> None:
    async with session(wall, threads=16, memory=256 * MIB) as ask:
        answer = await ask("""
import threading
stop = threading.Event()
made = []
try:
    for _ in range(5000):
        made.append(threading.Thread(target=stop.wait))
        made[-1].start()
finally:
    stop.set()
""")
        assert answer["raised"] in ("RuntimeError", "MemoryError")
        assert await ask("result = len(made)") < 200


async def test_the_bound_of_threads_is_the_policys(full: LinuxSandbox) -> None:
    async with session(full, threads=16) as ask:
        made = await ask("""
import os, threading
stop = threading.Event()
result = 0
try:
    while result < 100:
        threading.Thread(target=stop.wait).start()
        result += 1
except RuntimeError:
    pass
stop.set()
""")
        root_by_need = await ask("result = os.stat('/tmp').st_uid") == 0
    assert made == 15 or root_by_need


async def test_the_scratch_is_full_when_its_bytes_are_used_up(full: LinuxSandbox) -> None:
    async with session(full, scratch=4 * MIB) as ask:
        assert (await ask("[open(str(n), 'wb').write(bytes(1 << 20)) for n in range(8)]"))["raised"] == "OSError"
        await ask("import os; [os.remove(name) for name in os.listdir('.') if name.isdigit()]")
        assert await ask("result = open('again', 'wb').write(bytes(1 << 20))") == MIB


async def test_the_scratch_is_full_when_its_files_are_used_up(full: LinuxSandbox) -> None:
    async with session(full, inodes=50) as ask:
        assert (await ask("[open(str(n), 'wb').close() for n in range(100)]"))["raised"] == "OSError"


async def test_nothing_in_the_scratch_can_be_executed(full: LinuxSandbox) -> None:
    async with session(full) as ask:
        answer = await ask("""
import mmap
with open('m', 'w+b') as f:
    f.write(b'\\x90' * 4096)
    f.flush()
    mmap.mmap(f.fileno(), 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC, flags=mmap.MAP_PRIVATE)
""")
    assert answer["raised"] in ("OSError", "PermissionError")


@pytest.mark.parametrize(
    "source",
    [
        "[open(str(n), 'wb').write(bytes(1 << 20)) for n in range(8)]",
        "import os\nfor n in range(200): os.mkdir(str(n)); os.chdir(str(n))",
        "import os\nfor n in range(200): os.mkdir(str(n), 0o300); os.close(os.open(f'{n}/x', os.O_CREAT))",
    ],
    ids=["bytes", "depth", "hidden"],
)
async def test_at_plain_a_guest_that_outgrows_its_scratch_is_ended_and_its_folder_goes(
    plain: LinuxSandbox, source: str
) -> None:
    async with session(plain, scratch=4 * MIB, inodes=100) as ask:
        folder = await ask("import os; result = os.getcwd()")
        await ask.tell(source)
        death = await ask.pipe.ended()
        assert death.kind == "killed"
        assert "its scratch holds more than" in obituary(death).why  # what the model is told
    assert until(lambda: not os.path.exists(folder))


async def test_a_crash_leaves_no_core_file(wall: LinuxSandbox) -> None:
    async with session(wall) as ask:
        assert await ask("import resource; result = resource.getrlimit(resource.RLIMIT_CORE)") == [0, 0]
        await ask.tell("import ctypes; ctypes.string_at(0)")
        assert await ask.pipe.ended() == Death("signal", "SIGSEGV")

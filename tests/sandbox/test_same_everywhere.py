"""The same programs behind every wall: the same words on stdout as with no wall, and no error."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from fetched import data_home

from codeact.cells import Cells
from codeact.core.errors import SandboxUnavailable
from codeact.core.execution import Limits, Policy
from codeact.ports import Sandbox
from codeact.sandboxes.command import Command
from codeact.sandboxes.linux import LinuxSandbox
from codeact.sandboxes.wasm import Wasm

pytestmark = pytest.mark.timeout(400)  # it may be the first one that fetches
FOLDER = Path(__file__).parent.parent / "programs"
CLEAR = "for name in list(globals()):\n    if name[:2] != '__': del globals()[name]\n__annotations__ = {}\ndel name"
POLICY = Policy(Limits(seconds=60))

# What is another in WebAssembly, and why.
THREADS = "there is one thread"
NUMBERS = "its C library numbers errors in its own way"
ELSEWHERE = {
    "futures callbacks and threads of a loop": THREADS,
    "threads locks and events": THREADS,
    "pools of threads": THREADS,
    "queues between threads": THREADS,
    "timers barriers and conditions": THREADS,
    "exceptions chained and suppressed": NUMBERS,
    "files and folders in a temporary place": NUMBERS,
    "calendars and time zones": "there is no data on time zones",
    "environment platform and time": "its name is another",
    "integers without end": "a word of memory has 32 bits",
}
# Where CPython 3.14 has other words than the Python that these tests run with.
VERSION = {
    "inheritance super and the order of resolution",
    "slots and weak references",
    "comparison by total ordering and hashing",
    "errors of every builtin kind",
    "code objects and frames",
    "type hints at run time",
    "unpacking everywhere",
    "annotations are data",
    "json both ways",
    "dates and times",
    "floats and their edges",
}


def programs() -> list[tuple[str, str]]:
    found = []
    for path in sorted(FOLDER.glob("*.txt")):
        for part in path.read_text().split("#: ")[1:]:
            name, _, source = part.partition("\n")
            found.append((name, source))
    return found


async def said(wall: Sandbox, sources: Sequence[str]) -> list[str]:
    words = []
    async with Cells(wall, POLICY) as cells:
        for source in sources:
            await cells.run(CLEAR)
            outcome = await cells.run(source)
            words.append(outcome.stdout + (outcome.error.traceback if outcome.error else ""))
    return words


async def differing(wall: Sandbox, expected: Sequence[str]) -> set[str]:
    heard = await said(wall, [source for _, source in programs()])
    return {name for (name, _), one, other in zip(programs(), heard, expected, strict=True) if one != other}


@pytest.fixture
async def expected() -> list[str]:
    return await said(Command([sys.executable]), [source for _, source in programs()])


async def test_programs_say_the_same_behind_linux(expected: list[str]) -> None:
    try:
        assert await differing(LinuxSandbox(), expected) == set()
    except SandboxUnavailable as unavailable:
        pytest.skip(str(unavailable))


async def test_programs_say_the_same_in_webassembly(expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(data_home()))
    assert set(ELSEWHERE) | VERSION <= {name for name, _ in programs()}
    others = await differing(Wasm(), expected)
    assert not others - set(ELSEWHERE) - (VERSION if sys.version_info[:2] != (3, 14) else set())

"""A disk that fails or is full stops a run before it does anything more, and the run goes on when that is mended."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
import verdicts
import witness
from verdicts import Op

from codeact import CodeAgent, ToolCallingAgent, tool
from codeact.cells import Cells
from codeact.core.errors import StorageError
from codeact.core.events import TaskGiven, ToolCalled, ToolReturned
from codeact.core.execution import Policy, ToolCall
from codeact.core.messages import NativeCall, Reply
from codeact.core.recovery import Happened, Recovery, Retry
from codeact.journals.database import trouble
from codeact.journals.sqlite import SqliteStore, _File
from codeact.journals.writing import Writers
from codeact.sandboxes.linux import LinuxSandbox
from codeact.session.session import Session
from codeact.testing import ScriptedModel
from codeact.tools.context import current_call

RUN = "0123456789abcdef0123456789abcdef"
EFFECTS: Counter[str] = Counter()  # by key


@pytest.fixture(autouse=True)
def clean() -> None:
    EFFECTS.clear()


@tool
def pay(to: str) -> str:
    """Pay."""
    EFFECTS[current_call().key] += 1
    return f"{to} is paid " + "." * 3000


def calls(*names: str) -> Reply:
    return Reply("", tool_calls=tuple(NativeCall(name, "pay", f'{{"to": "{name}"}}') for name in names))


REPLIES = (calls("ada"), calls("ben", "cleo"), calls("dan"), calls("eve"))
END = Reply("", tool_calls=(NativeCall("end", "final_answer", '{"value": "all are paid"}'),))


def agent(store: SqliteStore) -> ToolCallingAgent:
    return ToolCallingAgent(model=ScriptedModel(*REPLIES, END), tools=[pay], journal=store)


class Failing(SqliteStore):
    """A journal whose disk fails at the n-th of what is done to it, and from then on or only then."""

    def __init__(self, path: Path, fault: Callable[[Failing, str], None]) -> None:
        super().__init__(path)
        self.count = 0

        class Place(_File):
            @property
            def file(place) -> Any:
                return Connection(super().file, lambda statement: fault(self, statement))

        self._writers = Writers(lambda: Place(self.path))


class Connection:
    """A connection, each statement of which something hears first."""

    def __init__(self, real: sqlite3.Connection, hear: Callable[[str], None]) -> None:
        self._real = real
        self._hear = hear

    def execute(self, statement: str, *values: Any) -> Any:
        self._hear(statement)
        return self._real.execute(statement, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def fault(words: str, at: int, once: bool, where: str) -> Callable[[Failing, str], None]:
    def strike(store: Failing, statement: str) -> None:
        if statement.startswith(where):
            store.count += 1
            if store.count == at or (store.count > at and not once):
                raise sqlite3.OperationalError(words)

    return strike


async def knows(call: ToolCall) -> Recovery | None:
    return Happened(f"{call.arguments['to']} is paid " + "." * 3000) if EFFECTS[call.key] else Retry()


async def begun(store: SqliteStore) -> None:
    async with Session(agent(store), run_id=RUN) as session:
        await session.run("Pay them.")


async def gone_on(store: SqliteStore) -> None:
    """Go on where the disk is mended: everybody is paid once."""
    before = Counter(EFFECTS)
    if not store.has(RUN) or not any(type(entry.event).__name__ == "TaskGiven" for entry in store.entries(RUN)):
        assert not before
        return
    result = await agent(store).aresume(RUN, knows=knows)
    assert result.output == "all are paid"
    assert sorted(EFFECTS.values()) == [1] * 5
    assert not verdicts.of_calls(ops(store))


def ops(store: SqliteStore) -> list[Op]:
    found = [Op("effect", key, "pay") for key, count in EFFECTS.items() for _ in range(count)]
    for entry in store.entries(RUN):
        if isinstance(entry.event, ToolCalled):
            found.append(Op("invoke", entry.event.key, entry.event.tool))
        elif isinstance(entry.event, ToolReturned) and entry.event.returned.failure is None:
            found.append(Op("ok", entry.event.key))
    return found


@pytest.mark.parametrize(
    ("words", "mend", "where", "once"),
    [
        ("disk I/O error", "can be resumed", "COMMIT", True),
        ("disk I/O error", "can be resumed", "COMMIT", False),
        ("database or disk is full", "make room", "INSERT INTO entries", False),
    ],
)
async def test_at_whichever_write_the_disk_fails_nothing_is_done_after_it(
    tmp_path: Path, words: str, mend: str, where: str, once: bool
) -> None:
    failed = 0
    for at in range(1, 200):
        EFFECTS.clear()
        place = tmp_path / f"{at}" / "runs.db"
        try:
            await begun(Failing(place, fault(words, at, once, where)))
            break
        except StorageError as error:
            assert words in str(error) and mend in str(error) and str(place) in str(error)
        failed += 1
        store = SqliteStore(place)
        if store.has(RUN):
            assert not verdicts.of_calls([op for op in ops(store) if op.kind != "ok"])
        await gone_on(store)
    assert failed > 15 and sorted(EFFECTS.values()) == [1] * 5


CELL = "import asyncio\npaid = await asyncio.gather(pay.aio('ada'), pay.aio('ben'))"
ANSWER = "final_answer(len(paid))"


def coding(store: SqliteStore) -> CodeAgent:
    model = ScriptedModel(f"```python\n{CELL}\n```", f"```python\n{ANSWER}\n```")
    return CodeAgent(model=model, tools=[pay], journal=store, snapshots=False, sandbox=LinuxSandbox())


async def gone_but_for(spared: set[int]) -> None:
    with anyio.fail_after(30):
        while set(witness.below(os.getpid())) - spared:
            await anyio.sleep(0.005)


async def test_at_whichever_write_the_disk_fails_below_a_cell_that_calls_nothing_is_done_after_it(
    tmp_path: Path,
) -> None:
    async with Cells(LinuxSandbox(), Policy()):
        pass
    launcher = set(witness.below(os.getpid()))
    failed, in_the_cell, fails = 0, 0, ("disk I/O error", "database or disk is full")
    for at in range(5, 200):  # before its cell it is as above
        EFFECTS.clear()
        words, where = fails[at % 2], ("COMMIT", "INSERT INTO entries")[at % 2]
        faulty = Failing(tmp_path / f"{at}" / "runs.db", fault(words, at, at % 3 == 0, where))
        ended = False
        try:
            async with Session(coding(faulty), run_id=RUN) as session:
                await session.run("Pay them.")
            ended = True
        except StorageError as error:
            assert words in str(error)
        if ended:
            break
        failed += 1
        await gone_but_for(launcher)
        store = SqliteStore(faulty.path)
        made = Counter(EFFECTS)
        events = [entry.event for entry in store.entries(RUN)] if store.has(RUN) else []
        assert not verdicts.of_calls([op for op in ops(store) if op.kind != "ok"] if events else [])
        in_the_cell += any(isinstance(event, ToolCalled) for event in events)
        if not any(isinstance(event, TaskGiven) for event in events):
            assert not made
            continue
        result = await coding(store).aresume(RUN, knows=knows)
        assert result.output == 2 and sorted(EFFECTS.values()) == [1] * 2
        assert not verdicts.of_calls(ops(store))
    assert failed > 8 and in_the_cell > 3 and sorted(EFFECTS.values()) == [1] * 2


class Limited(SqliteStore):
    """A journal whose file may have so many pages."""

    def __init__(self, path: Path, pages: int) -> None:
        super().__init__(path)

        class Place(_File):
            def __init__(place, path: Path) -> None:
                super().__init__(path)
                place.file.execute(f"PRAGMA max_page_count = {pages}")

        self._writers = Writers(lambda: Place(self.path))


async def test_a_file_that_may_not_grow_stops_it_at_any_page(tmp_path: Path) -> None:
    failed = 0
    for pages in range(11, 200):
        EFFECTS.clear()
        store = Limited(tmp_path / f"{pages}.db", pages)
        try:
            await begun(store)
            break
        except StorageError as error:
            assert "full; make room, or name another file with --journal" in str(error)
        failed += 1
        await gone_on(SqliteStore(store.path))
    assert failed > 3 and sorted(EFFECTS.values()) == [1] * 5


TINY = """
import asyncio, os, sqlite3, subprocess, sys
sys.path[:0] = [{here!r}]
import test_faults as tests
from codeact.core.errors import StorageError
from codeact.journals.sqlite import SqliteStore

async def main():
    store = SqliteStore("{place}/runs.db")
    try:
        await tests.begun(store)
    except StorageError as error:
        print("full:", error)
        done = sum(tests.EFFECTS.values())
    else:
        sys.exit("it was not full")
    subprocess.run(["mount", "-o", "remount,size=16m", "{place}"], check=True)
    assert sum(tests.EFFECTS.values()) == done
    subprocess.run(["mount", "-o", "remount,ro", "{place}"], check=True)
    try:
        await tests.agent(store).aresume(tests.RUN, knows=tests.knows)
    except StorageError as error:
        print("read-only:", error)
    subprocess.run(["mount", "-o", "remount,rw", "{place}"], check=True)
    await tests.gone_on(store)
    os.mkdir("{place}/kept")
    sqlite3.connect(store.path).execute("VACUUM INTO '{place}/kept/runs.db'").connection.close()
    for how in ("bind", "remount,ro,bind"):
        subprocess.run(["mount", "-o", how, "{place}/kept", "{place}/kept"], check=True)
    print(len([*SqliteStore("{place}/kept/runs.db").entries(tests.RUN)]) == len([*store.entries(tests.RUN)]))
    print("paid:", sum(tests.EFFECTS.values()))

asyncio.run(main())
"""


def test_a_disk_that_is_full_and_then_read_only_is_told_apart(tmp_path: Path) -> None:
    place = tmp_path / "tiny"
    place.mkdir()
    inside = ["unshare", "--user", "--map-root-user", "--mount"]
    mount = f"mount -t tmpfs -o size=120k tmpfs {place}"
    grown = f"{mount} && mount -o remount,size=16m {place}"
    if subprocess.run([*inside, "sh", "-c", grown], capture_output=True, check=False).returncode:
        pytest.skip("a disk of its own cannot be mounted and made larger here, without more rights")
    program = TINY.format(here=str(Path(__file__).parent), place=place)
    done = subprocess.run(
        [*inside, "sh", "-c", f'{mount} && exec "$0" -c "$1"', sys.executable, program],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    full, read_only, kept, paid = done.stdout.splitlines()
    assert full.startswith("full:") and "make room, or name another file with --journal" in full
    assert read_only.startswith("read-only:") and "name another with --journal" in read_only
    assert kept == "True" and paid == "paid: 5"  # what nobody writes any more can be read where nothing can be written


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_what_the_file_system_refuses_is_told_with_what_to_do(tmp_path: Path, number: int) -> None:
    with pytest.raises(StorageError, match="--journal") as told, trouble(tmp_path / "runs.db", "opening"):
        raise OSError(number, os.strerror(number))
    assert os.strerror(number) in str(told.value)


async def test_a_journal_in_a_folder_that_is_none_names_another(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=str(tmp_path)):
        await begun(SqliteStore(tmp_path / "file" / "runs.db"))
    assert not EFFECTS

"""A file of runs: what was kept is there after any crash, what is damaged is found, and a run has one writer."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from codeact.core.errors import JournalCorrupt, RunLocked, StorageError, UsageError
from codeact.core.events import CodeRan, Event, Noted, RunStarted, TaskEnded, TaskGiven, ToolReturned
from codeact.core.execution import Outcome, Returned
from codeact.core.messages import Image, Usage
from codeact.faces.cli import runs
from codeact.journals.sqlite import SqliteJournal, SqliteStore
from codeact.testing import check_store

from .deleted import check_deleting
from .step import STEP, WAITING

EVENTS: list[Event] = [
    RunStarted("replay:r", "linux"),
    TaskGiven("Which is colder?"),
    Noted("one"),
    CodeRan(1, Outcome("done", stdout="y" * 9000, images=(Image(b"\x89PNG" * 3000),))),
    TaskEnded("final_answer", {"rows": [1, 2.5, None], "at": (1, 2)}),
]


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "state" / "journal.db")


async def written(store: SqliteStore, run: str = "r1", events: list[Event] = EVENTS) -> SqliteJournal:
    journal = store.create(run)
    for event in events:
        await journal.append(event)
    return journal


def events_of(store: SqliteStore, run: str = "r1") -> list[Event]:
    return [entry.event for entry in store.entries(run)]


async def test_a_run_is_read_as_it_was_written_while_it_goes_on_and_afterwards(store: SqliteStore) -> None:
    journal = await written(store)
    assert events_of(store) == EVENTS == [entry.event async for entry in journal.read()]
    assert [entry.seq for entry in store.entries("r1")] == [0, 1, 2, 3, 4]
    journal.close()
    assert events_of(store) == EVENTS
    assert store.path.stat().st_mode & 0o777 == 0o600 and store.path.parent.stat().st_mode & 0o777 == 0o700


async def test_a_file_keeps_what_a_store_promises(store: SqliteStore) -> None:
    await check_store(store)


async def test_the_same_bytes_are_kept_once_whatever_runs_they_came_in(store: SqliteStore) -> None:
    table = [{"city": "Oslo", "degrees": number} for number in range(5000)]  # long by its parts, none of which is
    for run in ("r1", "r2"):
        events: list[Event] = [ToolReturned(f"{run} {number}", Returned(table)) for number in range(3)]
        (await written(store, run, events)).close()
        assert events_of(store, run) == events
    with sqlite3.connect(store.path) as file:
        assert file.execute("SELECT count(*) FROM contents").fetchone() == (1,)
        assert file.execute("SELECT max(length(line)) FROM entries").fetchone()[0] < 500
    file.close()


async def test_of_a_step_the_reply_the_call_and_its_result_wait_for_the_disk(store: SqliteStore) -> None:
    journal, said, waited = store.create("r1"), list[str](), []
    journal._file.set_trace_callback(said.append)
    for event in STEP:
        said.clear()
        await journal.append(event)
        waited += [type(event).__name__] if "PRAGMA synchronous = FULL" in said else []
    journal.close()
    assert waited == WAITING


async def test_a_run_goes_on_where_it_was(store: SqliteStore) -> None:
    (await written(store, events=EVENTS[:2])).close()
    again = store.open("r1")
    for event in EVENTS[2:]:
        await again.append(event)
    again.close()
    assert events_of(store) == EVENTS


async def test_the_list_of_runs_is_newest_first_and_paged(store: SqliteStore) -> None:
    assert store.runs() == []
    for number in range(5):
        (await written(store, f"run{number}")).close()
    store.create("child", "run4").close()
    newest = store.runs(limit=2)
    assert [one.run for one in newest] == ["run4", "run3"]
    assert (newest[0].model, newest[0].task, newest[0].stop_reason) == ("replay:r", EVENTS[1].task, "final_answer")  # type: ignore[union-attr]
    assert [one.run for one in store.runs(before=newest[-1].started)] == ["run2", "run1", "run0"]
    assert [one.run for one in store.runs(parent="run4")] == ["child"]


async def test_the_list_of_runs_reads_no_events_and_knows_their_tokens(
    store: SqliteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    for run in ("one", "two"):
        (await written(store, run, STEP * 3)).close()
    opened = store.open("two")
    await opened.append(STEP[1])
    opened.close()
    with closing(sqlite3.connect(store.path)) as file:
        file.execute("ALTER TABLE entries RENAME TO elsewhere")
    assert runs.main(["--json", "--journal", str(store.path)]) == 0
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    tokens = [(one["run"], *list(one["usage"].values())[:4]) for one in listed]
    assert tokens == [("two", 4000, 80, 3200, 4), ("one", 3000, 60, 2400, 3)] and listed[1]["entries"] == 18
    assert store.runs()[1].usage == Usage(3000, 60, 2400, 3)


async def test_a_run_that_is_deleted_is_gone_with_all_below_it_from_the_bytes_of_the_file_too(
    store: SqliteStore,
) -> None:
    def contents() -> int:
        with closing(sqlite3.connect(store.path)) as file:
            return int(file.execute("SELECT count(*) FROM contents").fetchone()[0])

    (await written(store, "stays")).close()
    await check_deleting(store, contents)
    kept = b"".join(file.read_bytes() for file in store.path.parent.glob("journal.db*") if file.is_file())
    assert b"nobody else has" not in kept and b"Which is colder?" in kept
    assert list(store.path.parent.glob("*-locks/*")) == [] and events_of(store, "stays") == EVENTS


async def test_old_runs_are_deleted_once_that_is_confirmed(
    store: SqliteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    for run in ("old one", "old two", "new"):
        (await written(store, run)).close()
    store.create("below", "new").close()
    with closing(sqlite3.connect(store.path, isolation_level=None)) as file:
        file.execute("UPDATE runs SET changed = changed - 86400 * 8 WHERE run LIKE 'old%'")
    words = ["--journal", str(store.path)]
    for wrong, said in (
        (["--delete", "new"], "say --yes"),
        (["--yes"], "--delete RUN"),
        (["--delete", "nobody", "--yes"], "no run begins"),
        (["--delete", "below", "--yes"], "goes with that one"),
    ):
        with pytest.raises(UsageError, match=said):
            runs.main([*words, *wrong])
    assert len(store.runs()) == 3
    at_work = store.open("old two")
    assert runs.main([*words, "--delete-older", "7", "--yes", "--json"]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out) == {"deleted": ["old one"]} and "old two is in use by process" in said.err
    at_work.close()
    assert runs.main([*words, "--delete-older", "7", "--delete", "new", "--yes"]) == 0
    assert "deleted: 2 runs, and 1 run called by" in capsys.readouterr().err and store.runs() == []


async def test_a_run_is_found_by_how_its_name_begins(store: SqliteStore) -> None:
    for name in ("abc1", "abd2", "a%_3"):
        store.create(name).close()
    assert store.find("abc") == "abc1" and store.find("a%") == "a%_3"
    for wrong in ("ab", "zz"):
        with pytest.raises(UsageError, match="codeact runs"):
            store.find(wrong)


async def test_two_cannot_write_one_run_and_the_second_hears_who_does(store: SqliteStore) -> None:
    journal = await written(store)
    with pytest.raises(RunLocked) as locked:
        store.open("r1")
    assert locked.value.pid == os.getpid() and locked.value.since > 0 and str(os.getpid()) in str(locked.value)
    store.create("r2").close()  # another run is nobody's
    journal.close()
    store.open("r1").close()
    assert list(store.path.parent.glob("*-locks/*")) == []


async def test_whoever_lost_the_lock_writes_nothing_more(store: SqliteStore) -> None:
    old = await written(store, events=EVENTS[:2])
    shutil.rmtree(store.path.parent / f"{store.path.name}-locks")  # somebody tidied up
    new = store.open("r1")
    with pytest.raises(StorageError, match="taken over"):
        await old.append(Noted("from the grave"))
    await new.append(Noted("alive"))
    assert events_of(store) == [*EVENTS[:2], Noted("alive")]


WRITER = """
import asyncio, sys
from codeact.core.events import Noted
from codeact.journals.sqlite import SqliteStore
async def main():
    journal = SqliteStore(sys.argv[1]).create("killed")
    for number in range(100_000):
        await journal.append(Noted(f"{number} " + "x" * (number % 9000)))
        print(number, flush=True)
asyncio.run(main())
"""


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_writer_loses_nothing_that_it_was_told_is_kept(store: SqliteStore, seed: int) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(store.path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    for _ in range(random.Random(seed).randrange(1, 150)):
        kept = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    kept = max([kept, *(int(line) for line in writer.stdout if line.endswith("\n"))])
    writer.wait()
    writer.stdout.close()
    journal = store.open("killed")  # its lock died with it
    read = events_of(store, "killed")
    assert len(read) - 1 in (kept, kept + 1)
    assert [int(event.text.split()[0]) for event in read if isinstance(event, Noted)] == list(range(len(read)))
    journal.close()


TAMPERED = {
    "a line": "UPDATE entries SET line = replace(line, 'colder', 'warmer') WHERE seq = 1",
    "a time": "UPDATE entries SET at = at + 1 WHERE seq = 2",
    "what lies beside": "UPDATE contents SET data = x'00' WHERE length(data) = 9000",
    "what lay beside": "DELETE FROM contents WHERE length(data) = 9000",
    "where it lies": "UPDATE entries SET digests = zeroblob(64) WHERE seq = 3",
    "half of where it lies": "UPDATE entries SET digests = zeroblob(40) WHERE seq = 3",
    "something more beside": "INSERT INTO contents VALUES (x'00', x'00')",
    "a row that is gone": "DELETE FROM entries WHERE seq = 2",
    "rows in another order": "UPDATE entries SET seq = 9 WHERE seq = 1; UPDATE entries SET seq = 1 WHERE seq = 2;"
    "UPDATE entries SET seq = 2 WHERE seq = 9",
    "a row of another run": "UPDATE entries SET run = 'r1', seq = 5 WHERE run = 'r2' AND seq = 1",
    "another type": "UPDATE entries SET line = x'00' WHERE seq = 1",
    "a fence that falls": "UPDATE entries SET fence = 0 WHERE seq = 3",
}


@pytest.mark.parametrize("what", TAMPERED)
async def test_what_was_changed_is_found_and_what_is_before_it_is_whole(store: SqliteStore, what: str) -> None:
    for run in ("r1", "r2"):
        (await written(store, run)).close()
    with sqlite3.connect(store.path) as file:
        file.executescript(TAMPERED[what])
    file.close()
    read: list[Event] = []
    if what == "something more beside":  # nothing refers to it
        assert events_of(store) == EVENTS
        return
    with pytest.raises(JournalCorrupt, match=r"entry \d of run r1"):
        for entry in store.entries("r1"):
            read.append(entry.event)
    assert read == EVENTS[: len(read)]


async def test_a_file_of_any_bytes_is_refused_or_read_as_far_as_it_is_whole(store: SqliteStore) -> None:
    (await written(store)).close()
    whole = store.path.read_bytes()
    for extra in store.path.parent.glob("journal.db-*"):
        if extra.is_file():
            extra.unlink()
    drawn = random.Random(7)
    for number in range(250):
        data = bytearray(whole)
        if number % 2:
            del data[drawn.randrange(len(data)) :]
        else:
            data[drawn.randrange(len(data))] ^= 1 << drawn.randrange(8)
        store.path.write_bytes(data)
        read: list[Event] = []
        try:
            for entry in store.entries("r1"):
                read.append(entry.event)
        except (StorageError, UsageError) as refused:
            assert str(store.path) in str(refused) or "of run r1" in str(refused)
        assert read == EVENTS[: len(read)]


async def test_the_log_beside_it_cut_anywhere_leaves_a_clean_beginning(store: SqliteStore, tmp_path: Path) -> None:
    journal = await written(store)
    log = store.path.with_name("journal.db-wal").read_bytes()
    copy = SqliteStore(tmp_path / "copy" / "journal.db")
    copy.path.parent.mkdir()
    lengths = {0, 31, 32, len(log), *range(32, len(log), 24 + 4096), *range(33, len(log), 5001)}
    for length in sorted(lengths):
        shutil.copy(store.path, copy.path)
        copy.path.with_name("journal.db-wal").write_bytes(log[:length])
        copy.path.with_name("journal.db-shm").unlink(missing_ok=True)
        read: list[Event] = []
        try:
            read += events_of(copy)
        except (StorageError, UsageError):
            continue
        assert read == EVENTS[: len(read)]
    assert read == EVENTS
    journal.close()


async def test_a_full_disk_is_told_once_and_nothing_is_written_after_it(store: SqliteStore) -> None:
    journal = await written(store)
    pages = journal._file.execute("PRAGMA page_count").fetchone()[0]
    journal._file.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StorageError, match=r"full; make room") as full:
        for _ in range(10):
            await journal.append(Noted("x" * 4000))
    assert str(store.path) in str(full.value)
    journal._file.execute("PRAGMA max_page_count = 100000")
    with pytest.raises(StorageError, match="nothing more is written"):
        await journal.append(Noted("as if nothing had been"))
    journal.close()
    read = events_of(store)
    assert read[:5] == EVENTS and all(event == Noted("x" * 4000) for event in read[5:])
    store.open("r1").close()


def test_a_process_that_was_forked_keeps_its_own_runs_beside_those_of_its_parent(store: SqliteStore) -> None:
    journal = asyncio.run(written(store, "parent"))
    child = os.fork()
    if child == 0:
        status = 1
        try:
            asyncio.run(written(store, "child"))
            status = 0 if events_of(store, "child") == events_of(store, "parent")[:5] == EVENTS else 2
        finally:
            os._exit(status)
    asyncio.run(journal.append(Noted("the parent goes on")))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    journal.close()
    assert events_of(store, "child") == EVENTS and events_of(store, "parent") == [*EVENTS, Noted("the parent goes on")]


def test_many_that_begin_at_once_make_one_file(store: SqliteStore) -> None:
    for round in range(10):
        other = SqliteStore(store.path.with_name(f"journal{round}.db"))
        with ThreadPoolExecutor(8) as threads:
            for journal in threads.map(other.create, [f"run{number}" for number in range(8)]):
                journal.close()
        assert len(other.runs()) == 8


def test_what_is_no_journal_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as file:
        file.execute("CREATE TABLE mine (x)")
    file.close()
    text = tmp_path / "notes.txt"
    text.write_text("not a database, but long enough to be read as one " * 20)
    before = [path.read_bytes() for path in (other, text)]
    for path, words in ((other, "no journal of codeact"), (text, "not a database")):
        with pytest.raises((UsageError, StorageError), match=words):
            SqliteStore(path).create("r1")
    assert [path.read_bytes() for path in (other, text)] == before
    with pytest.raises(UsageError, match="there is no journal at"):
        list(SqliteStore(tmp_path / "none.db").entries("r1"))
    with pytest.raises(UsageError, match="there is no run 'r9'"):
        store = SqliteStore(tmp_path / "empty.db")
        store.create("r1").close()
        list(store.entries("r9"))


@pytest.mark.parametrize("statement", ["PRAGMA user_version", "PRAGMA journal_mode = WAL", "BEGIN; ROLLBACK"])
def test_a_file_whose_maker_was_killed_holds_no_runs_and_is_made_by_the_next(
    store: SqliteStore, statement: str
) -> None:
    store.path.parent.mkdir(exist_ok=True)
    store.path.touch()
    with sqlite3.connect(store.path) as file:
        file.executescript(statement)
    file.close()
    assert store.runs() == [] and not store.has("r1")
    for ask in (lambda: store.find("r"), lambda: list(store.entries("r1"))):
        with pytest.raises(UsageError, match="there is no journal at"):
            ask()
    store.create("r1").close()
    assert store.has("r1")


def test_a_journal_of_a_later_version_is_refused(store: SqliteStore) -> None:
    store.create("r1").close()
    with sqlite3.connect(store.path) as file:
        file.execute("PRAGMA user_version = 99")
    file.close()
    with pytest.raises(UsageError, match=r"later codeact \(format 99"):
        store.open("r1")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(0o500)
    with pytest.raises(StorageError, match=str(folder)):
        SqliteStore(folder / "journal.db").create("r1")

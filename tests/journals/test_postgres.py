"""Runs in a database: the same promises as of a file, for many machines, and no word of a password anywhere."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cli.command import CODEACT, codeact, environment
from codeact import CodeAgent, tool
from codeact.core.errors import CodeactError, JournalCorrupt, RunLocked, StorageError, UsageError
from codeact.core.events import CodeRan, Event, Noted, RunStarted, TaskEnded, TaskGiven, ToolReturned
from codeact.core.execution import Outcome, Returned, ToolCall
from codeact.core.messages import Image, Usage
from codeact.core.recovery import Happened, Recovery
from codeact.journals import codec
from codeact.journals.journal import KeptJournal
from codeact.journals.postgres import PostgresStore
from codeact.stores import condition
from codeact.stores import store as named
from codeact.testing import ScriptedModel, check_store

from .deleted import OWN, check_deleting
from .postgres import PASSWORD, URL_PASSWORD, Server, Unavailable, mute, server
from .step import STEP, WAITING

psycopg = pytest.importorskip("psycopg")
EVENTS: list[Event] = [
    RunStarted("replay:r", "linux"),
    TaskGiven("Which is \0 colder?"),
    Noted("one"),
    CodeRan(1, Outcome("done", stdout="y" * 9000, images=(Image(b"\x89PNG" * 3000),))),
    TaskEnded("final_answer", {"rows": [1, 2.5, None], "at": (1, 2)}),
]


@pytest.fixture(scope="module")
def database() -> Iterator[Server]:
    try:
        with server() as made:
            yield made
    except Unavailable as missing:
        pytest.skip(f"Debian package postgresql is absent: {missing}")


@pytest.fixture
def store(database: Server) -> PostgresStore:
    made = named(database.url)
    assert isinstance(made, PostgresStore)
    return made


def asked(database: Server, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database.url, autocommit=True) as connection:
        cursor = connection.execute(query)
        return cursor.fetchall() if cursor.description else []


async def written(store: PostgresStore, run: str, events: list[Event] = EVENTS) -> None:
    journal = store.create(run)
    for event in events:
        await journal.append(event)
    journal.close()


def events_of(store: PostgresStore, run: str) -> list[Event]:
    return [entry.event for entry in store.entries(run)]


async def test_a_database_keeps_what_a_store_promises(store: PostgresStore) -> None:
    await check_store(store)


async def test_a_run_is_read_as_it_was_written_and_listed(store: PostgresStore) -> None:
    await written(store, "read")
    store.create("read below", "read").close()
    assert events_of(store, "read") == EVENTS
    [found] = [one for one in store.runs() if one.run == "read"]
    assert (found.model, found.task, found.stop_reason) == ("replay:r", "Which is  colder?", "final_answer")
    assert [one.run for one in store.runs(parent="read")] == ["read below"]
    assert found not in store.runs(before=found.started)
    assert store.find("read ") == "read below"
    for wrong in ("rea", "%"):
        with pytest.raises(UsageError, match="codeact runs"):
            store.find(wrong)


async def test_the_list_reads_no_events_also_of_an_earlier_version_which_goes_on_in_the_present_one(
    store: PostgresStore, database: Server
) -> None:
    await written(store, "listed", STEP)
    asked(database, "ALTER TABLE codeact.entries RENAME TO elsewhere")
    found = store.glance("listed")
    assert found is not None and found in store.runs() and found.usage == Usage(1000, 20, 800)
    asked(database, "ALTER TABLE codeact.elsewhere RENAME TO entries")
    asked(database, "ALTER TABLE codeact.runs DROP COLUMN usage; DROP INDEX codeact.entries_beside")
    asked(database, "UPDATE codeact.journal SET version = 2")
    assert store.glance("listed") == replace(found, usage=None) and events_of(store, "listed") == STEP
    journal = store.open("listed")
    await journal.append(STEP[1])
    journal.close()
    await written(store, "anew", STEP)
    again, anew = store.glance("listed"), store.glance("anew")
    assert again is not None and anew is not None and (again.usage, anew.usage) == (None, found.usage)
    assert asked(database, "SELECT version FROM codeact.journal") == [(codec.VERSION,)]


async def test_a_run_that_is_deleted_is_gone_with_all_below_it_and_what_is_just_being_written_stays_whole(
    store: PostgresStore, database: Server
) -> None:
    contents = "SELECT count(*)::integer FROM codeact.contents"
    store.create("stays").close()
    before: Any = asked(database, contents)[0][0]
    await check_deleting(store, lambda: asked(database, contents)[0][0])

    await written(store, "first", OWN)
    row = "seq, at, fence, line, blobs, mark, digests FROM codeact.entries WHERE run = 'first' AND blobs > 0"
    with psycopg.connect(database.url) as writer:  # it counts on what is there, and has not said so yet
        writer.execute("INSERT INTO codeact.contents SELECT * FROM codeact.contents ON CONFLICT DO NOTHING")
        deleting = asyncio.create_task(asyncio.to_thread(store.delete, "first"))
        while not asked(database, "SELECT 1 FROM pg_locks WHERE NOT granted"):
            assert not deleting.done()
            await asyncio.sleep(0.01)
        writer.execute(f"INSERT INTO codeact.entries SELECT 'second', {row}")
        writer.commit()
    assert await deleting == ("first",) and asked(database, contents)[0][0] == before + 2


async def test_a_fork_is_written_whole_and_goes_on(store: PostgresStore) -> None:
    replies = ("```python\nlucky = __import__('random').random()\n```", "```python\nfinal_answer(lucky)\n```")
    agent = CodeAgent(model=ScriptedModel(*replies), journal=store)
    first = await agent.arun("Draw.")
    forked = await agent.afork(first.run_id, at=1)
    assert forked.output == first.output
    times = [[entry.at for entry in store.entries(run)] for run in (first.run_id, forked.run_id)]
    assert times[0][:7] == times[1][:7] and times[1] == sorted(times[1])


async def test_the_same_bytes_are_kept_once(store: PostgresStore, database: Server) -> None:
    table = [{"city": "Oslo", "degrees": number} for number in range(5000)]
    store.create("before the large ones").close()
    before = asked(database, "SELECT count(*) FROM codeact.contents")
    events: list[Event] = [ToolReturned(f"{number}", Returned(table)) for number in range(3)]
    for run in ("large one", "large two"):
        await written(store, run, events)
        assert events_of(store, run) == events
    assert asked(database, "SELECT count(*) - 1 FROM codeact.contents") == before


async def test_many_runs_at_once_share_a_connection(store: PostgresStore, database: Server) -> None:
    journals = await asyncio.gather(*(asyncio.to_thread(store.create, f"many {n}") for n in range(40)))
    found = await asyncio.gather(*(anext(journal.read(), None) for journal in journals))
    assert not any(found)  # and nobody came to the server for that: it has room for 30
    await asyncio.gather(*(journal.append(TaskGiven("a")) for journal in journals))
    held = asked(database, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'codeact'")
    assert held[0][0] <= 3
    for journal in journals:
        journal.close()
    assert all(events_of(store, f"many {n}") == [TaskGiven("a")] for n in range(40))


async def test_whoever_lost_the_run_writes_nothing_more(store: PostgresStore, database: Server) -> None:
    old = store.create("fenced")
    await old.append(EVENTS[0])
    asked(database, "UPDATE codeact.runs SET fence = fence + 1 WHERE run = 'fenced'")  # as another driver would
    with pytest.raises(StorageError, match="taken over"):
        await old.append(Noted("from the grave"))
    old.close()
    assert events_of(store, "fenced") == EVENTS[:1]


async def test_a_driver_whose_connection_was_cut_does_not_write_where_another_goes_on(
    store: PostgresStore, database: Server
) -> None:
    old = store.create("cut")
    await old.append(EVENTS[0])
    asked(database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'codeact'")
    new = PostgresStore(database.url).open("cut")
    with pytest.raises(StorageError, match="resumed once the server can be reached"):
        await old.append(Noted("from the grave"))
    with pytest.raises(StorageError, match="nothing more is written"):
        await old.append(Noted("again"))
    await new.append(Noted("alive"))
    store.create("another of the same store").close()  # by a connection of its own
    old.close()
    new.close()
    assert events_of(store, "cut") == [EVENTS[0], Noted("alive")]


CUTTING = """
CREATE FUNCTION public.cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.line LIKE '%cut here%' THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN NEW;
END $$;
CREATE TRIGGER cutting AFTER INSERT ON codeact.entries FOR EACH ROW EXECUTE FUNCTION public.cut();
"""


async def test_what_a_connection_was_cut_in_the_middle_of_is_not_kept_and_the_run_goes_on(
    store: PostgresStore, database: Server
) -> None:
    journal = store.create("cut inside")
    await journal.append(EVENTS[0])
    asked(database, CUTTING)
    try:
        with pytest.raises(StorageError, match="resumed once the server can be reached"):
            await journal.append(TaskGiven("cut here"))
    finally:
        asked(database, "DROP TRIGGER cutting ON codeact.entries; DROP FUNCTION public.cut")
    with pytest.raises(StorageError, match="nothing more is written"):
        await journal.append(TaskGiven("again"))
    journal.close()
    assert events_of(store, "cut inside") == EVENTS[:1]
    again = store.open("cut inside")
    await again.append(TaskGiven("again"))
    again.close()
    assert events_of(store, "cut inside") == [EVENTS[0], TaskGiven("again")]


async def test_what_was_kept_and_could_not_be_said_any_more_is_kept_once(
    store: PostgresStore, database: Server
) -> None:
    async with mute(database.port) as (port, hush):
        journal = await asyncio.to_thread(named(database.url.replace(f":{database.port}/", f":{port}/")).create, "mute")
        await journal.append(EVENTS[0])
        hush.set()
        with pytest.raises(StorageError, match="resumed once the server can be reached"):
            await journal.append(TaskGiven("said to nobody"))
        again = await asyncio.to_thread(store.open, "mute")  # its lock went with the connection
        with pytest.raises(StorageError, match="nothing more is written"):
            await journal.append(TaskGiven("said to nobody"))
        await asyncio.to_thread(journal.close)
    await again.append(Noted("it goes on"))
    again.close()
    assert events_of(store, "mute") == [EVENTS[0], TaskGiven("said to nobody"), Noted("it goes on")]


WRITER = """
import asyncio, sys
from codeact.core.events import TaskGiven
from codeact.journals.journal import KeptJournal
from codeact.journals.postgres import PostgresStore
async def main():
    journal = PostgresStore(sys.argv[1]).create("killed")
    for number in range(100_000):
        await journal.append(TaskGiven(str(number)))
        print(number, flush=True)
asyncio.run(main())
"""


def test_another_machine_hears_who_drives_a_run_and_takes_it_when_that_one_is_killed(
    store: PostgresStore, database: Server
) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, database.url], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    for _ in range(20):
        writer.stdout.readline()
    with pytest.raises(RunLocked) as locked:
        store.open("killed")
    assert locked.value.pid == writer.pid and locked.value.since <= time.time() and locked.value.host
    writer.send_signal(signal.SIGKILL)
    kept = max(int(line) for line in writer.stdout if line.endswith("\n"))
    writer.wait()
    writer.stdout.close()
    deadline = time.monotonic() + 30
    while True:  # its locks go when the server sees that it is gone
        try:
            journal = store.open("killed")
            break
        except RunLocked:
            assert time.monotonic() < deadline
    read = [event.task for event in events_of(store, "killed") if isinstance(event, TaskGiven)]
    assert read == [str(number) for number in range(len(read))] and len(read) - 1 in (kept, kept + 1)
    journal.close()


TAMPERED = {
    "a line": "UPDATE codeact.entries SET line = replace(line, 'colder', 'warmer') WHERE run = 'T' AND seq = 1",
    "a time": "UPDATE codeact.entries SET at = at + 1 WHERE run = 'T' AND seq = 2",
    "what lies beside": "UPDATE codeact.contents SET data = '\\x00' WHERE length(data) = 9000",
    "what lay beside": "DELETE FROM codeact.contents WHERE length(data) = 12000",
    "a row that is gone": "DELETE FROM codeact.entries WHERE run = 'T' AND seq = 2",
    "a fence that falls": "UPDATE codeact.entries SET fence = 0 WHERE run = 'T' AND seq = 3",
}


async def test_what_was_changed_is_found_and_what_is_before_it_is_whole(store: PostgresStore, database: Server) -> None:
    for what, query in TAMPERED.items():
        await written(store, what)
        asked(database, query.replace("'T'", f"'{what}'"))
        read: list[Event] = []
        with pytest.raises(JournalCorrupt, match=rf"entry \d of run {what}"):
            for entry in store.entries(what):
                read.append(entry.event)
        assert read == EVENTS[: len(read)]
        asked(database, "DELETE FROM codeact.contents")


def test_what_is_no_journal_of_ours_is_refused_with_what_to_do(database: Server) -> None:
    def said(name: str, *queries: str, user: str = "", made: str = "") -> str:
        asked(database, f'CREATE DATABASE "{name}" {made}')
        url = database.url.replace("/postgres", f"/{name}").replace("codeact:", f"{user}:" if user else "codeact:")
        with psycopg.connect(database.url.replace("/postgres", f"/{name}"), autocommit=True) as connection:
            for query in queries:
                connection.execute(query)
        if "later" in name:
            named(url).create("r").close()
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("UPDATE codeact.journal SET version = 99")
        with pytest.raises(CodeactError) as refused:
            named(url).create("r")
        return str(refused.value)

    login = f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'"
    assert "later codeact (format 99" in said("later")
    assert "no journal of codeact" in said("foreign", "CREATE SCHEMA codeact", "CREATE TABLE codeact.runs (x int)")
    assert "CREATE SCHEMA codeact AUTHORIZATION" in said("closed", login, user="reader")
    only_read = "ALTER DATABASE standby SET default_transaction_read_only = on"
    assert "takes no writes" in said("standby", only_read)
    assert "encoding LATIN1" in said("latin", made="ENCODING 'LATIN1' TEMPLATE template0")
    found = {name: condition(database.url.replace("/postgres", f"/{name}")) for name in ("later", "foreign", "standby")}
    assert not any(one.ok for one in found.values())
    words = {"later": "format 99", "foreign": "no journal of codeact", "standby": "takes no writes"}
    assert not [name for name, text in words.items() if text not in found[name].reason]
    reader = database.url.replace("/postgres", "/closed").replace("codeact:", "reader:")
    assert "CREATE SCHEMA codeact" in condition(reader).reason
    fresh, made = condition(database.url.replace("/postgres", "/closed")), condition(database.url)
    assert (fresh.ok, fresh.there, fresh.version) == (True, False, None)
    assert (made.ok, made.there, made.version) == (True, True, codec.VERSION)
    assert made.server and made.server.startswith("PostgreSQL ") and made.place == named(database.url).place
    empty = named(database.url.replace("/postgres", "/closed"))
    assert isinstance(empty, PostgresStore) and empty.runs() == [] and not empty.has("r")
    with pytest.raises(UsageError, match="there is no journal at"):
        list(empty.entries("r"))


def test_no_word_of_a_password_is_said(database: Server, tmp_path: Path) -> None:
    said = []
    for url in (
        database.url.replace("/postgres", "/nothing"),
        database.url.replace(str(database.port), "1"),
        database.url.replace(str(database.port), "many"),
        database.url.replace("127.0.0.1", "[::1"),
        f"postgres://codeact@127.0.0.1:{database.port}/postgres?password={URL_PASSWORD}x",
        f"mysql://codeact:{URL_PASSWORD}@127.0.0.1/postgres",
    ):
        with pytest.raises((StorageError, UsageError)) as refused:
            named(url).create("r")
        said += [str(refused.value), repr(refused.value), str(condition(url))]
    (tmp_path / "none.jsonl").touch()
    agent = CodeAgent(model=f"replay:{tmp_path}/none.jsonl", journal=database.url)
    with pytest.raises(UsageError, match=r"leave_out=\['journal'\]") as kept:
        agent.save(tmp_path)
    said += [str(kept.value), repr(named(database.url)), repr(agent)]
    for secret in (PASSWORD, URL_PASSWORD, "s3cret"):
        assert not [words for words in said if secret in words]


TOOLS = """
import os, time
from codeact import tool

@tool
def book(seat: int) -> str:
    \"\"\"Book a seat.\"\"\"
    with open("ledger", "a") as ledger:
        ledger.write(f"{seat}\\n")
    if seat == 2 and not os.path.exists("go"):
        time.sleep(60)
    return f"seat {seat}"
"""


def test_the_command_line_keeps_its_runs_there_and_goes_on_with_one_that_was_killed(
    database: Server, store: PostgresStore, tmp_path: Path
) -> None:
    (tmp_path / "tools.py").write_text(TOOLS)
    replies = [f"```python\n{code}\n```" for code in ("got = [book(n) for n in range(3)]", "final_answer(got)")]
    (tmp_path / "replies.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in replies))
    words = ["run", "Book seats.", "--model", "replay:replies.jsonl", "--tools", "tools.py", "--journal", database.url]
    with open(tmp_path / "said", "wb") as said:
        run = subprocess.Popen(
            [CODEACT, *words],
            cwd=tmp_path,
            env=environment(tmp_path),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    deadline, ledger = time.monotonic() + 60, tmp_path / "ledger"
    while not ledger.exists() or len(ledger.read_text().split()) < 3:
        assert run.poll() is None and time.monotonic() < deadline, (tmp_path / "said").read_text()
        time.sleep(0.01)
    driven = store.runs(limit=1)[0].run
    second = codeact("resume", driven, "--journal", database.url, home=tmp_path, cwd=tmp_path)
    assert second.code == 1 and re.search(rf"in use by process \d+ on {socket.gethostname()} since 20", second.err)
    shown = [Path(f"/proc/{process}/cmdline").read_bytes() for process in _family(run.pid)]
    assert b"--journal\0postgres://codeact@127.0.0.1" in shown[0]
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    (tmp_path / "go").touch()

    kept = {"CODEACT_JOURNAL": database.url}
    listed = codeact("runs", "--json", "--limit", "1", home=tmp_path, **kept)
    name = listed.lines[0]["run"]
    events = events_of(store, name)
    assert any("--journal" in event.origin for event in events if isinstance(event, RunStarted))
    paused = codeact("resume", name[:8], "--json", home=tmp_path, **kept)
    assert paused.lines[0]["stop_reason"] == "paused"
    key = next(row.split()[0] for row in paused.err.splitlines() if "book(seat=2)" in row and row.startswith("  "))
    done = codeact("resume", name, "--json", "--done", f'{key}="found"', home=tmp_path, **kept)
    assert done.lines[0]["output"] == ["seat 0", "seat 1", "found"] and ledger.read_text().split() == ["0", "1", "2"]
    assert not any(
        secret in text
        for secret in ("s3cret", URL_PASSWORD, PASSWORD)
        for text in (str(shown), listed.out, listed.err, paused.out, paused.err, done.out, done.err, str(events))
    )


def _family(first: int) -> list[int]:
    found = [first]
    for process in found:
        for children in Path(f"/proc/{process}/task").glob("*/children"):
            found += map(int, children.read_text().split())
    return found


def test_a_run_whose_server_was_restarted_under_it_goes_on(database: Server) -> None:
    made: list[int] = []

    @tool
    def crash() -> str:
        """The server goes down, and comes up again."""
        made.append(1)
        database.stop()
        database.start()
        return "it is up"

    @tool
    def before() -> int:
        """A number."""
        made.append(100)
        return 42

    model = ScriptedModel("```python\nx = before()\n```", "```python\nfinal_answer([x, crash()])\n```")
    agent = CodeAgent(model=model, tools=[before, crash], journal=database.url)
    with pytest.raises(StorageError, match="resumed once the server can be reached"):
        agent.run("Go.")
    run = PostgresStore(database.url).runs(limit=1)[0].run

    async def knows(call: ToolCall) -> Recovery:
        return Happened("it was up")

    assert agent.resume(run, knows=knows).output == [42, "it was up"] and made == [100, 1]


NOTING = """
CREATE TABLE public.waited (run text, seq integer, way text);
CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.waited VALUES (NEW.run, NEW.seq, current_setting('synchronous_commit')); RETURN NEW;
END $$;
CREATE TRIGGER noting AFTER INSERT ON codeact.entries FOR EACH ROW EXECUTE FUNCTION public.note();
"""
FORGETTING = "DROP TRIGGER noting ON codeact.entries; DROP FUNCTION public.note; DROP TABLE public.waited"


@contextmanager
def trips(journal: KeptJournal, path: Path) -> Iterator[list[str]]:
    """What is sent to the server to be done, once this is over."""
    sent: list[str] = []
    connection = journal._writer.place.made.pgconn
    with open(path, "w+") as wire:
        connection.trace(wire.fileno())
        yield sent
        connection.untrace()
        wire.seek(0)
        sent += [line for line in wire if "\tSync" in line]


async def test_an_event_is_one_trip_to_the_server_and_of_a_step_three_wait_for_the_disk(
    store: PostgresStore, database: Server, tmp_path: Path
) -> None:
    journal = store.create("a step")
    asked(database, NOTING)
    try:
        with trips(journal, tmp_path / "wire") as sent:
            for event in STEP:
                await journal.append(event)
        waited = asked(database, "SELECT seq FROM public.waited WHERE way = 'on' ORDER BY seq")
    finally:
        asked(database, FORGETTING)
    journal.close()
    assert len(sent) == len(STEP) and [type(STEP[int(str(seq))]).__name__ for (seq,) in waited] == WAITING
    assert events_of(store, "a step") == STEP

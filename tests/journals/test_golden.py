"""Journals that earlier builds wrote, kept as they were: today's reads them, and goes on with their runs."""

from __future__ import annotations

import json
import lzma
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import pytest

from codeact.core.errors import StorageError
from codeact.core.events import CodeRan, InputsGiven, ModelReplied, RunStarted, TaskEnded, ToolReturned
from codeact.core.execution import ToolCall
from codeact.core.recovery import Happened, Recovery
from codeact.faces.cli import runs
from codeact.journals import codec
from codeact.journals.chain import first_mark, next_mark
from codeact.journals.sqlite import SqliteStore
from codeact.testing import ScriptedModel

from .golden.make import REPLIES, agent

KEPT = sorted(Path(__file__).with_name("golden").glob("*.db.xz"))


def unpack(file: Path, path: Path) -> None:
    path.write_bytes(lzma.decompress(file.read_bytes()))


def version(path: Path) -> int:
    file = sqlite3.connect(path)
    found: int = file.execute("PRAGMA user_version").fetchone()[0]
    file.close()
    return found


@pytest.fixture
def script() -> ScriptedModel:
    return ScriptedModel(*(f"I do it.\n```python\n{code}\n```" for code in REPLIES))


@pytest.mark.parametrize("file", KEPT, ids=lambda file: file.name.partition(".")[0])
async def test_a_journal_of_an_earlier_build_is_read_and_its_runs_go_on(
    file: Path, tmp_path: Path, script: ScriptedModel, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "journal.db"
    unpack(file, path)
    store, was = SqliteStore(path), version(path)
    killed, whole = store.runs()
    assert (whole.stop_reason, whole.steps, whole.task) == ("final_answer", 6, "Book seats.")
    assert (killed.stop_reason, killed.steps, killed.task) == (None, 5, "Book seats, and die.")
    assert store.find(killed.run[:6]) == killed.run

    events = [entry.event for entry in store.entries(whole.run)]
    assert isinstance(events[0], RunStarted) and isinstance(events[-1], TaskEnded)
    assert [event.variables for event in events if isinstance(event, InputsGiven)] == [{"who": "Ada"}]
    table = next(e.returned.value for e in events if isinstance(e, ToolReturned) and isinstance(e.returned.value, list))
    assert len(table) == 3001 and table[7] == {"city": "Oslo", "degrees": 7} and len(table[-1]["text"]) == 70_000
    assert runs.main(["--json", "--journal", str(path)]) == 0  # the tokens, too, also where the list does not keep them
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {one["run"]: one["usage"]["requests"] for one in listed} == {whole.run: 6, killed.run: 5}
    assert version(path) == was  # to look at a file does not change it

    again = await agent(store, script).aresume(whole.run)
    assert again.output["costs"] == [6.0, 7.5, 9.0] and not script.prompts

    async def knows(call: ToolCall) -> Recovery:
        assert (call.tool, call.arguments) == ("book", {"seat": 2})
        return Happened("seat 2, by telephone")

    done = await agent(store, script).aresume(killed.run, knows=knows, anyway=True)
    lucky = next(e.outcome.value for e in store_events(store, killed.run) if isinstance(e, CodeRan) and e.cell == 1)
    expected: Mapping[str, object] = again.output | {
        "lucky": int(lucky or ""),
        "got": ["seat 0", "seat 1", "seat 2, by telephone"],
    }
    assert done.output == expected and len(script.prompts) == 1
    replies = sum(isinstance(event, ModelReplied) for event in store_events(store, killed.run))
    assert replies == 6 and version(path) == codec.VERSION


def store_events(store: SqliteStore, run: str) -> list[object]:
    return [entry.event for entry in store.entries(run)]


async def test_a_run_with_news_of_a_later_build_is_refused_in_words(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "journal.db")
    journal = store.create("r1")
    later = codec.Line('{"event":"StarsAligned","how":"well"}')
    mark = next_mark(first_mark("r1"), 0, 1.0, 1, later)
    journal._file.execute("INSERT INTO entries VALUES ('r1', 0, 1.0, 1, ?, 0, ?, x'')", (later.text, mark))
    journal.close()
    with pytest.raises(StorageError, match=r"another version of codeact .*'StarsAligned'.*: upgrade codeact"):
        list(store.entries("r1"))

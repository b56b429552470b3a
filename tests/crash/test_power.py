"""Where the power goes, what was not synced is lost: so nothing is done on the strength of what is not.

A run is watched, and the disk is looked at as it may be found after each of its system calls. From there it goes on.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import disk
import payments
import pytest
import verdicts
from disk import Disk, Done

from codeact.core.errors import CodeactError, UsageError
from codeact.core.events import TaskGiven, ToolCalled, ToolReturned
from codeact.journals.sqlite import SqliteStore

LOOKS = 25  # at writes; and there is one at each sync, at each file that comes or goes, and at each payment


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Done]]:
    """A run that nobody disturbed, and all that it did to its folder."""
    if shutil.which("strace") is None:
        pytest.skip("nobody can watch the writes here: Debian package strace is absent")
    folder, log = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("log") / "log"
    program = [sys.executable, payments.__file__, str(folder)]
    done = subprocess.run(
        [*disk.STRACE, "-o", str(log), *program], capture_output=True, text=True, timeout=100, check=False
    )
    if done.returncode and "ptrace" in done.stderr:
        pytest.skip("nobody may watch a process here (ptrace)")
    assert done.returncode == 0, done.stderr
    return folder, list(disk.seen(log, folder))


def test_whenever_the_power_goes_the_run_goes_on_from_what_is_found_and_pays_once(
    watched: tuple[Path, list[Done]], tmp_path: Path
) -> None:
    folder, calls = watched
    assert len(payments.paid(folder)) == 6
    assert sum(done.what == "fdatasync" for done in calls) > 15
    wrong = [words for place in _found(folder, calls, tmp_path, syncs=True) for words in _judged(place)]
    assert wrong == []


def test_a_disk_that_forgets_its_syncs_is_found_out(watched: tuple[Path, list[Done]], tmp_path: Path) -> None:
    folder, calls = watched
    assert any(_judged(place) for place in _found(folder, calls, tmp_path, syncs=False))


def _found(folder: Path, calls: list[Done], place: Path, *, syncs: bool) -> Iterator[Path]:
    """The folder as it may be found at each look, with what had been paid by then."""
    dice = random.Random(20_26)
    writes = [number for number, done in enumerate(calls) if done.what == "pwrite64"]
    looks = set(dice.sample(writes, LOOKS))
    now, ledger = Disk(folder, syncs=syncs), b""
    for number, done in enumerate(calls):
        if Path(done.path).name == "ledger":
            ledger += done.data
        elif Path(done.path).parent == folder or Path(done.path) == folder:
            now.do(done)
        if number in looks or done.what != "pwrite64":
            after = place / str(number)
            after.mkdir()
            now.found(after, dice)
            (after / "ledger").write_bytes(ledger)
            yield after
            shutil.rmtree(after)


def _judged(place: Path) -> list[str]:
    """What is wrong with what is found, and with how it goes on from there."""
    try:
        return list(_wrong(place))
    except CodeactError as error:
        return [f"{place.name}: {error}"]


def _wrong(place: Path) -> Iterator[str]:
    over, paid = (place / "over").exists(), payments.paid(place)
    store = SqliteStore(place / "runs.db")
    runs = store.runs()
    if not runs:
        if paid:
            yield f"{place.name}: {len(paid)} were paid in no run"
        return
    events = [entry.event for entry in store.entries(runs[0].run)]
    if not any(isinstance(event, TaskGiven) for event in events):
        with pytest.raises(UsageError, match="before its task was kept"):
            payments.agent(place).resume(runs[0].run)
        events = []
    called = {event.key for event in events if isinstance(event, ToolCalled)}
    if not called.issuperset(paid):
        yield f"{place.name}: a payment has no intent"
    if over and runs[0].stop_reason != "final_answer":
        yield f"{place.name}: it had returned, and is not over"
    if not events:
        return
    result = payments.agent(place).resume(runs[0].run)
    if result.output != payments.ANSWER:
        yield f"{place.name}: it ended with {result}"
    yield from verdicts.of_calls(_history(place, store, runs[0].run))


def _history(place: Path, store: SqliteStore, run: str) -> Iterator[verdicts.Op]:
    for entry in store.entries(run):
        match entry.event:
            case ToolCalled(key, _, tool):
                yield verdicts.Op("invoke", key, tool)
            case ToolReturned(key):
                yield verdicts.Op("ok", key)
    for key in payments.paid(place):
        yield verdicts.Op("effect", key, "pay")

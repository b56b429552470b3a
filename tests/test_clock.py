"""What a cell read of the clock it reads again: a run that prints the time, or hands it on, is resumed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from codeact import CodeAgent, tool
from codeact.core.errors import ModelUnavailable
from codeact.core.events import ClockRead, CodeRan, ToolCalled, ToolReturned
from codeact.core.recovery import Recovery, Retry
from codeact.journals.sqlite import SqliteStore
from codeact.testing import ScriptedModel

CALLED: list[Any] = []


@pytest.fixture(autouse=True)
def clean() -> None:
    CALLED.clear()


@tool
def stamp(what: str) -> str:
    """Put a stamp on it."""
    CALLED.append(what)
    return f"stamped {what}"


@tool
async def slow(milliseconds: int) -> int:
    """Take so long."""
    CALLED.append(milliseconds)
    await asyncio.sleep(milliseconds / 1000)
    return milliseconds


def cell(source: str) -> str:
    return f"```python\n{source}\n```"


def agent(store: SqliteStore, *replies: Any, **more: Any) -> CodeAgent:
    return CodeAgent(model=ScriptedModel(*replies), tools=[stamp, slow], journal=store, **more)


async def cut_and_resumed(tmp_path: Path, *cells: str, **more: Any) -> tuple[Any, Any]:
    """The last cell's answer, which comes after the model was down, and what the first ones had printed."""
    store = SqliteStore(tmp_path / "runs.db")
    first = [cell(source) for source in cells[:-1]]
    async with agent(store, *first, ModelUnavailable("down"), **more).session() as session:
        with pytest.raises(ModelUnavailable):
            await session.run("t")
    printed = [entry.event.outcome for entry in store.entries(session.run_id) if isinstance(entry.event, CodeRan)]
    assert all(outcome.error is None for outcome in printed), printed
    called = list(CALLED)
    resumed = await agent(store, *first, cell(cells[-1]), **more).aresume(session.run_id)
    assert called == CALLED
    return resumed.output, printed


NOW = """
import datetime as dt, time, uuid, logging
from datetime import date, datetime
from time import perf_counter as watch, time as t
class Moment(datetime):
    clock = time.monotonic
    def since(self): return Moment.clock() - self.start
made = Moment.now(); made.start = time.monotonic()
seen = [t(), time.time_ns(), time.monotonic(), watch(), time.process_time(), time.clock_gettime(time.CLOCK_REALTIME)]
seen += [datetime.now(), datetime.now(dt.timezone.utc), datetime.today(), date.today(), made, made.since()]
seen += [time.localtime(), time.gmtime(), time.ctime(), time.strftime('%H:%M:%S'), time.asctime(), uuid.uuid1()]
logging.basicConfig(format='%(asctime)s %(message)s')
logging.warning('it is late')
start = watch()
while watch() - start < 0.001: pass
print(*seen, watch() - start, sep='\\n')
kind = 'even' if time.time_ns() // 1000 % 2 else 'odd'
stamp(f'{kind} {datetime.now()}')
"""


async def test_a_cell_reads_the_time_again_that_it_had_read_however_it_reached_the_clock(tmp_path: Path) -> None:
    answer, (outcome,) = await cut_and_resumed(tmp_path, NOW, "final_answer([kind, t() >= seen[0], *map(str, seen)])")
    assert answer[1] is True and answer[2:] == outcome.stdout.splitlines()[:-1]
    assert [answer[0]] == [what.split()[0] for what in CALLED]


async def test_tasks_threads_and_pools_read_each_their_own_time_again(tmp_path: Path) -> None:
    together = """
import asyncio, time, threading
from concurrent.futures import ThreadPoolExecutor
async def one(n):
    began = time.time()
    got = await slow.aio(n)
    print(n, began, time.time())
    return got
await asyncio.gather(one(30), one(1), one(15))
print([await done for done in asyncio.as_completed([one(20), one(2)])])
late = asyncio.create_task(slow.aio(300))
first, _ = await asyncio.wait([late, asyncio.create_task(slow.aio(1), name='soon')], return_when='FIRST_COMPLETED')
late.cancel()
print([task.get_name() for task in first])
def work(n):
    began = time.perf_counter()
    return slow(n), began, time.perf_counter()
with ThreadPoolExecutor(2) as pool:
    spent = list(pool.map(work, [9, 8, 7, 6, 5, 4]))
found = {}
threads = [threading.Thread(target=lambda n=n: found.update({n: time.time()}), name=f'w{n}') for n in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(spent, sorted(found.items()))
"""
    answer, _ = await cut_and_resumed(tmp_path, together, "final_answer(spent)")
    assert [got for got, _, _ in answer] == [9, 8, 7, 6, 5, 4]


async def test_a_loop_that_watches_the_clock_does_not_fill_the_journal(tmp_path: Path) -> None:
    watch = "import time\ntimes = []\nuntil = time.monotonic() + 0.05\nwhile time.monotonic() < until: pass"
    many = "for _ in range(20_000): times.append(time.time())\nprint(len(times), times == sorted(times))"
    answer, outcomes = await cut_and_resumed(tmp_path, watch, many, "final_answer([len(times), times[3000]])")
    read = [sum(len(steps) for _, steps in outcome.clock) for outcome in outcomes]
    assert max(read) <= 10_000 and answer[0] == 20_000
    first = outcomes[1].clock[0][1]
    assert answer[1] == sum(first[:3001]) / 10**9


async def test_a_cell_cut_off_after_a_call_that_was_given_the_time_makes_no_other_call(tmp_path: Path) -> None:
    source = "import time\nat = time.time()\na = stamp(f'first {at}')\nb = stamp(f'second {time.time() > at}')\n"
    source += "final_answer([a, b, time.monotonic() > 0])"
    whole = SqliteStore(tmp_path / "whole.db")
    result = await agent(whole, cell(source)).arun("t")
    events = [entry.event for entry in whole.entries(result.run_id)]
    assert [type(event) for event in events if isinstance(event, ClockRead | ToolCalled)] == [
        ClockRead,
        ToolCalled,
        ClockRead,
        ToolCalled,
    ]
    place = next(i for i, event in enumerate(events) if isinstance(event, ToolReturned))
    first, CALLED[:] = CALLED[0], []
    for length in (place, place + 1):  # with, and without its result
        store = SqliteStore(tmp_path / f"cut{length}.db")
        journal = store.create(result.run_id)
        for event in events[:length]:
            await journal.append(event)
        journal.close()

        async def nothing_came_of_it(call: Any) -> Recovery:
            return Retry()

        resumed = await agent(store, cell(source)).aresume(result.run_id, knows=nothing_came_of_it)
        assert resumed.output == result.output
    assert [first, "second True", "second True"] == CALLED

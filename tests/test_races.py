"""Calls that race: whichever answer came first is the first again, in threads, tasks, pools and queues."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from codeact import ALL, CodeAgent, tool
from codeact.core.events import Entry, Event, Noted
from codeact.history import History
from codeact.journals.memory import MemoryJournal
from codeact.journals.sqlite import SqliteStore
from codeact.testing import ScriptedModel

RACES = """
import asyncio, queue, threading
from concurrent.futures import ThreadPoolExecutor, as_completed

answers = queue.Queue()
threads = [threading.Thread(target=lambda n=n: answers.put(fetch("queue", n))) for n in range(4)]
for one in threads: one.start()
for one in threads: one.join()
note("queue", [answers.get() for _ in threads])

with ThreadPoolExecutor(4) as pool:
    note("pool", [one.result() for one in as_completed([pool.submit(fetch, "pool", n) for n in range(4)])])

note("tasks", [await one for one in asyncio.as_completed([fetch.aio("tasks", n) for n in range(4)])])

came = []
async def work(n): came.append(await fetch.aio("gather", n))
await asyncio.gather(*map(work, range(4)))
note("gather", came)

done, others = await asyncio.wait(
    [asyncio.create_task(fetch.aio("first", n)) for n in range(4)], return_when="FIRST_COMPLETED"
)
note("first", [one.result() for one in done])
await asyncio.wait(others)
done, _ = await asyncio.wait([asyncio.create_task(fetch.aio("all", n)) for n in range(4)])
note("all", [one.result() for one in done])
"""


@pytest.mark.parametrize("order", [[2, 0, 3, 1], [1, 3, 0, 2]])
async def test_what_was_the_first_of_calls_that_race_is_the_first_again(tmp_path: Path, order: list[int]) -> None:
    turns: dict[tuple[str, int], asyncio.Event] = {}
    told: dict[str, list[int]] = {}

    @tool
    async def fetch(race: str, n: int) -> int:
        """Answer when all before it in the order have, and not a moment later."""
        if len(mine := [one for one in turns if one[0] == race]) < 4:
            turns[race, n] = asyncio.Event()
        if len(mine) == 3:
            turns[race, order[0]].set()
        await turns[race, n].wait()
        if n != order[-1]:
            turns[race, order[order.index(n) + 1]].set()
        return n

    @tool
    def note(race: str, came: list[int]) -> None:
        """Note in which order they came."""
        told[race] = came

    code = ScriptedModel(f"```python\n{RACES}\n```", "```python\nfinal_answer(1)\n```")
    agent = CodeAgent(model=code, tools=[fetch, note], imports=ALL, journal=SqliteStore(tmp_path / "runs.db"))
    result = await agent.arun("Have them race.")
    assert result.output == 1
    assert told.pop("first") == order[:1] and sorted(told.pop("all")) == [0, 1, 2, 3]
    assert told == dict.fromkeys(("queue", "pool", "tasks", "gather"), order)
    assert (await agent.afork(result.run_id, at=1)).output == 1


async def test_what_happened_is_kept_also_when_its_task_is_cancelled_while_another_event_is_being_kept() -> None:
    class Slow(MemoryJournal):
        async def append(self, event: Event) -> Entry:
            await going.wait()
            return await super().append(event)

    going = asyncio.Event()
    history = History(Slow("run"), ())
    happened = [Noted("one"), Noted("two"), Noted("three")]
    keeping = [asyncio.create_task(history.record(event)) for event in happened]
    await asyncio.sleep(0)
    keeping[1].cancel()  # it waits for its turn
    await asyncio.sleep(0)
    going.set()
    await asyncio.wait(keeping)
    assert history.events == happened

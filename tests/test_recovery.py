"""A cell that takes its interpreter with it costs that cell alone; sessions go on side by side from one state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from codeact import CodeAgent
from codeact.core.errors import SnapshotRefused
from codeact.core.events import CodeRan, Event, Forked, InterpreterLost, InterpreterRestored, ModelReplied
from codeact.core.execution import Limits
from codeact.session.session import Session
from codeact.testing import ScriptedModel

pytestmark = pytest.mark.anyio


def code(source: str) -> str:
    return f"So.\n```python\n{source}\n```"


@pytest.fixture
async def copying() -> AsyncIterator[None]:
    async with CodeAgent(model=ScriptedModel()).session() as session:
        if "snapshots" not in session.level:
            pytest.skip(f"the level {session.level} has no copies: `codeact doctor` says why")
    yield


def said(session: Session) -> list[str]:
    return [message.text for message in session._history.state.messages if message.role == "user"]


def restored(events: tuple[Event, ...]) -> list[int | None]:
    return [event.gone.restored for event in events if isinstance(event, InterpreterRestored)]


@pytest.mark.parametrize(
    "deadly",
    [
        "import os; os._exit(3)",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "sum(range(10**12))",
    ],
)
async def test_a_deadly_cell_costs_nothing_but_itself(copying: None, deadly: str) -> None:
    first = "rows = [1, 2, 3]\ndef total(): return sum(rows)\nopen('kept.txt', 'w').write('kept')"
    model = ScriptedModel(
        code(first),
        code(f"rows.append(4)\nopen('kept.txt', 'w').write('changed')\n{deadly}"),
        code("final_answer([total(), open('kept.txt').read()])"),
    )
    agent = CodeAgent(model=model, seconds=0.5, limits=Limits(grace=0.2))
    async with agent.session() as session:
        result = await session.run("Count.")
        assert result.output == [6, "kept"]
        assert restored(result.events) == [1]
        died = [event.outcome for event in result.events if isinstance(event, CodeRan)][1]
        assert died.gone is not None and died.kept
        assert "as they were after cell 1. Nothing of cell 2 is left." in said(session)[2]
        assert session._history.state.alive == (1, 3)


async def test_the_first_cell_is_undone_too_and_what_the_user_gave_is_still_there(copying: None) -> None:
    model = ScriptedModel(code("rows.clear()\nimport os; os._exit(1)"), code("final_answer(rows)"))
    async with CodeAgent(model=model).session() as session:
        result = await session.run("Go.", additional_args={"rows": [1, 2]})
        assert result.output == [1, 2] and restored(result.events) == [0]
        assert "kept before the first cell" in said(session)[1]


async def test_what_ran_beside_threads_is_lost_with_them_and_the_model_is_told_which(copying: None) -> None:
    busy = "import threading, time\nb = 2\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
    model = ScriptedModel(
        code("a = 1"),
        code(busy),
        code("import os; os._exit(1)"),
        code("final_answer([a, 'b' in globals()])"),
    )
    async with CodeAgent(model=model).session() as session:
        result = await session.run("Go.")
        assert result.output == [1, False] and restored(result.events) == [1]
        told = said(session)[3]
        assert "kept after cell 1" in told and "1 thread" in told and "Do that again" in told
        assert session._history.state.alive == (1, 4)


async def test_without_snapshots_a_fresh_interpreter_takes_the_place() -> None:
    model = ScriptedModel(code("a = 1"), code("import os; os._exit(1)"), code("final_answer('a' in globals())"))
    async with CodeAgent(model=model, snapshots=False).session() as session:
        assert "snapshots" not in session.level
        result = await session.run("Go.")
        assert result.output is False
        assert any(isinstance(event, InterpreterLost) for event in result.events)


async def test_branches_go_on_side_by_side_from_one_state(copying: None) -> None:
    start = "import random, uuid\nrows = [1, 2, 3]\nopen('note.txt', 'w').write('start')\nfinal_answer(0)"
    change = "rows.append(random.random())\nopen('note.txt', 'a').write(str(uuid.uuid4()))"
    ends = [code(f"{change}\nfinal_answer([rows, open('note.txt').read()])") for _ in range(3)]
    model = ScriptedModel(code(start), *ends)
    async with CodeAgent(model=model).session() as session:
        await session.run("Start.")
        branches = await session.fork(3)
        results = await asyncio.gather(*(branch.run("Go on.") for branch in branches))
        rows = [result.output[0] for result in results]
        notes = [result.output[1] for result in results]
        assert all(row[:3] == [1, 2, 3] and len(row) == 4 for row in rows)
        assert len({row[3] for row in rows}) == 3 and len(set(notes)) == 3
        assert await session.fetch("rows") == [1, 2, 3]
        for branch in branches:
            assert branch.run_id != session.run_id
            assert Forked(session.run_id) in branch.events
            assert sum(isinstance(event, ModelReplied) for event in branch.events) == 2
        with pytest.raises(RuntimeError, match="closed"):
            await branches[0].close()
            await branches[0].run("More.")


async def test_more_branches_than_allowed_are_refused_and_none_is_left(copying: None) -> None:
    async with CodeAgent(model=ScriptedModel(), limits=Limits(snapshots=3)).session() as session:
        await session.bind(x=1)
        with pytest.raises(SnapshotRefused, match="Limits"):
            await session.fork(4)
        (branch,) = await session.fork()
        assert await branch.fetch("x") == 1


def test_a_session_without_await_can_be_forked() -> None:
    model = ScriptedModel(code("n += 1\nfinal_answer(n)"))
    with CodeAgent(model=model).session() as session:
        if "snapshots" not in session.level:
            pytest.skip(f"the level {session.level} has no copies: `codeact doctor` says why")
        session.bind(n=1)
        one, two = session.fork(2)
        assert (one.run("Go.").output, two.run("Go.").output, session.fetch("n")) == (2, 2, 1)

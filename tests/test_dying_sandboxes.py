"""A sandbox that is killed while it is opened is opened again, twice; where a run is resumed it says so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from codeact import CodeAgent, tool
from codeact.cells import Cells
from codeact.core.errors import InterpreterDied, ModelUnavailable, SandboxUnavailable
from codeact.core.execution import Policy
from codeact.journals.sqlite import SqliteStore
from codeact.ports import Pipe, Sink
from codeact.sandboxes.linux import LinuxSandbox
from codeact.testing import ScriptedModel


class Dying:
    """The sandbox of this machine. Of its guests so many are killed as they begin, and each that would hear `word`."""

    name = "linux"

    def __init__(self, born_dead: int = 0, word: bytes = b"") -> None:
        self.opened = 0
        self._born_dead = born_dead
        self._word = word

    @asynccontextmanager
    async def launch(self, policy: Policy, sink: Sink) -> AsyncIterator[Pipe]:
        async with LinuxSandbox().launch(policy, sink) as pipe:
            self.opened += 1
            if self.opened <= self._born_dead:
                pipe.kill()
            yield Deaf(pipe, self._word) if self._word else pipe


class Deaf:
    def __init__(self, pipe: Pipe, word: bytes) -> None:
        self._pipe = pipe
        self._word = word

    async def send(self, data: bytes) -> None:
        if self._word in data:
            self._pipe.kill()
        else:
            await self._pipe.send(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipe, name)


@pytest.mark.parametrize("deaths", [1, 2])
async def test_a_sandbox_that_is_killed_while_it_is_opened_is_opened_again(deaths: int) -> None:
    sandbox = Dying(born_dead=deaths)
    async with Cells(sandbox, Policy()) as cells:
        assert (await cells.run("6 * 7")).value == "42"
    assert sandbox.opened == deaths + 1


async def test_a_third_death_is_an_error_that_says_of_what_and_no_fourth_is_tried() -> None:
    sandbox = Dying(born_dead=9)
    with pytest.raises(SandboxUnavailable, match="codeact doctor") as told:
        async with Cells(sandbox, Policy()):
            pass
    assert told.value.layer == "interpreter" and told.value.cause and sandbox.opened == 3


async def test_a_resume_whose_sandbox_dies_says_so_writes_nothing_and_can_be_done_again(tmp_path: Path) -> None:
    paid: list[int] = []

    @tool
    def pay(amount: int) -> int:
        """Pay."""
        paid.append(amount)
        return amount

    def agent(sandbox: Any, *replies: Any) -> CodeAgent:
        model, place = ScriptedModel(*replies), tmp_path / "runs.db"
        return CodeAgent(model=model, tools=[pay], sandbox=sandbox, journal=place, snapshots=False)

    first, then = "```python\nsum_of_it = pay(42)\n```", "```python\nfinal_answer(sum_of_it)\n```"
    sandbox = Dying()
    async with agent(sandbox, first, ModelUnavailable("down")).session() as session:
        with pytest.raises(ModelUnavailable):
            await session.run("Pay.")
    kept = list(SqliteStore(tmp_path / "runs.db").entries(session.run_id))
    with pytest.raises(InterpreterDied, match="nothing was called and nothing is lost"):
        await agent(Dying(word=b"sum_of_it = "), first, then).aresume(session.run_id)
    assert [entry.event for entry in SqliteStore(tmp_path / "runs.db").entries(session.run_id)][: len(kept)] == [
        entry.event for entry in kept
    ]
    result = await agent(sandbox, first, then).aresume(session.run_id)
    assert result.output == 42 and paid == [42]

"""Real sessions at both levels, with a host round them that has something to lose."""

from __future__ import annotations

import ast
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from canaries import Canaries, belongings, left_over
from containment_checks import PRELUDE

from codeact.cells import Cells
from codeact.core.errors import SandboxUnavailable
from codeact.core.execution import ALL, Limits, Outcome, Policy
from codeact.sandboxes.linux import LinuxSandbox, launchers
from codeact.sandboxes.linux.launchers import Parts
from codeact.sandboxes.linux.pool import POOL
from codeact.sandboxes.linux.seccomp import ALLOWED

LEVELS = {
    "full": LinuxSandbox("full"),
    "plain": LinuxSandbox(_parts=Parts(entry=Path(__file__).with_name("plain_entry.py"))),
}
FREE = Policy(Limits(seconds=30, memory=1 << 29), imports=ALL)  # the import policy is no wall: it is off


class Session:
    """An interpreter at a level."""

    def __init__(self, cells: Cells, names: dict[str, Any]) -> None:
        self.cells = cells
        self._names = names

    async def run(self, code: str) -> Outcome:
        """The outcome of a cell."""
        return await self.cells.run(code)

    async def value(self, code: str) -> Any:
        """The value of a cell that must run to its end."""
        outcome = await self.run(code)
        assert outcome.ok, outcome.error and outcome.error.traceback
        return None if outcome.value is None else ast.literal_eval(outcome.value)

    async def prepare(self) -> None:
        """Bind the names of the canaries; the witness that cells run here."""
        names = "\n".join(f"{name} = {value!r}" for name, value in self._names.items())
        assert await self.value(f"{PRELUDE}\n{names}\n'ready'") == "ready"


@asynccontextmanager
async def session_at(level: str, host: Canaries, policy: Policy = FREE) -> AsyncIterator[Session]:
    """A session; afterwards the host is as before."""
    await _stand(level, policy)
    await filled()
    before = belongings()
    async with Cells(LEVELS[level], policy) as cells:
        assert cells.level == (f"{level}+network" if policy.network else level)
        yield Session(cells, {**host.names(), "ALLOWED_NRS": sorted(ALLOWED)})
    assert host.disturbed() == []
    more = left_over(before)
    assert more == {}, more


async def filled() -> None:
    """The pool makes nothing any more: what there is now can be counted."""
    POOL.refill()  # a loop that has ended meanwhile may have left that out
    with anyio.fail_after(60):
        while not POOL.settled():
            await anyio.sleep(0.002)


def _a_launcher_died(wall: LinuxSandbox) -> bool:
    ours = [each for each in launchers._launchers.values() if each.parts == wall._parts]
    return any(each.process is not None and each.process.poll() is not None for each in ours)


_standing: dict[tuple[str | None, ...], str] = {}  # why it does not stand; empty where it does


async def _stand(level: str, policy: Policy) -> None:
    """The launcher stands before anything is counted; where it cannot, it says so and the test counts as skipped.

    One that an earlier test has killed is started again here: with its processes, but no descriptor more, it would be
    counted as what the session left.
    """
    trusted = os.environ.get("SSL_CERT_FILE", "") if policy.network else None  # with another launcher it is visible
    key = (level, policy.python, trusted)
    if key not in _standing or _a_launcher_died(LEVELS[level]):
        try:
            async with Cells(LEVELS[level], Policy(python=policy.python, network=policy.network)):
                _standing[key] = ""
        except SandboxUnavailable as unavailable:
            _standing[key] = str(unavailable)
    if _standing[key]:
        pytest.skip(f"this machine has no level {level}: {_standing[key]}")

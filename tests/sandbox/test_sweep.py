"""kill -9 at random moments: nothing is left, and whoever was not killed goes on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

from sessions import LEVELS, _stand
from sweep import processes, sweep
from talk import at, descendants, session, until

from codeact.cells import Cells
from codeact.core.execution import Policy
from codeact.sandboxes.linux import LinuxSandbox

KILLS = {"full": 35, "plain": 25}  # of each: `python tests/sandbox/sweep.py full 5000` does more


async def test_after_many_kills_nothing_is_left_and_sessions_of_others_never_noticed(level: str) -> None:
    await _stand(level, Policy())
    async with Cells(LEVELS[level], Policy()) as witness:
        await witness.run("before = 41")
        assert await asyncio.to_thread(sweep, level, KILLS[level], 20_26) == {}
        assert (await witness.run("before + 1")).value == "42"


async def test_a_launcher_that_can_make_no_session_any_more_is_replaced() -> None:
    wall: LinuxSandbox = at("full")
    async with session(wall):
        before = descendants()
    parents = {pid: parent for pid, parent, _ in processes()}
    # the maker of inits is a child of the zygote's, which is the launcher's, which is ours
    makers = {pid for pid in before if parents.get(parents.get(parents.get(pid, 0), 0)) == os.getpid()}
    assert makers
    for maker in makers:
        with contextlib.suppress(ProcessLookupError):  # it was an init of the session that has just ended
            os.kill(maker, signal.SIGKILL)
    assert until(lambda: not makers & {pid for pid, _, _ in processes()})
    for _ in range(3):
        async with session(wall) as ask:
            assert await ask("result = 6 * 7") == 42

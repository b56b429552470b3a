"""Every check where nothing confines it: `python bare.py` prints a line of JSON for each. For root.

The root is one to throw away, with processes, queues and a name of its own; the canaries live in there too. What
`nocontrol` excepts is not run.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import warnings
from typing import Any

import machine
from canaries import Canaries, canaries
from containment_checks import CHECKS, Check
from sessions import FREE, Session
from test_containment import held
from throwaway import enter

from codeact.cells import Cells
from codeact.core.execution import Outcome
from codeact.sandboxes.linux.seccomp import ALLOWED
from codeact.sandboxes.unconfined import Unconfined


def main() -> None:
    machine.adopt()
    kernel = machine.module("kernel")
    enter(own=kernel.NEWPID | kernel.NEWIPC | kernel.NEWUTS)
    child = os.fork()
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    kernel.mount("proc", "/proc", "proc")
    warnings.simplefilter("ignore")
    with canaries() as host:
        asyncio.run(_all(host))


async def _all(host: Canaries) -> None:
    few = asyncio.Semaphore(4)

    async def one(check: Check) -> None:
        async with few:
            outcome = await _outcome(check, host)
        error = outcome.error and f"{outcome.error.type}: {outcome.error.message}"
        told: dict[str, Any] = {"ended": outcome.ended, "value": outcome.value, "error": error}
        print(json.dumps({"id": check.id, "held": held(check, outcome), **told}), flush=True)

    async with asyncio.TaskGroup() as group:
        for check in CHECKS:
            if not check.nocontrol:
                group.create_task(one(check))


async def _outcome(check: Check, host: Canaries) -> Outcome:
    async with Cells(Unconfined(), FREE) as cells:  # the import policy is off too, where it is what holds
        session = Session(cells, {**host.names(), "ALLOWED_NRS": sorted(ALLOWED), "from_the_host": host.secret})
        await session.prepare()
        code = check.source.replace("'/tmp", f"'{await session.value('os.getcwd()')}")
        return await session.run(code)


if __name__ == "__main__":
    main()

"""A guest in WebAssembly: CPython as Pyodide, in Deno, which has no rights. Runs wherever Deno does.

Nothing is fetched here: `codeact fetch wasm` does that once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio.to_thread

from ...core.errors import UsageError
from ...core.execution import MIB, Policy
from ...ports import Pipe, Sink
from ..child import Command, started
from . import installation

_OWN = 64  # MiB of objects of JavaScript beyond the limit of memory
_MEND = "`codeact doctor` tries it."


class Wasm:
    """A `Sandbox` of one thread, the standard library alone, and nothing of the machine."""

    name = "wasm"

    def launch(self, policy: Policy, sink: Sink) -> AbstractAsyncContextManager[Pipe]:
        """See `Sandbox`."""
        for asked, words in {
            "python": policy.python is not None and "has its own Python: leave out `python` and `packages`",
            "mounts": policy.mounts and "has no files of yours: leave out `mounts`",
            "network": policy.network and "has no network: leave out `network`",
        }.items():
            if words:
                raise UsageError(f"{asked}: the sandbox 'wasm' {words}, or take another sandbox")
        return self._launch(policy, sink)

    @asynccontextmanager
    async def _launch(self, policy: Policy, sink: Sink) -> AsyncIterator[Pipe]:
        found = installation.find()
        await anyio.to_thread.run_sync(found.freeze)
        heap = f"--v8-flags=--max-old-space-size={policy.limits.memory // MIB + _OWN}"
        command = Command(
            self.name,
            found.argv("main.mjs", (found.memory,), found.memory, flags=(heap,)),
            _MEND,
            folder="",  # the guest is in the memory that it starts from
            environ=found.environ(),
            cwd=str(found.folder),
        )
        async with started(command, policy.limits, sink) as pipe:
            yield pipe

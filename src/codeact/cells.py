"""An interpreter alone, without a model: cells in, outcomes out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from .core.events import Delta
from .core.execution import Outcome, Policy
from .core.files import File
from .files import Files, read
from .interpreter import Interpreter, Snapshot
from .ports import Emit, Gate, Sandbox, Tool
from .secrets import Secret, Vault
from .session.door import Door
from .tools.names import check_names


def _ignore(delta: Delta) -> None:
    return None


class Cells:
    """One confined namespace; variables live from cell to cell. A guest that dies is replaced by a fresh one.

    Those that `fork` gave end with `async with`, by `close()`, or with the one that was first. `gate` is asked before
    every tool call. With `keep`, a guest that is lost is set back to a copy that is kept after each cell. `secrets` are
    variables whose values tools alone get.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        policy: Policy,
        tools: Sequence[Tool] = (),
        emit: Emit = _ignore,
        files: Sequence[File] = (),
        *,
        gate: Gate | None = None,
        keep: bool = False,
        secrets: Mapping[str, Secret] | None = None,
    ) -> None:
        check_names(tools)
        self._made_of = (sandbox, policy, tools, emit)
        self._gate = gate
        self._room = policy.limits.scratch
        self._vault = Vault()
        self._sealed = self._vault.take(secrets or {})
        self._files = self._vault.told(read(files, self._room))
        self._interpreter = Interpreter(sandbox, policy, [tool.spec for tool in tools], keep=keep)
        run = os.urandom(16).hex()  # so that no other's calls have its keys
        self._door = Door(tools, policy.limits, run=run, gate=gate, vault=self._vault)
        self._emit = lambda delta: emit(self._vault.told(delta))
        self._count = 0

    async def __aenter__(self) -> Cells:
        await self._interpreter.__aenter__()
        try:
            if self._files:
                await self._interpreter.put(self._files)
            if self._sealed:
                await self._interpreter.bind(self._sealed)
        except BaseException:
            await self._interpreter.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._interpreter.__aexit__(*exc)

    async def run(self, source: str) -> Outcome:
        """Run a cell: its value, its output, its error. Whatever the code does comes back as a value."""
        if not isinstance(source, str):
            raise TypeError(f"a cell is a str of Python, not {type(source).__name__}")
        self._count += 1
        outcome = await self._interpreter.run(self._count, source, os.urandom(16), self._door, self._emit)
        told: Outcome = self._vault.told(outcome)
        return told

    async def set(self, **bindings: Any) -> None:
        """Bind variables, by the table of values; raises ValueRefused for what does not cross."""
        await self._interpreter.bind(bindings)

    async def get(self, name: str) -> Any:
        """The value of a variable, by the table of values; raises NameError, or ValueRefused."""
        return await self._interpreter.fetch(name)

    async def snapshot(self) -> Snapshot:
        """The interpreter as it stands, scratch files included, to be restored later. Raises SnapshotRefused."""
        return await self._interpreter.snapshot()

    async def restore(self, point: Snapshot) -> None:
        """Be again as at this snapshot, which stays. Raises SnapshotRefused."""
        await self._interpreter.restore(point)

    async def fork(self) -> Cells:
        """Another interpreter that goes on from the same state, beside this one. Raises SnapshotRefused."""
        other = Cells(*self._made_of, gate=self._gate)
        other._vault.follow(self._vault)
        other._interpreter = await self._interpreter.fork()
        other._count = self._count
        return other

    async def close(self) -> None:
        """End the interpreter."""
        await self._interpreter.__aexit__()

    async def put(self, name: str, data: bytes | str) -> None:
        """Put a file into `inputs/`, in place of one of its name; text is written as UTF-8. Raises UsageError."""
        given = read([File(name, data.encode() if isinstance(data, str) else data)], self._room)
        await self._interpreter.put(self._vault.told(given))

    async def outputs(self, *, new: bool = False) -> Files:
        """The files that lie under `outputs/` now, or what of them is `new` since the last look; and what was left
        out."""
        return Files(*self._vault.told(await self._interpreter.collect(everything=not new)))

    def interrupt(self) -> None:
        """Stop the cell that runs now, keeping the variables if it comes out within the grace."""
        self._interpreter.interrupt()

    @property
    def level(self) -> str:
        """How strongly the interpreter is confined: `full`, `plain`, or the name of another wall."""
        return self._interpreter.level

    @property
    def version(self) -> str:
        """The Python version inside."""
        return self._interpreter.python

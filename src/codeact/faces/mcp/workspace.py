"""What one client works in: an interpreter of its own, its files, and what its user allowed."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from codeact.cells import Cells
from codeact.core.approvals import CELL, Decision, Deny
from codeact.core.catalogue import Catalogue
from codeact.core.deltas import OutputDelta
from codeact.core.events import Delta, Event
from codeact.core.execution import Outcome, Policy, ToolCall
from codeact.core.files import File
from codeact.files import Files, MadeFile, save
from codeact.ports import Sandbox, Tool
from codeact.secrets import Secret
from codeact.session.approvals import Approvals, Needs

from .client import Client


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """What every client gets one of."""

    sandbox: Sandbox
    policy: Policy
    tools: tuple[Tool, ...]
    files: Sequence[File]
    needs: Needs | None
    out: Path | None
    searched: bool  # whether there is a search of the tools
    catalogue: Catalogue
    secrets: Mapping[str, Secret]


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a cell, its number, the files that it made, and where on this machine those are."""

    cell: int
    outcome: Outcome
    made: Files
    places: dict[str, str]


class Refused(Exception):
    """The user of the client did not allow a cell."""


async def _forget(event: Event) -> None:
    return None


class Workspace:
    """An interpreter that is started when it is first used. One thing is done in it at a time."""

    def __init__(self, offer: Offer) -> None:
        self.offer = offer
        self.files: dict[str, MadeFile] = {}  # under outputs/, as of the last look
        self._turn = anyio.Lock(fast_acquire=True)
        self._cells: Cells | None = None
        self._approvals = self._new_approvals()
        self._client: Client | None = None
        self._count = 0

    async def run(self, source: str, client: Client) -> Ran:
        """Run a cell; cancelling interrupts it. Raises Refused."""
        async with self._turn:
            self._client = client
            try:
                await self._look_at(source)
                cells = await self._open()
                self._count += 1
                outcome = await cells.run(source)
                made = await cells.outputs(new=True)
            finally:
                self._client = None
            self.files.update({file.name: file for file in made})
            return Ran(self._count, outcome, made, self._kept(made))

    async def reset(self) -> None:
        """End the interpreter: the next cell gets a fresh one, with the files that the server was started with."""
        async with self._turn:
            await self._end()
            self._approvals = self._new_approvals()

    async def put(self, name: str, data: bytes) -> None:
        """Put a file into `inputs/`. Raises UsageError."""
        async with self._turn:
            await (await self._open()).put(name, data)

    async def outputs(self) -> Files:
        """The files under `outputs/` as they are now."""
        async with self._turn:
            made = await self._cells.outputs() if self._cells is not None else Files()
            self.files = {file.name: file for file in made}
            return made

    async def close(self) -> None:
        """End it, whatever it does."""
        with anyio.CancelScope(shield=True):
            await self._end()

    async def _open(self) -> Cells:
        if self._cells is None:
            offer = self.offer
            gate = self._approvals.ask if self._approvals.some else None
            parts = (offer.sandbox, offer.policy, offer.tools, self._hear, offer.files)
            made = Cells(*parts, gate=gate, keep=True, secrets=offer.secrets)
            self._cells = await made.__aenter__()
        return self._cells

    async def _end(self) -> None:
        cells, self._cells = self._cells, None
        self.files.clear()
        self._count = 0
        if cells is not None:
            await cells.close()

    def _new_approvals(self) -> Approvals:
        return Approvals(self.offer.needs, self._ask, _forget)

    async def _ask(self, call: ToolCall) -> Decision:
        return await self._client.ask(call) if self._client is not None else Deny("nobody waits for it any more")

    async def _look_at(self, source: str) -> None:
        call = ToolCall(secrets.token_hex(16), self._count + 1, CELL, {"source": source}, kind="cell")
        decision = await self._approvals.ask(call)
        if isinstance(decision, Deny):
            raise Refused(decision.reason)

    def _hear(self, delta: Delta) -> None:
        if isinstance(delta, OutputDelta) and self._client is not None:
            self._client.hear(delta.text)

    def _kept(self, made: Files) -> dict[str, str]:
        if self.offer.out is None:
            return {}
        return {file.name: str(save(file, self.offer.out)) for file in made}

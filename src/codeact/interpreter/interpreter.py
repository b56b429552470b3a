"""A stateful interpreter behind a wall: started, kept, and replaced when it dies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

import anyio

from ..core.errors import InterpreterDied, SandboxUnavailable, ValueRefused
from ..core.execution import Gone, Outcome, Policy, ToolSpec
from ..guest import values
from ..ports import Emit, Sandbox
from .capture import Capture
from .conversation import Conversation, Door
from .verdict import Lost

Started: TypeAlias = Callable[[str, str], Awaitable[None]]
Parted: TypeAlias = Callable[[Gone], Awaitable[None]]


async def _nobody(*_: object) -> None:
    return None


class Interpreter:
    """The one namespace of a session. Cells run one at a time; after a death the next one gets a fresh guest.

    `started(level, python)` is awaited whenever a fresh guest stands, `parted(gone)` when one was lost between cells.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        policy: Policy,
        tools: Sequence[ToolSpec] = (),
        started: Started = _nobody,
        parted: Parted = _nobody,
    ) -> None:
        self._sandbox = sandbox
        self._policy = policy
        self._tools = tuple(tools)
        self._started = started
        self._parted = parted
        self._stack = AsyncExitStack()
        self._turn = anyio.Lock(fast_acquire=True)
        self._guest: Conversation | None = None
        self._bindings: dict[str, Any] = {}
        self.level = ""
        self.python = ""

    async def __aenter__(self) -> Interpreter:
        await self._alive()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._guest = None
        with anyio.CancelScope(shield=True):
            await self._stack.aclose()

    async def run(self, cell: int, source: str, seed: bytes, door: Door, emit: Emit) -> Outcome:
        """Run a cell; `gone` in its outcome says that the variables are lost. Cancelling interrupts the cell."""
        async with self._turn:
            return await (await self._alive()).run(cell, source, seed, door, emit)

    async def bind(self, bindings: dict[str, Any]) -> None:
        """Bind names, now and again in every guest that replaces this one; raises ValueRefused."""
        async with self._turn:
            try:
                try:
                    await (await self._alive()).bind(bindings)
                except Lost as lost:  # it had died since its last cell: a fresh one takes the names
                    await self._parted(Gone(lost.why))
                    await (await self._alive()).bind(bindings)
            except values.Refused as refused:
                raise ValueRefused(str(refused)) from None
            self._bindings.update(bindings)

    async def fetch(self, name: str) -> Any:
        """The value of a name; raises NameError, ValueRefused, or InterpreterDied."""
        async with self._turn:
            try:
                return await (await self._alive()).fetch(name)
            except values.Refused as refused:
                raise ValueRefused(str(refused)) from None
            except Lost as lost:
                await self._parted(Gone(lost.why))
                raise InterpreterDied(f"{lost.why}; all variables are lost") from None

    def interrupt(self) -> None:
        """Stop the cell that runs now."""
        if self._guest is not None:
            self._guest.interrupt()

    async def _alive(self) -> Conversation:
        if self._guest is None or self._guest.lost is not None:
            await self._stack.aclose()
            self._guest = await self._launch()
        return self._guest

    async def _launch(self) -> Conversation:
        capture = Capture(self._policy.limits.output)
        async with AsyncExitStack() as stack:
            pipe = await stack.enter_async_context(self._sandbox.launch(self._policy, capture.write))
            guest = Conversation(pipe, capture, self._policy.limits)
            try:
                await guest.open(self._tools, self._policy.imports)
                if self._bindings:
                    await guest.bind(self._bindings)
            except Lost as lost:
                raise SandboxUnavailable("interpreter", lost.why, "Run `codeact doctor` to see why.") from None
            self.level, self.python = pipe.level, guest.python
            await self._started(self.level, self.python)
            self._stack = stack.pop_all()
        return guest

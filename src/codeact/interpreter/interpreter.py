"""A stateful interpreter behind a wall: started, kept, and replaced when it dies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeAlias, cast

import anyio

from ..core import hosts
from ..core.catalogue import Catalogue
from ..core.errors import InterpreterDied, SandboxUnavailable, SnapshotRefused, UsageError, ValueRefused
from ..core.execution import Gone, Outcome, Policy, ToolSpec
from ..core.files import File, LeftOut
from ..core.reads import Again
from ..guest import values
from ..network import Tell
from ..ports import Emit, Expecting, Sandbox
from . import seen, transfers
from .capture import Capture
from .conversation import Conversation
from .copies import Copies, can_be_copied, connected
from .first import opening
from .job import Door, Following
from .turns import Turns
from .verdict import Lost

Started: TypeAlias = Callable[[str, str], Awaitable[None]]
Parted: TypeAlias = Callable[[Gone], Awaitable[None]]


async def _nobody(*_: object) -> None:
    return None


class Snapshot:
    """An interpreter as it stood after the cell of this number (0: before the first). It can be restored many times."""

    def __init__(self, owner: Interpreter, guest: Conversation) -> None:
        self.cell = owner._cell
        self._owner = owner
        self._guest = guest
        self._bindings = dict(owner._bindings)
        self._files = dict(owner._files)

    async def drop(self) -> None:
        """Forget it, and free what it holds. Safe to repeat."""
        await self._owner._copies.drop(self._guest)
        self._owner._points.discard(self)


class Interpreter:
    """The one namespace of a session. Cells run one at a time; after a death the next one gets a fresh guest.

    `started(level, python)` is awaited whenever a fresh guest stands, `parted(gone)` when one was lost between cells,
    and `reached` with each connection to a host of the policy, before a byte of it passes, and again at its end.

    With `keep`, a snapshot is taken after every cell and every bind, in place of the one before; a guest that is lost
    is set back to it. Nobody waits for that but who is next to ask something of the guest. `kept_at` is the cell after
    which it was taken; `unkept` says why none could be since.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        policy: Policy,
        tools: Sequence[ToolSpec] | Catalogue = (),
        started: Started = _nobody,
        parted: Parted = _nobody,
        reached: Tell = _nobody,
        *,
        keep: bool = False,
    ) -> None:
        self._sandbox = sandbox
        self._policy = policy
        self._tools = tools if isinstance(tools, Catalogue) else Catalogue(tools)
        self._started = started
        self._parted = parted
        self._reached = reached
        self._keep = keep
        self._rules = hosts.rules(policy.network)
        self._turn = Turns()
        self._guest: Conversation | None = None
        self._bindings: dict[str, Any] = {}
        self._copies = Copies(policy.limits)
        self._points: set[Snapshot] = set()
        self._kept: Snapshot | None = None
        self._forks: list[Interpreter] = []  # of the first one, with those of forks
        self._number = 0  # as a fork
        self._closed = False
        self._cell = 0  # the last one that ran
        self.unkept = ""
        self._files: dict[str, File] = {}
        self.level = ""
        self.python = ""

    async def __aenter__(self) -> Interpreter:
        self._closed = False
        self._turn.begin()
        await self._alive()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._closed = True
        with anyio.CancelScope(shield=True):
            for fork in [] if self._number else list(self._forks):
                await fork.__aexit__()
            if self._turn.goes_on and self._guest is not None:
                self._guest.end("signal", "the interpreter was closed")  # nobody waits for a copy of it any more
            await self._turn.over()
            await self._end()
            for point in list(self._points):
                await point.drop()
        if self in self._forks:
            self._forks.remove(self)
            self._copies.forget(self._number)

    async def run(
        self,
        cell: int,
        source: str,
        seed: bytes,
        door: Door,
        emit: Emit,
        following: Following | None = None,
        again: Again | None = None,
    ) -> Outcome:
        """Run a cell, of which `source` is the first part where more is `following`; or run it `again`.

        `gone` in the outcome says that the guest died, and what stands in its place. Cancelling interrupts the cell.
        """
        async with self._turn:
            guest = await self._alive()
            if guest.proxy is not None:
                guest.proxy.begin()
            self._cell = cell
            try:
                outcome = await guest.run(cell, source, seed, door, emit, following, again)
            except BaseException:
                self.unkept = f"cell {cell} was cut off"
                raise
            if outcome.gone is not None:
                return replace(outcome, gone=await self._recovered(outcome.gone))
            self._keep_behind()
            return outcome

    async def bind(self, bindings: dict[str, Any]) -> None:
        """Bind names, now and again in every guest that replaces this one; raises ValueRefused."""
        async with self._turn:
            try:
                try:
                    await (await self._alive()).bind(bindings)
                except Lost as lost:  # it had died since its last cell: another one takes the names
                    await self._parted(await self._recovered(Gone(lost.why)))
                    await (await self._alive()).bind(bindings)
            except values.Refused as refused:
                raise ValueRefused(str(refused)) from None
            self._bindings.update(bindings)
            self._keep_behind()

    async def fetch(self, name: str) -> Any:
        """The value of a name; raises NameError, ValueRefused, or InterpreterDied."""
        if not name.isidentifier():
            raise NameError(f"name {name!r} is not defined")
        async with self._turn:
            try:
                return await (await self._alive()).fetch(name)
            except values.Refused as refused:
                raise ValueRefused(str(refused)) from None
            except Lost as lost:
                raise await self._died(lost) from None

    async def variables(self) -> list[seen.Seen]:
        """Name, kind and a glimpse of each variable. Raises InterpreterDied."""
        async with self._turn:
            try:
                return await seen.variables(await self._alive())
            except Lost as lost:
                raise await self._died(lost) from None

    async def put(self, files: Iterable[File]) -> None:
        """Put files into `inputs`, now and again in every guest that replaces this one; raises UsageError."""
        async with self._turn:
            placed = 0
            try:
                for file in files:
                    try:
                        await transfers.put(await self._alive(), file, self._policy.limits)
                    except Lost as lost:
                        await self._parted(await self._recovered(Gone(lost.why)))
                        await transfers.put(await self._alive(), file, self._policy.limits)
                    self._files[file.name] = file
                    placed += 1
            finally:
                if placed:
                    self._keep_behind()

    async def collect(self, everything: bool = False) -> tuple[tuple[File, ...], tuple[LeftOut, ...]]:
        """The files that code saved under `outputs/` since the last time, or all of them, and what was left out."""
        async with self._turn:
            await self._notice()
            if self._guest is None or self._guest.lost is not None:
                return (), ()  # they went with it, and that was told
            try:
                return await transfers.collect(self._guest, self._policy.limits, everything)
            except Lost as lost:
                await self._parted(await self._recovered(Gone(lost.why)))
                return (), (LeftOut("outputs", f"the interpreter was lost: {lost.why}"),)

    async def settled(self) -> None:
        """Wait until nothing is being done with the guest, not even a copy of it made."""
        async with self._turn:
            return

    def interrupt(self) -> None:
        """Stop the cell that runs now."""
        if self._guest is not None:
            self._guest.interrupt()

    # -- copies ------------------------------------------------------------------------------------------------------

    async def snapshot(self) -> Snapshot:
        """The interpreter as it stands, for `restore`. Raises SnapshotRefused, or InterpreterDied."""
        async with self._turn:
            try:
                return await self._point(await self._alive())
            except Lost as lost:
                raise await self._died(lost) from None

    async def restore(self, point: Snapshot) -> None:
        """Be again as at this snapshot, files too. Raises SnapshotRefused; the next cell gets a fresh guest then."""
        async with self._turn:
            if point not in self._points:
                whose = "was dropped" if point._owner is self else "is another interpreter's"
                raise SnapshotRefused(f"this snapshot {whose}: take one here, by snapshot()")
            await self._go_back(point)
            self._cell = point.cell
            await self._keep_or_tell()

    async def fork(self, started: Started = _nobody, parted: Parted = _nobody, reached: Tell = _nobody) -> Interpreter:
        """Another interpreter, which goes on from the same state. It ends, at the latest, with the one that was first.

        Raises SnapshotRefused, or InterpreterDied.
        """
        async with self._turn:
            other = Interpreter(self._sandbox, self._policy, self._tools, started, parted, reached, keep=self._keep)
            try:
                guest, other._number = await self._copies.fork(await self._alive())
            except Lost as lost:
                raise await self._died(lost) from None
            other._guest, other._copies, guest.reached = guest, self._copies, reached
            other._bindings, other._files = dict(self._bindings), dict(self._files)
            other._cell, other.level, other.python = self._cell, self.level, self.python
            other._forks = self._forks
            self._forks.append(other)
            await other._keep_or_tell()
            return other

    @property
    def stopped(self) -> int | None:
        """How many statements had run of the last cell, where it was cut off and its variables are there."""
        return None if self._guest is None or self._guest.lost is not None else self._guest.stopped

    @property
    def kept_at(self) -> int | None:
        """The cell after which the snapshot was taken that a lost guest would be set back to; None without one."""
        return self._kept.cell if self._kept is not None else None

    async def _point(self, guest: Conversation, instead: Snapshot | None = None) -> Snapshot:
        copy = await self._copies.freeze(guest, None if instead is None else instead._guest)
        point = Snapshot(self, copy)
        self._points.add(point)
        return point

    async def _keep_this(self) -> Lost | None:
        """Take the snapshot that a lost guest is set back to, in place of the one before. The guest may die of it."""
        if not self._keep or self._guest is None or not can_be_copied(self._guest.pipe):
            return None
        with anyio.CancelScope(shield=True):
            try:
                kept, self._kept = self._kept, await self._point(self._guest, self._kept)
            except SnapshotRefused as refused:
                self.unkept = str(refused)
                return None
            except Lost as lost:
                self.unkept = lost.why
                return lost
            self.unkept = ""
            if kept is not None:
                await kept.drop()
        return None

    @asynccontextmanager
    async def kept_at_the_end(self) -> AsyncIterator[None]:
        """While this lasts no snapshot is taken after a cell, and then one: nobody goes back to what is half built."""
        self._keep, keep = False, self._keep
        try:
            yield
        finally:
            self._keep = keep
        async with self._turn:
            self._keep_behind()

    def _keep_behind(self) -> None:
        if self._keep and self._guest is not None and can_be_copied(self._guest.pipe):
            self._turn.behind(self._keep_this)

    async def _keep_or_tell(self) -> None:
        lost = await self._keep_this()
        if lost is not None:
            await self._parted(await self._recovered(Gone(lost.why)))

    async def _recovered(self, gone: Gone) -> Gone:
        """What is to be told of a guest that is gone, after it was set back to what was kept of it."""
        point, unkept = self._kept, self.unkept
        if point is not None:
            try:
                await self._go_back(point, since=True)
            except SnapshotRefused as refused:
                unkept, point = str(refused), None
        if point is None:
            await self._end()
            return replace(gone, unkept=unkept)
        self.unkept = ""
        return replace(gone, restored=point.cell, unkept=unkept)

    async def _died(self, lost: Lost) -> InterpreterDied:
        gone = await self._recovered(Gone(lost.why))
        await self._parted(gone)
        left = "all variables are lost" if gone.restored is None else f"it stands again as after cell {gone.restored}"
        return InterpreterDied(f"{lost.why}; {left}")

    async def _go_back(self, point: Snapshot, *, since: bool = False) -> None:
        """End the guest, and put a copy of the snapshot in its place; give it what was given `since`, if asked."""
        await self._end()
        then = point._bindings
        again = {name: value for name, value in self._bindings.items() if then.get(name) is not value}
        files = [file for name, file in self._files.items() if point._files.get(name) is not file]
        try:
            self._guest = await self._copies.thaw(point._guest)
            if since:
                await self._give(self._guest, again, files)
            else:
                self._bindings, self._files = dict(then), dict(point._files)
        except (Lost, SnapshotRefused, UsageError, values.Refused) as error:
            await self._end()
            if self._kept is point:
                self._kept = None
            await point.drop()
            raise SnapshotRefused(f"the snapshot cannot be restored: {error}") from None

    async def _end(self) -> None:
        guest, self._guest = self._guest, None
        if guest is not None:
            await guest.close()

    # -- guests ------------------------------------------------------------------------------------------------------

    async def _alive(self) -> Conversation:
        if self._closed:
            raise RuntimeError("this interpreter was closed")
        await self._notice()
        if self._guest is None:
            self._guest = await self._launch()
        return self._guest

    async def _notice(self) -> None:
        """Tell of a guest that was lost since it was asked last, or while a copy of it was made: nobody knows yet."""
        if self._guest is not None and self._guest.lost is not None:
            await self._parted(await self._recovered(Gone(self._guest.lost.why)))

    async def _launch(self) -> Conversation:
        """A guest that stands. Of one that dies on the way there are two more: what killed it may have killed the next
        of the pool, too, and be over."""
        for left in (2, 1, 0):
            try:
                return await self._launched()
            except Lost as lost:
                if not left or lost.ended == "timeout":
                    raise SandboxUnavailable("interpreter", lost.why, "Run `codeact doctor` to see why.") from None
        raise AssertionError

    async def _launched(self) -> Conversation:
        policy, wall = self._policy, self._sandbox
        capture = Capture(policy.limits.output)
        async with AsyncExitStack() as stack:
            first = opening(self._tools, policy)
            told = _expecting(wall)
            if told is not None:
                pipe = await stack.enter_async_context(told.launch_told(policy, capture.write, first))
            else:
                pipe = await stack.enter_async_context(wall.launch(policy, capture.write))
            guest = Conversation(pipe, capture, policy.limits)
            if self._rules:
                guest.reached = self._reached
                await connected(guest, self._rules, stack, self._sandbox.name)
            await guest.open(self._tools, first if told is None else None)
            await self._give(guest, self._bindings, self._files.values())
            self.level, self.python = pipe.level, guest.python
            await self._started(self.level, self.python)
            guest.stack = stack.pop_all()
        return guest

    async def _give(self, guest: Conversation, bindings: dict[str, Any], files: Iterable[File]) -> None:
        if bindings:
            await guest.bind(bindings)
        for file in files:
            await transfers.put(guest, file, self._policy.limits)


def _expecting(wall: Sandbox) -> Expecting | None:
    return cast(Expecting, wall) if _is_expecting(type(wall)) else None


@lru_cache(maxsize=16)
def _is_expecting(kind: type) -> bool:
    return issubclass(kind, Expecting)  # to look is slow: once for each kind of wall

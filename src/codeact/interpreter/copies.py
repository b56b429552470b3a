"""Copies of a guest: made over the wire and the pipe, counted, and bounded in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Literal, TypeAlias

from ..core import hosts
from ..core.errors import SnapshotRefused, UsageError
from ..core.execution import MIB, Limits
from ..guest import wire
from ..ports import Copying, Networked, Pipe
from .capture import Capture
from .conversation import Conversation
from .verdict import Lost

How: TypeAlias = Literal["freeze", "thaw", "fork"]

_OF_THE_GUEST = 2  # threads: the main one, and the one that waits for the end of the channel
_LOOKS = 50  # at threads that are about to end
_PATIENCE = 30.0  # seconds
_LONGEST = 500  # characters of a guest's reason


def can_be_copied(pipe: Pipe) -> bool:
    """Whether the wall can do it at all."""
    return isinstance(pipe, Copying) and not pipe.obstacle


class Copies:
    """What an interpreter and its forks hold of copies, within the limits of both."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        # Files are copied too: the half second that a cell may have is too little for ten thousand of them.
        self._patience = max(limits.seconds, min(_PATIENCE, limits.tool_seconds))
        self._frozen: list[Conversation] = []
        self._forks: set[int] = set()
        self._last_fork = 0

    async def freeze(self, guest: Conversation, instead: Conversation | None = None) -> Conversation:
        """A copy that waits, in place of another one, if that is named. Raises SnapshotRefused, or Lost."""
        held = [each for each in self._frozen if each is not instead]
        self._count(len(held))
        self._weigh((*held, guest))
        copy = await self._copied(guest, "freeze")
        try:
            self._weigh((*held, copy))
        except SnapshotRefused:
            await copy.close()
            raise
        self._frozen.append(copy)
        return copy

    async def thaw(self, frozen: Conversation) -> Conversation:
        """A copy of a copy, which goes on in its place. Raises SnapshotRefused, or Lost: it is the frozen one."""
        return await self._copied(frozen, "thaw")

    async def fork(self, guest: Conversation) -> tuple[Conversation, int]:
        """A copy that lives beside, and its number. Raises SnapshotRefused, or Lost."""
        self._count(len(self._frozen))
        number = self._last_fork + 1
        copy = await self._copied(guest, "fork", number)
        self._last_fork = number
        self._forks.add(number)
        return copy, number

    async def drop(self, frozen: Conversation) -> None:
        """End one that waits."""
        if frozen in self._frozen:
            self._frozen.remove(frozen)
            await frozen.close()

    def forget(self, fork: int) -> None:
        """This fork has ended."""
        self._forks.discard(fork)

    def _count(self, frozen: int) -> None:
        if frozen + len(self._forks) >= self._limits.snapshots:
            held = f"{frozen} snapshots and {len(self._forks)} forks are held"
            raise SnapshotRefused(f"{held}: drop() or close() one first, or set a higher Limits(snapshots=...)")

    def _weigh(self, guests: Iterable[Conversation]) -> None:
        sizes = [usage.memory for guest in guests if (usage := guest.pipe.usage()) is not None]
        if sum(sizes) > self._limits.snapshot_memory:
            most = f"{self._limits.snapshot_memory / MIB:,.0f} MiB"
            held = f"with this one the snapshots would hold {sum(sizes) / MIB:,.0f} MiB, and {most} are allowed"
            raise SnapshotRefused(f"{held}: drop() one first, or set a higher Limits(snapshot_memory=...)")

    async def _copied(self, guest: Conversation, how: How, number: int = 0) -> Conversation:
        pipe = guest.pipe
        if not isinstance(pipe, Copying):
            raise SnapshotRefused(f"the wall {pipe.level!r} cannot copy an interpreter: the sandbox 'linux' can")
        if pipe.obstacle:
            raise SnapshotRefused(pipe.obstacle)
        question = wire.Copy(guest.number(), how, number, sorted(self._forks))
        _unless(await guest.question(question, wire.Poised, self._patience), "the interpreter cannot be copied now")
        copy = await self._made(guest, pipe, question)
        threads = 0 if how == "thaw" else await _threads_left(guest)
        if threads:
            await copy.close()
            are = "1 thread of a library is" if threads == 1 else f"{threads} threads of libraries are"
            raise SnapshotRefused(f"{are} still running: end them first, for they do not live on in a copy")
        return copy

    async def _made(self, guest: Conversation, pipe: Copying, question: wire.Copy) -> Conversation:
        """The guest waits for the byte that lets it go on: whatever happens now, it gets it or is ended."""
        capture = Capture(self._limits.output)
        why = "no copy came up"
        async with AsyncExitStack() as stack:
            copy = None
            async with guest.in_the_middle("it did not copy itself", self._patience):
                try:
                    other = await stack.enter_async_context(pipe.copy(capture.write))
                    copy = Conversation(other, capture, self._limits)
                except OSError as error:
                    why = str(error)
                told = await guest.answer(wire.Copied, question.id)
            if copy is None:
                _unless(told, "the interpreter cannot be copied now")
                raise SnapshotRefused(f"the interpreter cannot be copied now: {why}")
            if told.failure is not None:
                raise guest.end("signal", "it broke the protocol: a copy stands that it says is none")
            copy.follow(guest)
            try:
                async with copy.in_the_middle("it said nothing", self._patience):
                    stands = await copy.answer(wire.Copied, question.id)
            except Lost as lost:
                raise SnapshotRefused(f"the copy does not stand: {lost.why}") from None
            _unless(stands, "the copy does not stand")
            if guest.proxy is not None:
                await connected(copy, guest.proxy.rules, stack, guest.pipe.level)
            copy.stack = stack.pop_all()
        return copy


async def connected(guest: Conversation, rules: Sequence[hosts.Rule], stack: AsyncExitStack, wall: str) -> None:
    """Let a guest reach the hosts of these rules, as long as the stack is not left; raises UsageError."""
    line = guest.pipe.line if isinstance(guest.pipe, Networked) else None
    if line is None:
        raise UsageError(
            f"the sandbox {wall!r} cannot let code reach some hosts and no others: "
            "leave out `network`, or use the sandbox 'linux'"
        )
    await guest.connect(line, rules, stack)


async def _threads_left(guest: Conversation) -> int:
    """How many threads the guest has that Python does not know of, when those have gone that are on their way out."""
    left = 0
    for _ in range(_LOOKS):
        usage = guest.pipe.usage()
        left = 0 if usage is None else max(0, usage.threads - _OF_THE_GUEST)
        if not left:
            break
        await asyncio.sleep(0.002)
    return left


def _unless(told: wire.Poised | wire.Copied, otherwise: str) -> None:
    if told.failure is not None:
        raise SnapshotRefused(told.failure[:_LONGEST] or otherwise)

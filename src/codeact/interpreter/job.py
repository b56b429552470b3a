"""The cell that runs now, as its conversation knows it, and what the conversation asks of others for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from ..core.execution import Failure
from ..core.reads import Reads
from ..guest import values
from ..ports import Emit
from .reads import Told
from .verdict import Reason


class Asked(NamedTuple):
    """A call as it came from a cell; `arguments` is the packed list [positional list, keyword dict].

    `clock` is what the cell has read of the clock, and nobody was told yet.
    """

    cell: int
    tool: str
    arguments: values.Packed
    clock: Reads = ()


Door: TypeAlias = Callable[[Asked], Awaitable[values.Packed | Failure]]
Following: TypeAlias = Callable[[], Awaitable[tuple[str, bool]]]  # the next part of a cell, and whether more may follow


@dataclass
class Job:
    """The cell that runs now."""

    cell: int
    nonce: str
    door: Door
    emit: Emit
    slots: asyncio.Semaphore
    soft: float = float("inf")  # bytes at which it is interrupted; none before it is known where it begins
    asked: set[asyncio.Task[Any]] = field(default_factory=set)  # calls whose answer is not known yet
    answers: set[asyncio.Task[None]] = field(default_factory=set)  # calls that are not answered yet
    spent: float = 0.0  # seconds of the cell's own clock
    looked: float = 0.0
    cpu: float = 0.0
    calls: int = 0
    told: Told = field(default_factory=Told)  # of what it read of the clock
    following: Following | None = None  # where the rest of the cell comes from; None when there is none
    waited: float = 0.0  # seconds, for that
    reason: Reason | None = None  # why it was interrupted, at `stopping`
    stopping: float = 0.0
    interrupts: int = 0
    killed: bool = False
    over: bool = False
    broken: Exception | None = None
    ticks: asyncio.TimerHandle = field(init=False)

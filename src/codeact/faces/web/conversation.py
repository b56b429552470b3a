"""One conversation of a server: a session that is open as long as its tasks run, and for a while after them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Literal, TypeAlias

import anyio

from codeact.core import waiting
from codeact.core.errors import CodeactError
from codeact.core.events import ApprovalAsked, Entry, StopReason, TaskEnded
from codeact.core.state import CUT_OFF
from codeact.session.result import RunResult
from codeact.session.session import Session

from .feed import Feed

_log = logging.getLogger("codeact")

Phase: TypeAlias = Literal["starting", "running", "idle", "over"]
Work: TypeAlias = Callable[[Session], Awaitable[RunResult]]


class Busy(CodeactError):
    """It cannot be done now; the message says why."""


class Full(Busy):
    """As much is being done as may be at once."""


class Missing(CodeactError):
    """There is nothing of that name."""


class Conversation:
    """One session, open as long as its tasks run, and for a while after them."""

    def __init__(self, run: str, agent: str, feed: Feed, waits: waiting.Family = waiting.NOBODY) -> None:
        self.run = run
        self.agent = agent
        self.feed = feed
        self.phase: Phase = "starting"
        self._waits = waits
        self.stop_reason: StopReason | None = None  # of its last task
        self.result: RunResult | None = None
        self.error: Exception | None = None
        self.stands = asyncio.Event()  # it was opened, or could not be
        self.at_rest = asyncio.Event()  # no task is at work
        self.session: Session | None = None
        self._next: asyncio.Queue[Work | None] = asyncio.Queue()
        self._scope: anyio.CancelScope | None = None
        self._cut = False
        self.task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> dict[str, ApprovalAsked]:
        """The questions that nobody has answered yet, of the run and of those below it, by key."""
        return waiting.asked_in(self._waits)

    @property
    def state(self) -> str:
        """What it does: `running`, `waiting` for an answer, or, when its task is over, `ended` or `cut off`."""
        if self.phase in ("starting", "running"):
            return "waiting" if self.waiting else "running"
        return state_of(self.stop_reason)

    @property
    def busy(self) -> bool:
        """Whether a task of it is at work."""
        return self.phase in ("starting", "running")

    def give(self, work: Work) -> None:
        """Something to do next. Raises Busy while a task runs."""
        if self.phase not in ("starting", "idle"):
            raise Busy(f"the run {self.run} is at work: wait for the end of its task, stop it, or say something to it")
        self.phase = "running"
        self.at_rest.clear()
        self._next.put_nowait(work)

    async def stop(self) -> None:
        """Cancel what it does; the run stands where it was cut off."""
        if self.phase == "running":
            self._cut = True
            if self._scope is not None:
                self._scope.cancel()
            await self.at_rest.wait()

    def leave(self) -> None:
        """Close the session when it has nothing to do."""
        self._next.put_nowait(None)

    def saw(self, entry: Entry) -> None:
        """Something was recorded, of this run or one below it."""
        self._waits = waiting.family(self._waits, entry)
        if isinstance(entry.event, TaskEnded) and entry.run == self.run:
            self.stop_reason = entry.event.stop_reason
        self.feed.add(entry)

    async def live(self, session: Session, seconds: float) -> None:
        """All of its life."""
        try:
            async with session:
                self.session = session
                self.stands.set()
                while (work := await self._more(seconds)) is not None:
                    await self._do(work, session)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self.error = error
            if not isinstance(error, CodeactError):
                _log.exception("the run %s failed", self.run)
        finally:
            self.phase = "over"
            self._waits = waiting.NOBODY
            self.session = None
            self.stands.set()
            self.at_rest.set()
            self.feed.close()

    async def _more(self, seconds: float) -> Work | None:
        with anyio.move_on_after(seconds):
            return await self._next.get()
        return None

    async def _do(self, work: Work, session: Session) -> None:
        self.phase, self.error, self.stop_reason = "running", None, None
        with anyio.CancelScope() as self._scope:
            if self._cut:  # it was stopped before it could begin
                self._scope.cancel()
            try:
                self.result = await work(session)
            except Exception as error:
                self.error = error
                if not isinstance(error, CodeactError):
                    _log.exception("a task of the run %s failed", self.run)
        self._scope, self._cut = None, False
        self._waits = waiting.NOBODY
        self.phase = "idle"
        self.at_rest.set()
        self.feed.wake()


def state_of(stop_reason: StopReason | None) -> str:
    """Where a run stands that is not at work: `ended`, or `cut off`, and can be resumed."""
    return "cut off" if stop_reason is None or stop_reason in CUT_OFF else "ended"

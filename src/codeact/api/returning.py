"""An agent that comes back to its runs: one that was cut off goes on, and another begins in the middle of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import anyio.to_thread

from .. import assemble, portal
from ..core.approvals import Decision
from ..core.errors import ReplayDivergence
from ..ports import Knows, Listener
from ..secrets import Secret
from ..session.agent import Agent
from ..session.forking import drop, fork
from ..session.result import RunResult
from ..session.resuming import Resume
from ..session.session import Session, ended
from .vocabulary import refusing_unknown


class Returning(Agent):
    """What an agent can do with runs that are in its journal."""

    @refusing_unknown
    def resume(
        self,
        run_id: str,
        *,
        knows: Knows | None = None,
        decisions: Mapping[str, Decision] | None = None,
        fresh: bool = False,
        anyway: bool = False,
        secrets: Mapping[str, str | Secret] | None = None,
        show: bool = False,
        listeners: Sequence[Listener] = (),
    ) -> RunResult:
        """Go on with a run that was cut off, to the end of its task; one that has ended is told as it ended.

        Nothing is asked of the model twice, and no tool runs twice. knows: an async function of a call that was cut
        off, where its tool cannot say what became of it: `Happened(value)`, `Failed(reason)`, `Retry()` or None; while
        one is not known the stop reason is `paused`. decisions: answers to approvals that it waits for, by key.
        fresh: go on with an empty interpreter, running nothing again. anyway: also where this agent is of other parts.
        secrets: those that the run was given, by name: no journal keeps them.

        Raises RunLocked, RunDiffers, ReplayDivergence, StorageError, and what `run` raises.
        """
        return portal.call(
            partial(
                self.aresume,
                run_id,
                knows=knows,
                decisions=decisions,
                fresh=fresh,
                anyway=anyway,
                secrets=secrets,
                show=show,
                listeners=listeners,
            )
        )

    @refusing_unknown
    async def aresume(
        self,
        run_id: str,
        *,
        knows: Knows | None = None,
        decisions: Mapping[str, Decision] | None = None,
        fresh: bool = False,
        anyway: bool = False,
        secrets: Mapping[str, str | Secret] | None = None,
        show: bool = False,
        listeners: Sequence[Listener] = (),
    ) -> RunResult:
        """The same, async."""
        if (result := await ended(self, run_id)) is not None:
            return result
        return await self._go_on(Resume(run_id, knows, decisions or {}, fresh, anyway, secrets or {}), show, listeners)

    @refusing_unknown
    def fork(
        self,
        run_id: str,
        *,
        at: int,
        say: str | None = None,
        max_steps: int | None = None,
        decisions: Mapping[str, Decision] | None = None,
        fresh: bool = False,
        anyway: bool = False,
        secrets: Mapping[str, str | Secret] | None = None,
        show: bool = False,
        listeners: Sequence[Listener] = (),
    ) -> RunResult:
        """A new run that begins with all that happened in this one up to the end of step `at`, and goes on to its end.

        Steps are counted through the run; 0 is its first task, as it was given. The model of this agent goes on,
        which may be another. say: what it reads next. max_steps: replies that the task may take now. The rest is as
        of `resume`: no tool that the other run called is called again. That run stays as it is.

        Raises UsageError where there is no such step, RunDiffers, ReplayDivergence, and what `run` raises.
        """
        return portal.call(
            partial(
                self.afork,
                run_id,
                at=at,
                say=say,
                max_steps=max_steps,
                decisions=decisions,
                fresh=fresh,
                anyway=anyway,
                secrets=secrets,
                show=show,
                listeners=listeners,
            )
        )

    @refusing_unknown
    async def afork(
        self,
        run_id: str,
        *,
        at: int,
        say: str | None = None,
        max_steps: int | None = None,
        decisions: Mapping[str, Decision] | None = None,
        fresh: bool = False,
        anyway: bool = False,
        secrets: Mapping[str, str | Secret] | None = None,
        show: bool = False,
        listeners: Sequence[Listener] = (),
    ) -> RunResult:
        """The same, async."""
        new = await fork(self, run_id, at, say, max_steps, anyway)
        try:
            return await self._go_on(Resume(new, None, decisions or {}, fresh, anyway, secrets or {}), show, listeners)
        except ReplayDivergence:
            await anyio.to_thread.run_sync(drop, self.store, new)
            raise

    async def _go_on(self, resume: Resume, show: bool, listeners: Sequence[Listener]) -> RunResult:
        shown = (assemble.shown(),) if show else ()
        async with Session(self, (*listeners, *shown), resume=resume) as session:
            return await session.resume()

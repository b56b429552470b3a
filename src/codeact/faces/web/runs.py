"""The runs of a server: each is a conversation with a task of its own, and goes on whether anybody looks or not."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import anyio
import anyio.to_thread

from codeact.core import waiting
from codeact.core.approvals import Decision
from codeact.core.errors import ReplayDivergence, UsageError
from codeact.core.events import ApprovalAsked, Entry, Event, RunStarted
from codeact.core.files import File
from codeact.core.tasks import check_task
from codeact.ports import Knows, Store
from codeact.questions import questions
from codeact.secrets import Secret
from codeact.session.agent import Agent, with_parts
from codeact.session.forking import drop, fork
from codeact.session.result import RunResult
from codeact.session.resuming import Resume
from codeact.session.session import Session

from .conversation import Busy, Conversation, Full, Missing, Work
from .feed import Feed
from .offer import Choice, Offer
from .shelf import Shelf


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a server does at once."""

    running: int = 32  # tasks
    idle: int = 8  # conversations whose interpreters wait for more
    idle_seconds: float = 900.0


class Runs:
    """All runs of a server: those that live here, and those that the journal knows."""

    def __init__(
        self,
        agents: Sequence[Agent],
        models: Sequence[str],
        store: Store,
        bounds: Bounds | None = None,
        secrets: Mapping[str, Secret] | None = None,
    ) -> None:
        self.shelf = Shelf(store, self._wrote)
        self.offer = Offer(agents, models, self.shelf)
        self.secrets = dict(secrets or {})  # which every task is given
        self._bounds = bounds or Bounds()
        self._live: dict[str, Conversation] = {}  # also those of the runs below
        self._opening: set[str] = set()
        self._closed = False

    # -- what there is ------------------------------------------------------------------------------------------------

    def live(self, run: str) -> Conversation | None:
        """The conversation of a run that lives here; that of the run above, where it is one below."""
        return self._live.get(run)

    async def check_there(self, run: str) -> None:
        """Raises Missing where there is no such run."""
        if not await anyio.to_thread.run_sync(self.shelf.has, run):
            raise Missing(f"there is no run {run!r}")

    async def events(self, run: str) -> list[Event]:
        """All that happened in a run. Raises Missing."""

        def read() -> list[Event]:
            if not self.shelf.has(run):
                raise Missing(f"there is no run {run!r}")
            return [entry.event for entry in self.shelf.entries(run)]

        return await anyio.to_thread.run_sync(read)

    async def entry(self, run: str, seq: int) -> Entry:
        """An entry of a run. Raises Missing."""

        def read() -> Entry:
            if self.shelf.has(run):
                for entry in self.shelf.entries(run):
                    if entry.seq == seq:
                        return entry
            raise Missing(f"there is no entry {seq} of a run {run!r}")

        return await anyio.to_thread.run_sync(read)

    # -- what can be done ---------------------------------------------------------------------------------------------

    async def begin(self, name: str, work: Work, task: str, choice: Choice) -> Conversation:
        """Work in a conversation of its own. Raises UsageError, Busy, and what opening a session raises."""
        check_task(task)
        agent = _begun_by(self.offer.chosen(name, choice), choice.model, task)
        run = secrets.token_hex(16)
        found = self._new(run, name, [])
        return await self._open(found, Session(agent, [found.feed.hear], run_id=run), work)

    async def go_on(self, run: str, work: Work) -> Conversation:
        """More work in the same conversation, with its variables; one that is not open is built again first."""
        return await self._work(run, work)

    async def take_up(
        self, run: str, decisions: Mapping[str, Decision] | None = None, fresh: bool = False, knows: Knows | None = None
    ) -> Conversation:
        """Go on with a task that was cut off."""
        return await self._work(run, lambda session: session.resume(), Resume(run, knows, decisions or {}, fresh))

    async def fork(self, run: str, at: int, say: str | None, max_steps: int | None = None) -> Conversation:
        """A new run that goes on from a step of this one, which stays as it is."""
        self._check_room()
        _, agent = await self._agent(run)
        new = await fork(agent, run, at, say, max_steps)
        try:
            return await self.take_up(new)
        except (ReplayDivergence, UsageError):
            await anyio.to_thread.run_sync(drop, agent.store, new)
            raise

    async def say(self, run: str, text: str) -> None:
        """Tell the model something in the middle. Raises Busy where nothing is at work."""
        found = self._live.get(run)
        if found is None:
            await self.check_there(run)
        if found is None or found.session is None:
            raise Busy(f"the run {run} is not at work: go on with it, with what is to be said as its task")
        await found.session.say(text)

    async def stop(self, run: str) -> None:
        """Cancel its task, if one is at work."""
        if (found := self._live.get(run)) is not None:
            await found.stop()
        else:
            await self.check_there(run)

    async def decide(self, run: str, key: str, decision: Decision) -> None:
        """Answer a question of a run, also of one that was cut off while it waited. Raises Missing."""
        found = self._live.get(run)
        if found is not None and found.phase == "running":
            if found.session is None or key not in found.waiting:
                raise Missing(f"nothing waits for a decision under the key {key!r}")
            found.session.decide(key, decision)
            return
        top = await anyio.to_thread.run_sync(self._above, run)
        if key not in await anyio.to_thread.run_sync(self.questions, top):
            raise Missing(f"nothing waits for a decision under the key {key!r}")
        await self.take_up(top, {key: decision})

    def questions(self, run: str) -> dict[str, ApprovalAsked]:
        """What was asked in a run and those below it, and not answered, by key. Reads them."""
        return {one.asked.key: one.asked for one in questions(self.shelf, run)}

    def _above(self, run: str) -> str:
        """The run that no other one called, of those above this one. Raises Missing."""
        while True:
            if not self.shelf.has(run):
                raise Missing(f"there is no run {run!r}")
            first = next(iter(self.shelf.entries(run)), None)
            if first is None or first.parent is None:
                return run
            run = first.parent

    async def close(self) -> list[str]:
        """Stop all, and say which runs were cut off by it."""
        self._closed = True
        cut = [run for run, one in self._live.items() if one.run == run and one.phase in ("starting", "running")]
        alive = set(self._live.values())
        for one in alive:
            one.feed.close()
            if one.task is not None:
                one.task.cancel()
        await asyncio.gather(*(one.task for one in alive if one.task is not None), return_exceptions=True)
        return cut

    # -- within -------------------------------------------------------------------------------------------------------

    async def _work(self, run: str, work: Work, resume: Resume | None = None) -> Conversation:
        found = self._live.get(run)
        if found is not None and found.run != run:
            raise UsageError(f"{run} is part of the run {found.run}: go on with that one")
        if run in self._opening or (found is not None and found.phase in ("starting", "running")):
            raise Busy(f"the run {run} is at work: wait for the end of its task, stop it, or say something to it")
        if found is not None and found.phase == "idle" and resume is None:
            self._check_room()
            found.give(work)
            return found
        self._opening.add(run)
        try:
            if found is not None:
                await self._end(found)
            return await self._reopen(run, work, resume or Resume(run))
        finally:
            self._opening.discard(run)

    async def _reopen(self, run: str, work: Work, resume: Resume) -> Conversation:
        if (above := await anyio.to_thread.run_sync(self._above, run)) != run:
            raise UsageError(f"{run} is part of the run {above}: go on with that one")
        name, agent = await self._agent(run)
        known = await anyio.to_thread.run_sync(lambda: [placed.entry for placed in self.shelf.family(run)])
        waits = waiting.without(waiting.read(known), resume.decisions)  # it is asked again once its variables are there
        found = self._new(run, name, known, waits)
        resume = replace(resume, secrets=self.secrets)
        return await self._open(found, Session(agent, [found.feed.hear], resume=resume), work)

    async def _agent(self, run: str) -> tuple[str, Agent]:
        """The agent that an old run goes on with, and its name."""
        was = next((event for event in await self.events(run) if isinstance(event, RunStarted)), None)
        if was is None:
            raise UsageError(f"the run {run} was cut off before it had begun")
        return await anyio.to_thread.run_sync(self.offer.of_run, run, was)

    def _new(self, run: str, name: str, known: Sequence[Entry], waits: waiting.Family = waiting.NOBODY) -> Conversation:
        self._check_room()
        found = self._live[run] = Conversation(run, name, Feed(run, known), waits)
        return found

    async def _open(self, found: Conversation, session: Session, work: Work) -> Conversation:
        found.give(work)
        found.task = asyncio.create_task(found.live(session, self._bounds.idle_seconds), name=f"run {found.run}")
        found.task.add_done_callback(lambda task: self._forget(found))
        await found.stands.wait()
        if found.phase == "over" and found.error is not None:
            raise found.error
        return found

    async def _end(self, found: Conversation) -> None:
        found.leave()
        if found.task is not None:
            await asyncio.wait([found.task])

    def _forget(self, found: Conversation) -> None:
        for run in [run for run, one in self._live.items() if one is found]:
            del self._live[run]
        if found.task is not None and not found.task.cancelled():
            with contextlib.suppress(asyncio.CancelledError):
                found.task.exception()

    def _check_room(self) -> None:
        if self._closed:
            raise Busy("the server is being stopped")
        mine = set(self._live.values())
        if sum(one.phase in ("starting", "running") for one in mine) >= self._bounds.running:
            raise Full(f"{self._bounds.running} tasks are at work, and no more may be at once")
        idle = [one for one in mine if one.phase == "idle"]
        for one in idle[: max(0, len(idle) - self._bounds.idle + 1)]:
            one.leave()

    def _wrote(self, entry: Entry) -> None:
        found = self._live.get(entry.run) or self._live.get(entry.parent or "")
        if found is not None:
            self._live.setdefault(entry.run, found)
            found.saw(entry)


def _begun_by(agent: Agent, model: str | None, task: str) -> Agent:
    """The same, whose origin is a line that `codeact resume` can read, where it was made by one."""
    if not agent.origin or task.startswith("-"):
        return with_parts(agent, origin=())
    chosen = ("--model", model) if model is not None else ()
    return with_parts(agent, origin=(*agent.origin, *chosen, task))


def task_of(task: str, files: Sequence[File], max_steps: int | None, secrets: Mapping[str, Secret]) -> Work:
    """The work on a task. Raises UsageError for what is none."""
    check_task(task)

    async def work(session: Session) -> RunResult:
        return await session.run(task, additional_args=secrets, files=files, max_steps=max_steps)

    return work

"""A Session is live: what a user does with one conversation and one interpreter."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import secrets
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from typing import Any

import anyio
import anyio.to_thread

from ..core.approvals import Decision
from ..core.errors import SnapshotRefused, UsageError
from ..core.events import Delta, Event, Forked, TaskGiven, UserSaid
from ..core.state import CUT_OFF, State, after
from ..core.tasks import check_task
from ..cursor import Cursor
from ..files import Given, read
from ..following import Followers
from ..history import History
from ..journals.memory import MemoryJournal
from ..ports import Glancing, Journal, Listener, Store
from ..secrets import Vault
from ..tools.context import ANSWERING
from . import rewinding
from .agent import Agent
from .driver import Driver
from .nesting import check_depth, nesting
from .result import RunResult, result_of
from .resuming import Resume
from .rewinding import Mark


class Session:
    """One conversation and one interpreter: variables live from task to task. One task at a time."""

    def __init__(
        self,
        agent: Agent,
        listeners: Sequence[Listener] = (),
        journal: Journal | None = None,
        resume: Resume | None = None,
        run_id: str | None = None,
    ) -> None:
        self.run_id = resume.run if resume is not None else run_id or secrets.token_hex(16)
        call = ANSWERING.get(None)  # what is begun inside of a tool is part of the call that the tool answers
        self._agent = agent
        self._resume = resume
        self._limits = agent.policy.limits
        self._kept = journal
        heard = [*agent.listeners, *listeners, *nesting(call, self.run_id, agent.name)]
        self._parent = call.run if call is not None else None
        self._store = call.caller.store if call is not None and call.caller is not None else agent.store
        above = call.caller if call is not None else None
        vault = Vault(agent.secrets, above.vault if above is not None else None)
        whose = above.followers.whose if above is not None else ()
        followers = Followers(self.run_id, agent.name, agent.model.name, vault.text, whose)
        self._history = History(journal or MemoryJournal(self.run_id, self._parent), heard, vault, followers)
        self._driver = Driver(agent, self.run_id, self._history, call)
        self._busy = False
        self._open = False
        self._stack = AsyncExitStack()
        self._streams: set[asyncio.Task[None]] = set()
        self._branches: list[Session] = []

    async def __aenter__(self) -> Session:
        async with AsyncExitStack() as stack:
            await self._keep(stack)
            await self._history.load()
            if not self._history.events:
                await self._driver.start()
            await stack.enter_async_context(self._driver.interpreter)
            if self._resume is not None:
                await self._driver.take_up(self._resume, self._store)
            self._stack = stack.pop_all()
        self._open = True
        return self

    async def _keep(self, stack: AsyncExitStack) -> None:
        """Have a journal, which is ours alone until the session ends."""
        if self._kept is None:
            if self._resume is None:
                made = await anyio.to_thread.run_sync(self._store.create, self.run_id, self._parent)
            else:
                made = await anyio.to_thread.run_sync(self._store.open, self.run_id)
            self._history.journal = self._kept = made
        stack.callback(self._kept.close)

    async def __aexit__(self, *exc: object) -> None:
        self._open = False
        with anyio.CancelScope(shield=True):
            for task in self._streams:  # one whose reader left in the middle runs on until here
                task.cancel()
            await asyncio.gather(*self._streams, return_exceptions=True)
            for branch in self._branches:
                await branch.close()
            try:
                await self._stack.aclose()
            finally:
                self._history.followers.close()

    async def close(self) -> None:
        """End it. One that was entered ends by itself, and its forks with it."""
        await self.__aexit__()

    # -- what a user does --------------------------------------------------------------------------------------------

    async def run(
        self,
        task: str,
        *,
        additional_args: Mapping[str, Any] | None = None,
        files: Iterable[Given] = (),
        max_steps: int | None = None,
    ) -> RunResult:
        """Work on a task to its end. `additional_args` are bound as variables, by the table of values; `files` (paths,
        or `File`) are copied into `inputs/`.

        Raises ModelError when the model cannot be asked; the session stays usable.
        """
        check_task(task)
        self._check_open()
        self._check_idle()
        call = ANSWERING.get(None)
        check_depth(call, self._agent.name)
        self._busy = True
        first = len(self._history.events)
        try:
            limits = self._limits if max_steps is None else replace(self._limits, steps=max_steps)
            given = await anyio.to_thread.run_sync(read, files, limits.scratch)
            await self._driver.work(task, dict(additional_args or {}), given, limits, call)
        finally:
            self._busy = False
        return self._result(first)

    async def resume(self) -> RunResult:
        """Go on with the task that was cut off, to its end. One that has ended by itself is told as it ended.

        Where nobody knows whether a call took effect, nothing is done: the stop reason is `paused`, and `unknown` says
        which calls. Raises UsageError for a run that was cut off before a task stood in it.
        """
        self._check_open()
        self._check_idle()
        state, start = self._history.state, _last_task(self._history.events)
        if start is None:
            raise UsageError(f"run {self.run_id} was cut off before its task was kept: nothing was done; give it anew")
        if state.ended is None:
            self._busy = True
            try:
                await self._driver.go_on(replace(self._limits, steps=state.steps), ANSWERING.get(None))
            finally:
                self._busy = False
        return self._result(start)

    async def stream(
        self,
        task: str,
        *,
        additional_args: Mapping[str, Any] | None = None,
        files: Iterable[Given] = (),
        max_steps: int | None = None,
    ) -> AsyncGenerator[Event | Delta, None]:
        """The same, event by event, with what passes meanwhile. Leaving the loop does not stop the task."""
        cursor = Cursor()
        self._history.listeners.append(cursor.push)
        outcome: list[BaseException] = []

        async def work() -> None:
            try:
                await self.run(task, additional_args=additional_args, files=files, max_steps=max_steps)
            except Exception as error:  # told to the reader of the stream, where it belongs
                outcome.append(error)
            finally:
                self._history.listeners.remove(cursor.push)
                cursor.close()

        task_of_ours = asyncio.create_task(work())
        self._streams.add(task_of_ours)
        task_of_ours.add_done_callback(self._streams.discard)
        async with aclosing(cursor.read()) as items:
            async for item in items:
                yield item
        if outcome:
            raise outcome[0]

    async def bind(self, **bindings: Any) -> None:
        """Bind variables in the interpreter, by the table of values."""
        self._check_open()
        await self._driver.bind(bindings)

    async def fetch(self, name: str) -> Any:
        """The value of a variable in the interpreter."""
        self._check_open()
        return await self._driver.interpreter.fetch(name)

    async def fork(self, n: int = 1, *, listeners: Sequence[Listener] = ()) -> tuple[Session, ...]:
        """`n` sessions that go on from here side by side, each with the conversation, the variables and the files.

        They end with `close()`, or with this one. Raises SnapshotRefused where the interpreter cannot be copied.
        """
        self._check_open()
        self._check_idle()
        branches: list[Session] = []
        try:
            for _ in range(n):
                branches.append(await self._branch(listeners))
        except BaseException:
            for branch in branches:
                await branch.close()
            raise
        self._branches += branches
        return tuple(branches)

    async def aside(self) -> Session:
        """A fork that nobody hears of, until somebody joins it; it ends with the session that was first of all."""
        self._check_open()
        self._check_idle()
        return await self._branch((), heard=False)

    async def mark(self) -> Mark:
        """Where it stands, to go `back` to."""
        self._check_open()
        self._check_idle()
        if self._driver.cut is not None:  # its cell may be gone on with: what it will have done is not there to copy
            return Mark(len(self._history.events), None)
        return await rewinding.mark(len(self._history.events), self._driver.interpreter)

    async def back(self, mark: Mark, *, listeners: Sequence[Listener] = ()) -> Session:
        """A session that goes on from there, with the conversation, variables and files of then; this one is left.

        It ends with `close()`, or with the session that was first of all. What tools have done since is done. Raises
        what going on with a run raises.
        """
        self._check_open()
        self._check_idle()
        if await rewinding.restored(mark, self._driver.interpreter):
            with contextlib.suppress(SnapshotRefused):
                return await self._branch(listeners, upto=mark.events)
        known = self._history.vault.known
        run, journal = await rewinding.written(self._store, self._history.events[: mark.events], self.run_id)
        return await Session(self._agent, listeners, journal, Resume(run, anyway=True, secrets=known)).__aenter__()

    async def give_up(self) -> None:
        """Do not go on with a task that was cut off: what it did until then stays. A new task does so by itself."""
        self._check_open()
        self._check_idle()
        await self._driver.give_up()

    async def variables(self) -> list[tuple[str, str, str]]:
        """Name, kind and a glimpse of each variable."""
        self._check_open()
        return await self._driver.interpreter.variables()

    async def _branch(self, listeners: Sequence[Listener], heard: bool = True, upto: int | None = None) -> Session:
        branch = Session(self._agent, listeners)
        await branch._keep(branch._stack)
        if not heard:
            branch.leave(self._agent.listeners)
        await self._driver.branch(branch._driver)
        branch._stack.push_async_exit(branch._driver.interpreter)
        await branch._history.copy(self._history, upto)
        branch._open = True
        await branch.record(Forked(self.run_id))
        return branch

    async def say(self, text: str) -> None:
        """Tell the model something at any moment: it reads it beside the next thing that it is told."""
        check_task(text)
        self._check_open()
        await self.record(UserSaid(text))

    def decide(self, key: str, decision: Decision) -> None:
        """Answer the question of an `ApprovalAsked`. Raises UsageError when nothing waits for it."""
        self._driver.approvals.decide(key, decision)

    def join(self, listeners: Iterable[Listener]) -> None:
        """Let these hear, too, what happens from here on."""
        self._history.join(listeners)

    def leave(self, listeners: Iterable[Listener]) -> None:
        """Let these hear no more."""
        self._history.leave(listeners)

    def rest(self) -> None:
        """Let another process go on with the run, until a task is given here again."""
        self._history.journal.rest()

    @property
    def is_open(self) -> bool:
        """Whether tasks can be given to it."""
        return self._open

    def _check_idle(self) -> None:
        if self._busy:
            raise RuntimeError("a task is running in this session: await it first, or open another session")

    def _check_open(self) -> None:
        if not self._open:
            raise RuntimeError("this session is closed: use it inside `with agent.session() as session:`")

    @property
    def result(self) -> RunResult:
        """Where the last task stands, or how it ended, also when it raised."""
        return self._result(_last_task(self._history.events) or 0)

    @property
    def events(self) -> tuple[Event, ...]:
        """All that happened so far."""
        return tuple(self._history.events)

    @property
    def level(self) -> str:
        """How strongly the interpreter is confined."""
        return self._driver.interpreter.level

    async def record(self, event: Event) -> None:
        """The one door for news: the journal first, then the state, then the listeners."""
        await self._history.record(event)

    def _result(self, first: int) -> RunResult:
        answers, history = self._agent.answers, self._history
        return result_of(
            self.run_id, history.state, history.events[first:], answers.read if answers else None, self._driver.unknown
        )


async def ended(agent: Agent, run: str, store: Store | None = None) -> RunResult | None:
    """How the last task of a run ended, if it did so by itself: nothing of it is left to do."""

    def read() -> list[Event] | None:
        kept = store or agent.store
        told = kept.glance(run) if isinstance(kept, Glancing) else None
        if told is not None and (told.stop_reason is None or told.stop_reason in CUT_OFF):
            return None  # so that a run that goes on is read once
        return [entry.event for entry in kept.entries(run)]

    events = await anyio.to_thread.run_sync(read)
    if events is None:
        return None
    state = functools.reduce(after, events, State())
    if state.ended is None or state.ended.stop_reason in CUT_OFF:
        return None
    start = _last_task(events) or 0
    return result_of(run, state, events[start:], agent.answers.read if agent.answers else None)


def _last_task(events: Sequence[Event]) -> int | None:
    """Where the last task begins; None where there was none."""
    return next((place for place in reversed(range(len(events))) if isinstance(events[place], TaskGiven)), None)

"""A Session is live: this is the one file that awaits everything and decides nothing.

record(event): the journal first, then the state, then the listeners. There is no other door for news.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from typing import Any, assert_never

import anyio
import anyio.to_thread

from .agent import Agent
from .approvals import Approvals
from .calling import Calling, declarations
from .check import complaints
from .core.approvals import CELL, Decision, Deny, Edit
from .core.errors import ModelError
from .core.events import (
    CallsAnswered,
    CodeRan,
    CodeRefused,
    CodeStarted,
    Delta,
    Event,
    FilesCollected,
    Forked,
    InterpreterLost,
    InterpreterRestored,
    ModelAsked,
    ModelFailed,
    ModelReplied,
    RunStarted,
    SandboxReady,
    TaskEnded,
    TaskGiven,
    TextDelta,
    UserSaid,
)
from .core.execution import Failure, Gone, Limits, ToolCall
from .core.files import File, described
from .core.loop import Ask, Call, Run, Stop, next_step
from .core.prompt import prompt
from .core.state import State, after
from .core.tasks import check_task
from .core.untrusted import inline
from .cursor import Cursor
from .door import Door
from .files import Given, read
from .guest import display
from .interpreter import Absent, Interpreter
from .journals.memory import MemoryJournal
from .ports import Journal, Listener
from .result import RunResult, result_of

_log = logging.getLogger("codeact")


class Session:
    """One conversation and one interpreter: variables live from task to task. One task at a time."""

    def __init__(self, agent: Agent, listeners: Sequence[Listener] = (), journal: Journal | None = None) -> None:
        self.run_id = secrets.token_hex(16)
        self._agent = agent
        self._limits = agent.policy.limits
        self._listeners = [*agent.listeners, *listeners]
        self._journal = journal or MemoryJournal(self.run_id)
        self._events: list[Event] = []
        self._state = State()
        self._recording = anyio.Lock(fast_acquire=True)
        self._bound: frozenset[str] = frozenset()  # by `bind`
        self._busy = False
        self._open = False
        self._broken: set[tuple[int, type]] = set()
        self._stack = AsyncExitStack()
        self._streams: set[asyncio.Task[None]] = set()
        self._approvals = Approvals(agent.approve, agent.gate, self.record)
        self._door = Door(
            agent.tools,
            self._limits,
            run=self.run_id,
            record=self.record,
            secrets=agent.secrets,
            gate=self._approvals.ask if agent.approve is not None else None,
            answer=self._refusal if agent.answers is not None else None,
        )
        self._calling = Calling(self._door, agent.specs, self._limits, self._refusal)
        self._interpreter: Interpreter | Absent = self._made() if agent.action == "code" else Absent()
        self._branches: list[Session] = []

    def _made(self) -> Interpreter:
        return Interpreter(
            self._agent.sandbox,
            self._agent.policy,
            self._agent.specs,
            self._stands,
            self._parted,
            self.record,
            keep=self._agent.policy.snapshots,
        )

    async def __aenter__(self) -> Session:
        async with AsyncExitStack() as stack:
            await self.record(self._started())
            await stack.enter_async_context(self._interpreter)
            self._stack = stack.pop_all()
        self._open = True
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._open = False
        with anyio.CancelScope(shield=True):
            for task in self._streams:  # one whose reader left in the middle runs on until here
                task.cancel()
            await asyncio.gather(*self._streams, return_exceptions=True)
            for branch in self._branches:
                await branch.close()
            await self._stack.aclose()

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
        self._busy = True
        first = len(self._events)
        try:
            limits = self._limits if max_steps is None else replace(self._limits, steps=max_steps)
            given = await anyio.to_thread.run_sync(read, files, limits.scratch)
            await self._work(task, dict(additional_args or {}), given, limits)
        finally:
            self._busy = False
        return self._result(first)

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
        self._listeners.append(cursor.push)
        outcome: list[BaseException] = []

        async def work() -> None:
            try:
                await self.run(task, additional_args=additional_args, files=files, max_steps=max_steps)
            except Exception as error:  # told to the reader of the stream, where it belongs
                outcome.append(error)
            finally:
                self._listeners.remove(cursor.push)
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
        await self._interpreter.bind(bindings)
        self._bound |= bindings.keys()

    async def fetch(self, name: str) -> Any:
        """The value of a variable in the interpreter."""
        self._check_open()
        return await self._interpreter.fetch(name)

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

    async def _branch(self, listeners: Sequence[Listener]) -> Session:
        branch = Session(self._agent, listeners)
        interpreter = await self._interpreter.fork(branch._stands, branch._parted, branch.record)
        branch._interpreter = interpreter
        branch._stack.push_async_exit(interpreter)
        for event in self._events:
            await branch._journal.append(event)
        branch._events, branch._state, branch._bound = list(self._events), self._state, self._bound
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
        self._approvals.decide(key, decision)

    def _check_idle(self) -> None:
        if self._busy:
            raise RuntimeError("a task is running in this session: await it first, or open another session")

    def _check_open(self) -> None:
        if not self._open:
            raise RuntimeError("this session is closed: use it inside `with agent.session() as session:`")

    @property
    def result(self) -> RunResult:
        """Where the last task stands, or how it ended, also when it raised."""
        starts = [i for i, event in enumerate(self._events) if isinstance(event, TaskGiven)]
        return self._result(starts[-1] if starts else 0)

    @property
    def events(self) -> tuple[Event, ...]:
        """All that happened so far."""
        return tuple(self._events)

    @property
    def level(self) -> str:
        """How strongly the interpreter is confined."""
        return self._interpreter.level

    # -- the one door for news ---------------------------------------------------------------------------------------

    async def record(self, event: Event) -> None:
        """Journal, state, listeners: in this order, whole, and one event at a time."""
        with anyio.CancelScope(shield=True):
            async with self._recording:
                await self._journal.append(event)
                self._events.append(event)
                self._state = after(self._state, event)
                self._tell(event)

    def _tell(self, item: Event | Delta) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(item)
            except Exception as error:  # somebody's screen must not end somebody's run
                if (id(listener), type(error)) not in self._broken:
                    self._broken.add((id(listener), type(error)))
                    _log.exception("a listener failed at %s; this is said once", type(item).__name__)

    # -- the loop's driver -------------------------------------------------------------------------------------------

    async def _work(self, task: str, variables: dict[str, Any], files: Sequence[File], limits: Limits) -> None:
        try:
            await self._interpreter.put(files)
            if variables and self._agent.action == "code":
                await self._interpreter.bind(variables)
            shown = tuple((name, inline(display.show(value)[1], 300)) for name, value in variables.items())
            told = tuple((file.name, described(file)) for file in files)
            await self.record(TaskGiven(task, shown, limits.steps, told))
            while True:
                match next_step(self._state, limits):
                    case Ask(step):
                        await self._ask(step)
                    case Run(cell, source):
                        await self._run(cell, source)
                    case Call(cell, calls):
                        await self.record(CallsAnswered(cell, await self._calling.answer(cell, calls)))
                    case Stop(reason, output, detail):
                        await self._collect()
                        await self.record(TaskEnded(reason, output, None, detail))
                        return
                    case other:
                        assert_never(other)
        except anyio.get_cancelled_exc_class():
            await self.record(TaskEnded("cancelled"))
            raise
        except Exception as error:
            await self._collect()
            await self.record(TaskEnded("error", None, type(error).__name__, str(error)))
            raise

    async def _ask(self, step: int) -> None:
        heard: list[str] = []

        def emit(delta: Delta) -> None:
            if isinstance(delta, TextDelta):
                heard.append(delta.text)
            self._tell(delta)

        await self.record(ModelAsked(step))
        try:
            reply = await self._agent.model.ask(prompt(self._state), emit)
        except ModelError as error:
            await self.record(ModelFailed(type(error).__name__, str(error), "".join(heard)))
            raise
        await self.record(ModelReplied(reply))

    async def _run(self, cell: int, source: str) -> None:
        if found := self._complaints(source):
            await self.record(CodeRefused(source, tuple(found)))
            return
        key = hashlib.sha256(f"{self.run_id} {cell} {source}".encode("utf-8", "replace")).hexdigest()[:32]
        match await self._approvals.ask(ToolCall(key, cell, CELL, {"source": source})):
            case Deny():
                return  # the state knows, and tells the model
            case Edit(arguments):
                source = str(arguments.get("source", ""))
        seed = secrets.token_bytes(16)
        await self.record(CodeStarted(cell, source, seed))
        outcome = await self._interpreter.run(cell, source, _sown(seed), self._door, self._tell)
        await self.record(CodeRan(cell, outcome))
        if outcome.gone is not None:
            await self._parted(outcome.gone)

    def _complaints(self, source: str) -> list[str]:
        state, agent = self._state, self._agent
        if not agent.checks or not state.sure or source == state.refused:
            return []
        known = state.names.union(state.bound, self._bound)
        return complaints(source, known, agent.specs, agent.policy.imports)

    async def _collect(self) -> None:
        """What a cancelled task made is collected with the next one of the session."""
        files, left_out = await self._interpreter.collect()
        if files or left_out:
            await self.record(FilesCollected(files, left_out))

    async def _refusal(self, value: Any) -> Failure | None:
        answers = self._agent.answers
        return None if answers is None else await answers.refusal(value, self._events, self._agent)

    async def _stands(self, level: str, python: str) -> None:
        await self.record(SandboxReady(level, python))

    async def _parted(self, gone: Gone) -> None:
        await self.record(InterpreterLost(gone) if gone.restored is None else InterpreterRestored(gone))

    def _started(self) -> RunStarted:
        agent, policy = self._agent, self._agent.policy
        return RunStarted(
            model=agent.model.name,
            sandbox=agent.sandbox.name,
            tools=tuple(tool.spec for tool in agent.tools),
            imports=policy.imports,
            limits=policy.limits,
            instructions=agent.instructions,
            python=policy.python,
            network=policy.network,
            mounts=policy.mounts,
            action=agent.action,
            declarations=declarations(agent.tools, agent.answers) if agent.action == "json" else (),
            answer=agent.answers.spec if agent.answers is not None else None,
        )

    def _result(self, first: int) -> RunResult:
        answers = self._agent.answers
        return result_of(self.run_id, self._state, self._events[first:], answers.read if answers else None)


def _sown(seed: bytes) -> bytes:
    """What the guest gets of a seed: the marks around its output are drawn from the seed itself, not known to it."""
    return hashlib.sha256(seed).digest()[:16]

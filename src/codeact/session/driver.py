"""The loop's driver: it awaits what the loop decides, and decides nothing.

What is asked of the model, the interpreter and the tools in one task is asked here; each answer is news for `History`,
and what comes next is read off the state that the news leaves.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, assert_never

import anyio

from ..core.approvals import CELL, PLAN, Deny, Edit
from ..core.branch import just_forked
from ..core.deltas import overhear
from ..core.errors import BudgetExhausted, ContextOverflow, ModelError, StorageError
from ..core.events import (
    AskedBeside,
    BudgetEnded,
    CallsAnswered,
    CodeRan,
    CodeRefused,
    CodeStarted,
    Compacted,
    Delta,
    FilesCollected,
    InputsGiven,
    InterpreterLost,
    InterpreterRestored,
    ModelAsked,
    ModelFailed,
    ModelReplied,
    Noted,
    PlanMade,
    Purpose,
    Resumed,
    RunStarted,
    SandboxReady,
    Summarised,
    SummaryAsked,
    TaskEnded,
    ToolReturned,
)
from ..core.execution import Failure, Gone, Limits, Outcome, ToolCall
from ..core.files import File
from ..core.lives import CUT
from ..core.loop import Ask, Call, Compact, Overflow, Review, Run, Stop, Summarise, goes_on, next_step
from ..core.messages import Reply, Usage
from ..core.names import Names
from ..core.prompt import prompt, summary_prompt
from ..core.reads import Again, sown
from ..history import History
from ..interpreter import Absent, Following, Interpreter
from ..ports import Store
from ..tools.context import Call as Answering
from ..tools.deadline import Deadline
from .agent import Agent
from .approvals import Approvals
from .beginning import started, task_given
from .books import Books
from .callbacks import StepCallbacks
from .calling import Calling
from .check import complaints
from .door import Door
from .eager import Eager
from .resuming import (
    Resume,
    action_of,
    begun_again,
    check_parts,
    check_stands,
    keep_again,
    nobody_answered,
    nobody_knows,
    read_by,
    rebuild,
    settle,
)
from .served import Served


class Driver:
    """An agent at work on one session's tasks: its interpreter, the door of its tool calls, and who is asked first."""

    def __init__(self, agent: Agent, run_id: str, history: History, call: Answering | None = None) -> None:
        self._agent = agent
        self._run_id = run_id
        self._history = history
        self._record = history.record
        self._bound: frozenset[str] = frozenset()  # by `bind`
        self._asides = anyio.Lock(fast_acquire=True)
        above = call.caller if call is not None else None
        self._books = Books(agent, history, above)
        self._hurries = agent.hurries and not (above is not None and above.cells)
        self.approvals = Approvals(agent.approve, agent.gate, history.record, agent.name, above, self._books.pause)
        self._door = Door(
            agent.tools,
            agent.policy.limits,
            run=run_id,
            record=history.record,
            vault=history.vault,
            gate=self.approvals.ask if self.approvals.some else None,
            answer=self._refusal if agent.answers is not None else None,
        )
        self._callbacks = StepCallbacks(agent.callbacks, agent)
        self._eager = Eager(self._books, history, self._complaints_of, self._begun) if self._hurries else None
        self._calling = Calling(self._door, agent.catalogue, agent.policy.limits, self._refusal)
        self.cut: CodeStarted | None = None  # the cell to go on with, where a run was taken up
        self.unknown: tuple[ToolCall, ...] = ()  # calls of it that nobody knows the effect of
        self.interpreter: Interpreter | Absent = self._made() if agent.action == "code" else Absent()

    def _made(self) -> Interpreter:
        agent = self._agent
        return Interpreter(
            agent.sandbox,
            agent.policy,
            agent.catalogue,
            self._stands,
            self._parted,
            self._record,
            keep=agent.policy.snapshots,
        )

    async def start(self) -> None:
        """Record what the session is made of."""
        await self._record(self._parts())
        if self._agent.eager and not self._agent.hurries:
            await self._record(Noted("code runs when the model has written all of it: somebody looks at cells first"))

    def _parts(self) -> RunStarted:
        return replace(started(self._agent), eager=self._hurries, price=self._books.price)

    async def bind(self, bindings: Mapping[str, Any]) -> None:
        """Bind variables in the interpreter, beside a task."""
        taken = self._history.vault.take(bindings)
        await self.interpreter.bind(taken)
        await self._record(InputsGiven(taken))
        self._bound |= bindings.keys()

    async def branch(self, other: Driver) -> None:
        """Make the interpreter of another driver a copy of this one's. Raises SnapshotRefused where there is none."""
        other.interpreter = await self.interpreter.fork(other._stands, other._parted, other._record)
        other._bound = self._bound
        other._history.vault.follow(self._history.vault)
        if other._eager is not None and self._eager is not None:
            other._eager.follow(self._eager)

    async def work(
        self,
        task: str,
        variables: dict[str, Any],
        files: Sequence[File],
        limits: Limits,
        call: Answering | None = None,
    ) -> None:
        """Work on a task to its end, which is recorded whatever comes. `call` is what it is done for, if it is."""
        await self.give_up()
        async with self._to_its_end(limits, call):
            vault = self._history.vault
            variables, files = vault.take(variables), vault.told(tuple(files))
            await self.interpreter.put(files)
            if variables and self._agent.action == "code":
                await self.interpreter.bind(variables)
            if variables or files:
                await self._record(InputsGiven(variables, tuple(files)))
            await self._record(task_given(task, variables, files, limits.steps))
            await self._loop(limits)

    async def take_up(self, resume: Resume, store: Store) -> None:
        """Stand where the run was cut off: its interpreter as it was, or `fresh`. Raises what the errors of it say."""
        state, events = self._history.state, list(self._history.events)
        if not resume.anyway:
            check_parts(self._run_id, state.started, self._parts())
            if self._agent.action == "code":
                check_stands(self._run_id, events, self.interpreter.level, self.interpreter.python)
        keep_again(self._history.vault, self._run_id, events, resume.secrets)
        served = Served(events, self._run_id, self._history.moments)
        self.cut = None if resume.fresh else state.running
        action = action_of(state)
        otherwise: tuple[int, ...] = ()
        self.unknown = () if resume.fresh else await settle(self._agent, served, action, resume.knows, store)
        self._door.served = served
        if self._agent.action == "code":
            async with self.interpreter.kept_at_the_end():
                moments = self._history.moments
                otherwise = await rebuild(events, state, resume.fresh, self._given_again, self._rerun, moments)
        served.known = False
        for key, returned in served.settled.items():  # or it would be asked again, and its cell could not run again
            await self._record(ToolReturned(key, returned))
        if state.running is not None and state.unasked is not None:  # it ran while the model was writing it
            said = Reply(f"```python\n{state.running.source}\n```", finish="unknown")
            await self._record(ModelReplied(said, CUT))
        self.approvals.load(events, resume.decisions)
        if resume.fresh or otherwise or not just_forked(events):
            await self._record(Resumed(resume.fresh, otherwise))

    async def go_on(self, limits: Limits, call: Answering | None = None) -> None:
        """Work on the task that was cut off, from where `take_up` stands, to its end."""
        async with self._to_its_end(limits, call, carried=True):
            if self.unknown:
                await self._record(TaskEnded("paused", None, None, nobody_knows(self.unknown)))
                return
            if (cut := self.cut) is not None:
                self.cut, again, sow = None, read_by(self._history.events, cut.cell), sown(cut.seed)
                run, tell = self.interpreter.run, self._history.tell
                await self._ran(cut.cell, await run(cut.cell, cut.source, sow, self._door, tell, again=again))
            await self._loop(limits)

    async def give_up(self) -> None:
        """Do not go on with a task that was cut off: what its cell did until then stays, as where nothing ended."""
        cut, self.cut = self.cut, None
        await begun_again(cut, self._history.state.stopped, self._history.events, self._door.served, self._rerun)

    async def _given_again(self, inputs: InputsGiven) -> None:
        await self.interpreter.put(inputs.files)
        if inputs.variables:
            await self.interpreter.bind(inputs.variables)
            self._bound |= inputs.variables.keys()

    async def _rerun(self, cell: int, source: str, seed: bytes, again: Again) -> Outcome:
        return await self.interpreter.run(cell, source, sown(seed), self._door, lambda _: None, again=again)

    @asynccontextmanager
    async def _to_its_end(
        self, limits: Limits, call: Answering | None, *, carried: bool = False
    ) -> AsyncIterator[None]:
        """A task's end is recorded, whatever it is."""
        above = call.caller if call is not None else None
        self._door.caller = self._books.opened(self.approvals, limits, above, self._beside)
        if carried:
            self._books.carry()
        try:
            with self._books.stops(call):
                with Deadline(self._books.ledger.seconds) as deadline:
                    yield
                if deadline.passed:
                    await self._out_of_time()
            if self._books.pause.paused:
                await self._books.closed()
                await self._record(TaskEnded("paused", None, None, nobody_answered(self._history.events)))
        except anyio.get_cancelled_exc_class():
            await self._record(TaskEnded("cancelled", complete=self.interpreter.stopped))
            raise
        except StorageError:
            raise  # the journal takes no more: what it holds is how it stands
        except Exception as error:
            await self._collect()
            await self._record(TaskEnded("error", None, type(error).__name__, str(error)))
            raise
        finally:
            if call is not None:
                call.charge(self._agent.model.name, self._history.state.usage, self._history.state.cost)

    async def _loop(self, limits: Limits) -> None:
        self._callbacks.begin(self._history.events)
        while True:
            step_now = next_step(self._history.state, limits)
            if not isinstance(step_now, Run | Call):  # the step before it is over
                await self._callbacks.tell(self._history.events)
            match step_now:
                case Ask(step, purpose):
                    await self._ask(step, purpose, limits)
                case Review(step, plan):
                    await self._review(step, plan)
                case Run(cell, source):
                    await self._run(cell, source)
                case Call(cell, calls):
                    answers = await self._calling.answer(cell, calls)
                    await self._books.warn()
                    await self._record(CallsAnswered(cell, answers))
                case Compact(goal, cut):
                    await self._record(Compacted(goal, cut))
                case Summarise(upto):
                    await self._summarise(upto)
                case Overflow(detail):
                    raise ContextOverflow(detail)
                case Stop(reason, output, detail, last):
                    await self._collect()
                    await self._books.closed()
                    await self._record(TaskEnded(reason, output, None, detail, last))
                    return
                case other:
                    assert_never(other)

    async def _ask(self, step: int, purpose: Purpose, limits: Limits) -> None:
        await self._record(ModelAsked(step, purpose))
        try:
            if self._eager is not None and purpose == "step":
                await self._ask_and_run(self._eager)
            else:
                await self._ask_alone()
        except BudgetExhausted as error:
            await self._record(BudgetEnded(error.kind, str(error)))
        except ContextOverflow:
            if not goes_on(self._history.state, limits):
                raise

    async def _ask_alone(self) -> None:
        heard: list[str] = []

        def emit(delta: Delta) -> None:
            overhear(heard, delta)
            self._history.tell(delta)

        try:
            reply = await self._books.ask(prompt(self._history.state), emit)
        except ModelError as error:
            await self._record(ModelFailed(type(error).__name__, str(error), "".join(heard)))
            raise
        await self._books.warn()
        await self._record(ModelReplied(reply))

    async def _ask_and_run(self, eager: Eager) -> None:
        cell = self._history.state.cell + 1
        outcome = await eager.ask(prompt(self._history.state), cell)
        if outcome is not None:
            await self._ran(cell, outcome)

    async def _summarise(self, upto: int) -> None:
        await self._record(SummaryAsked(upto))
        try:
            reply = await self._books.ask(summary_prompt(self._history.state, upto), lambda delta: None)
        except BudgetExhausted as error:
            await self._record(BudgetEnded(error.kind, str(error)))
        except ContextOverflow:  # then it has to do without
            await self._record(Summarised(upto, "", Usage()))
        except ModelError as error:
            await self._record(ModelFailed(type(error).__name__, str(error)))
            raise
        else:
            await self._record(Summarised(upto, reply.text, reply.usage))

    async def _beside(self, key: str) -> int:
        """How many questions the model was asked before the one that a tool puts to it now."""
        async with self._asides:
            await self._record(AskedBeside(key))
            asking = self._eager is not None and self._eager.writing
            return prompt(self._history.state).answered - 1 + asking

    async def _review(self, step: int, plan: str) -> None:
        if plan:
            again = len(self._history.state.objections)
            match await self.approvals.ask(ToolCall(self._key(step, again, plan), 0, PLAN, {PLAN: plan}, kind="plan")):
                case Deny():
                    return  # the state knows, and the model is asked again
                case Edit(arguments):
                    plan = str(arguments.get(PLAN, ""))
        await self._record(PlanMade(step, plan))

    async def _out_of_time(self) -> None:
        """The seconds of the budget are over, in the middle of something that was stopped for it."""
        spent = self._books.ledger.out_of_time()
        await self._record(BudgetEnded(spent.kind, str(spent)))
        await self._collect()
        await self._books.closed()
        await self._record(TaskEnded("budget", None, None, str(spent), complete=self.interpreter.stopped))

    async def _run(self, cell: int, source: str) -> None:
        if found := self._complaints(source):
            await self._record(CodeRefused(source, tuple(found)))
            return
        match await self.approvals.ask(ToolCall(self._key(cell, source), cell, CELL, {"source": source}, kind="cell")):
            case Deny():
                return  # the state knows, and tells the model
            case Edit(arguments):
                source = str(arguments.get("source", ""))
        if self._eager is not None:
            self._eager.saw(source)
        await self._ran(cell, await self._begun(cell, source))

    async def _begun(self, cell: int, source: str, following: Following | None = None) -> Outcome:
        seed = secrets.token_bytes(16)
        await self._record(CodeStarted(cell, source, seed))
        return await self.interpreter.run(cell, source, sown(seed), self._door, self._history.tell, following)

    async def _ran(self, cell: int, outcome: Outcome) -> None:
        await self._books.warn()
        await self._record(CodeRan(cell, outcome))
        if outcome.gone is not None:
            await self._parted(outcome.gone)

    def _key(self, *of: object) -> str:
        text = " ".join(map(str, (self._run_id, *of)))
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]

    def _complaints(self, source: str) -> list[str]:
        state, agent = self._history.state, self._agent
        if not agent.checks or not state.sure or source == state.refused:
            return []
        known = state.names.union(state.bound, self._bound)
        return complaints(source, known, agent.catalogue, agent.policy.imports)

    def _complaints_of(self, source: str, above: str, there: Names, more: bool) -> list[str]:
        """The same of a part of a cell, below lines that bind what is there."""
        state, agent = self._history.state, self._agent
        if not (agent.checks and state.sure and there.sure) or source == state.refused:
            return []
        known = state.names.union(state.bound, self._bound, there.bound)
        return complaints("\n" * above.count("\n") + source, known, agent.catalogue, agent.policy.imports, more=more)

    async def _collect(self) -> None:
        """What a cancelled task made is collected with the next one of the session."""
        files, left_out = await self.interpreter.collect()
        if files or left_out:
            await self._record(FilesCollected(files, left_out))

    async def _refusal(self, value: Any) -> Failure | None:
        answers = self._agent.answers
        return None if answers is None else await answers.refusal(value, self._history.events, self._agent)

    async def _stands(self, level: str, python: str) -> None:
        await self._record(SandboxReady(level, python))

    async def _parted(self, gone: Gone) -> None:
        await self._record(InterpreterLost(gone) if gone.restored is None else InterpreterRestored(gone))

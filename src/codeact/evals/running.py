"""A set of tasks, each given to an agent in a session of its own: several at once, and what came of each kept at once.

What goes wrong in a task is its result. A model that cannot be asked is not: before its first reply that ends the
evaluation, and later when it happens a few times in a row; such a task is given again when the evaluation is taken up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import anyio

from ..core.errors import ModelError, ModelRejected, ModelUnavailable, SandboxUnavailable, UsageError
from ..core.events import ToolCalled
from ..core.messages import Usage
from ..session.agent import Agent
from ..session.result import RunResult
from ..session.session import Session
from .measured import Measured
from .results import Result, Results
from .tasks import Task, TaskSet

_PATIENCE = 3  # tasks in a row whose model could not be asked
_SHOWN = 500  # characters of an answer that are kept


class ModelDown(ModelError):
    """The model cannot be asked, so that the evaluation does not go on; what was done stays."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A task to be given, and the agent that is to do it."""

    task: Task
    agent: Agent


class Evaluation:
    """Gives tasks to agents, and keeps what comes of them; `tell` hears every result."""

    def __init__(
        self, tasks: TaskSet, results: Results, *, seconds: float | None = None, tell: Callable[[Result], None]
    ) -> None:
        self._set = tasks
        self._results = results
        self._seconds = seconds
        self._tell = tell
        self._heard = False  # whether the model ever replied
        self._failed: list[tuple[Result, Exception]] = []  # tasks in a row whose model could not be asked

    async def run(self, asked: Sequence[Asked], jobs: int = 1) -> None:
        """Give them all, this many at once. Raises ModelDown or SandboxUnavailable, which end it."""
        waiting = iter(asked)
        trouble: list[Exception] = []
        async with anyio.create_task_group() as group:
            for _ in range(min(jobs, len(asked))):
                group.start_soon(self._work, waiting, trouble, group.cancel_scope)
        if trouble:
            raise trouble[0]

    async def _work(self, waiting: Iterator[Asked], trouble: list[Exception], scope: anyio.CancelScope) -> None:
        for one in waiting:
            try:
                await self._give(one)
            except (SandboxUnavailable, UsageError, ModelDown) as error:
                trouble.append(error)
                scope.cancel()
                return

    async def _give(self, one: Asked) -> None:
        model = Measured(one.agent.model)
        agent = replace(one.agent, model=model, tools=tuple(self._set.tools(one.task, one.agent.action)))
        began = time.monotonic()
        run, error, late = await self._run(agent, one.task.instruction)
        result = self._result(one, run, model, time.monotonic() - began)
        if late:
            result = replace(result, stop_reason="seconds", error=f"not done after {self._seconds:g} s")
            result = replace(result, input_tokens=None, output_tokens=None)  # a question may have been open
        elif error is not None:
            result = replace(result, error=_cut(f"{type(error).__name__}: {error}"))
        self._heard = self._heard or result.turns > 0
        if not isinstance(error, ModelError) or (
            self._heard and not isinstance(error, ModelUnavailable | ModelRejected)
        ):
            self._answered(result)
            return
        result = replace(result, answered=False)  # the line to the model, and not the task, is what is wrong
        self._results.add(result)
        self._tell(result)
        self._failed.append((result, error))
        if not self._heard or len(self._failed) >= _PATIENCE:
            raise ModelDown(str(error)) from error

    def _answered(self, result: Result) -> None:
        """Keep it. Where the model replied, what was refused just before was refused for what the task says."""
        self._results.add(result)
        self._tell(result)
        for refused, error in self._failed if result.turns else ():
            if isinstance(error, ModelRejected):
                self._results.add(replace(refused, answered=True))
        self._failed.clear()

    async def _run(self, agent: Agent, instruction: str) -> tuple[RunResult | None, Exception | None, bool]:
        """What came of it, what was raised, and whether it took too long."""
        run: RunResult | None = None
        error: Exception | None = None
        late = False
        try:
            async with Session(agent) as session:
                with anyio.move_on_after(self._seconds) as bound:
                    try:
                        await session.run(instruction)
                    finally:
                        run = session.result
                late = bound.cancelled_caught
        except (SandboxUnavailable, UsageError):
            raise
        except Exception as raised:
            error = raised
        return run, error, late

    def _result(self, one: Asked, run: RunResult | None, model: Measured, seconds: float) -> Result:
        answered = run is not None and run.stop_reason == "final_answer"
        answer = run.answer if run is not None else None
        usage = run.usage if run is not None else Usage()
        return Result(
            task=one.task.name,
            domain=one.task.domain,
            action=one.agent.action,
            solved=answered and self._set.check(answer, one.task.expected),
            answer=_cut(answer if isinstance(answer, str) else repr(answer)) if answered else None,
            stop_reason=run.stop_reason if run is not None else "error",
            turns=run.steps if run is not None else 0,
            calls=sum(isinstance(event, ToolCalled) for event in run.events) if run is not None else 0,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            input_bytes=model.read,
            output_bytes=model.written,
            seconds=round(seconds, 3),
            error=_cut(run.error) if run is not None and run.error else None,
        )


def _cut(text: str) -> str:
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"

"""A set of tasks, each given to an agent in a session of its own: several at once, and what came of each kept at once.

What goes wrong in a task is its result. A model that cannot be asked is not: before its first reply that ends the
evaluation, and later when it happens a few times in a row; such a task is given again when the evaluation is taken up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import anyio

from ..agent import Agent
from ..core.errors import ModelError, ModelRejected, ModelUnavailable, SandboxUnavailable, UsageError
from ..core.events import ToolCalled
from ..result import RunResult
from ..session import Session
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
        self._failed = 0  # tasks in a row whose model could not be asked

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
        error: Exception | None = None
        async with Session(agent) as session:
            with anyio.move_on_after(self._seconds) as bound:
                try:
                    await session.run(one.task.instruction)
                except (SandboxUnavailable, UsageError):
                    raise
                except Exception as raised:
                    error = raised
            run = session.result
        result = self._result(one, run, model, time.monotonic() - began)
        if bound.cancelled_caught:
            result = replace(result, stop_reason="seconds", error=f"not done after {self._seconds:g} s")
        down = isinstance(error, ModelError) and not self._answered(error, run)
        self._keep(replace(result, answered=not down))
        if down:
            self._complain(error)

    def _answered(self, error: ModelError, run: RunResult) -> bool:
        """Whether what went wrong says something of the task, and not only of the line to the model."""
        self._heard = self._heard or run.steps > 0
        return self._heard and not isinstance(error, ModelUnavailable | ModelRejected)

    def _keep(self, result: Result) -> None:
        if result.answered:
            self._heard, self._failed = self._heard or result.turns > 0, 0
        self._results.add(result)
        self._tell(result)

    def _complain(self, error: Exception | None) -> None:
        self._failed += 1
        if not self._heard or self._failed >= _PATIENCE:
            raise ModelDown(str(error)) from error

    def _result(self, one: Asked, run: RunResult, model: Measured, seconds: float) -> Result:
        answered = run.stop_reason == "final_answer"
        return Result(
            task=one.task.name,
            domain=one.task.domain,
            action=one.agent.action,
            solved=answered and self._set.check(run.answer, one.task.expected),
            answer=_cut(run.answer if isinstance(run.answer, str) else repr(run.answer)) if answered else None,
            stop_reason=run.stop_reason,
            turns=run.steps,
            calls=sum(isinstance(event, ToolCalled) for event in run.events),
            input_tokens=run.usage.input_tokens,
            output_tokens=run.usage.output_tokens,
            input_bytes=model.read,
            output_bytes=model.written,
            seconds=round(seconds, 3),
            error=None if run.error is None else _cut(run.error),
        )


def _cut(text: str) -> str:
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"

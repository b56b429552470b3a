"""What a user writes: the vocabulary that code-agent users know, turned at once into a few parts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from .. import assemble, portal
from ..blocking import BlockingCells, BlockingSession
from ..cells import Cells
from ..core import profiles
from ..core.actions import Carrier, Form
from ..core.budget import Budget
from ..core.budget import prices as known_prices
from ..core.errors import UsageError
from ..core.execution import Imports, Limits, Mount
from ..files import Given, read
from ..ports import Gate, Listener, Model, Sandbox, Store
from ..secrets import Secret
from ..session import approvals, callbacks
from ..session.agent import Agent
from ..session.answers import Answers
from ..session.managed import check_prices, with_agents
from ..session.result import RunResult
from ..session.resuming import Resume
from ..session.session import Session
from . import kept, saved
from .returning import Returning
from .vocabulary import Tools, budget_of, parts_of, policy_of, refusing_unknown, tools_of


class CodeAgent(Returning):
    """An agent that acts by writing Python. It never changes, and may run many tasks at once.

    model: a specification such as `"openai:gpt-5"`, or an object with `name` and `ask`.
    tools: functions, tools, or specifications such as `"tools.py:weather"`.
    imports: what code may import beside the base set: a list of names, `ALL`, `NONE`, or `only(...)`.
    instructions: said to the model at the end of the system prompt.
    sandbox: the name of a wall, or a Sandbox. python: whose packages the code sees; by default those of this process.
    packages: what the code sees in place of those, and may import: `["pandas", "polars>=1"]`, installed now if need be.
    mounts: folders that the code sees at their own path, to read; `Mount(path, writable=True)` to change as well.
    max_steps: replies in a task. seconds: of a cell. memory: of the interpreter, bytes or `"512MiB"`.
    network: hosts that the code may reach, such as `"api.github.com"` or `"*.example.org:443"`; none by default.
    context_tokens: how long a prompt may be; by default what the model tells, where it does.
    limits: the other bounds. listeners: called with every event and delta.
    output_type: what an answer must be: any type that pydantic knows; `output` is of it.
    final_answer_checks: functions of the answer (and of the events, and of the agent) that say whether it may be.
    approve: what is asked about before it runs: `"all"` tool calls, a list of tools (`"cell"`: every cell), or a
        function of the call. gate: who is asked, an async function of the call; else `session.decide` answers.
    step_callbacks: functions of the step (and of the events so far, and of the agent), called after each step.
    planning_interval: steps from one plan of the model's to the next; the first is made before step one.
    last_answer: whether the model is asked once more, for the best answer it has, when its steps are used up.
    snapshots: whether a copy is kept after every cell, where the sandbox can, for when the interpreter is lost.
    eager: whether code runs while the model is still writing it, statement by statement; not where somebody looks at
        cells first.
    static_check: whether a cell is looked at before it runs, for names that exist nowhere and calls that cannot bind.
    secrets: strings that nobody is shown. What code gives to tools is a `codeact.secrets.Secret`.
    action: how the model acts: `"code"`, by `"json"`, which is tool calls in its provider's own form, or in `"text"`.
    carrier: what its code stands in: a `"fence"`, `"execute"` or `"code"` tags, or a call of a `"tool"`.
    profile: what a model of its kind is told, such as `"small"`; by default that, and the carrier, go by its name.
    prompt: parts of the system prompt, by name, in place of ours: `{"rules": "..."}`.
    journal: the file or `postgres://...` in which its runs are kept, to be resumed; `"memory"`: while they last.
    name, description: what it is for another agent that has it among its tools, or in managed_agents.
    managed_agents: agents that the code may call as functions: `researcher("a task", rows=rows)`.
    budget: what a task may use in all, as `Budget(tokens=100_000)`. prices: of a million tokens, for each model:
        `{"openai:gpt-5": (1.25, 10.0)}`, input and output.
    """

    _form: Form = "code"

    @refusing_unknown
    def __init__(
        self,
        *,
        model: str | Model,
        tools: Iterable[Any] = (),
        imports: Imports | Sequence[str] = (),
        additional_authorized_imports: Imports | Sequence[str] | None = None,
        instructions: str = "",
        sandbox: str | Sandbox = assemble.DEFAULT_SANDBOX,
        python: str | None = None,
        packages: Sequence[str] = (),
        network: Sequence[str] = (),
        mounts: Sequence[str | os.PathLike[str] | Mount] = (),
        max_steps: int | None = None,
        seconds: float | None = None,
        memory: int | str | None = None,
        context_tokens: int | None = None,
        limits: Limits | None = None,
        listeners: Sequence[Listener] = (),
        output_type: Any = None,
        final_answer_checks: Sequence[Callable[..., Any]] = (),
        approve: Any = None,
        gate: Gate | None = None,
        step_callbacks: Sequence[Callable[..., Any]] = (),
        planning_interval: int | None = None,
        last_answer: bool = False,
        snapshots: bool = True,
        eager: bool = False,
        static_check: bool = True,
        secrets: Sequence[str] = (),
        action: Form | None = None,
        carrier: Carrier | None = None,
        profile: str | None = None,
        prompt: Mapping[str, str] | None = None,
        journal: str | os.PathLike[str] | Store | None = None,
        name: str = "",
        description: str = "",
        managed_agents: Iterable[Agent] = (),
        budget: Budget | None = None,
        prices: Mapping[str, Any] | None = None,
    ) -> None:
        tools = tools if isinstance(tools, str) or callable(tools) else list(tools)  # also what gives them only once
        given = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        allowed = imports if additional_authorized_imports is None else additional_authorized_imports
        if model is None:
            raise UsageError("model=None: name one, such as model='openai:gpt-5' or 'http://127.0.0.1:8080/v1#NAME'")
        super().__init__(
            model=assemble.model(model) if isinstance(model, str) else model,
            tools=Tools(with_agents(tools_of(tools), managed_agents)),
            sandbox=assemble.sandbox(sandbox) if isinstance(sandbox, str) else sandbox,
            policy=replace(
                policy_of(
                    allowed,
                    python,
                    packages,
                    network,
                    mounts,
                    limits,
                    steps=max_steps,
                    seconds=seconds,
                    memory=memory,
                    context_tokens=context_tokens,
                ),
                snapshots=snapshots,
            ),
            instructions=instructions,
            listeners=tuple(listeners),
            secrets=tuple(secrets),
            approve=approvals.named("all" if gate is not None and approve is None else approve),
            gate=gate,
            action=profiles.form_named(self._form if action is None else action),
            carrier=None if carrier is None else profiles.carrier_named(carrier),
            profile=profile,
            parts=parts_of(prompt),
            answers=Answers(output_type, final_answer_checks)
            if output_type is not None or final_answer_checks
            else None,
            checks=static_check,
            callbacks=callbacks.step_callbacks(step_callbacks),
            eager=eager,
            store=assemble.store(journal),
            planning_interval=planning_interval,
            last_answer=last_answer,
            name=name,
            description=description,
            budget=budget_of(budget),
            prices=known_prices(prices),
        )
        check_prices(self)
        object.__setattr__(self, "_given", given)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"an agent does not change: write agent = agent.replace({name}=...)")

    def replace(self, **changes: Any) -> CodeAgent:
        """Another agent, with these arguments in place of those it was made with."""
        given: dict[str, Any] = self._given  # type: ignore[attr-defined]
        return type(self)(**{**given, **changes})

    def save(self, folder: str | os.PathLike[str], *, leave_out: Sequence[str] = ()) -> Path:
        """Write what this agent is made of into a folder, as `agent.json`, and say where; secrets are never written.

        Raises UsageError for what cannot be saved, unless it is an argument that is left out, to be given at `load`.
        """
        return saved.save(folder, self, leave_out)

    @classmethod
    def load(cls, folder: str | os.PathLike[str], **given: Any) -> CodeAgent:
        """The agent that was saved in a folder; what is given stands in place of what was saved. Raises UsageError.

        The modules that the file names are imported: load only what you trust.
        """
        made: CodeAgent = saved.load(folder, {one.__name__: one for one in (CodeAgent, ToolCallingAgent)}, given)
        if not isinstance(made, cls):
            raise UsageError(f"{folder}: this is a {type(made).__name__}: write {type(made).__name__}.load(...)")
        return made

    @refusing_unknown
    def run(
        self,
        task: str,
        *,
        additional_args: Mapping[str, Any] | None = None,
        files: Iterable[Given] = (),
        max_steps: int | None = None,
        show: bool = False,
        listeners: Sequence[Listener] = (),
        after: RunResult | None = None,
    ) -> RunResult:
        """Work on a task to its end, in a session of its own. `show` draws it in the terminal, or in the notebook.

        `after` goes on from a result of this agent, with its conversation and its variables.
        """
        if after is not None:
            kept.check(self, after)
        return portal.call(
            partial(
                self.arun,
                task,
                additional_args=additional_args,
                files=files,
                max_steps=max_steps,
                show=show,
                listeners=listeners,
                after=after,
            )
        )

    def __call__(self, task: str, **arguments: Any) -> Any:
        """The bare answer; raises NoAnswer when there is none."""
        return self.run(task, **arguments).output

    @refusing_unknown
    async def arun(
        self,
        task: str,
        *,
        additional_args: Mapping[str, Any] | None = None,
        files: Iterable[Given] = (),
        max_steps: int | None = None,
        show: bool = False,
        listeners: Sequence[Listener] = (),
        after: RunResult | None = None,
    ) -> RunResult:
        """The same, async."""
        given = await anyio.to_thread.run_sync(read, files, self.policy.limits.scratch)  # before anything starts
        shown = (assemble.shown(),) if show else ()

        async def work(session: Session) -> RunResult:
            return await session.run(task, additional_args=additional_args, files=given, max_steps=max_steps)

        return await kept.run(self, work, (*listeners, *shown), after)

    def session(
        self,
        *,
        listeners: Sequence[Listener] = (),
        resume: str | None = None,
        secrets: Mapping[str, str | Secret] | None = None,
    ) -> Opening:
        """One conversation whose variables live from task to task: `with` or `async with`.

        With `resume`, the id of a run in the journal, it is that conversation, which goes on; `secrets` are those that
        it was given, by name.
        """
        taken = None if resume is None else Resume(resume, secrets=secrets or {})
        return Opening(Session(self, listeners, resume=taken))


class ToolCallingAgent(CodeAgent):
    """An agent that acts by tool calls in its provider's own form, several at once; in all else it is a CodeAgent.

    With `action="text"` it acts by lines of plain text, for models that can neither call tools nor write Python.
    It has no interpreter: what is about code (imports, sandbox, packages, files, cells) is not for it.
    """

    _form: Form = "json"


class Opening(AbstractAsyncContextManager[Session], AbstractContextManager[BlockingSession]):
    """A session to be entered: `async with` gives a Session, `with` one whose methods wait."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def __aenter__(self) -> Session:
        return await self._session.__aenter__()

    async def __aexit__(self, *exc: object) -> None:
        await self._session.__aexit__(*exc)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"enter the session first: `with agent.session() as session:`, then session.{name}")

    def __enter__(self) -> BlockingSession:
        self._blocking = portal.entered(self._session)
        return BlockingSession(self._blocking.__enter__())

    def __exit__(self, *exc: Any) -> bool | None:
        return self._blocking.__exit__(*exc)


class Interpreter:
    """A confined, stateful Python without a model: `with` gives methods that wait, `async with` ones to be awaited.

    The arguments are those of CodeAgent, and `snapshots`: whether it can be copied as it stands, where the sandbox can;
    and `files`: paths, or `File`, that are copied into `inputs/`.
    """

    @refusing_unknown
    def __init__(
        self,
        *,
        tools: Iterable[Any] = (),
        imports: Imports | Sequence[str] = (),
        seconds: float | None = None,
        memory: int | str | None = None,
        python: str | None = None,
        packages: Sequence[str] = (),
        network: Sequence[str] = (),
        mounts: Sequence[str | os.PathLike[str] | Mount] = (),
        sandbox: str | Sandbox = assemble.DEFAULT_SANDBOX,
        limits: Limits | None = None,
        snapshots: bool = True,
        files: Iterable[Given] = (),
    ) -> None:
        wall = assemble.sandbox(sandbox) if isinstance(sandbox, str) else sandbox
        policy = policy_of(imports, python, packages, network, mounts, limits, seconds=seconds, memory=memory)
        policy = replace(policy, snapshots=snapshots)
        self._cells = Cells(wall, policy, tools_of(tools), files=read(files, policy.limits.scratch))

    if not TYPE_CHECKING:  # a checker of types knows by itself what is not there

        def __getattr__(self, name: str) -> Any:
            if hasattr(Cells, name):
                raise AttributeError(f"{name}: it is not open yet: `with Interpreter(...) as python: python.{name}...`")
            raise AttributeError(f"an Interpreter has no {name!r}")

    async def __aenter__(self) -> Cells:
        return await self._cells.__aenter__()

    async def __aexit__(self, *exc: Any) -> None:
        await self._cells.__aexit__(*exc)

    def __enter__(self) -> BlockingCells:
        self._blocking = portal.entered(self._cells)
        return BlockingCells(self._blocking.__enter__())

    def __exit__(self, *exc: Any) -> bool | None:
        return self._blocking.__exit__(*exc)

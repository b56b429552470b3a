"""`codeact run`: one task for a model, or for an agent of the user's own."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import stat
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio

from codeact import assemble
from codeact.core.approvals import CELL, PLAN
from codeact.core.catalogue import Catalogue
from codeact.core.errors import CodeactError, SandboxUnavailable, UsageError, nearest
from codeact.core.events import Delta, Event
from codeact.core.files import File
from codeact.core.tasks import check_task
from codeact.files import read
from codeact.ports import Gate, Listener, Model
from codeact.questions import Question
from codeact.session import approvals
from codeact.session.agent import Agent, with_parts
from codeact.session.approvals import Needs
from codeact.session.result import RunResult
from codeact.session.resuming import Resume
from codeact.session.session import Session

from ..called import called
from ..signals import on_signal
from . import approve, exits, lines, paused, secret, streams
from .arguments import policy, tools
from .taskline import add_agent_flags as add_agent_flags
from .taskline import parser
from .taskline import split as split
from .taskline import typed as typed

_LARGEST = 32 << 20  # bytes of standard input: what surely fits into one message to the interpreter
_PATIENCE = 1.0  # seconds until we say that we wait for standard input


def main(argv: Sequence[str]) -> int:
    """Do the task and say what came of it: drawn for people, or as one line of JSON."""
    options = parser().read(argv)
    task, place = split(options.words)
    check_task(task)
    out = streams.for_programs() if options.json else None
    with nullcontext(own_agent(place, options)) if place else agent_of(options) as found:
        store = found.store if place and options.journal is None else assemble.store(options.journal)
        made = with_parts(found, store=store, origin=(os.getcwd(), *argv))
        if options.record:
            made = recorded(made, options.record)
        files = read(options.file, made.policy.limits.scratch)
        variables = {**_standard_input(), **secret.found(options.secret)}
        with approve.asking(made) as agent, assemble.console(sys.stdout, out=options.out, keep=True) as console:
            done = asyncio.run(work(agent, task, console, variables, options.max_steps, files))
    if done.error is not None and not isinstance(done.error, CodeactError):  # not foreseen: whoever mends it needs this
        traceback.print_exception(done.error)
    asked = paused.tell(store, done.result)
    onward = paused.going_on(store, done.result, options.journal)
    if out is not None:
        print(lines.line(done.line(console.saved, asked, onward)), file=out, flush=True)
    return done.status()


@dataclass(frozen=True, slots=True)
class Done:
    """A task that ended: its result, how strongly its code was confined, and what was raised, if anything was."""

    result: RunResult
    level: str
    error: Exception | None

    def status(self) -> int:
        """The exit code."""
        match self.result.stop_reason:
            case "final_answer":
                return exits.DONE
            case "cancelled":
                return exits.INTERRUPTED
            case _:
                return exits.NO_SANDBOX if isinstance(self.error, SandboxUnavailable) else exits.NOT_DONE

    def line(
        self, saved: Sequence[tuple[File, Path | None]] = (), asked: Sequence[Question] = (), onward: str = ""
    ) -> dict[str, Any]:
        """The line of `run --json`; null is what nobody knows. `saved` are the files, and where they are.

        `asked` is what the run waits for, `onward` says how it goes on where it was cut off.
        """
        result, usage = self.result, self.result.usage
        answered = result.stop_reason == "final_answer"
        return {
            "output": lines.by_the_table(result.output) if result.answered else None,
            "stop_reason": result.stop_reason,
            "steps": result.steps,
            "usage": {
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "cached_tokens": usage.cached_tokens,
                "requests": usage.requests,
                "cache_write_tokens": usage.cache_write_tokens,
            },
            "run_id": result.run_id,
            "error": None if answered else {"type": result.error_type or "NoAnswer", "message": self._why(onward)},
            "cost": result.cost,
            "level": self.level,
            "files": [
                {
                    "name": file.name,
                    "path": None if place is None else str(place.absolute()),
                    "type": file.media_type,
                    "size": len(file.data),
                }
                for file, place in saved
            ],
            "waiting": paused.in_json(asked),
        }

    def _why(self, onward: str) -> str:
        """Why there is no answer."""
        if self.result.error is None and self.result.stop_reason == "cancelled":
            return ". ".join(filter(None, ("The task was cancelled", onward)))
        return self.result.error or ""


async def work(
    agent: Agent,
    task: str,
    console: Listener,
    variables: Mapping[str, Any] | None = None,
    max_steps: int | None = None,
    files: Sequence[File] = (),
) -> Done:
    """What came of the task, which the listener was told already. Ctrl-C cancels it."""

    async def do(session: Session) -> None:
        await session.run(task, additional_args=variables, files=files, max_steps=max_steps)

    return await _watched(Session(agent, [_drawing(console)]), do, agent.gate)


async def resumed(agent: Agent, resume: Resume, console: Listener) -> Done:
    """The same of a run that is taken up again."""

    async def do(session: Session) -> None:
        await session.resume()

    return await _watched(Session(agent, [_drawing(console)], resume=resume), do, agent.gate)


def _drawing(console: Listener) -> Listener:
    def draw(news: Event | Delta) -> None:
        try:
            console(news)
        except BrokenPipeError:
            streams.hang_up()

    return draw


async def _watched(opening: Session, do: Callable[[Session], Awaitable[None]], gate: Gate | None) -> Done:
    error: Exception | None = None

    def stop() -> None:
        if not (isinstance(gate, approve.Terminal) and gate.leave()):
            scope.cancel()

    async with opening as session:
        with anyio.CancelScope() as scope:
            try:
                with on_signal(signal.SIGINT, stop):
                    await do(session)
            except Exception as raised:
                error = raised
        return Done(session.result, session.level, error)


# -- what was typed ----------------------------------------------------------------------------------------------------


@contextmanager
def agent_of(options: argparse.Namespace, model: Model | None = None) -> Iterator[Agent]:
    """The agent that the flags make; of this model, or of the one that is chosen."""
    model = model or _model(options)
    bounds = policy(options)
    bounds = replace(bounds, limits=replace(bounds.limits, context_tokens=options.context_tokens))
    wall = assemble.sandbox(options.sandbox or assemble.DEFAULT_SANDBOX)
    with tools(options) as found:
        needs = approve_of(options.approve, Catalogue(tool.spec for tool in found))
        yield Agent(
            model,
            tuple(found),
            wall,
            replace(bounds, snapshots=True),
            approve=needs,
            action=options.action or "code",
            carrier=options.carrier,
            profile=options.profile,
            budget=options.budget,
            prices={model.name: options.price} if options.price is not None else {},
            planning_interval=options.planning_interval,
            eager=options.eager,
        )


def _model(options: argparse.Namespace) -> Model:
    spec = assemble.choose_model(options.model)
    if spec is None:
        raise UsageError(no_model(getattr(options, "command", "run")))
    return assemble.model(spec)


def own_agent(place: str, options: argparse.Namespace) -> Agent:
    """The agent that a file defines. It says itself what it is made of: no flag changes that behind its back."""
    behind = (
        "model",
        "action",
        "carrier",
        "profile",
        "tools",
        "mcp",
        "imports",
        "python",
        "with",
        "network",
        "sandbox",
        "seconds",
        "memory",
        "mount",
        "approve",
        "budget",
        "price",
        "planning_interval",
        "context_tokens",
        "eager",
    )
    for flag in behind:
        if getattr(options, flag):
            word = flag.replace("_", "-")
            name = {"with": "packages", "mcp": "tools", "mount": "mounts", "price": "prices"}.get(flag, flag)
            raise UsageError(f"--{word} does not go with an agent of yours: set {name} where {place} is made")
    found = assemble.named_object(place)
    if not isinstance(found, Agent):
        raise UsageError(f"{place} is of type {type(found).__name__}, not an agent")
    return found


def approve_of(text: str | None, tools: Catalogue) -> Needs | None:
    """What is asked about: `all` tool calls, or these tools; `cell` is every cell, `plan` every plan."""
    if text is None or text == "all":
        return approvals.named(text)
    asked = [name.strip() for name in text.split(",")]
    for name in asked:
        if name not in (CELL, PLAN) and not tools.meant(name):
            known = [*tools.by_path, *tools.by_flat, CELL, PLAN, "all"]
            raise UsageError(f"--approve: no tool {name!r}{nearest(name, known)}")
    return approvals.named(asked)


def recorded(agent: Agent, path: str) -> Agent:
    """The same agent, whose model's replies are kept in a new file."""
    return with_parts(agent, model=assemble.recording(agent.model, path, agent.secrets))


def no_model(command: str, offline: str = "codeact demo") -> str:
    """What to say where no model was named, with the lines to type for those that are in reach."""
    lines_to_type = [
        f"  {reach.found}" + (f": {called()} {command} --model {reach.spec} ..." if reach.spec else "")
        for reach in assemble.models_in_reach()
    ]
    here = "\n".join(["Found here:", *lines_to_type]) if lines_to_type else "No key and no local server was found here."
    return (
        "no model: name one with --model, in CODEACT_MODEL, or as `model` in "
        f"{assemble.settings_path()}.\n{here}\nWithout any: {offline.replace('codeact', called(), 1)}"
    )


def _standard_input() -> dict[str, str | bytes]:
    """What was piped in, as the variable `stdin`: text where it is UTF-8, else bytes."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:  # closed
        return {}
    if not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)):
        return {}
    waiting = threading.Timer(_PATIENCE, _say_what_is_waited_for)
    waiting.daemon = True
    waiting.start()
    with open(0, "rb", buffering=0, closefd=False) as file:
        data = b""
        while len(data) <= _LARGEST and (part := file.read(1 << 20)):
            waiting.cancel()
            data += part
    waiting.cancel()
    if len(data) > _LARGEST:
        raise UsageError(f"standard input is longer than the {_LARGEST >> 20} MiB that a variable may have")
    try:
        return {"stdin": data.decode()}
    except UnicodeDecodeError:
        return {"stdin": data}


def _say_what_is_waited_for() -> None:
    print("codeact run: reading standard input, which becomes the variable `stdin` ...", file=sys.stderr)

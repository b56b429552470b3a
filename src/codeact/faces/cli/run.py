"""`codeact run`: one task for a model, or for an agent of the user's own."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import select
import signal
import stat
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio

from codeact import approvals, assemble
from codeact.agent import Agent, with_parts
from codeact.approvals import Needs
from codeact.core import profiles
from codeact.core.approvals import CELL, PLAN
from codeact.core.budget import budget_of, price_of_text
from codeact.core.catalogue import Catalogue
from codeact.core.errors import CodeactError, SandboxUnavailable, UsageError, nearest
from codeact.core.events import Delta, Event
from codeact.core.files import File
from codeact.core.tasks import check_task
from codeact.files import read
from codeact.ports import Gate, Listener, Model
from codeact.questions import Question
from codeact.result import RunResult
from codeact.resuming import Resume
from codeact.session import Session

from . import approve, exits, lines, paused, streams
from .arguments import Parser, add_interpreter_flags, policy, positive, reading, tools

_AGENT = re.compile(r"(?P<file>.+\.py):(?P<name>[^\W\d]\w*)")
_LARGEST = 32 << 20  # bytes of standard input: what surely fits into one message to the interpreter
_PATIENCE = 1.0  # seconds until we say that we wait for standard input


def main(argv: Sequence[str]) -> int:
    """Do the task and say what came of it: drawn for people, or as one line of JSON."""
    options = _parser().read(argv)
    task, place = split(options.words)
    check_task(task)
    out = streams.for_programs() if options.json else None
    with nullcontext(own_agent(place, options)) if place else agent_of(options) as found:
        store = found.store if place and options.journal is None else assemble.store(options.journal)
        made = with_parts(found, store=store, origin=(os.getcwd(), *argv))
        if options.record:
            made = _recorded(made, options.record)
        files = read(options.file, made.policy.limits.scratch)
        variables = _standard_input()
        with approve.asking(made) as agent, assemble.console(sys.stdout, out=options.out, keep=True) as console:
            done = asyncio.run(work(agent, task, console, variables, options.max_steps, files))
    if done.error is not None and not isinstance(done.error, CodeactError):  # not foreseen: whoever mends it needs this
        traceback.print_exception(done.error)
    asked = paused.tell(store, done.result)
    if out is not None:
        print(lines.line(done.line(console.saved, asked)), file=out, flush=True)
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

    def line(self, saved: Sequence[tuple[File, Path | None]] = (), asked: Sequence[Question] = ()) -> dict[str, Any]:
        """The line of `run --json`; null is what nobody knows. `saved` are the files, and where they are.

        `asked` is what the run waits for.
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
            "error": None if answered else {"type": result.error_type or "NoAnswer", "message": result.error or ""},
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
        loop = asyncio.get_running_loop()
        with anyio.CancelScope() as scope:
            loop.add_signal_handler(signal.SIGINT, stop)
            try:
                await do(session)
            except Exception as raised:
                error = raised
            finally:
                loop.remove_signal_handler(signal.SIGINT)
        return Done(session.result, session.level, error)


# -- what was typed ----------------------------------------------------------------------------------------------------


def split(words: Sequence[str]) -> tuple[str, str | None]:
    """The task, and where an agent of the user's own is, if one was named."""
    match words:
        case [task]:
            return task, None
        case [place, task] if _AGENT.fullmatch(place):
            return task, place
        case [task, place] if _AGENT.fullmatch(place):
            return task, place
        case []:
            raise UsageError('no task: write codeact run "what is to be done"')
        case _:
            raise UsageError(f"{len(words)} words where one task was expected: put it in quotes")


def typed(argv: Sequence[str], command: str = "run") -> tuple[argparse.Namespace, str | None]:
    """What these words said, and where an agent of the user's own is, if they named one."""
    options = _parser(command).read(argv)
    return options, split(options.words)[1]


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
        raise UsageError(no_model("run"))
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


def _profile(name: str) -> str:
    profiles.named(name)
    return name


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


def _recorded(agent: Agent, path: str) -> Agent:
    return with_parts(agent, model=assemble.recording(agent.model, path, agent.secrets))


def no_model(command: str, offline: str = "codeact demo") -> str:
    """What to say where no model was named, with the lines to type for those that are in reach."""
    lines_to_type = [
        f"  {reach.found}" + (f": codeact {command} --model {reach.spec} ..." if reach.spec else "")
        for reach in assemble.models_in_reach()
    ]
    here = "\n".join(["Found here:", *lines_to_type]) if lines_to_type else "No key and no local server was found here."
    return (
        "no model: name one with --model, in CODEACT_MODEL, or as `model` in "
        f"{assemble.settings_path()}.\n{here}\nWithout any: {offline}"
    )


def _standard_input() -> dict[str, str | bytes]:
    """What was piped in, as the variable `stdin`: text where it is UTF-8, else bytes."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:  # closed
        return {}
    if not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)):
        return {}
    if not select.select([0], [], [], _PATIENCE)[0]:
        print("codeact run: reading standard input, which becomes the variable `stdin` ...", file=sys.stderr)
    with open(0, "rb", closefd=False) as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise UsageError(f"standard input is longer than the {_LARGEST >> 20} MiB that a variable may have")
    try:
        return {"stdin": data.decode()}
    except UnicodeDecodeError:
        return {"stdin": data}


_DOES = {
    "run": "Give a model one task. It acts by writing Python, which runs in a sandbox.",
    "prompt": "Print exactly what a model would be sent for a task, and about how many tokens it is. Nothing is asked.",
}
_BESIDE = {
    "run": "What is piped in becomes the variable `stdin`.\n",
    "prompt": "The flags are those of `codeact run`.\n",
}


def _parser(command: str = "run") -> Parser:
    parser = Parser(
        command,
        _DOES[command],
        f"codeact {command} TASK [--model SPEC] [--json] [flags]\n       codeact {command} app.py:agent TASK [--json]",
        "TASK",
        "what is to be done; with app.py:agent beside it, an agent object of yours does it",
        f"{_BESIDE[command]}"
        "SPEC: openai:NAME, anthropic:NAME, ollama:NAME, hf:NAME, URL#NAME (any OpenAI-compatible server),\n"
        "transformers:PATH, pydantic:PROVIDER:NAME, replay:FILE; with parameters: openai:gpt-5?temperature=0.\n"
        "Else CODEACT_MODEL, else the configuration file.",
    )
    add_agent_flags(parser)
    parser.add_argument(
        "--record", metavar="FILE", help="keep the model's replies in a new file, for --model replay:FILE"
    )
    parser.add_argument(
        "--journal",
        metavar="PATH",
        help="the file in which the run is kept (default: in the user's state folder), postgres://..., or memory",
    )
    parser.add_argument(
        "--json", action="store_true", help="one line of JSON on standard output, the drawing on stderr"
    )
    add_interpreter_flags(parser)
    return parser


def add_agent_flags(parser: Parser) -> None:
    """The flags of everything that makes an agent."""
    parser.add_argument("--model", metavar="SPEC", help="who writes the code")
    parser.add_argument(
        "--action",
        metavar="FORM",
        type=reading(profiles.form_named),
        help="how the model acts: `code` (default); `json`, tool calls in its provider's own form; `text`, plain lines",
    )
    parser.add_argument(
        "--carrier",
        metavar="NAME",
        type=reading(profiles.carrier_named),
        help="what code stands in: fence | execute | code | tool (default by the model's profile)",
    )
    parser.add_argument(
        "--profile",
        metavar="NAME",
        type=reading(_profile),
        help="what a model of its kind is told: standard | small | codeact | smollm3 | native (default by its name)",
    )
    parser.add_argument(
        "--approve",
        metavar="NAMES",
        help="ask at the terminal before these tools run, or `all`; `cell` is every cell, `plan` every plan",
    )
    parser.add_argument(
        "--planning-interval",
        metavar="N",
        type=positive,
        help="have the model make a plan first, and look at it again after every N steps (default: no plans)",
    )
    parser.add_argument(
        "--eager", action="store_true", help="run code while the model is still writing it, statement by statement"
    )
    parser.add_argument(
        "--budget",
        metavar="LIST",
        type=reading(budget_of),
        help="what the task may use in all: tokens=100000,money=0.50,seconds=60,tool_calls=20,steps=10",
    )
    parser.add_argument(
        "--price",
        metavar="IN/OUT[/CACHED]",
        type=reading(price_of_text),
        help="what a million tokens of the model cost, read and written (and read from its cache), such as 1.25/10",
    )
    parser.add_argument("--max-steps", metavar="N", type=positive, help="replies of the model (default 20)")
    parser.add_argument(
        "--context-tokens", metavar="N", type=positive, help="tokens of a prompt (default: what the model tells)"
    )

"""`codeact eval`: a model given every task of a set, and what came of it as a table, a picture, or JSON."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import re
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import anyio

from codeact import assemble, places
from codeact.core.actions import Form
from codeact.core.errors import CodeactError, UsageError, nearest
from codeact.core.execution import Limits, Policy
from codeact.evals import m3tooleval, own
from codeact.evals.m3tooleval import oracle
from codeact.evals.results import Results
from codeact.evals.running import Asked, Evaluation, ModelDown
from codeact.evals.tasks import Task, TaskSet
from codeact.session.agent import Agent

from ..signals import on_signal
from . import exits, lines, streams
from .arguments import Parser, positive, reading
from .report import Progress, Report
from .run import no_model

_FORMS: tuple[Form, ...] = get_args(Form)


def main(argv: Sequence[str]) -> int:
    """Give the tasks that are left, and say what came of all."""
    options = _parser().read(argv)
    tasks = _tasks(options)
    chosen = _chosen(tasks.tasks, options.domain, options.limit)
    agents = _agents(options, tasks)
    results = _results(options, tasks, agents[0])
    out = streams.for_programs() if options.json else None
    asked = [Asked(task, agent) for agent in agents for task in chosen if results.of(task.name, agent.action) is None]
    error = _run(tasks, results, asked, options, len(chosen) * len(agents))
    report = Report(tasks, agents[0].model.name, results, {task.name for task in chosen})
    complete = all(results.of(task.name, agent.action) for agent in agents for task in chosen)
    if options.picture is not None:
        options.picture.write_text(report.picture(), encoding="utf-8")
    report.show(sys.stderr if out else sys.stdout)
    if out is not None:
        print(lines.line(report.line(complete, error)), file=out, flush=True)
    return _status(error, complete)


def _run(
    tasks: TaskSet, results: Results, asked: Sequence[Asked], options: argparse.Namespace, whole: int
) -> BaseException | None:
    """Give them; what ended that early, if anything did."""
    if not asked:
        print(f"codeact eval: all {whole} were done before; --fresh does them again", file=sys.stderr)
        return None
    with Progress(sys.stderr, whole, whole - len(asked)) as progress:
        try:
            evaluation = Evaluation(tasks, results, seconds=options.seconds, tell=progress)
            asyncio.run(_interruptible(evaluation, asked, options.jobs))
        except (KeyboardInterrupt, CodeactError) as error:
            return error
    return None


async def _interruptible(evaluation: Evaluation, asked: Sequence[Asked], jobs: int) -> None:
    """Ctrl-C leaves what is done as it is, and ends the sandboxes of what is not."""
    with anyio.CancelScope() as scope:
        with on_signal(signal.SIGINT, scope.cancel):
            await evaluation.run(asked, jobs)
    if scope.cancelled_caught:
        raise KeyboardInterrupt


def _status(error: BaseException | None, complete: bool) -> int:
    match error:
        case None:
            return exits.DONE if complete else exits.NOT_DONE
        case KeyboardInterrupt():
            print("codeact eval: interrupted; the same command goes on from here", file=sys.stderr)
            return exits.INTERRUPTED
        case ModelDown():
            print(f"codeact eval: the model cannot be asked: {error}", file=sys.stderr)
            print("The same command goes on from here.", file=sys.stderr)
            return exits.NOT_DONE
        case _:
            raise error


# -- what was typed ----------------------------------------------------------------------------------------------------


def _tasks(options: argparse.Namespace) -> TaskSet:
    match options.words:
        case [m3tooleval.NAME]:
            if options.tools:
                raise UsageError(f"{m3tooleval.NAME} has tools of its own: --tools goes with a set of yours")
            return m3tooleval.tasks(options.variant or "fixed")
        case [word] if word.endswith(".jsonl"):
            if options.variant:
                raise UsageError(f"--variant goes with {m3tooleval.NAME}")
            return own.read(Path(word), assemble.tools(options.tools))
        case [word]:
            known = nearest(word, [m3tooleval.NAME])
            raise UsageError(f"no set of tasks {word!r}{known}: there is {m3tooleval.NAME}, or a file FILE.jsonl")
        case _:
            raise UsageError(f"name one set of tasks: codeact eval {m3tooleval.NAME} --model SPEC, or FILE.jsonl")


def _chosen(tasks: Sequence[Task], domain: str | None, limit: int | None) -> list[Task]:
    """The tasks of a domain; a limit takes of each domain in turn, so that a few tasks are of all kinds."""
    domains = list(dict.fromkeys(task.domain for task in tasks))
    if domain is not None:
        found = [name for name in domains if name == domain] or [name for name in domains if name.startswith(domain)]
        if len(found) != 1:
            raise UsageError(
                f"--domain: no domain {domain!r}{nearest(domain, domains)}; there are {', '.join(domains)}"
            )
        tasks = [task for task in tasks if task.domain == found[0]]
    if limit is None:
        return list(tasks)
    place = dict.fromkeys(domains, 0)
    turn = {}
    for task in tasks:
        turn[task.name] = place[task.domain]
        place[task.domain] += 1
    first = {task.name for task in sorted(tasks, key=lambda task: turn[task.name])[:limit]}
    return [task for task in tasks if task.name in first]


def _agents(options: argparse.Namespace, tasks: TaskSet) -> list[Agent]:
    """One for each form of action, alike in all else."""
    spec = assemble.choose_model(options.model)
    if spec is None:
        raise UsageError(no_model(f"eval {tasks.name}", f"codeact eval {m3tooleval.NAME} --model {oracle.NAME}"))
    scripted = spec in (oracle.NAME, oracle.MANY)
    if scripted and tasks.name != m3tooleval.NAME:
        raise UsageError(f"the model {oracle.NAME} knows {m3tooleval.NAME} alone")
    limits = Limits()
    steps = options.max_steps or tasks.steps or limits.steps
    policy = Policy(replace(limits, steps=steps))
    wall = assemble.sandbox(options.sandbox or assemble.DEFAULT_SANDBOX)
    model = None if scripted else assemble.model(spec)
    forms = options.action or (_FORMS if scripted else ("code",))
    return [
        Agent(
            model or oracle.Oracle(tasks.tasks, form, many=spec == oracle.MANY),
            (),
            wall,
            policy,
            tasks.instructions,
            action=form,
        )
        for form in forms
    ]


def _results(options: argparse.Namespace, tasks: TaskSet, agent: Agent) -> Results:
    settings = {
        "set": tasks.name,
        "variant": tasks.variant,
        "model": agent.model.name,
        "max_steps": agent.policy.limits.steps,
        "seconds": options.seconds,
        "sandbox": agent.sandbox.name,
    }
    results = Results(options.out or _place(settings), settings)
    if options.fresh:
        results.clear()
    return results


def _place(settings: dict[str, object]) -> Path:
    """Where the results of such an evaluation lie, if no other file was named."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
    words = (str(settings["set"]), str(settings["variant"]), re.sub(r"[^A-Za-z0-9.]+", "-", str(settings["model"])))
    return places.state() / "evaluations" / ("-".join(filter(None, words))[:80].strip("-") + f"-{digest}.jsonl")


def _forms(text: str) -> tuple[Form, ...]:
    if text == "all":
        return _FORMS
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in _FORMS:
            raise UsageError(f"no form of action {name!r}: {', '.join(_FORMS)}, or all{nearest(name, _FORMS)}")
    return tuple(form for form in _FORMS if form in names)


def _picture(text: str) -> Path:
    path = Path(text)
    if path.suffix != ".svg":
        raise UsageError(f"a picture is SVG: name it FILE.svg, not {text!r}")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}")
    return path


def _parser() -> Parser:
    parser = Parser(
        "eval",
        "Give a model every task of a set, each in a session of its own, and count what came of it.",
        f"codeact eval {m3tooleval.NAME} [--model SPEC] [--action FORMS] [flags]\n       codeact eval FILE.jsonl ...",
        "SET",
        f"{m3tooleval.NAME}: the 82 tasks of the paper on code actions; or a file of yours, with lines "
        '{"task": "...", "answer": ...}',
        "What is done is kept, and the same command goes on where it stopped.\n"
        f"SPEC: as in `codeact run`; or `{oracle.NAME}`, a scripted perfect policy: the floor for turns and bytes.",
    )
    add = parser.add_argument
    add("--model", metavar="SPEC", help="who does the tasks")
    add(
        "--action",
        metavar="FORMS",
        type=reading(_forms),
        help=f"how it acts: {', '.join(_FORMS)}, several with commas, or `all` (default code; {oracle.NAME}: all)",
    )
    add(
        "--variant",
        choices=get_args(m3tooleval.Variant),
        help=f"of {m3tooleval.NAME}: `fixed` (default) without its known mistakes, `verbatim` as the paper has it",
    )
    add("--domain", metavar="NAME", help="the tasks of this domain alone; the start of its name will do")
    add("--limit", metavar="N", type=positive, help="this many tasks, of each domain in turn")
    add("--jobs", metavar="N", type=positive, default=1, help="tasks at once (default 1)")
    add("--max-steps", metavar="N", type=positive, help="replies in a task (default 20; 10 in `verbatim`)")
    add("--seconds", metavar="S", type=reading(assemble.seconds), help="limit of a task (default none)")
    add(
        "--tools",
        metavar="FILE.py[:NAME,...]",
        action="append",
        default=[],
        help="tools for a set of yours, as in `codeact run`; repeatable",
    )
    add(
        "--out",
        metavar="FILE",
        type=Path,
        help="where the results are kept (default a file below ~/.local/state/codeact/evaluations)",
    )
    add("--fresh", action="store_true", help="forget the results that are kept, and begin anew")
    add("--picture", metavar="FILE.svg", type=reading(_picture), help="draw the figures")
    add(
        "--sandbox",
        metavar="NAME",
        type=reading(assemble.sandbox_name),
        help=f"{' | '.join(assemble.SANDBOXES)} (default {assemble.DEFAULT_SANDBOX})",
    )
    add("--json", action="store_true", help="one line of JSON on standard output, all else on stderr")
    return parser

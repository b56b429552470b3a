"""`codeact approve`: answer what a run waits for, and have it go on from there."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from codeact import assemble
from codeact.core.approvals import CELL, PLAN, Allow, Decision, Deny, Edit
from codeact.core.errors import UsageError
from codeact.core.untrusted import escaped
from codeact.questions import Question, questions
from codeact.session.agent import Agent
from codeact.session.resuming import Resume

from ..called import called
from . import again, exits, lines, paused, secret, which
from .arguments import Parser, reading


def main(argv: Sequence[str]) -> int:
    """Decide, take the run up, and say what came of it, as `run` does."""
    options = _parser().read(argv)
    _check(options)
    store = assemble.store(options.journal)
    name = which.one_run(store, options.words, "approve", agent=True)
    asked = questions(store, name)
    if options.list:
        return _list(asked, options.json)
    if not asked:
        raise UsageError(f"the run {name} waits for no answer; `{called()} show {name[:12]}` tells how it stands")
    decisions = {one.asked.key: _decision(options, one) for one in _meant(options, asked)}

    def taken(agent: Agent) -> Resume:
        for one in asked:
            if one.asked.key in decisions:
                print(escaped(_said(one, decisions[one.asked.key])), file=sys.stderr)
        return Resume(name, None, decisions, anyway=options.anyway)

    return again.go_on(store, name, options, taken)


def _check(options: argparse.Namespace) -> None:
    if options.reason is not None and not options.deny:
        raise UsageError("--reason is why something is denied: write --deny --reason TEXT")
    if options.deny and (options.arguments is not None or options.always):
        raise UsageError("--deny is all that is said of a question: leave out --arguments and --always")
    if options.arguments is not None and options.always:
        raise UsageError("--arguments are for one call, --always for all: leave out one")


def _meant(options: argparse.Namespace, asked: Sequence[Question]) -> Sequence[Question]:
    """The questions that are answered. Raises UsageError where it is not clear which."""
    found = list(asked)
    if options.key:
        found = []
        for key in options.key:
            these = [one for one in asked if key and one.asked.key.startswith(key)]
            if len(these) != 1:
                raise UsageError(f"--key {key}: {'several' if these else 'no'} questions have it:\n{_listed(asked)}")
            found += these
    elif len(asked) > 1 and not options.all:
        raise UsageError(f"{len(asked)} questions wait: name one by --key KEY, or say --all\n{_listed(asked)}")
    if options.arguments is not None and len(found) > 1:
        raise UsageError("--arguments are for one call: name it by --key KEY")
    return found


def _decision(options: argparse.Namespace, one: Question) -> Decision:
    if options.deny:
        return Deny(options.reason or "")
    if options.arguments is None:
        return Allow(session=options.always)
    unknown = [name for name in options.arguments if name not in one.asked.arguments]
    if unknown and one.asked.tool in (CELL, PLAN):
        raise UsageError(
            f"--arguments: a {one.asked.tool} has no {unknown[0]!r}, only {', '.join(one.asked.arguments)}"
        )
    return Edit({**one.asked.arguments, **options.arguments})


def _said(one: Question, decision: Decision) -> str:
    """What was decided, of the call as it will be."""
    if isinstance(decision, Edit):
        return f"changed: {paused.described(replace(one.call, arguments=decision.arguments))}"
    return f"{'denied' if isinstance(decision, Deny) else 'allowed'}: {paused.described(one.call)}"


def _listed(asked: Sequence[Question]) -> str:
    return "\n".join(f"  {one.asked.key[:12]}  {escaped(paused.described(one.call))}" for one in asked)


def _list(asked: Sequence[Question], as_json: bool) -> int:
    if as_json:
        for one in paused.in_json(asked):
            print(lines.line(one))
    else:
        print(_listed(asked) or "Nothing waits for an answer.")
    return exits.DONE


def _arguments(text: str) -> dict[str, Any]:
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not JSON: {error}") from None
    if type(given) is not dict:
        raise UsageError('a JSON object is meant, by name, such as {"amount": 3}')
    return given


def _parser() -> Parser:
    parser = Parser(
        "approve",
        "Answer the question that a run waits for, perhaps since days, and have it go on from there.",
        "codeact approve RUN [--deny --reason TEXT] [flags]",
        "RUN [app.py:agent]",
        again.HELP,
    )
    parser.add_argument("--deny", action="store_true", help="it may not be")
    parser.add_argument("--reason", metavar="TEXT", help="why not, for the model to read")
    parser.add_argument(
        "--arguments", metavar="JSON", type=reading(_arguments), help="it runs with these in place of those asked"
    )
    parser.add_argument("--always", action="store_true", help="so may all later calls of the same tool in the run")
    parser.add_argument(
        "--key", metavar="KEY", action="append", default=[], help="which question, by how its key begins; repeatable"
    )
    parser.add_argument("--all", action="store_true", help="all questions that wait")
    parser.add_argument("--list", action="store_true", help="only show what waits; answer nothing")
    parser.add_argument("--journal", metavar="PATH", help="the file that the run is kept in")
    parser.add_argument("--anyway", action="store_true", help="also with other parts than it was made of")
    secret.add_flag(parser)
    parser.add_argument("--json", action="store_true", help="one line of JSON on standard output, as of `run`")
    return parser

"""What is typed after `run`, `prompt` and `chat`: one parser, and which of its words name an agent of the user."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

from codeact.core import profiles
from codeact.core.budget import budget_of, price_of_text
from codeact.core.errors import UsageError

from . import secret
from .arguments import Parser, add_interpreter_flags, positive, reading

CHAT = "--chat"  # in front of the words that a conversation was begun with
_AGENT = re.compile(r"(?P<file>.+\.py):(?P<name>[^\W\d]\w*)")


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
    if argv[:1] == [CHAT]:
        command, argv = "chat", argv[1:]
    options = parser(command).read(argv)
    return options, _own(options.words) if command == "chat" else split(options.words)[1]


def _own(words: Sequence[str]) -> str | None:
    """The agent of the user's own that a conversation is with."""
    if not words:
        return None
    if len(words) > 1 or not _AGENT.fullmatch(words[0]):
        raise UsageError(f"an agent of yours is named by its file, app.py:agent, not {' '.join(words)!r}")
    return words[0]


def _profile(name: str) -> str:
    profiles.named(name)
    return name


_DOES = {
    "run": "Give a model one task. It acts by writing Python, which runs in a sandbox.",
    "chat": "Talk with a model, turn by turn, in one session: what was said and all variables are kept.",
    "prompt": "Print exactly what a model would be sent for a task, and about how many tokens it is. Nothing is asked.",
}
_BESIDE = {
    "run": "What is piped in becomes the variable `stdin`.\n",
    "prompt": "The flags are those of `codeact run`.\n",
    "chat": "/help in it lists its commands. Piped in, each line is a turn.\n",
}
_TALKED = ("AGENT", "app.py:agent, an agent object of yours to talk with")
_TASKED = ("TASK", "what is to be done; with app.py:agent beside it, an agent object of yours does it")


def parser(command: str = "run") -> Parser:
    """The parser of a command."""
    words, words_help = _TALKED if command == "chat" else _TASKED
    task = "" if command == "chat" else "TASK "
    made = Parser(
        command,
        _DOES[command],
        f"codeact {command} {task}[--model SPEC] [--json] [flags]\n"
        f"       codeact {command} app.py:agent {task}[--json]",
        words,
        words_help,
        f"{_BESIDE[command]}"
        "SPEC: openai:NAME, anthropic:NAME, ollama:NAME, hf:NAME, URL#NAME (any OpenAI-compatible server),\n"
        "transformers:PATH, pydantic:PROVIDER:NAME, replay:FILE; with parameters: openai:gpt-5?temperature=0.\n"
        "Else CODEACT_MODEL, else the configuration file.",
    )
    made.set_defaults(command=command)
    if command == "chat":
        made.add_argument("--resume", metavar="RUN", help="go on with this conversation; `last` is the last run")
        made.add_argument("--fresh", action="store_true", help="go on with an empty interpreter, running nothing again")
    add_agent_flags(made)
    secret.add_flag(made)
    made.add_argument(
        "--record", metavar="FILE", help="keep the model's replies in a new file, for --model replay:FILE"
    )
    made.add_argument(
        "--journal",
        metavar="PATH",
        help="the file in which the run is kept (default: the user's state folder), or memory",
    )
    made.add_argument("--json", action="store_true", help="one line of JSON on standard output, the drawing on stderr")
    add_interpreter_flags(made)
    return made


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

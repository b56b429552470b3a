"""`codeact serve`: a web page to give tasks on and to watch them, and an API, for whoever has its token."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from secrets import token_urlsafe

from codeact import assemble
from codeact.core.catalogue import Catalogue
from codeact.core.errors import UsageError
from codeact.faces.web import room
from codeact.session.agent import Agent, with_parts

from . import exits, run, secret
from .arguments import Parser, add_interpreter_flags

_PORT = 8765


def main(argv: Sequence[str]) -> int:
    """Serve until it is ended."""
    options = _parser().read(argv)
    web = room("serving")
    token = _token(options.token_file)
    web.check_host(options.host, token)
    secrets = secret.found(options.secret)
    with ExitStack() as until_then:
        agents = [_own(place, options) for place in options.words] or [_made(options, argv, until_then)]
        web.serve(
            agents,
            host=options.host,
            port=options.port,
            token=token,
            names=options.name,
            models=options.offer,
            journal=options.journal,
            token_file=options.token_file,
            secrets=secrets,
        )
    return exits.INTERRUPTED


def _made(options: argparse.Namespace, argv: Sequence[str], stack: ExitStack) -> Agent:
    """The agent that the flags make; approvals are asked for on the page."""
    options.model = options.model or assemble.choose_model(None)
    if options.model is None:
        raise UsageError(run.no_model("serve", "codeact serve app.py:agent, an agent object of yours"))
    asked, options.approve = options.approve, None
    agent = stack.enter_context(run.agent_of(options))
    limits = agent.policy.limits
    if options.max_steps is not None:
        limits = replace(limits, steps=options.max_steps)
    _, words = _own_flags(argparse.ArgumentParser(add_help=False, allow_abbrev=False)).parse_known_args(argv)
    return with_parts(
        agent,
        store=assemble.store(options.journal),
        policy=replace(agent.policy, limits=limits),
        approve=run.approve_of(asked, Catalogue(tool.spec for tool in agent.tools)),
        origin=(os.getcwd(), *words),
    )


def _own(place: str, options: argparse.Namespace) -> Agent:
    if options.max_steps is not None:
        raise UsageError(f"--max-steps does not go with an agent of yours: set max_steps where {place} is made")
    agent = run.own_agent(place, options)
    given = [word for name in options.secret for word in ("--secret", name)]  # what `codeact resume` gives again
    return with_parts(agent, name=agent.name or place.rpartition(":")[2], origin=(os.getcwd(), place, *given))


def _token(path: str | None) -> str | None:
    """The token of a file that nobody else can read; one that is not there is made."""
    if path is None:
        return None
    place = Path(path).expanduser()
    if sys.platform == "win32" and not place.resolve().is_relative_to(Path.home().resolve()):
        # there are no modes to look at there: what lies in a user's own folder is for the user alone
        raise UsageError(f"--token-file {path}: others may be able to read it: name a file below {Path.home()}")
    try:
        made = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    except OSError as error:
        raise UsageError(f"--token-file {path}: {error.strerror}") from None
    else:
        with open(made, "w", encoding="ascii") as file:
            file.write(token_urlsafe(32) + "\n")
        print(f"codeact serve: a new token is in {place}", file=sys.stderr)
    try:
        with open(place, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            token = file.read(1000).decode("ascii", "replace").strip()
    except OSError as error:
        raise UsageError(f"--token-file {path}: {error.strerror}") from None
    if mode & 0o077 and sys.platform != "win32":
        raise UsageError(f"--token-file {path}: others can read it: chmod 600 {place}")
    return token


def _parser() -> Parser:
    parser = Parser(
        "serve",
        "Serve agents on a web page and by an API, to whoever has the token that is printed.",
        "codeact serve [app.py:agent ...] [--model SPEC] [flags]",
        "AGENT",
        "app.py:agent, an agent object of yours; repeatable. Without any the flags make one, as for `codeact run`",
    )
    _own_flags(parser)
    run.add_agent_flags(parser)
    secret.add_flag(parser)
    add_interpreter_flags(parser, files=False)
    return parser


def _own_flags(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Those of the server, that are not the agent's."""
    parser.add_argument("--host", metavar="ADDRESS", default="127.0.0.1", help="where it listens (default 127.0.0.1)")
    parser.add_argument("--port", metavar="N", type=_port, default=_PORT, help=f"default {_PORT}; 0: any that is free")
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help="the token is in this file, which you alone can read; made if it is not there (default: a new one)",
    )
    parser.add_argument(
        "--name",
        metavar="HOST",
        action="append",
        default=[],
        help="how it is called from outside, behind a proxy, such as codeact.example.org; repeatable",
    )
    parser.add_argument(
        "--offer",
        metavar="SPEC",
        action="append",
        default=[],
        help="a model that a task may take in place of the agent's own; repeatable",
    )
    parser.add_argument(
        "--journal",
        metavar="PATH",
        help="the file in which runs are kept (default: in the user's state folder), postgres://..., or memory",
    )
    return parser


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:6]) < 65536):
        raise argparse.ArgumentTypeError(f"not a port: {text!r}; a number up to 65535, 0 for any that is free")
    return int(text)

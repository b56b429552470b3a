"""`codeact mcp`: a confined, stateful Python for any MCP client, over standard input and output or HTTP."""

from __future__ import annotations

import argparse
import ipaddress
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from typing import Any

from codeact import assemble
from codeact.core.catalogue import Catalogue
from codeact.core.errors import UsageError
from codeact.files import read
from codeact.installation import adding
from codeact.session.agent import Agent

from ..cli import exits, secret, streams
from ..cli.arguments import Parser, add_interpreter_flags, policy, reading, tools
from ..cli.run import approve_of

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def main(argv: Sequence[str]) -> int:
    """Serve until the client leaves, or until Ctrl-C."""
    options = _parser().read(argv)
    if options.http is None and streams.at_keyboard():
        print(
            "codeact mcp: waiting for a client here, which starts this itself, by a line in its settings:",
            file=sys.stderr,
        )
        print('  "python": {"command": "codeact", "args": ["mcp"]}', file=sys.stderr)
        print("For clients that come by HTTP: codeact mcp --http 8321. Ctrl-C ends.", file=sys.stderr)
    wire = None if options.http is not None else streams.for_protocol()
    with _offered(options) as (serving, server):
        if wire is not None:
            serving.over_standard_streams(server, *wire)
        else:
            serving.over_http(server, *options.http)
    return exits.DONE if wire is not None else exits.INTERRUPTED


def _serving() -> Any:
    """The room that needs the library, which is an extra."""
    try:
        return import_module(".serving", __name__)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "codeact":
            raise
        raise UsageError(f"the package {error.name!r} is not installed here: {adding('mcp')}") from None


@contextmanager
def _offered(options: argparse.Namespace) -> Iterator[tuple[Any, Any]]:
    """How to serve, and what."""
    secrets = secret.found(options.secret)
    if options.words:
        agents = _agents(options)
        serving = _serving()
        yield serving, serving.of_agents(agents, secrets)
        return
    wall = assemble.sandbox(options.sandbox or assemble.DEFAULT_SANDBOX)
    bounds = replace(policy(options), snapshots=True)
    files = read(options.file, bounds.limits.scratch)
    with tools(options) as found:
        needs = approve_of(options.approve, Catalogue(tool.spec for tool in found))
        serving, searched = _serving(), options.mcp is not None
        parts = (wall, bounds, tuple(found), files, needs, options.out)
        yield serving, serving.of_python(*parts, searched=searched, secrets=secrets)


def _agents(options: argparse.Namespace) -> dict[str, Agent]:
    """The agents that files define, by the names that a client calls them by."""
    taken = [flag for flag, value in vars(options).items() if value and flag not in ("words", "http", "secret")]
    if taken:
        word = taken[0].replace("_", "-")
        raise UsageError(f"--{word} does not go with agents of yours: set it where {options.words[0]} is made")
    found: dict[str, Agent] = {}
    for place in options.words:
        if ".py:" not in place:
            raise UsageError(f"an agent is named by its file, such as app.py:agent, not {place!r}")
        agent = assemble.named_object(place)
        if not isinstance(agent, Agent):
            raise UsageError(f"{place} is of type {type(agent).__name__}, not an agent")
        name = agent.name or place.rpartition(":")[2]
        if name in found:
            raise UsageError(f"two agents of the name {name!r}: give one of them another name=")
        found[name] = agent
    return found


def _address(text: str) -> tuple[str, int]:
    """`PORT` or `HOST:PORT` of this machine."""
    host, colon, port = text.rpartition(":")
    host = host.strip("[]") if colon else LOOPBACK[0]
    if not (port.isascii() and port.isdigit() and int(port[:6]) < 1 << 16):
        raise UsageError(f"not a port: {port!r}; write --http 8321, or --http 127.0.0.1:8321")
    if not _of_this_machine(host):
        raise UsageError(f"{host!r} is not of this machine alone: {', '.join(LOOPBACK)} are; put a proxy before it")
    return host, int(port)


def _of_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _parser() -> Parser:
    parser = Parser(
        "mcp",
        "Serve a confined, stateful Python to any MCP client: run_python, reset, and files. With --mcp FILE the tools\n"
        "of those servers are called from its code. With agents of yours each of them is a tool.",
        "codeact mcp [--http [HOST:]PORT] [flags]\n       codeact mcp app.py:agent... [--http [HOST:]PORT]",
        "AGENT",
        "an agent object of yours, app.py:agent: a tool that takes a task and gives the answer",
        "Without --http it speaks on standard input and output, for a client that starts it.\n",
    )
    parser.add_argument(
        "--http",
        metavar="[HOST:]PORT",
        type=reading(_address),
        help="serve by streamable HTTP on this machine; the address and a token are said on stderr",
    )
    parser.add_argument(
        "--approve", metavar="NAMES", help="have the client ask its user before these tools run, or `all`; or `cell`"
    )
    secret.add_flag(parser)
    add_interpreter_flags(parser)
    return parser

"""The server: where it listens, who is told, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import re
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import uvicorn

from codeact.core.errors import UsageError
from codeact.ports import Store
from codeact.secrets import Secret
from codeact.session.agent import Agent
from codeact.shell import quoted

from ..called import called
from ..ending import Server, signalled
from .app import application
from .bodies import Patience
from .offer import store_of
from .protocol import Line
from .runs import Runs

_TOKEN = 22  # characters: 128 bits in base64
_DISTINCT = 8
# On Windows the option that lets us listen soon after we did would let another program listen in our place.
_ALONE = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is, and what opens it."""

    host: str
    port: int
    token: str

    @property
    def url(self) -> str:
        """Of the page and the API."""
        return f"http://{_bracketed(self.host)}:{self.port}"

    @property
    def link(self) -> str:
        """What a person opens: the token is behind the #, which no browser sends or passes on."""
        return f"{self.url}/#token={self.token}"


@dataclass(frozen=True, slots=True)
class Served:
    """A server that is up."""

    address: Address
    runs: Runs


def serve(
    agents: Sequence[Agent],
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    token: str | None = None,
    token_file: str | None = None,
    **settings: Any,
) -> None:
    """Serve until a signal ends it. The token is in what is said, or the name of its file."""
    check_host(host, token)

    async def work() -> None:
        async with serving(agents, host=host, port=port, token=token, **settings) as served:
            _say(_begun(served, token_file))
            await signalled()
            _say("stopping ...")
            cut = await served.runs.close()
        if cut:
            _say(
                "cut off, to be gone on with on the page, or so:\n"
                + "\n".join(f"  {called()} resume {run}" for run in cut)
            )

    _blocking(work)


@asynccontextmanager
async def serving(
    agents: Sequence[Agent],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    names: Sequence[str] = (),
    models: Sequence[str] = (),
    journal: str | Path | Store | None = None,
    patience: Patience | None = None,
    secrets: Mapping[str, Secret] | None = None,
) -> AsyncIterator[Served]:
    """A server for as long as the context is open. Raises UsageError."""
    check_host(host, token)
    runs = Runs(agents, models, store_of(journal, agents), secrets=secrets)
    with contextlib.closing(listening(host, port)) as listener:
        place = Address(host, listener.getsockname()[1], token or token_urlsafe(32))
        app = application(runs, place.token, hosts(place, names), patience)
        config = uvicorn.Config(
            app,
            http=Line,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=3,
        )
        server = Server(config)
        task = asyncio.create_task(server.serve([listener]))
        try:
            yield Served(place, runs)  # it listens already: who comes before it has begun, waits
        finally:
            await runs.close()
            server.should_exit = True
            await task


def check_host(host: str, token: str | None) -> None:
    """Refuse to be reached from elsewhere without a token that somebody chose, and a token that can be guessed."""
    if token is not None and (
        len(token) < _TOKEN
        or len(set(token)) < _DISTINCT
        or not token.isascii()
        or not token.isprintable()
        or " " in token
    ):
        raise UsageError(
            f"the token is too easy to guess: take {_TOKEN} characters or more, by chance: {token_urlsafe(24)}"
        )
    if token is None and not is_loopback(host):
        raise UsageError(
            f"{host} can be reached from elsewhere: give it a token of your own (--token-file FILE), and put a proxy "
            "with TLS before it; without one, only 127.0.0.1 is served"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises UsageError."""
    try:
        family, kind, number, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, number)
    except OSError as error:
        raise UsageError(f"no address of this machine: {host!r}: {error.strerror or error}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, _ALONE, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(place)
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"port {port} is taken: name another with --port, or --port 0 for any that is free"
            ) from None
        raise UsageError(f"cannot listen at {host}, port {port}: {error.strerror}") from None
    listener.setblocking(False)
    return listener


def hosts(place: Address, names: Sequence[str]) -> list[str]:
    """What a request may call this server: exactly these."""
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?", name):
            raise UsageError(
                f"not the name of a host: {name!r}; write agents.example.org, or with a port behind a colon"
            )
    own = {_bracketed(place.host)} if place.host not in ("0.0.0.0", "::") else set()
    if is_loopback(place.host) or not own:
        own |= {"127.0.0.1", "localhost", "[::1]"}
    found = [f"{one}:{place.port}" for one in sorted(own)]
    found += sorted(own) if place.port == 80 else []
    return [*found, *names]


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _begun(served: Served, token_file: str | None) -> str:
    offered = ", ".join(f"{name} ({agent.model.name})" for name, agent in served.runs.offer.agents.items())
    link = served.address.link if token_file is None else f"{served.address.url}/#token={_of_file(token_file)}"
    return f"serving {offered}\n\n  {link}\n\nWhoever has this address can give tasks. Ctrl-C ends it."


def _of_file(path: str) -> str:
    return f"... as it stands in {path}" if sys.platform == "win32" else f"$(cat {quoted(path)})"


def _say(words: str) -> None:
    print(f"codeact serve: {words}", file=sys.stderr, flush=True)


def _blocking(work: Any) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work())
        return
    raise UsageError("an event loop runs here already: write `async with codeact.faces.web.serving.serving([agent])`")

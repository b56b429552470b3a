"""How clients come: one on standard input and output, or many by HTTP."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import anyio
from mcp.server import Server
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.runner import serve_loop
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from mcp_types import PROTOCOL_VERSION_META_KEY, UNSUPPORTED_PROTOCOL_VERSION
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from codeact.core.catalogue import Catalogue
from codeact.core.execution import Policy
from codeact.core.files import File
from codeact.ports import Sandbox, Tool
from codeact.secrets import Secret
from codeact.session.agent import Agent
from codeact.session.approvals import Needs

from . import agents, http
from .python import python_server
from .workspace import Offer


def of_python(
    wall: Sandbox,
    bounds: Policy,
    tools: tuple[Tool, ...],
    files: Sequence[File],
    needs: Needs | None,
    out: Path | None,
    *,
    searched: bool,
    secrets: Mapping[str, Secret],
) -> Server[Any]:
    """A server that gives each client an interpreter of its own."""
    catalogue = Catalogue(tool.spec for tool in tools)
    return python_server(Offer(wall, bounds, tools, files, needs, out, searched, catalogue, secrets))


def of_agents(found: Mapping[str, Agent], secrets: Mapping[str, Secret]) -> Server[Any]:
    """A server each of whose tools is an agent."""
    return agents.agents_server(found, secrets)


def over_standard_streams(server: Server[Any], reader: BinaryIO, writer: BinaryIO) -> None:
    """Serve the one client that started this process, until it closes its end."""

    server.middleware.insert(0, _with_a_session)

    async def serve() -> None:
        lines: Any = _Lines(reader)  # in place of a file that a thread waits on, which would hold up our end
        out = anyio.wrap_file(io.TextIOWrapper(writer, encoding="utf-8", newline="\n"))
        async with stdio_server(lines, out) as (incoming, outgoing), server.lifespan(server) as state:
            # the versions of the protocol that begin with a handshake: they have a session, and ask users by a request
            await serve_loop(server, incoming, outgoing, lifespan_state=state)

    try:
        asyncio.run(serve())
    except ExceptionGroup as group:
        _, others = group.split((OSError, anyio.BrokenResourceError))  # the client no longer reads: it has left
        if others is not None:
            raise others from None


async def _with_a_session(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Refuse the versions of the protocol that have none, by the answer that has clients fall back."""
    meta = (ctx.params or {}).get("_meta")
    if isinstance(meta, Mapping) and PROTOCOL_VERSION_META_KEY in meta:
        data = {"supported": list(HANDSHAKE_PROTOCOL_VERSIONS), "requested": str(meta[PROTOCOL_VERSION_META_KEY])}
        raise MCPError(UNSUPPORTED_PROTOCOL_VERSION, http.NO_SESSION, data)
    return await call_next(ctx)


def over_http(server: Server[Any], host: str, port: int) -> None:
    """Serve every client that brings the token, until a signal ends it, which is said."""
    left = asyncio.run(http.serve(server, host, port))
    beside = f", with {left} client{'s' if left > 1 else ''} that had not left" if left else ""
    print(f"codeact mcp: ended{beside}", file=sys.stderr)


class _Lines:
    """The lines of a file as they come, read by a thread that nobody waits for at the end."""

    def __init__(self, reader: BinaryIO) -> None:
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(reader,), name="codeact-mcp-stdin", daemon=True).start()

    def _read(self, reader: BinaryIO) -> None:
        try:
            for line in reader:
                self._loop.call_soon_threadsafe(self._lines.put_nowait, line.decode("utf-8", "replace"))
            self._loop.call_soon_threadsafe(self._lines.put_nowait, None)
        except (OSError, ValueError, RuntimeError):  # the loop has ended
            return

    async def __aiter__(self) -> AsyncIterator[str]:
        while (line := await self._lines.get()) is not None:
            yield line

"""One MCP server: connected in a task of its own, from beginning to end, and called from wherever.

Its client must be left in the task that entered it, so each connection is a task that enters, waits, and leaves; calls
go past it. A server that ended is connected again at the next call.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio
import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, Implementation, Tool

from ...core.errors import ToolsUnavailable
from ..failure import mask
from .config import Address, Command, Server
from .stderr import Murmur

T = TypeVar("T")
logging.getLogger("mcp").addHandler(logging.NullHandler())  # it is the user's to listen to; we are silent

_PAGES = 100  # of tools
_ALIVE_SECONDS = 5.0
_LEAVE_SECONDS = 10.0  # the client itself takes up to 6.5: it asks the process to end, then kills it
_STARTED_BY = Implementation(name="codeact", version="0.1.0")


class ServerFailed(Exception):
    """The server answered a call with an error; the words are its own."""


@dataclass
class _Life:
    """A connection while it lasts."""

    murmur: Murmur
    ready: asyncio.Future[tuple[Client, list[Tool]]]
    leave: asyncio.Event = field(default_factory=asyncio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    refusal: list[int] = field(default_factory=list)  # the last status by which HTTP refused us
    task: asyncio.Task[None] | None = None


class Connection:
    """A server of the configuration. It belongs to the event loop that opened it, and may be called from any."""

    def __init__(self, server: Server, seconds: float) -> None:
        self._server = server
        self._seconds = seconds
        self._home: asyncio.AbstractEventLoop | None = None
        self._life: _Life | None = None
        self._coming: _Life | None = None
        self._connecting = asyncio.Lock()

    @property
    def name(self) -> str:
        """The server's name."""
        return self._server.name

    async def open(self) -> list[Tool]:
        """Connect, and say which tools there are. Raises ToolsUnavailable."""
        self._home = asyncio.get_running_loop()
        life = await self._connected()
        return life.ready.result()[1]

    async def close(self) -> None:
        """End the connection and what was started for it; what it is still asked fails."""
        self._home = None
        with anyio.CancelScope(shield=True):
            if self._coming is not None:
                self._coming.scope.cancel()
            async with self._connecting:
                life, self._life = self._life, None
            if life is not None:
                await _ended(life)

    async def call(self, name: str, arguments: dict[str, Any]) -> CallToolResult:
        """What the server says to a call. Raises ServerFailed with its words, or ConnectionError."""
        if self._home is None:
            raise RuntimeError(f"the MCP server {self.name!r} is closed: use its tools inside `with mcp_tools(...)`")
        return await _in_loop(self._home, functools.partial(self._call, name, arguments))

    async def _call(self, name: str, arguments: dict[str, Any]) -> CallToolResult:
        try:
            life = await self._connected()
        except ToolsUnavailable as error:
            raise ConnectionError(str(error)) from None
        client, _ = life.ready.result()
        try:
            return await client.call_tool(name, arguments)
        except MCPError as error:
            words = self.masked(error.message)
            if await _answers(life):
                raise ServerFailed(words) from None
        except RuntimeError as error:  # what it gave is not of its own schema
            raise ServerFailed(self.masked(str(error)).partition("\n")[0]) from None
        except (OSError, httpx2.HTTPError, anyio.ClosedResourceError, anyio.BrokenResourceError):
            pass
        await self._dropped(life)
        raise ConnectionError(
            f"the MCP server {self.name!r} ended during the call: whether the call took effect is not known; "
            "the next call connects again"
        )

    async def _dropped(self, life: _Life) -> None:
        if self._life is life:
            self._life = None
        await _ended(life)

    async def _connected(self) -> _Life:
        """The connection, made if there is none."""
        async with self._connecting:
            if self._life is not None and self._life.task is not None and not self._life.task.done():
                return self._life
            if self._life is not None:
                await _ended(self._life)
            self._life = None
            loop = asyncio.get_running_loop()
            life = self._coming = _Life(Murmur(loop), loop.create_future())
            life.task = loop.create_task(self._live(life), name=f"mcp server {self.name}")
            try:
                done, _ = await asyncio.wait([life.ready], timeout=self._seconds)
                if not done:
                    raise self._unavailable(f"no answer within {self._seconds:g} s", life)
                if life.ready.cancelled() or self._home is None:
                    raise self._unavailable("it was closed", life)
                if (error := life.ready.exception()) is not None:
                    raise self._unavailable(self._why(error, life), life)
            except BaseException:
                await _ended(life)
                raise
            finally:
                self._coming = None
            self._life = life
            return life

    async def _live(self, life: _Life) -> None:
        """Enter, wait, leave: all in this task."""
        try:
            with life.scope:
                async with AsyncExitStack() as stack:
                    transport = self._transport(life)
                    client = Client(transport, cache=None, client_info=_STARTED_BY)
                    await stack.enter_async_context(client)
                    tools = await _all_tools(client)
                    if not life.ready.done():
                        life.ready.set_result((client, tools))
                    await life.leave.wait()
        except Exception as error:  # told by whoever waits for it, or found by the next call
            if not life.ready.done():
                life.ready.set_exception(error)
        finally:
            if not life.ready.done():
                life.ready.cancel()

    @asynccontextmanager
    async def _transport(self, life: _Life) -> AsyncIterator[Any]:
        reached = self._server.reached
        match reached:
            case Command(words, env, cwd):
                asked = StdioServerParameters(command=words[0], args=list(words[1:]), env=dict(env), cwd=cwd)
                with life.murmur.heard() as file:
                    async with stdio_client(asked, errlog=file) as streams:
                        life.murmur.given()
                        yield streams
            case Address(url, headers):
                limits = httpx2.Timeout(30.0, read=300.0)

                async def refused(response: httpx2.Response) -> None:
                    if response.status_code >= 400:
                        life.refusal[:] = [response.status_code]

                hooks: dict[str, list[Callable[..., Any]]] = {"response": [refused]}
                async with (
                    httpx2.AsyncClient(headers=dict(headers), timeout=limits, event_hooks=hooks) as http,
                    streamable_http_client(url, http_client=http) as streams,
                ):
                    yield streams

    # -- what is said of it ------------------------------------------------------------------------------------------

    def masked(self, text: str) -> str:
        """A text without what the configuration keeps private."""
        return mask(text, self._server.private, ())

    def clean(self, value: Any) -> Any:
        """A result without the secrets of the configuration, at any depth."""
        if not self._server.secrets:
            return value
        match value:
            case str():
                return mask(value, self._server.secrets, ())
            case list():
                return [self.clean(one) for one in value]
            case dict():
                return {self.clean(key): self.clean(one) for key, one in value.items()}
            case _:
                return value

    def _unavailable(self, why: str, life: _Life) -> ToolsUnavailable:
        said = life.murmur.text(self.masked)
        said = f"; it said: {said}" if said else ""
        return ToolsUnavailable(f"the MCP server {self.name!r} did not come up: {self.masked(why)}{said}")

    def _why(self, error: BaseException, life: _Life) -> str:
        error = _innermost(error)
        if life.refusal and life.refusal[0] != 404:
            hint = ": look at its headers" if life.refusal[0] in (401, 403) else ""
            return f"HTTP refused with status {life.refusal[0]}{hint}"
        match error:
            case FileNotFoundError() if isinstance(self._server.reached, Command):
                return f"there is no program {self._server.reached.words[0]!r} here"
            case OSError():
                return error.strerror or str(error)
            case MCPError() if isinstance(self._server.reached, Command) and error.message == "Connection closed":
                return "it ended before it answered"
            case MCPError():
                return str(error)
            case httpx2.ConnectError():
                return "nothing answers at its address"
            case _:
                return f"{type(error).__name__}: {error}".partition("\n")[0]


async def _ended(life: _Life) -> None:
    """Until the task of the connection is out, and with it whatever it started."""
    with anyio.CancelScope(shield=True):
        life.leave.set()
        if not life.ready.done() or life.ready.cancelled() or life.ready.exception() is not None:
            life.scope.cancel()
        if life.task is not None:
            _, late = await asyncio.wait([life.task], timeout=_LEAVE_SECONDS)
            if late:
                life.scope.cancel()
                await asyncio.wait([life.task], timeout=_LEAVE_SECONDS)
        life.murmur.close()


async def _all_tools(client: Client) -> list[Tool]:
    found: list[Tool] = []
    cursor: str | None = None
    for _ in range(_PAGES):
        page = await client.list_tools(cursor=cursor)
        found += page.tools
        cursor = page.next_cursor
        if not cursor:
            break
    return found


async def _answers(life: _Life) -> bool:
    """Whether the server is still there: its error may have been about the call alone."""
    if life.task is None or life.task.done():
        return False
    try:
        with anyio.fail_after(_ALIVE_SECONDS):
            await life.ready.result()[0].list_tools()
    except (MCPError, OSError, httpx2.HTTPError, anyio.ClosedResourceError, anyio.BrokenResourceError):
        return False
    return True


async def _in_loop(home: asyncio.AbstractEventLoop, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run it in that loop and wait for it in this one; a wait that is cancelled cancels it there."""
    if asyncio.get_running_loop() is home:
        return await function()
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(function(), home))


def _innermost(error: BaseException) -> BaseException:
    """Of a group the exception that it is about."""
    while isinstance(error, BaseExceptionGroup):
        error = next(
            (one for one in error.exceptions if not isinstance(one, asyncio.CancelledError)), error.exceptions[0]
        )
    return error

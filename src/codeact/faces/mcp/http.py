"""Streamable HTTP on this machine: who has the token gets a session, and with it a workspace of its own.

What the variables of a client live in is its session, so the versions of the protocol that have none are refused, by
the answer that has clients fall back. A session ends when its client says so, soon after its stream is closed, or when
it was not used for long.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import socket
import sys
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

import anyio
import anyio.abc
import uvicorn
from mcp.server import Server
from mcp.server.runner import serve_loop
from mcp.server.streamable_http import StreamableHTTPServerTransport
from mcp_types import UNSUPPORTED_PROTOCOL_VERSION
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from codeact.core.errors import UsageError

from .. import ending

_log = logging.getLogger("codeact")
PATH = "/mcp"
NO_SESSION = "variables need a session: begin one by initialize, in one of the versions that have them"
_MOST = 16  # sessions at once
_IDLE = 1800.0  # seconds that one is kept without a request
_LEFT = 60.0  # seconds that one is kept after its client closed its stream
_LARGEST = 64 << 20  # bytes of a request: a file in base64
_WHOLE_VERSION = b"mcp-protocol-version"

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


async def serve(server: Server[Any], host: str, port: int) -> int:
    """Serve until a signal ends it; how many clients were there then. Raises UsageError where the port is taken."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise UsageError(f"--http {host}:{port}: {error.strerror or error}; name another port, or 0 for any") from None
    token = secrets.token_urlsafe(32)
    port = listener.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    print(f"codeact mcp: http://{shown}:{port}{PATH}\nAuthorization: Bearer {token}", file=sys.stderr, flush=True)
    async with anyio.create_task_group() as group:
        sessions = Sessions(server, group)
        app = Doorman(sessions, token, port)
        config = uvicorn.Config(
            app,
            lifespan="off",
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
            ws="none",
        )
        line = ending.Server(config)
        task = asyncio.create_task(line.serve([listener]))
        await ending.signalled()
        left = await sessions.close()  # first: or the line would wait for what their calls answer
        line.should_exit = True
        await task
        group.cancel_scope.cancel()
    return left


class Doorman:
    """Lets in who brings the token, by an address of this machine, and from no page of another origin."""

    def __init__(self, inner: Sessions, token: str, port: int) -> None:
        self._inner = inner
        self._expected = f"Bearer {token}".encode()
        self._hosts = {f"{name}:{port}".encode() for name in ("127.0.0.1", "localhost", "[::1]")}
        self._origins = {b"http://" + host for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = scope["headers"]
        given = {name: [value for key, value in headers if key == name] for name in (b"host", b"origin", _AUTH)}
        if len(given[b"host"]) != 1 or given[b"host"][0] not in self._hosts:
            await _answer(send, 421, "this server is not known by that name")
        elif any(origin not in self._origins for origin in given[b"origin"]):
            await _answer(send, 403, "pages of other origins are not served")
        elif len(given[_AUTH]) != 1 or not secrets.compare_digest(given[_AUTH][0], self._expected):
            await _answer(send, 401, "bring the token that was said on stderr: Authorization: Bearer ...")
        elif scope["path"] != PATH:
            await _answer(send, 404, f"there is {PATH} alone")
        elif any(key == b"content-length" and value.isdigit() and int(value) > _LARGEST for key, value in headers):
            await _answer(send, 413, f"at most {_LARGEST >> 20} MiB are taken at once")
        else:
            await self._inner(scope, _Bounded(receive), send)


_AUTH = b"authorization"


class _Bounded:
    """A request's body, up to the largest that is taken."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._left = _LARGEST

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            return {"type": "http.disconnect"}
        return message


class Sessions:
    """The sessions that are open, each with its transport and the task that serves it."""

    def __init__(self, server: Server[Any], group: anyio.abc.TaskGroup) -> None:
        self._server = server
        self._group = group
        self._open: dict[str, StreamableHTTPServerTransport] = {}
        self._closed = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        spoken = headers.get(_WHOLE_VERSION, b"").decode("latin-1")
        if spoken and spoken not in HANDSHAKE_PROTOCOL_VERSIONS:
            await _refuse(spoken, receive, send)
            return
        name = headers.get(b"mcp-session-id", b"").decode("latin-1")
        if not name and scope["method"] == "POST":
            await self._begin(scope, receive, send)
        elif not name:
            await _answer(send, 400, "a session is begun by a POST of initialize")
        elif name in self._open:
            await self._go_on(name, scope, receive, send)
        else:
            await _answer(send, 404, "there is no such session: begin another one")

    async def _begin(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._closed:
            await _answer(send, 503, "this server is being ended")
            return
        if len(self._open) >= _MOST:
            await _answer(send, 503, f"{_MOST} sessions are open, and no more are served at once")
            return
        name = uuid.uuid4().hex
        transport = StreamableHTTPServerTransport(name, idle_timeout=_IDLE)
        self._open[name] = transport
        status: list[int] = []

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                status.append(message["status"])
            await send(message)

        try:
            await self._group.start(self._live, name, transport)
            await transport.handle_request(scope, receive, watched)
        finally:
            if not status or status[0] >= 400:  # nothing was begun
                await self._end(name, transport)

    async def _go_on(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        transport = self._open[name]
        await transport.handle_request(scope, receive, send)
        if transport.is_terminated:
            await self._end(name, transport)
        elif scope["method"] == "GET" and transport.idle_scope is not None:
            left = anyio.current_time() + _LEFT  # its stream is closed: most likely it is gone
            transport.idle_scope.deadline = min(transport.idle_scope.deadline, left)

    async def _live(
        self,
        name: str,
        transport: StreamableHTTPServerTransport,
        *,
        task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        try:
            async with transport.connect() as (incoming, outgoing):
                task_status.started()
                with transport.idle_scope or anyio.CancelScope():
                    async with self._server.lifespan(self._server) as state:
                        await serve_loop(self._server, incoming, outgoing, lifespan_state=state, session_id=name)
        except Exception:  # one client's trouble is not that of the others
            _log.exception("a session of a client failed")
        finally:
            await self._end(name, transport)

    async def close(self) -> int:
        """End them all, and say how many they were."""
        self._closed, left = True, dict(self._open)
        for name, transport in left.items():
            await self._end(name, transport)
        return len(left)

    async def _end(self, name: str, transport: StreamableHTTPServerTransport) -> None:
        self._open.pop(name, None)
        if not transport.is_terminated:
            with anyio.CancelScope(shield=True):
                await transport.terminate()


async def _refuse(spoken: str, receive: Receive, send: Send) -> None:
    """The answer to a version without sessions, which names those that are spoken here."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] != "http.request" or not message.get("more_body"):
            break
    try:
        asked = json.loads(body).get("id")
    except (ValueError, AttributeError, RecursionError):
        asked = None
    known = asked if isinstance(asked, str | int) else None
    data = {"supported": list(HANDSHAKE_PROTOCOL_VERSIONS), "requested": spoken}
    error = {"code": UNSUPPORTED_PROTOCOL_VERSION, "message": NO_SESSION, "data": data}
    await _answer_json(send, 400, {"jsonrpc": "2.0", "id": known, "error": error})


async def _answer(send: Send, status: int, words: str) -> None:
    error = {"code": -32600, "message": words}
    await _answer_json(send, status, {"jsonrpc": "2.0", "id": None, "error": error})


async def _answer_json(send: Send, status: int, content: dict[str, Any]) -> None:
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(content).encode()})

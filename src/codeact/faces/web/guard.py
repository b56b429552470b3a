"""Who may ask: looked at before anything else, on every request, whichever route it is for.

In this order: the host that was named (against names that lead here from elsewhere), the page that asks (against pages
of others), the token. What passes the first two costs nothing; every answer, also a refusal, carries the same headers.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any, TypeAlias

import anyio

from . import refusals
from .refusals import Refused

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = ("/", "/static")  # what is served without a token: a page without content, and what it is drawn with
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
_STALLED = 60.0  # seconds
_FIELDS = 100  # of the head of a request, and its bytes
_HEAD = 1 << 15
_FINAL = (409, 500, 502, 503)
_WRONG = 20  # tokens that are no good, in a minute and in all
_MINUTE = 60.0
_DRAIN = 1 << 20  # bytes of a body that is refused
_DRAIN_KNOWN = 160 << 20  # the same where the token was right
_DRAIN_SECONDS = 2.0


class Guard:
    """An ASGI application round another one, for which it answers whatever may not be asked."""

    def __init__(self, app: App, token: str, hosts: Collection[str]) -> None:
        self._app = app
        self._token = _digest(token)
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(f"{scheme}://{host}" for scheme in ("http", "https") for host in self._hosts)
        self._wrong: deque[float] = deque(maxlen=_WRONG)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":  # there are none; the server is told to take none
                await send({"type": "websocket.close", "code": 1008})
            return
        send = _with_headers(send)
        try:
            self._check(scope)
        except Refused as refusal:
            await answer(refusal, scope, send, receive)
            return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        if len(scope["headers"]) > _FIELDS or sum(len(one) + len(two) for one, two in scope["headers"]) > _HEAD:
            raise Refused(431, "head", f"the head of a request has at most {_FIELDS} fields and {_HEAD:,} bytes")
        headers = [(name.lower(), value.decode("latin-1")) for name, value in scope["headers"]]

        def all_of(name: bytes) -> list[str]:
            return [value for known, value in headers if known == name]

        self._check_host(scope["path"], all_of(b"host"))
        if all_of(b"upgrade"):
            raise Refused(403, "upgrade", "nothing is upgraded here: there are no websockets")
        self._check_page(scope, all_of)
        if not is_open(scope["path"]):
            self._check_token(all_of(b"authorization"))

    def _check_host(self, path: str, hosts: list[str]) -> None:
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts or not path.startswith("/"):
            raise Refused(
                421,
                "host",
                "this server is not known by that name: open the address that it printed, or name it with --name",
            )

    def _check_page(self, scope: Scope, all_of: Callable[[bytes], list[str]]) -> None:
        origins, sites = all_of(b"origin"), all_of(b"sec-fetch-site")
        opened = scope["method"] == "GET" and scope["path"] == "/" and all_of(b"sec-fetch-mode") == ["navigate"]
        if any(origin.lower() not in self._origins for origin in origins) or len(origins) > 1:
            raise Refused(403, "origin", "a page of another origin may not ask here")
        if not opened and any(site not in ("same-origin", "none") for site in sites):
            raise Refused(403, "origin", "a page of another site may not ask here")

    def _check_token(self, given: list[str]) -> None:
        scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        if scheme.lower() == "bearer" and hmac.compare_digest(_digest(token.strip()), self._token):
            return
        now = time.monotonic()
        if len(self._wrong) == _WRONG and now - self._wrong[0] < _MINUTE:
            raise Refused(429, "rate", "too many wrong tokens: wait a minute", {"retry-after": "60"})
        if given:
            self._wrong.append(now)
        raise Refused(
            401, "token", "a token is needed: the header Authorization: Bearer TOKEN", {"www-authenticate": "Bearer"}
        )


def is_open(path: str) -> bool:
    """Whether this path is served without a token."""
    return path == OPEN[0] or path.startswith(OPEN[1] + "/")


async def answer(refusal: Refused, scope: Scope, send: Send, receive: Receive) -> None:
    """Send a refusal, with which the connection ends.

    Some of a body that is still coming is taken and dropped: who writes it would not read the answer else.
    """
    waits = any(name == b"expect" for name, _ in scope["headers"])
    if scope["method"] not in ("GET", "HEAD") and not waits and refusal.status != 408:
        with anyio.move_on_after(_DRAIN_SECONDS):
            await _drain(receive, _DRAIN_KNOWN if refusal.status == 413 else _DRAIN)
    data = refusals.body(refusal)
    headers = {
        "content-type": "application/json",
        "content-length": str(len(data)),
        "connection": "close",
        **({"x-should-retry": "false"} if refusal.status in _FINAL else {}),  # clients of OpenAI's ask again else
        **refusal.headers,
    }
    raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": raw})
    await send({"type": "http.response.body", "body": data})


async def _drain(receive: Receive, most: int) -> None:
    while most > 0:
        message = await receive()
        if message["type"] != "http.request" or not message.get("more_body"):
            return
        most -= len(message.get("body", b""))


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message.get("headers", ())}
            more = [(name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in given]
            message = {**message, "headers": [*message.get("headers", ()), *more]}
        with anyio.move_on_after(_STALLED) as waited:
            await send(message)
        if waited.cancelled_caught:  # who reads nothing makes room for others
            raise Refused(408, "stalled", "nothing of the answer was read for too long")

    return sending


def _digest(token: str) -> bytes:
    """All tokens are compared as if they were of one length."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()

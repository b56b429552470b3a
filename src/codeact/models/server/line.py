"""The line to a server: one guarded door out, and what comes back is bounded and has its deadlines.

Each question has a connection of its own, so that a model belongs to no event loop and leaves nothing behind. A client
object of the user's own, of an SDK, takes the place of all that, and brings its own key, proxies and certificates.
"""

from __future__ import annotations

import json
import math
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2

from codeact.core.errors import ModelError, ModelProtocolError, ModelUnavailable, UsageError
from codeact.ports import Emit

from .dialect import Answer, Dialect
from .draft import LIMIT
from .refusal import Refused, Server
from .sse import Events, Lines
from .trouble import NOISE, cause_of, refusal_of, trouble

_REFUSAL_BYTES, _REFUSAL_SECONDS = 64 << 10, 5.0  # of what comes with a refusal; the status says the most
_NAMES_BYTES = 4 << 20
_AFTER_THE_END = 10.0  # seconds for the usage, once the reply is whole
_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection"})  # of the connection itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """How long we wait, in seconds; a token is text, reasoning, or part of a tool call, not a sign of life."""

    connect: float = 10.0
    first_token: float = 600.0
    between_tokens: float = 120.0
    total: float = math.inf


class Line:
    """To `server` at `base_url`, for questions in `dialect`. `warning` is what the user should hear before the first.

    `more` are headers of the user's own. With `client` all requests go through that object.
    """

    def __init__(
        self,
        server: Server,
        base_url: str,
        dialect: Dialect,
        deadlines: Deadlines | None = None,
        more: Mapping[str, str] | None = None,
        client: Any = None,
    ) -> None:
        url = httpx2.URL(base_url)
        self.server = server
        self._base_url = base_url.rstrip("/")
        self._dialect = dialect
        self._deadlines = deadlines or Deadlines()
        self._headers = {
            "accept": "*/*",
            "accept-encoding": "identity",
            "content-type": "application/json",
            "user-agent": "codeact",
            **(more or {}),
            **dialect.headers(server.key),
        }
        self._client = client
        self._local = is_loopback(url.host)
        # Over plain http no certificate is ever looked at, and loading them takes half a second.
        plain = url.scheme == "http" or client is not None
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else httpx2.create_ssl_context()
        self.warning = (
            f"the key goes to {server.host} over plain http, where others can read it: use https"
            if server.key and url.scheme == "http" and not self._local
            else None
        )

    async def ask(self, body: Mapping[str, Any], answer: Answer, emit: Emit) -> None:
        """Ask, and let the answer grow to its end. Raises Refused, or a ModelError."""
        start = anyio.current_time()
        with anyio.CancelScope(deadline=start + min(self._deadlines.first_token, self._deadlines.total)) as scope:
            try:
                async with self._response(self._dialect.path, body) as response:
                    await self._read(response, answer, emit, scope, start)
            except NOISE as error:
                if not answer.ended:
                    raise self._trouble(error, answer.draft.size > 0) from error
        if scope.cancelled_caught and not answer.ended:
            raise ModelUnavailable(self._silence(answer.draft.size > 0, anyio.current_time() - start))

    async def names(self) -> list[str] | None:
        """The names of the models that the server offers, None when it does not tell within five seconds."""
        with anyio.move_on_after(5):
            try:
                async with self._response(self._dialect.names) as response:
                    offered = json.loads(await text_of(response, _NAMES_BYTES))["data"]
                    return [entry["id"] for entry in offered if isinstance(entry["id"], str)]
            except (*NOISE, Refused, ModelError, ValueError, RecursionError, TypeError, LookupError):
                return None
        return None

    async def json(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """A small answer that is no stream. Raises Refused, or a ModelError."""
        try:
            async with self._response(path, body) as response:
                return json.loads(await text_of(response, _NAMES_BYTES))
        except NOISE as error:
            raise self._trouble(error, False) from error
        except (ValueError, RecursionError):
            raise ModelProtocolError(f"{self.server.host} answers {path} with something that is not JSON") from None

    async def _read(
        self, response: httpx2.Response, answer: Answer, emit: Emit, scope: anyio.CancelScope, start: float
    ) -> None:
        kind = response.headers.get("content-type", "").partition(";")[0].strip().casefold()
        if kind == "text/html":
            raise ModelProtocolError(f"{self.server.host} answers with a web page: is {self._base_url} the right URL?")
        if kind == "application/json" and not self._dialect.lines:  # all at once, from a server that does not stream
            for delta in answer.take(await text_of(response, LIMIT)):
                emit(delta)
            answer.done = True
            return
        events: Events | Lines = Lines(LIMIT) if self._dialect.lines else Events(LIMIT)
        size, ended = 0, False
        async with aclosing(response.aiter_bytes()) as chunks:
            async for chunk in chunks:
                for payload in events.feed(chunk):
                    for delta in answer.take(payload):
                        emit(delta)
                    if answer.done or answer.draft.stopped:
                        return
                if not ended and (answer.ended or answer.draft.size > size):
                    size, ended = answer.draft.size, answer.ended
                    wait = min(self._deadlines.between_tokens, _AFTER_THE_END if ended else math.inf)
                    scope.deadline = min(anyio.current_time() + wait, start + self._deadlines.total)
        self._read_rest(events, answer, emit)

    def _read_rest(self, events: Events | Lines, answer: Answer, emit: Emit) -> None:
        """The stream is over: a last event without its blank line counts when it is whole."""
        rest = events.rest()
        if rest.strip() and not answer.ended:
            with suppress(ModelProtocolError):  # half an event: what is missing is said below
                for delta in answer.take(rest):
                    emit(delta)
        if answer.ended:
            return
        if not events.begun:
            raise ModelProtocolError(f"{self.server.host} answers with something that is no stream of a completion")
        raise ModelUnavailable(f"{self.server.host} cut off its reply before the end")

    # -- the door out ------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _response(self, path: str, body: Mapping[str, Any] | None = None) -> AsyncIterator[httpx2.Response]:
        if self._client is not None:
            response = await self._through_the_users(path, body)
            try:
                yield response
            finally:
                with _shielded():
                    await response.aclose()
            return
        client = httpx2.AsyncClient(
            verify=self._tls,
            trust_env=not self._local,  # a proxy is no way to this machine
            follow_redirects=False,  # the key goes where it was meant to go
            timeout=httpx2.Timeout(None, connect=self._deadlines.connect, pool=None),
            event_hooks={"request": [self._guard], "response": [_stop_at_refusal]},
        )
        try:
            content = None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
            method = "GET" if body is None else "POST"
            async with client.stream(method, self._base_url + path, content=content) as response:
                yield response
        finally:
            with _shielded():
                await client.aclose()

    async def _through_the_users(self, path: str, body: Mapping[str, Any] | None) -> httpx2.Response:
        """By the verbs that the SDKs of OpenAI and Anthropic share. Their retries are off: `Retrying` has its own."""
        client = self._client.with_options(max_retries=0)
        wait = {"timeout": httpx2.Timeout(None, connect=self._deadlines.connect, pool=None)}
        how: dict[str, Any] = {"cast_to": httpx2.Response, "stream": True, "stream_cls": object, "options": wait}
        try:
            asked = client.get(path, **how) if body is None else client.post(path, body=body, **how)
            response: httpx2.Response = await asked
        except Exception as error:
            refused = refusal_of(error)
            if refused is not None:
                raise refused from None
            raise
        return response

    async def _guard(self, request: httpx2.Request) -> None:
        """Nothing but our headers and our key, whatever the environment holds."""
        for header in set(request.headers.keys()) - _HEADERS:
            del request.headers[header]
        request.headers.update(self._headers)

    # -- what goes wrong ---------------------------------------------------------------------------------------------

    def _trouble(self, error: Exception, begun: bool) -> ModelError:
        return trouble(cause_of(error), self.server.host, begun, self._deadlines.connect, self._local)

    def _silence(self, begun: bool, waited: float) -> str:
        host, wait = self.server.host, self._deadlines
        if waited >= wait.total:
            return f"{host} did not finish its reply within {wait.total:g} s (total)"
        if begun:
            return f"{host} fell silent in the middle of its reply, for {wait.between_tokens:g} s (between_tokens)"
        return f"{host} sent no token within {wait.first_token:g} s; ?first_token=1800 in the model's name waits longer"


def server_at(base_url: str, model: str, key: str | None, key_variable: str | None) -> Server:
    """The server, when requests can go there with this key. httpx2 would let a broken address pass until then."""
    try:
        url, parts = httpx2.URL(base_url), urlsplit(base_url)
        sound = parts.scheme in ("http", "https") and url.host and parts.port != 0 and "@" not in parts.netloc
    except (httpx2.InvalidURL, ValueError):
        sound = False
    if not sound:
        raise UsageError("the URL of the model is written as http://HOST:PORT/v1, and holds no password")
    if key is not None and not (key.isascii() and key.isprintable() and key and " " not in key):
        raise UsageError(f"the key {f'in {key_variable} ' if key_variable else ''}has characters no key has")
    return Server(url.netloc.decode("ascii", "replace").rpartition("@")[2], model, key_variable, key)


def is_loopback(host: str) -> bool:
    """Whether this is a name of this machine."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


async def text_of(response: httpx2.Response, limit: int, cut: bool = False) -> str:
    """The whole body; one over the limit is an error, or is cut there."""
    body = bytearray()
    async with aclosing(response.aiter_bytes()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > limit:
                if cut:
                    break
                raise ModelProtocolError(f"the server's answer is longer than {limit >> 20} MiB")
    return body[:limit].decode("utf-8", "replace")


async def _stop_at_refusal(response: httpx2.Response) -> None:
    """Raise Refused for any status but success, with as much of its body as is worth reading."""
    if not response.is_success:
        body = ""
        with anyio.move_on_after(_REFUSAL_SECONDS), suppress(*NOISE):
            body = await text_of(response, _REFUSAL_BYTES, cut=True)
        raise Refused(response.status_code, body, response.headers)


def _shielded() -> anyio.CancelScope:
    return anyio.CancelScope(shield=True, deadline=anyio.current_time() + 2)

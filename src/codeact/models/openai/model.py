"""A model behind an OpenAI-compatible server, asked by streaming.

The SDK builds and sends the request; its retries are off, its reading of the stream is not used (see `sse`), and what
it would take from the environment (another key, organisation or headers) does not get past `_guard`.
Each question has a client of its own, 0.4 ms: so the object belongs to no event loop and leaves no connection behind.
"""

from __future__ import annotations

import errno
import json
import math
import os
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2
import openai

from codeact.core.errors import ModelError, ModelProtocolError, ModelUnavailable, UsageError
from codeact.core.messages import Prompt, Reply
from codeact.ports import Emit

from .answer import LIMIT, Answer
from .question import as_messages, as_tools, has_pictures, mended
from .refusal import Refused, Server, advised_instead, error_for, rejected_parameter, rejected_pictures
from .sse import Events

_REFUSAL_BYTES, _REFUSAL_SECONDS = 64 << 10, 5.0  # of what comes with a refusal; the status says the most
_NAMES_BYTES = 4 << 20
_AFTER_THE_END = 10.0  # seconds for the usage, once the reply is whole
_HEADERS = frozenset(
    {"host", "accept", "accept-encoding", "content-type", "content-length", "connection", "user-agent"}
)
_TROUBLE = (openai.OpenAIError, httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, ssl.SSLError, OSError,
            anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """How long we wait, in seconds; a token is text, reasoning, or part of a tool call, not a sign of life."""

    connect: float = 10.0
    first_token: float = 600.0
    between_tokens: float = 120.0
    total: float = math.inf


class OpenAIModel:
    """`model` at `base_url`. `key_variable` names where the key came from, `parameters` go into every request.

    `name` is the specification, for journals. `warning` is what the user should hear before the first question.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str,
        key: str | None = None,
        key_variable: str | None = None,
        name: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        deadlines: Deadlines | None = None,
    ) -> None:
        url = _sound_url(base_url)
        if key is not None and not (key.isascii() and key.isprintable() and key and " " not in key):
            raise UsageError(f"the key {f'in {key_variable} ' if key_variable else ''}has characters no key has")
        self._name = name or f"{base_url}#{model}"
        self._base_url = base_url
        self._parameters = dict(parameters or {})
        self._deadlines = deadlines or Deadlines()
        self._server = Server(url.netloc.decode("ascii", "replace").rpartition("@")[2], model, key_variable, key)
        self._local = _is_loopback(url.host)
        # Over plain http no certificate is ever looked at, and loading them takes half a second.
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if url.scheme == "http" else httpx2.create_ssl_context()
        self._instead: dict[str, str | None] = {}  # parameters the server refused, and what it takes in their place
        self._blind = False  # the server refused pictures
        self.warning = (
            f"the key goes to {self._server.host} over plain http, where others can read it: use https"
            if key and url.scheme == "http" and not self._local
            else None
        )

    @property
    def name(self) -> str:
        """The specification that names it."""
        return self._name

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        """The whole reply; text and reasoning go to `emit` as they come. Raises only ModelError."""
        drawn = has_pictures(prompt)
        seen = drawn and not self._blind
        while True:
            messages = as_messages(prompt, pictures=seen)
            body = {"model": self._server.model, "messages": messages, "stream": True, **self._options(prompt.stop)}
            if prompt.tools:
                body["tools"] = as_tools(prompt)
            try:
                reply = await self._once(body, prompt.stop, emit)
            except Refused as refused:
                if refused.in_stream:
                    raise await self._error(refused) from None
                if seen and rejected_pictures(refused):
                    seen = False
                elif not self._do_without(refused, body):
                    raise await self._error(refused) from None
            else:
                self._blind = self._blind or (drawn and not seen)
                return replace(reply, notes=(*reply.notes, *self._own_notes(drawn)))

    def _options(self, stop: tuple[str, ...]) -> dict[str, Any]:
        wanted: dict[str, Any] = {"stream_options": {"include_usage": True}, **self._parameters}
        if stop:
            wanted["stop"] = [mended(text) for text in stop[:4]]  # the protocol's maximum; the rest is cut off here
        taken: dict[str, Any] = {}
        for name, value in wanted.items():
            place: str | None = name
            while place is not None and place in self._instead:
                place = self._instead[place]
            if place is not None:
                taken[place] = value
        return taken

    def _do_without(self, refused: Refused, body: Mapping[str, Any]) -> bool:
        """Remember what the server does not take; False when the refusal has another reason."""
        name = rejected_parameter(refused, body.keys())
        if name is None:
            return False
        other = advised_instead(refused, name)
        self._instead[name] = None if other in self._instead else other
        return True

    def _own_notes(self, drawn: bool) -> list[str]:
        """What the user has asked for and does not get: said with every reply. Our own options are not missed."""
        host = self._server.host
        lost = [name for name in self._parameters if name in self._instead and not self._instead[name]]
        notes = [f"{host} does not take {name} for {self._server.model}: asked without it" for name in lost]
        if drawn and self._blind:
            notes.append(f"{host} takes no pictures for {self._server.model}: asked without them")
        return notes + ([self.warning] if self.warning else [])

    async def _once(self, body: dict[str, Any], stop: tuple[str, ...], emit: Emit) -> Reply:
        answer = Answer(self._server.model, stop)
        start = anyio.current_time()
        with anyio.CancelScope(deadline=start + min(self._deadlines.first_token, self._deadlines.total)) as scope:
            try:
                async with self._client() as client:
                    response: Any = await client.post(
                        "/chat/completions",
                        cast_to=httpx2.Response,
                        body=body,
                        stream=True,
                        stream_cls=openai.AsyncStream[Any],
                    )
                    await self._read(response, answer, emit, scope, start)
            except _TROUBLE as error:
                if not answer.ended:
                    raise self._trouble(error, answer.size > 0) from error
        if scope.cancelled_caught and not answer.ended:
            raise ModelUnavailable(self._silence(answer.size > 0, anyio.current_time() - start))
        return answer.reply()

    async def _read(
        self, response: httpx2.Response, answer: Answer, emit: Emit, scope: anyio.CancelScope, start: float
    ) -> None:
        kind = response.headers.get("content-type", "").partition(";")[0].strip().casefold()
        if kind == "text/html":
            raise ModelProtocolError(f"{self._server.host} answers with a web page: is {self._base_url} the right URL?")
        if kind == "application/json":  # the whole completion at once, from a server that does not stream
            for delta in answer.take(await _text(response, LIMIT)):
                emit(delta)
            answer.done = True
            return
        events, size, ended = Events(LIMIT), 0, False
        async with aclosing(response.aiter_bytes()) as chunks:
            async for chunk in chunks:
                for payload in events.feed(chunk):
                    if payload.strip() == "[DONE]":
                        answer.done = True
                        return
                    for delta in answer.take(payload):
                        emit(delta)
                    if answer.stopped:
                        return
                if not ended and (answer.ended or answer.size > size):
                    size, ended = answer.size, answer.ended
                    wait = min(self._deadlines.between_tokens, _AFTER_THE_END if ended else math.inf)
                    scope.deadline = min(anyio.current_time() + wait, start + self._deadlines.total)
        self._read_rest(events, answer, emit)

    def _read_rest(self, events: Events, answer: Answer, emit: Emit) -> None:
        """The stream is over: a last event without its blank line counts when it is whole."""
        rest = events.rest()
        if rest.strip() == "[DONE]":
            answer.done = True
        elif rest and not answer.ended:
            try:
                for delta in answer.take(rest):
                    emit(delta)
            except ModelProtocolError:
                pass  # half an event: what is missing is said below
        if answer.ended:
            return
        if not events.begun:
            raise ModelProtocolError(f"{self._server.host} answers with something that is no stream of a completion")
        raise ModelUnavailable(f"{self._server.host} cut off its reply before the end")

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[openai.AsyncOpenAI]:
        wait = self._deadlines
        http = httpx2.AsyncClient(
            verify=self._tls,
            trust_env=not self._local,  # a proxy is no way to this machine
            follow_redirects=False,  # the key goes where it was meant to go
            timeout=httpx2.Timeout(None, connect=wait.connect, pool=None),
            event_hooks={"request": [self._guard], "response": [_stop_at_refusal]},
        )
        client = openai.AsyncOpenAI(
            api_key="set by _guard", base_url=self._base_url, max_retries=0, timeout=http.timeout, http_client=http
        )
        try:
            yield client
        finally:
            with anyio.CancelScope(shield=True, deadline=anyio.current_time() + 2):
                await client.close()

    async def _guard(self, request: httpx2.Request) -> None:
        """The one door out: nothing but our headers and our key, whatever the SDK found in the environment."""
        allowed = _HEADERS | ({"openai-organization", "openai-project"} if self._of_openai else frozenset())
        for header in set(request.headers.keys()) - allowed:
            del request.headers[header]
        request.headers["accept-encoding"] = "identity"
        if self._server.key:
            request.headers["authorization"] = f"Bearer {self._server.key}"

    @property
    def _of_openai(self) -> bool:
        return f".{self._server.host}".endswith(".api.openai.com")

    async def _error(self, refused: Refused) -> ModelError:
        missing = refused.status == 404 or "model_not_found" in refused.body
        return error_for(refused, self._server, await self._models() if missing else None, time.time())

    async def _models(self) -> list[str] | None:
        """The names that the server offers, None when it does not tell within five seconds."""
        with anyio.move_on_after(5):
            try:
                async with self._client() as client:
                    response: Any = await client.get(
                        "/models",
                        cast_to=httpx2.Response,
                        stream=True,
                        stream_cls=openai.AsyncStream[Any],
                    )
                    offered = json.loads(await _text(response, _NAMES_BYTES))["data"]
                    return [entry["id"] for entry in offered if isinstance(entry["id"], str)]
            except (*_TROUBLE, Refused, ModelError, ValueError, RecursionError, TypeError, LookupError):
                return None
        return None

    def _trouble(self, error: Exception, begun: bool) -> ModelError:
        host, cause = self._server.host, error
        if isinstance(error, openai.OpenAIError) and isinstance(error.__cause__, Exception):
            cause = error.__cause__  # the SDK wraps it and says less
        if isinstance(cause, httpx2.ConnectTimeout):
            return ModelUnavailable(f"{host} takes no connection within {self._deadlines.connect:g} s")
        if isinstance(cause, httpx2.ProxyError):
            return ModelUnavailable(f"the proxy to {host} fails: {_root(cause)}")
        if isinstance(cause, (httpx2.ConnectError, ssl.SSLError)) and not begun:
            ask = ": is the server running?" if self._local else ""
            return ModelUnavailable(f"cannot reach {host}: {_root(cause)}{ask}")
        if isinstance(cause, httpx2.DecodingError):
            return ModelProtocolError(f"{host} sends bytes that cannot be decompressed")
        if isinstance(cause, (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.LocalProtocolError)):
            return ModelProtocolError(f"{host} cannot be asked: {_root(cause)}")
        if begun:
            return ModelUnavailable(f"{host} cut off its reply in the middle: {_root(cause)}")
        return ModelUnavailable(f"{host} closed the connection without an answer: {_root(cause)}")

    def _silence(self, begun: bool, waited: float) -> str:
        host, wait = self._server.host, self._deadlines
        if waited >= wait.total:
            return f"{host} did not finish its reply within {wait.total:g} s (total)"
        if begun:
            return f"{host} fell silent in the middle of its reply, for {wait.between_tokens:g} s (between_tokens)"
        return f"{host} sent no token within {wait.first_token:g} s; ?first_token=1800 in the model's name waits longer"


def _sound_url(base_url: str) -> httpx2.URL:
    """The URL, when requests can go there. httpx2 alone would let a broken address or port pass until then."""
    try:
        url, parts = httpx2.URL(base_url), urlsplit(base_url)
        sound = parts.scheme in ("http", "https") and url.host and parts.port != 0 and "@" not in parts.netloc
    except (httpx2.InvalidURL, ValueError):
        sound = False
    if not sound:
        raise UsageError("the URL of the model is written as http://HOST:PORT/v1, and holds no password")
    return url


async def _stop_at_refusal(response: httpx2.Response) -> None:
    """Raise Refused for any status but success, before the SDK would read a body of any length."""
    if not response.is_success:
        body = ""
        with anyio.move_on_after(_REFUSAL_SECONDS), suppress(*_TROUBLE):
            body = await _text(response, _REFUSAL_BYTES, cut=True)
        raise Refused(response.status_code, body, response.headers)


async def _text(response: httpx2.Response, limit: int, cut: bool = False) -> str:
    body = bytearray()
    async with aclosing(response.aiter_bytes()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > limit:
                if cut:
                    break
                raise ModelProtocolError(f"the server's answer is longer than {limit >> 20} MiB")
    return body[:limit].decode("utf-8", "replace")


def _root(error: BaseException) -> str:
    """What the operating system said, below all the layers; the class's name where nobody said anything."""
    words = str(error)
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, BaseExceptionGroup):
            below = below.exceptions[0]
            continue
        if isinstance(below, OSError) and below.strerror:
            number = 0 if isinstance(below, ssl.SSLError) else below.errno or 0
            words = os.strerror(number) if number in errno.errorcode else below.strerror  # asyncio has its own words
        below = below.__cause__ or below.__context__
    return words or type(error).__name__


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")

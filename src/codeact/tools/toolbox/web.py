"""The one way to the web for the tools here: what a model names is not reached unless it is on the internet.

A host is resolved once, all its addresses are looked at, and one that was looked at is dialled: nobody can answer
differently in between. Each redirect is looked at again. No proxy is used, for it would resolve names by itself.
"""

from __future__ import annotations

import asyncio
import codecs
import functools
import json
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import httpx2

from ...core import hosts

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_HOPS = 5
_DIALLED = 3  # of a host's addresses
_AGENT = "codeact/0.1 (a tool of a code agent)"


class StatusError(Exception):
    """The server refused; the message has the status."""


@dataclass(frozen=True, slots=True)
class Page:
    """What came from an address: the address in the end, the media type, and the bytes."""

    url: str
    type: str
    charset: str | None
    body: bytes

    @property
    def text(self) -> str:
        """The body as text, by what the server says of it, else as UTF-8."""
        try:
            name = codecs.lookup(self.charset or "utf-8").name
            return self.body.decode(name, "replace")
        except (LookupError, ValueError):
            return self.body.decode("utf-8", "replace")


async def resolved(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, as this machine finds them."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(one[4][0]) for one in found]


class Web:
    """Where the tools here may go: ports 80 and 443 of the internet, and what `allow` names (as `network` does).

    A host that `allow` names may have any address. `seconds` and `largest` bound a whole answer with its redirects.
    """

    def __init__(
        self,
        allow: Sequence[str] = (),
        *,
        seconds: float = 30.0,
        largest: int = 5 << 20,
        resolve: Resolve = resolved,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allow = hosts.rules(allow)
        self._seconds = seconds
        self._largest = largest
        self._resolve = resolve
        self._tls = tls

    async def get(self, url: str, params: Mapping[str, str] | None = None, accept: str = "*/*") -> Page:
        """The page at an address. Raises ValueError, PermissionError, StatusError, ConnectionError or TimeoutError."""
        headers = {"user-agent": _AGENT, "accept": accept}
        try:
            with anyio.fail_after(self._seconds):
                async with httpx2.AsyncClient(
                    transport=_Looking(self), headers=headers, trust_env=False, timeout=self._seconds
                ) as client:
                    request = client.build_request("GET", url, params=params or None)
                    return await self._follow(client, request)
        except TimeoutError:
            raise TimeoutError(f"{_short(url)} took longer than {self._seconds:g} s") from None
        except httpx2.TimeoutException:
            raise TimeoutError(f"{_short(url)} took longer than {self._seconds:g} s") from None
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, UnicodeError) as error:
            raise ValueError(f"{_short(url)} is no address of the web: {error}") from None
        except (httpx2.HTTPError, httpx2.StreamError, ssl.SSLError, socket.gaierror) as error:
            raise ConnectionError(
                f"{_short(url)} cannot be read: {_short(str(error)) or type(error).__name__}"
            ) from None

    async def json(self, url: str, params: Mapping[str, str]) -> Any:
        """The decoded JSON at an address."""
        page = await self.get(url, params, "application/json")
        try:
            return json.loads(page.body)
        except (ValueError, RecursionError):
            raise ValueError(f"{_short(page.url)} does not give JSON") from None

    async def _follow(self, client: httpx2.AsyncClient, request: httpx2.Request) -> Page:
        for _ in range(_HOPS + 1):
            answer = await client.send(request, stream=True)
            try:
                if answer.next_request is None:
                    return await self._page(answer)
                request = answer.next_request
            finally:
                await answer.aclose()
        raise ConnectionError(f"{_short(str(request.url))} redirects more than {_HOPS} times")

    async def _page(self, answer: httpx2.Response) -> Page:
        url = str(answer.url)
        if answer.status_code >= 300:
            raise StatusError(f"{_short(url)} answered {answer.status_code} {answer.reason_phrase}".rstrip())
        parts, length = [], 0
        async for part in answer.aiter_bytes():
            parts.append(part)
            length += len(part)
            if length > self._largest:
                raise ValueError(f"{_short(url)} gives more than the {self._largest:,} bytes that are read")
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        return Page(url, kind, answer.charset_encoding, b"".join(parts))

    async def looked_at(self, url: httpx2.URL) -> tuple[str, list[str]]:
        """The plain host of an address and what may be dialled for it. Raises ValueError or PermissionError."""
        if url.scheme not in ("http", "https"):
            raise ValueError(f"{_short(str(url))}: only http and https are read")
        if url.userinfo:
            raise ValueError(f"an address with a password, of {_short(url.host)}, is not read")
        port = url.port or (443 if url.scheme == "https" else 80)
        host = hosts.plain(url.raw_host.decode("ascii", "replace").strip("[]"))
        if host is None:
            raise ValueError(f"{_short(url.host)} is no host: write its name, or its address in the usual form")
        if hosts.allowed(self._allow, host, port) is not None:
            return host, await self._addresses(host, port)
        if port not in hosts.WEB:
            raise PermissionError(f"{host} is read at the ports 80 and 443 alone, not at {port}")
        found = [hosts.address_of(one) for one in await self._addresses(host, port)]
        if not all(one is not None and hosts.is_public(one) for one in found):
            raise PermissionError(
                f"{host} is not on the internet: addresses of this machine and its network are not read"
            )
        return host, [str(one) for one in found]

    async def _addresses(self, host: str, port: int) -> list[str]:
        if hosts.address_of(host) is not None:
            return [host]
        if host == hosts.LOCALHOST:
            return list(hosts.LOOPBACK)
        found = list(dict.fromkeys(await self._resolve(host, port)))
        if not found:
            raise ConnectionError(f"{host} has no address")
        return found

    @property
    def tls(self) -> ssl.SSLContext:
        """How servers are known: by the certificates that this machine trusts."""
        return self._tls or _tls()


class _Looking(httpx2.AsyncBaseTransport):
    """Sends each request to an address that was looked at, under the name that it was asked for."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self._wire: httpx2.AsyncHTTPTransport | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        host, addresses = await self._web.looked_at(request.url)
        if self._wire is None:
            self._wire = httpx2.AsyncHTTPTransport(verify=self._web.tls, trust_env=False)
        named = {} if hosts.address_of(host) is not None else {"sni_hostname": host}
        for last, address in zip([*[False] * (min(len(addresses), _DIALLED) - 1), True], addresses, strict=False):
            dialled = httpx2.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,  # with the name in `Host`
                stream=request.stream,
                extensions={**request.extensions, **named},
            )
            try:
                return await self._wire.handle_async_request(dialled)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                if last:
                    raise
        raise AssertionError("there is an address")

    async def aclose(self) -> None:
        if self._wire is not None:
            await self._wire.aclose()


def _short(text: str) -> str:
    return ascii(text)[1:-1] if len(text) <= 200 else ascii(text[:200])[1:-1] + "..."


@functools.cache
def _tls() -> ssl.SSLContext:
    """Loading certificates takes half a second: once."""
    return httpx2.create_ssl_context()

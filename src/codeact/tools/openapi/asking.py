"""One call of an operation: a request built from its arguments, and the answer as a value or an exception."""

from __future__ import annotations

import functools
import json
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx2

from ..failure import mask
from .operations import FORM, JSON, Operation, Place

_LARGEST = 16 << 20
_HEAD = 1000  # characters of a refusal
_HOPS = 5


class StatusError(Exception):
    """The server refused a call; the message has the status and the beginning of what it said."""


class Asker:
    """Where operations are asked: a base address, and headers of the user's that go with every request."""

    def __init__(self, base: str, headers: Mapping[str, str], seconds: float) -> None:
        self._base = base.rstrip("/")
        self._headers = dict(headers)
        self._seconds = seconds
        self._hidden = [value for whole in headers.values() for value in (whole, *whole.split()[1:]) if len(value) > 7]

    async def ask(self, operation: Operation, arguments: Mapping[str, Any]) -> Any:
        """The value of a call: decoded JSON, text, or bytes. Raises StatusError, ConnectionError, TimeoutError."""
        what = f"{operation.method} {operation.path}"
        request = self._request(operation, arguments)
        try:
            async with httpx2.AsyncClient(
                verify=_tls(), timeout=httpx2.Timeout(self._seconds, connect=10), headers=self._headers
            ) as client:
                return await self._answer(client, client.build_request(**request), what)
        except httpx2.TimeoutException:
            raise TimeoutError(f"{what}: no answer within {self._seconds:g} s; it may still take effect") from None
        except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL) as error:
            raise ConnectionError(self._masked(f"{what}: {type(error).__name__}: {error}")) from None

    async def _answer(self, client: httpx2.AsyncClient, request: httpx2.Request, what: str) -> Any:
        for _ in range(_HOPS):
            answer = await client.send(request, stream=True)
            try:
                further = _within(request, answer.next_request)
                if further is None:
                    return self._value(answer, await _body_of(answer, what), what)
                request = further
            finally:
                await answer.aclose()
        raise ConnectionError(f"{what}: the server redirects for ever")

    def _value(self, answer: httpx2.Response, body: bytes, what: str) -> Any:
        kind = answer.headers.get("content-type", "").strip()
        if answer.status_code >= 300:
            text = " ".join(body[: 4 * _HEAD].decode("utf-8", "replace").split())[:_HEAD]
            said = f": {text}" if text else ""
            raise StatusError(self._masked(f"{what} answered {answer.status_code} {answer.reason_phrase}{said}"))
        if not body:
            return None
        if JSON.match(kind):
            try:
                return json.loads(body, parse_constant=float)
            except (ValueError, RecursionError):
                raise ValueError(f"{what} answered what it calls JSON, and is not") from None
        if kind.startswith("text/") or "xml" in kind:
            return body.decode(answer.charset_encoding or "utf-8", "replace")
        return body

    def _masked(self, text: str) -> str:
        return mask(text, self._hidden, ())

    def _request(self, operation: Operation, arguments: Mapping[str, Any]) -> dict[str, Any]:
        path, query, headers = operation.path, [], {}
        request: dict[str, Any] = {"method": operation.method}
        for name, value in arguments.items():
            place = operation.places[name]
            match place.where:
                case "path":
                    path = path.replace("{" + place.name + "}", _segment(place, value))
                case "query":
                    query += _pairs(place, value)
                case "header":
                    headers[place.name] = _header(place, value)
                case _:
                    request |= _body(operation, value, headers)
        return {**request, "url": self._base + path, "params": query or None, "headers": headers}


def _segment(place: Place, value: Any) -> str:
    """A value as one segment of a path, from which it cannot break out."""
    text = _text(place, value)
    if text in ("", ".", ".."):
        raise ValueError(f"{place.name!r} must be a part of a path, got {text!r}")
    return quote(text, safe=",")


def _pairs(place: Place, value: Any) -> list[tuple[str, str]]:
    if value is None:
        return []
    if place.as_json:
        return [(place.name, json.dumps(value))]
    if isinstance(value, list) and place.explode:
        return [(place.name, _text(place, one)) for one in value]
    if isinstance(value, dict) and place.style == "deepObject":
        return [(f"{place.name}[{key}]", _text(place, one)) for key, one in value.items()]
    if isinstance(value, dict) and place.explode:
        return [(key, _text(place, one)) for key, one in value.items()]
    return [(place.name, _text(place, value))]


def _header(place: Place, value: Any) -> str:
    text = _text(place, value)
    if not (text.isascii() and text.isprintable()):
        raise ValueError(f"{place.name!r} must be plain ASCII text on one line, as a header has it")
    return text


def _text(place: Place, value: Any) -> str:
    if place.as_json:
        return json.dumps(value)
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return ""
        case list():
            separator = {"pipeDelimited": "|", "spaceDelimited": " "}.get(place.style, ",")
            return separator.join(_text(place, one) for one in value)
        case dict():
            return ",".join(f"{key},{_text(place, one)}" for key, one in value.items())
        case _:
            return str(value)


def _body(operation: Operation, value: Any, headers: dict[str, str]) -> dict[str, Any]:
    media = operation.body or ""
    headers["content-type"] = media
    if JSON.match(media):
        return {"content": json.dumps(value).encode()}
    if media.startswith(FORM) and isinstance(value, dict):
        simple = Place("body", "query", "form", True)
        return {"data": {key: _text(simple, one) if not isinstance(one, list) else one for key, one in value.items()}}
    return {"content": str(value).encode()}


def _within(sent: httpx2.Request, further: httpx2.Request | None) -> httpx2.Request | None:
    """Where a redirect leads, if it stays with this server: your headers are for no other."""
    if further is None or further.method != sent.method:
        return None
    here, there = sent.url, further.url
    return further if (here.scheme, here.host, here.port) == (there.scheme, there.host, there.port) else None


async def _body_of(answer: httpx2.Response, what: str) -> bytes:
    parts, length = [], 0
    async for part in answer.aiter_bytes():
        parts.append(part)
        length += len(part)
        if length > _LARGEST:
            raise ValueError(f"{what} answered more than the {_LARGEST >> 20} MiB that are read")
    return b"".join(parts)


@functools.cache
def _tls() -> ssl.SSLContext:
    """Loading certificates takes half a second: once."""
    return httpx2.create_ssl_context()

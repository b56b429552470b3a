"""What is asked, as JSON: of a bounded size and depth, here within a bounded time, and of the keys that are known."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import anyio
import anyio.to_thread
import pydantic
from starlette.requests import ClientDisconnect, Request

from codeact.core.errors import nearest
from codeact.core.files import File
from codeact.guest.names import fits

from .refusals import Refused

_DEPTH = 64
_LARGE = 1 << 20  # bytes from which a body is read in a thread
M = TypeVar("M", bound=pydantic.BaseModel)


class Body(pydantic.BaseModel):
    """What a request may hold: these keys, of exactly these types."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, slots=True)
class Patience:
    """How much a request may hold, and how long it may take to come."""

    bytes: int = 48 << 20
    seconds: float = 120.0
    pause: float = 10.0  # between two pieces of it


async def read(request: Request, kind: type[M], patience: Patience) -> M:
    """The body of a request. Raises Refused."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "content_type", "only application/json is read here")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(415, "content_encoding", "a body is not to be compressed")
    data = await _received(request, patience)
    tree = await anyio.to_thread.run_sync(_parsed, data) if len(data) > _LARGE else _parsed(data)
    try:
        return kind.model_validate(tree)
    except pydantic.ValidationError as error:
        raise Refused(400, "invalid", _said(error, kind)) from None


async def _received(request: Request, patience: Patience) -> bytes:
    told = request.headers.get("content-length", "0")
    if told.isdigit() and int(told[:20]) > patience.bytes:
        raise _too_large(patience)
    data = bytearray()
    pieces = request.stream()
    with anyio.move_on_after(patience.seconds):
        while True:
            with anyio.move_on_after(patience.pause) as waited:
                try:
                    piece = await anext(pieces, None)
                except ClientDisconnect:
                    raise Refused(400, "left", "the body did not come to its end") from None
            if waited.cancelled_caught:
                break
            if piece is None:
                return bytes(data)
            data += piece
            if len(data) > patience.bytes:
                raise _too_large(patience)
    raise Refused(408, "slow", "the body took too long to come")


def _too_large(patience: Patience) -> Refused:
    return Refused(413, "too_large", f"a body has at most {patience.bytes:,} bytes")


def _parsed(data: bytes) -> Any:
    try:
        tree = json.loads(data.decode("utf-8"), parse_constant=_no_constant)
    except RecursionError:
        raise Refused(400, "too_deep", f"a body is nested at most {_DEPTH} deep") from None
    except ValueError as error:
        raise Refused(400, "no_json", f"the body is no JSON: {error}") from None
    _check_depth(tree)
    return tree


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _check_depth(tree: Any) -> None:
    level = [tree]
    for _ in range(_DEPTH):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise Refused(400, "too_deep", f"a body is nested at most {_DEPTH} deep")


def _said(error: pydantic.ValidationError, kind: type[pydantic.BaseModel]) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"])) or "the body"
    if first["type"] == "extra_forbidden":
        known = kind.model_fields if len(first["loc"]) == 1 else ()
        return f"no key {where!r}{nearest(where, known)}"
    return f"{where}: {first['msg']}"


class Given(Body):
    """A file by value."""

    name: str
    base64: str


def files_of(given: Iterable[Given]) -> list[File]:
    """The files of a request. Raises Refused."""
    files = {}
    for one in given:
        if one.name in files:
            raise Refused(400, "invalid", f"two files are called {one.name!r:.80}: give one of them another name")
        files[one.name] = File(one.name, _decoded(one))
    return list(files.values())


def _decoded(given: Given) -> bytes:
    if not fits(given.name) or "/" in given.name:
        raise Refused(400, "invalid", f"not a name for a file: {given.name!r:.80}")
    try:
        return base64.b64decode(given.base64, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(400, "invalid", f"the file {given.name!r:.80} is not in base64") from None

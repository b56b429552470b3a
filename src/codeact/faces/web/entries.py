"""What happened in a run, one by one: an entry with all that a stream only names, and files and pictures as bytes."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from urllib.parse import quote

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from codeact.core.events import Entry, FilesCollected
from codeact.journals import codec

from . import brief
from .conversation import Missing
from .runs import Runs

_RUN = re.compile(r"[0-9a-f]{32}")  # exactly as it was given out
_PIECE = 1 << 18
_PLACE = re.compile(r"0|[1-9][0-9]{0,8}")


class Entries:
    """The paths below a run that give what stands in its entries."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    def routes(self) -> list[Route]:
        """All of them."""
        one = "/api/runs/{run}"
        return [
            Route(f"{one}/entries/{{seq}}", self.entry, methods=["GET"]),
            Route(f"{one}/entries/{{seq}}/{{part}}", self.part, methods=["GET"]),
            Route(f"{one}/files/{{name:path}}", self.file, methods=["GET"]),
        ]

    async def entry(self, request: Request) -> Response:
        """All of an entry."""
        found = await self._runs.entry(run_of(request), _place(request, "seq"))
        return _by_pieces(await anyio.to_thread.run_sync(_whole, found), "application/json", {})

    async def part(self, request: Request) -> Response:
        """A file or a picture of an entry."""
        found = await self._runs.entry(run_of(request), _place(request, "seq"))
        return _download(*brief.part(found.event, _place(request, "part")))

    async def file(self, request: Request) -> Response:
        """The last file of this name that code of a run saved."""
        name = request.path_params["name"]
        for event in reversed(await self._runs.events(run_of(request))):
            if isinstance(event, FilesCollected):
                for file in event.files:
                    if file.name == name:
                        return _download(file.name, file.data)
        raise Missing(f"there is no file {name!r:.80} of this run")


def run_of(request: Request) -> str:
    """The run of a path. Raises Missing."""
    run: str = request.path_params["run"]
    if not _RUN.fullmatch(run):
        raise Missing("there is no such run")
    return run


def _place(request: Request, name: str) -> int:
    text: str = request.path_params[name]
    if not _PLACE.fullmatch(text):
        raise Missing("there is nothing here")
    return int(text)


def _whole(entry: Entry) -> bytes:
    return json.dumps(codec.whole(entry), separators=(",", ":")).encode()


def _download(name: str, data: bytes) -> Response:
    """Bytes to be saved, and never shown, whatever type they say they have."""
    last = quote(name.rpartition("/")[2], safe="", errors="replace")
    return _by_pieces(data, "application/octet-stream", {"content-disposition": f"attachment; filename*=UTF-8''{last}"})


def _by_pieces(data: bytes, kind: str, headers: dict[str, str]) -> Response:
    """An answer of any length, also for who reads it slowly: each piece may take as long as an answer may stall."""

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(data), _PIECE):
            yield data[at : at + _PIECE]

    return StreamingResponse(pieces(), media_type=kind, headers={**headers, "content-length": str(len(data))})

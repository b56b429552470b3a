"""What happens in a run as server-sent events: entries by their place, what streams meanwhile, and how it stands."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from typing import Any

import anyio
import anyio.to_thread
from starlette.responses import StreamingResponse

from . import brief
from .feed import Feed, Placed, Viewer, delta_of

_AT_ONCE = 100  # entries that are made ready together
_ROOM = 1 << 20  # bytes of them, but for the last
BEAT = 15.0  # seconds until a line says that we are still there

State = Callable[[], dict[str, Any]]


def answering(frames: AsyncIterator[bytes]) -> StreamingResponse:
    """An answer that streams; without the mark a proxy such as nginx would gather it, and pass it on at its end."""
    return StreamingResponse(frames, media_type="text/event-stream", headers={"x-accel-buffering": "no"})


def frame(event: str, value: object, mark: int | None = None) -> bytes:
    """One event of a stream."""
    place = "" if mark is None else f"id: {mark}\n"
    return f"{place}event: {event}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n".encode()


def entry_frame(placed: Placed) -> bytes:
    """An entry; one of a run below says for which call it happened, where its event has no such field of its own."""
    called = {"agent": placed.agent, "key": placed.key} if placed.key else {}
    return frame("entry", {**called, **brief.told(placed.entry)}, placed.mark)


def _ready(entries: Iterator[Placed]) -> tuple[bytes, int]:
    """The next entries, as many as go together, and how many they are."""
    frames, size = [], 0
    for placed in islice(entries, _AT_ONCE):
        frames.append(entry_frame(placed))
        size += len(frames[-1])
        if size > _ROOM:
            break
    return b"".join(frames), len(frames)


async def kept(entries: Iterator[Placed], state: State) -> AsyncIterator[bytes]:
    """A run that does not live here: all that is kept of it, and its end."""
    while data := (await anyio.to_thread.run_sync(_ready, entries))[0]:
        yield data
    yield frame("end", state())


async def live(feed: Feed, after: int, state: State, leave: bool = False) -> AsyncIterator[bytes]:
    """A run that lives here, from behind an entry, for as long as it lives; or, to `leave`, until its task is over."""
    place = feed.behind(after)
    viewer = feed.join()
    said: dict[str, Any] = {}
    try:
        while True:
            viewer.news = anyio.Event()
            upto = min(viewer.pieces[0].place if viewer.pieces else len(feed.entries), place + _AT_ONCE)
            if place < upto:
                data, count = await anyio.to_thread.run_sync(_ready, iter(feed.entries[place:upto]))
                yield data
                place += count
            elif viewer.pieces:
                yield _passing(viewer, place)
            elif place < len(feed.entries):
                continue
            elif (now := state()) != said:
                said = now
                yield frame("state", now)
            elif feed.closed or (leave and now["state"] in ("ended", "cut off")):
                yield frame("end", now)
                return
            else:
                with anyio.move_on_after(BEAT) as waited:
                    await viewer.news.wait()
                if waited.cancelled_caught:
                    yield b": still there\n\n"
    finally:
        feed.leave(viewer)


def _passing(viewer: Viewer, place: int) -> bytes:
    """All that streams before the next entry."""
    frames = []
    while viewer.pieces and viewer.pieces[0].place <= place:
        frames.append(frame("delta", delta_of(viewer.pop())))
    return b"".join(frames)

"""What happens in a run and in those that it calls, in the order in which it happened, for whoever looks.

An entry stands in one list, and a viewer is a place in it: one that reads slowly, or not at all, costs nothing and
holds nobody up. What merely streams is given to each viewer up to a bound, and what is beyond that is dropped.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import anyio

from codeact.core.branch import run_of
from codeact.core.events import (
    CodeRan,
    CodeStarted,
    Delta,
    Discarded,
    Entry,
    Event,
    ModelAsked,
    ModelFailed,
    ModelReplied,
    Nested,
    OutputDelta,
    TaskEnded,
    ToolCalled,
    Waiting,
)

KEPT = 1 << 18  # characters that stream, and wait for a slow viewer
_JOINED = 1 << 13  # characters of one piece that others are joined to


@dataclass(frozen=True, slots=True)
class Placed:
    """An entry, and the last entry of the run itself that came before it: from there one looks on later.

    `agent` and `key` are the tool call that it is part of, where it is of a run that this one called.
    """

    entry: Entry
    mark: int
    agent: str = ""
    key: str = ""


@dataclass(slots=True)
class Piece:
    """Something that streams: which run it is of, and how many entries came before it."""

    run: str
    delta: Any
    place: int
    agent: str = ""
    key: str = ""

    @property
    def size(self) -> int:
        return len(_text(self.delta))


class Ordering:
    """Gives entries their places, as they come, or as they are read again."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._mark = -1
        self._calls: dict[str, tuple[str, str]] = {}

    def __call__(self, entry: Entry) -> Placed:
        if entry.run == self._run:
            self._mark = entry.seq
        if isinstance(entry.event, ToolCalled):
            self._calls[run_of(entry.event.key)] = (entry.event.tool, entry.event.key)
        return Placed(entry, self._mark, *self._calls.get(entry.run, ("", "")))

    def knows(self, run: str, agent: str, key: str) -> None:
        """This run answers that call."""
        self._calls.setdefault(run, (agent, key))


class Viewer:
    """A place in a feed, and what streams for it meanwhile."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self.news = anyio.Event()
        self.pieces: deque[Piece] = deque()
        self._size = 0
        for piece in pieces:
            self.push(piece)

    def push(self, piece: Piece) -> None:
        """It streams."""
        if self._size + piece.size > KEPT:
            return
        self._size += piece.size
        last = self.pieces[-1] if self.pieces else None
        if last is None or not _join(last, piece):
            self.pieces.append(replace(piece))
        self.news.set()

    def pop(self) -> Piece:
        """The next piece."""
        piece = self.pieces.popleft()
        self._size -= piece.size
        return piece


class Feed:
    """The entries of one run and of those below it, and who looks at them."""

    def __init__(self, run: str, known: Iterable[Entry] = ()) -> None:
        self.run = run
        self._order = Ordering(run)
        self.entries: list[Placed] = [self._order(entry) for entry in known]
        self.viewers: set[Viewer] = set()
        self.closed = False
        self._streaming: deque[Piece] = deque()  # of what has no entry yet, for who comes now
        self._size = 0

    def add(self, entry: Entry) -> None:
        """It was recorded."""
        self.entries.append(self._order(entry))
        self._settle(entry.run, entry.event)
        self.wake()

    def hear(self, item: Event | Delta) -> None:
        """A listener: what streams is passed on; what is recorded comes by the journal."""
        run, agent, key = self.run, "", ""
        while isinstance(item, Nested):
            run, agent, key, item = item.run, item.agent, item.key, item.item
            self._order.knows(run, agent, key)
        if isinstance(item, Event):
            return
        piece = Piece(run, item, len(self.entries), agent, key)
        for viewer in self.viewers:
            viewer.push(piece)
        if isinstance(item, Discarded):
            self._forget(run, output=False)
        elif not isinstance(item, Waiting) and self._size + piece.size <= KEPT:
            self._size += piece.size
            if not self._streaming or not _join(self._streaming[-1], piece):
                self._streaming.append(replace(piece))

    def join(self) -> Viewer:
        """Another viewer, who is told first what streams just now."""
        here = len(self.entries)
        viewer = Viewer(replace(piece, place=here) for piece in self._streaming)
        self.viewers.add(viewer)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """It looks no more."""
        self.viewers.discard(viewer)

    def close(self) -> None:
        """Nothing more will come."""
        self.closed = True
        self.wake()

    def wake(self) -> None:
        """There is something to be looked at."""
        for viewer in self.viewers:
            viewer.news.set()

    def behind(self, after: int) -> int:
        """Where in the entries one is who has seen those of the run up to this one."""
        if after < 0:
            return 0
        return min(bisect.bisect_left(self.entries, after, key=lambda placed: placed.mark) + 1, len(self.entries))

    def _settle(self, run: str, event: Event) -> None:
        match event:
            case ModelAsked() | ModelReplied() | ModelFailed():
                self._forget(run, output=False)
            case CodeStarted() | CodeRan():
                self._forget(run, output=True)
            case TaskEnded():
                self._forget(run, output=False)
                self._forget(run, output=True)

    def _forget(self, run: str, output: bool) -> None:
        """What streamed of a run has its entry now, or counts no more: a cell's output, or else all but that."""
        left = [one for one in self._streaming if one.run != run or isinstance(one.delta, OutputDelta) is not output]
        self._streaming = deque(left)
        self._size = sum(one.size for one in left)


def delta_of(piece: Piece) -> dict[str, Any]:
    """What streams, as an object of JSON."""
    called = {"agent": piece.agent, "key": piece.key} if piece.key else {}
    fields = {field.name: getattr(piece.delta, field.name) for field in dataclasses.fields(piece.delta)}
    return {"run": piece.run, **called, "delta": type(piece.delta).__name__, **fields}


def _text(delta: Any) -> str:
    return str(getattr(delta, "text", None) or getattr(delta, "why", ""))


def _join(last: Piece, piece: Piece) -> bool:
    """Make one piece of both, where they are of a kind; what is long is left alone."""
    one, other = last.delta, piece.delta
    alike = (
        type(one) is type(other) and hasattr(one, "text") and getattr(one, "stream", 0) == getattr(other, "stream", 0)
    )
    if not alike or (last.run, last.place) != (piece.run, piece.place) or len(one.text) > _JOINED:
        return False
    last.delta = replace(one, text=one.text + other.text)
    return True

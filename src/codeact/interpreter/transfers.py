"""Files over the wire: those that are given go in parts, those that code made are collected.

The guest says what it likes of them: names are checked, parts must follow each other, and files and bytes are counted
as they arrive. Nothing is opened here.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..core.errors import UsageError
from ..core.execution import Limits
from ..core.files import File, LeftOut
from ..core.untrusted import inline
from ..guest import values, wire
from ..guest.names import fits
from .talk import Talk

_LEFT = 100  # files left out that a guest may name
_WHY = {
    "large": "there is no room for it: the limit is `file_bytes`",
    "many": "there are more files than the limit `files`",
    "link": "it is a link, and links are not followed",
    "special": "it is not a regular file",
    "hidden": "its name begins with a dot",
    "name": "its name cannot be used elsewhere",
    "deep": "it lies too deep",
    "closed": "it cannot be read",
    "folder": "it is not a folder",
}


async def put(guest: Talk, file: File, limits: Limits) -> None:
    """Put a file into `inputs`; raises UsageError where it does not fit, Lost when the guest is gone."""
    for at, data, last in _parts(file):
        word = wire.Put(guest.number(), file.name, at, data, last)
        placed = await guest.question(word, wire.Placed, limits.tool_seconds)
        if placed.failure is not None:
            raise UsageError(f"{file.name} cannot be put into the sandbox: {inline(placed.failure)}")


async def collect(guest: Talk, limits: Limits, everything: bool) -> tuple[tuple[File, ...], tuple[LeftOut, ...]]:
    """The files of `outputs` that are new or were changed, or all, and what was left out; raises Lost."""
    word = wire.Collect(guest.number(), limits.files, limits.file_bytes, everything)
    collection = _Collection(word.id, limits.files, limits.file_bytes)
    await guest.hear(word, collection.take, limits.tool_seconds)
    return collection.result()


def _parts(file: File) -> Iterator[tuple[int, values.Packed, bool]]:
    """A file cut for the wire: where each part begins, its bytes, and whether it is the last."""
    for at in range(0, max(len(file.data), 1), wire.PART):
        yield at, values.encode(file.data[at : at + wire.PART]), at + wire.PART >= len(file.data)


class _Collection:
    """What a guest sends of `outputs`: at most so many files, of so many bytes in all."""

    def __init__(self, number: int, files: int, room: int) -> None:
        self._number = number
        self._most = files
        self._room = room
        self._files: dict[str, list[bytes]] = {}
        self._open: str | None = None  # the file that is not whole yet
        self._left: list[LeftOut] = []

    def take(self, word: wire.Word) -> bool:
        """Whether this was its last word; raises ProtocolError."""
        if not isinstance(word, wire.Part | wire.Collected) or word.id != self._number:
            raise wire.ProtocolError(f"{type(word).__name__} out of its place")
        if isinstance(word, wire.Part):
            self._part(word)
            return False
        if self._open is not None:
            raise wire.ProtocolError("a file without its end")
        self._left = [_left(pair) for pair in word.left[: _LEFT + 1]]
        if len(self._left) > _LEFT or word.more < 0:
            raise wire.ProtocolError("Collected.left is too long")
        if word.more:
            self._left.append(LeftOut(f"{word.more:,} more", "they are not named"))
        return True

    def _part(self, word: wire.Part) -> None:
        if self._open is None:
            if word.name in self._files or not fits(word.name):
                raise wire.ProtocolError("Part.name is no new name for a file")
            if len(self._files) >= self._most:
                raise wire.ProtocolError("more files than were asked for")
            self._files[word.name] = []
        elif word.name != self._open:
            raise wire.ProtocolError("a part of another file")
        try:
            data = values.decode(word.data)
        except values.Refused as error:
            raise wire.ProtocolError(f"Part.data: {error}") from None
        if type(data) is not bytes or len(data) > wire.PART or (len(data) < wire.PART and not word.last):
            raise wire.ProtocolError("Part.data is not a part")
        self._room -= len(data)
        if self._room < 0:
            raise wire.ProtocolError("more bytes of files than were asked for")
        self._files[word.name].append(data)
        self._open = None if word.last else word.name

    def result(self) -> tuple[tuple[File, ...], tuple[LeftOut, ...]]:
        """The files and what was left out, once the last word was taken."""
        return tuple(File(name, b"".join(data)) for name, data in self._files.items()), tuple(self._left)


def _left(pair: object) -> LeftOut:
    match pair:
        case [str(name), str(why)] if why in _WHY:
            return LeftOut(inline(name), _WHY[why])
    raise wire.ProtocolError("Collected.left is not of names and reasons")

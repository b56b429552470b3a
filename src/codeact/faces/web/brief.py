"""An entry as a stream tells it: what is large in it is named by its size, and can be had by itself.

A file of 20 MB would hold up all that happens behind it, for each who looks, and again after each reload.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from codeact.core.events import ApprovalAsked, CodeRan, Entry, Event, FilesCollected, InputsGiven
from codeact.core.files import File
from codeact.core.messages import Image
from codeact.journals import codec

from .conversation import Missing

SMALL = 64 << 10  # bytes of a file or a picture that stand in its entry
LARGE = 1 << 20  # characters of an entry as JSON; in one that is longer, what is long is cut
_TEXT = 1 << 20  # characters of a text that are left
_BYTES = 64 << 10  # characters of base64 that are left: a multiple of four
_ITEMS = 10_000


def told(entry: Entry) -> dict[str, Any]:
    """An entry as an object of JSON, in which large files and pictures have `bytes`, their length, in place of `data`.

    One that is longer than `LARGE` all the same has its length as `shortened`, and its long values are cut. What
    somebody is asked about is told as it is: nobody shall allow what he was not shown.
    """
    tree = codec.whole(replace(entry, event=_emptied(entry.event)))
    for told, held in zip(_parts_of(tree), parts(entry.event), strict=True):
        if len(held.data) > SMALL:
            del told["data"]
            told["bytes"] = len(held.data)
    if isinstance(entry.event, ApprovalAsked) or (length := _length(tree)) <= LARGE:
        return tree
    return {**_cut(tree), "shortened": length}


def parts(event: Event) -> Sequence[File | Image]:
    """The files or pictures of an entry, in their order."""
    match event:
        case FilesCollected(files) | InputsGiven(files=files):
            return files
        case CodeRan(outcome=outcome):
            return outcome.images
        case _:
            return ()


def part(event: Event, place: int) -> tuple[str, bytes]:
    """A file or a picture of an entry: how it may be named, and its bytes. Raises Missing."""
    held = parts(event)
    if not 0 <= place < len(held):
        raise Missing("there is no such file or picture in this entry")
    match held[place]:
        case File(name, data):
            return name, data
        case Image(data, kind):
            return f"picture-{place + 1}.{kind.rpartition('/')[2]}", data


def _parts_of(tree: dict[str, Any]) -> list[dict[str, Any]]:
    match tree:
        case {"files": [dict(), *_] as files, "event": "FilesCollected" | "InputsGiven"}:
            return list(files)
        case {"outcome": {"images": list(images)}}:
            return list(images)
        case _:
            return []


def _emptied(event: Event) -> Event:
    """The same without the bytes that are not told."""

    def without(one: Any) -> Any:
        return one if len(one.data) <= SMALL else replace(one, data=b"")

    match event:
        case FilesCollected(files) | InputsGiven(files=files):
            return replace(event, files=tuple(map(without, files)))
        case CodeRan(outcome=outcome):
            return replace(event, outcome=replace(outcome, images=tuple(map(without, outcome.images))))
        case _:
            return event


def _length(tree: Any) -> int:
    return len(json.dumps(tree, separators=(",", ":")))


def _cut(tree: Any) -> Any:
    match tree:
        case {"$bytes": str(data)} if len(data) > _BYTES:
            return {"$bytes": data[:_BYTES], "bytes": len(data) * 3 // 4 - data[-2:].count("=")}
        case dict():
            return {name: _cut(one) for name, one in tree.items()}
        case list():
            return [_cut(one) for one in tree[:_ITEMS]]
        case str():
            return tree[:_TEXT]
        case _:
            return tree

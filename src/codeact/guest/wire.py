"""The words of host and guest, and their bytes. No I/O here: bytes in, words out.

A frame is: length of the rest (4 bytes, big-endian), length of the header (4 bytes), the header (ASCII JSON, no NaN, no
key twice), and the blobs end to end. The header is `{"w": word, "b": [length of each blob], ...fields}`. A word has
exactly the fields of its class, each of exactly its type; anything else is a ProtocolError, which ends the guest's life
and nothing more. Lengths are checked before anything is kept.

    host                                     guest
    Open      what the session is made of    Ready    it stands
    Clock     what the next cell read        Looked   what it has read of the clock
    Run       a cell                         Done     the cell is over
    More      more of the cell               Next     it has run so far: more of it, please
    Returned  the answer to a call           Call     a tool, please
    Bind, Fetch                              Bound, Fetched
    Copy      be copied as you stand         Poised, Copied
    Put      a part of a file for `inputs`   Placed
    Collect  what is in `outputs`?           Part ... of each file, then Collected
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

from .headers import ProtocolError as ProtocolError
from .headers import read, written
from .values import Packed

MAX_HEADER = 8 << 20
MAX_FRAME = 64 << 20
MAX_BLOBS = 4096
PART = 1 << 20  # bytes of a file in one word: every part but a file's last has exactly so many
MOST_READS = 10_000  # of the clock that are told of one cell
_LENGTHS = struct.Struct(">II")


class TooLarge(ValueError):
    """A word that does not fit into a frame; nothing was sent."""


# fmt: off
@dataclass(frozen=True)
class Open:
    """What the session is made of: `imports` {names, base, everything}, `limits` {name: number}, `network` [host]
    and `tools` [{name, signature, doc, parameters [[name, kind, default]], group, flat}], as in `core.execution`; what
    is in `unlisted` is known by name alone, see `modules`."""
    imports: dict[str, Any]
    tools: list[Any]
    limits: dict[str, Any]
    network: list[Any]
    unlisted: dict[str, Any] = field(default_factory=dict)

@dataclass(frozen=True)
class Clock:
    """The cell of the next Run ran before: what it read of the clock then, as Looked tells it, and whether it ended."""
    reads: list[Any]
    ended: bool

@dataclass(frozen=True)
class Run:
    """A cell: `nonce` stands in every word about it, `seed` is hex, `source` is the packed str; with `more` it is the
    first part of the cell, whose end the guest awaits by Next."""
    cell: int
    nonce: str
    seed: str
    source: Packed
    more: bool = False

@dataclass(frozen=True)
class More:
    """The answer to Next: the next part of the cell, empty or not, and whether more may follow."""
    nonce: str
    source: Packed
    more: bool

@dataclass(frozen=True)
class Returned:
    """The answer to call `id`: a value, or `failure` [type, message], where `type` is a name for an exception class."""
    id: int
    value: Packed | None
    failure: list[Any] | None

@dataclass(frozen=True)
class Bind:
    """Bind the names of the packed dict in the namespace."""
    id: int
    values: Packed

@dataclass(frozen=True)
class Fetch:
    """What is the value of this name? For `*`: which variables are there, each with its kind and a glimpse of it?"""
    id: int
    name: str

@dataclass(frozen=True)
class Copy:
    """Be copied: `how` is freeze (the copy waits), thaw (a copy of one that waits goes on) or fork (it lives beside, in
    the scratch folder of this `number`). `forks` are the numbers of those that live: folders of others are nobody's.

    When the guest is Poised, one byte outside of frames brings three descriptors: the copy's channel and outputs. Then
    the guest says Copied on its channel and the copy says it on its own.
    """
    id: int
    how: str
    number: int
    forks: list[Any]

@dataclass(frozen=True)
class Put:
    """Bytes from `at` on of the file `inputs/NAME`, the whole of it once `last` has come."""
    id: int
    name: str
    at: int
    data: Packed
    last: bool

@dataclass(frozen=True)
class Collect:
    """At most so many files of so many bytes in all, please: what is new or changed in `outputs`, or all of it."""
    id: int
    files: int
    bytes: int
    all: bool

@dataclass(frozen=True)
class Ready:
    """The guest stands: its Python version."""
    python: str

@dataclass(frozen=True)
class Call:
    """Code calls a tool: `arguments` is the packed [positional list, keyword dict]; ids count up from 1."""
    nonce: str
    id: int
    tool: str
    arguments: Packed

@dataclass(frozen=True)
class Looked:
    """The cell has read the clock since it said so last: [line, [steps]] of each line of reads, see `clock`; the first
    step of a line is its first read."""
    nonce: str
    reads: list[Any]

@dataclass(frozen=True)
class Next:
    """What there is of the cell has run: is there more?"""
    nonce: str

@dataclass(frozen=True)
class Done:
    """The cell is over.

    `ended` is done, final_answer or interrupted; `value` the packed repr of a last expression and `preview` what a
    model is shown of it; `error`
    [type, message, traceback]; `answer` the packed value of final_answer where `ended` says so; `complete` how many
    top-level statements ran to their end; `notes` for the model; `images` the packed list of PNGs, see `png`.
    """
    nonce: str
    ended: str
    complete: int
    value: Packed | None
    preview: Packed | None
    error: list[Any] | None
    answer: Packed | None
    notes: list[Any]
    images: Packed | None

@dataclass(frozen=True)
class Bound:
    """The answer to Bind: `failure` is a message or None."""
    id: int
    failure: str | None

@dataclass(frozen=True)
class Fetched:
    """The answer to Fetch: a value, or `failure` [type, message]."""
    id: int
    value: Packed | None
    failure: list[Any] | None

@dataclass(frozen=True)
class Poised:
    """The guest waits for the byte; with `failure`, a message, it does not, and nothing was done."""
    id: int
    failure: str | None

@dataclass(frozen=True)
class Placed:
    """The answer to Put: `failure` is a message or None."""
    id: int
    failure: str | None

@dataclass(frozen=True)
class Copied:
    """The copy was made, or, from the copy, it stands; with `failure`, a message, there is none."""
    id: int
    failure: str | None

@dataclass(frozen=True)
class Part:
    """An answer to Collect: more of a file; its parts follow each other, up to the one that is `last`."""
    id: int
    name: str
    data: Packed
    last: bool

@dataclass(frozen=True)
class Collected:
    """The last answer to Collect: `left` are [name, why] of what was left out, `more` counts those not named."""
    id: int
    left: list[Any]
    more: int
# fmt: on


Word: TypeAlias = Any
HOST_WORDS: dict[str, type] = {
    word.__name__: word for word in (Open, Clock, Run, More, Returned, Bind, Fetch, Copy, Put, Collect)
}
GUEST_WORDS: dict[str, type] = {
    word.__name__: word
    for word in (Ready, Call, Looked, Next, Done, Bound, Fetched, Poised, Copied, Placed, Part, Collected)
}

_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "bool": (bool,),
    "str": (str,),
    "str | None": (str, type(None)),
    "dict[str, Any]": (dict,),
    "list[Any]": (list,),
    "list[Any] | None": (list, type(None)),
}
_FIELDS: dict[type, list[tuple[str, str, tuple[type, ...]]]] = {  # name, type, and its classes; none of a packed value
    word: [(field.name, str(field.type), _TYPES.get(str(field.type), ())) for field in fields(word)]
    for word in (*HOST_WORDS.values(), *GUEST_WORDS.values())
}
_PACKED = {word: [name for name, _, types in named if not types] for word, named in _FIELDS.items()}


def encode(word: Word) -> bytes:
    """The frame of a word; raises TooLarge, with nothing sent, when it does not fit."""
    kind = type(word)
    blobs: list[bytes] = []
    header: dict[str, Any] = {"w": kind.__name__, "b": [], **vars(word)}
    for name in _PACKED[kind]:
        value = header[name]
        if value is not None:
            header[name] = (value.tree, len(blobs), len(value.blobs))
            blobs += value.blobs
    lengths = header["b"] = [*map(len, blobs)]
    text = written(header).encode("ascii")
    size = 4 + len(text) + sum(lengths)
    if len(text) > MAX_HEADER:
        raise TooLarge(f"{len(text):,} bytes beside its long strings; at most {MAX_HEADER:,} fit into one message")
    if size > MAX_FRAME or len(blobs) > MAX_BLOBS:
        most = f"at most {MAX_FRAME:,} in {MAX_BLOBS:,} fit into one message"
        raise TooLarge(f"{size:,} bytes in {len(blobs):,} long strings; {most}")
    return b"".join((_LENGTHS.pack(size, len(text)), text, *blobs))


_SHORT, _KINDS = 100, 8
_HEARD: dict[bytes, Ready] = {}  # how sessions say that they stand: of each Python all in the same bytes


class Decoder:
    """Bytes in any cut to words of one direction."""

    def __init__(self, words: dict[str, type]) -> None:
        self._words = words
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Word]:
        """The words completed by these bytes; raises ProtocolError, after which the decoder is of no more use."""
        buffer = self._buffer
        known = _HEARD.get(data) if len(data) <= _SHORT and not buffer else None
        if known is not None and type(known).__name__ in self._words:
            return [known]
        if buffer:
            buffer += data
        source = buffer or data
        words: list[Word] = []
        start, there = 0, len(source)
        while there - start >= 4:
            size = int.from_bytes(source[start : start + 4], "big")
            if not 4 <= size <= MAX_FRAME:
                raise ProtocolError(f"a frame of {size} bytes")
            if there - start < 8:
                break
            header = int.from_bytes(source[start + 4 : start + 8], "big")
            if header > MAX_HEADER or header + 4 > size:
                raise ProtocolError(f"a frame of {size} bytes with a header of {header}")
            end = start + 4 + size
            if there < end:
                break
            body = start + 8
            words.append(self._word(source[body : body + header], source[body + header : end]))
            start = end
        if len(words) == 1 and start == len(data) == there <= _SHORT and type(words[0]) is Ready:
            self._keep(bytes(data), words[0])
        if source is buffer:
            del buffer[:start]
        elif start < there:
            buffer += data[start:] if start else data
        return words

    def _keep(self, frame: bytes, word: Ready) -> None:
        if len(_HEARD) < _KINDS:
            _HEARD[frame] = word

    def _word(self, header: bytes | bytearray, rest: bytes | bytearray) -> Word:
        fields = read(header)
        if type(fields) is not dict:
            raise ProtocolError("a header that is not an object")
        said, lengths = fields.pop("w", None), fields.pop("b", None)
        kind = self._words.get(said) if type(said) is str else None
        if kind is None:
            raise ProtocolError("a word that is not of this direction")
        if type(lengths) is not list:
            raise ProtocolError("blobs without a list of their lengths")
        blobs = _cut(lengths, rest) if lengths or rest else lengths
        for name, expected, types in _FIELDS[kind]:
            if name not in fields:
                raise ProtocolError(f"{kind.__name__} without {name}")
            value = fields[name]
            if not types:
                fields[name] = _packed(kind, name, expected, value, blobs)
            elif type(value) not in types:
                raise ProtocolError(f"{kind.__name__}.{name} is not {expected}")
        if len(fields) > len(_FIELDS[kind]):
            unknown = next(name for name in fields if name not in {known for known, *_ in _FIELDS[kind]})
            raise ProtocolError(f"{kind.__name__} with an unknown field {unknown[:40]!r}")
        word: Word = object.__new__(kind)
        word.__dict__.update(fields)  # what its frozen class would do field by field
        return word


def _cut(lengths: list[Any], rest: bytes | bytearray) -> list[bytes]:
    if len(lengths) > MAX_BLOBS or any(type(n) is not int or n < 0 for n in lengths) or sum(lengths) != len(rest):
        raise ProtocolError("blobs whose lengths do not add up")
    blobs = []
    at = 0
    for length in lengths:
        blobs.append(bytes(rest[at : at + length]))
        at += length
    return blobs


def _packed(kind: type, name: str, expected: str, value: Any, blobs: list[bytes]) -> Packed | None:
    if value is None and expected.endswith("None"):
        return None
    if type(value) is not list or len(value) != 3 or type(value[1]) is not int or type(value[2]) is not int:
        raise ProtocolError(f"{kind.__name__}.{name} is not a packed value")
    tree, first, count = value
    if first < 0 or count < 0 or first + count > len(blobs):
        raise ProtocolError(f"{kind.__name__}.{name} points past the blobs")
    return Packed(tree, blobs[first : first + count])

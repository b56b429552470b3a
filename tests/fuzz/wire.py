"""The long fuzzer of the host's ear, run by hand: `python tests/fuzz/wire.py [SECONDS] [SEED]`.

It changes good traffic, and keeps what reaches lines of `wire` and `values` that nothing reached before. It ends at the
first input after which something else than ProtocolError or Refused leaves, that takes a second, or for which the
process grows by 64 MiB; that input is printed as a program.
"""

from __future__ import annotations

import copy
import json
import random
import resource
import struct
import sys
import time
from types import FrameType
from typing import Any

from frames import GOOD, digest

ROOMS = "wire headers values crossing scalars tables arrays columns pictures"
WATCHED = tuple(f"/guest/{name}.py" for name in ROOMS.split())
NAMES = (
    "w b $str $int $float $bytes $tuple $set $frozenset $dict $datetime $date $time $timedelta $decimal $complex "
    "$array $frame $series $index $missing $image"
)
TAGS = NAMES.split()
LEAVES = (None, True, -1, 0, 1, 1.5, 2**64, "", "nan", "<i8", "AAAA", "2026-11-22", "1e9", [], {})
PIECES = [
    *(b"[ ] { } , : \" \\ null true NaN -1 1e999 0 9999999999999999999".split()),
    *(f'"{tag}"'.encode() for tag in TAGS),
    b'\\ud800', b'{"$bytes":[0,1]}', b'{"$int":"-ff"}', b'["$tuple"]', bytes(8), b"\xff" * 4,
]  # fmt: skip


def lines_of(data: bytes, cut: int) -> set[tuple[str, int, int]]:
    """The steps from line to line that reading the bytes takes."""
    steps: set[tuple[str, int, int]] = set()
    last = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal last
        name = frame.f_code.co_filename
        if not name.endswith(WATCHED):
            return None
        steps.add((name, last, frame.f_lineno))
        last = frame.f_lineno
        return trace

    sys.settrace(trace)
    try:
        digest(data, cut)
    finally:
        sys.settrace(None)
    return steps


def regrown(chance: random.Random, corpus: list[bytes]) -> bytes:
    """One of the corpus whose JSON has another node somewhere, as a frame that is whole."""
    data = chance.choice(corpus)
    (header,) = struct.unpack(">I", data[4:8].ljust(4, b"\0"))
    try:
        tree = json.loads(data[8 : 8 + header])
    except (ValueError, RecursionError):
        return changed(chance, corpus)
    nodes, todo = [], [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, list | dict):
            nodes += [(node, key) for key in (node if isinstance(node, dict) else range(len(node)))]
            todo += node.values() if isinstance(node, dict) else node
    if not nodes:
        return changed(chance, corpus)
    for _ in range(chance.randint(1, 3)):
        place, key = chance.choice(nodes)
        other, its = chance.choice(nodes)
        new = copy.deepcopy(other[its])
        tag = {chance.choice(TAGS): new}
        place[key] = chance.choice((new, tag, [new, new], *LEAVES))
    text = json.dumps(tree).encode()
    return struct.pack(">II", 4 + len(text) + len(data) - 8 - header, len(text)) + text + data[8 + header :]


def changed(chance: random.Random, corpus: list[bytes]) -> bytes:
    """One of the corpus, changed in a few places; the lengths in front are mended most of the time."""
    data = bytearray(chance.choice(corpus))
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(6):
            case 0:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del data[at : at + chance.randint(1, 40)]
            case 2:
                data[at:at] = chance.choice(PIECES) * chance.choice((1, 1, 1, 2, 70))
            case 3:
                other = chance.choice(corpus)
                start = chance.randrange(len(other) + 1)
                data[at : at + 40] = other[start : start + chance.randint(1, 200)]
            case 4:
                data[at:at] = data[at : at + chance.randint(1, 60)]
            case _:
                digits = [place for place, byte in enumerate(data[8:400], 8) if 48 <= byte <= 57]
                if digits:
                    place = chance.choice(digits)
                    data[place : place + 1] = str(chance.choice((-1, 0, 1, 2**31, 2**63, 2**64, 10**30))).encode()
    if chance.random() < 0.8 and len(data) >= 8:
        header = data.find(b"}", 8, 1 << 16) if chance.random() < 0.1 else data.rfind(b"}")
        data[:8] = struct.pack(">II", len(data) - 4, max(0, header - 7))
    return bytes(data[: 1 << 20])


def main(seconds: float, seed: int) -> None:
    chance = random.Random(seed)
    corpus = list(GOOD)
    known: set[tuple[str, int, int]] = set()
    for data in corpus:
        known |= lines_of(data, 0)
    tries, words, began = 0, 0, time.monotonic()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    while time.monotonic() - began < seconds:
        data = chance.choice((changed, regrown))(chance, corpus)
        cut = chance.randrange(len(data) + 1)
        started = time.process_time()
        try:
            words += digest(data, cut)
            if tries % 8 == 0 and len(data) < 1 << 14 and not (steps := lines_of(data, cut)) <= known:
                known |= steps
                corpus.append(data)
        except BaseException:
            print(f"from frames import digest\ndigest({data!r}, {cut})", flush=True)
            raise
        assert time.process_time() - started < 1, f"a second for {data[:2000]!r}"
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10, f"64 MiB for {data[:2000]!r}"
        tries += 1
    print(f"{tries:,} inputs, {words:,} words, {len(known):,} steps, a corpus of {len(corpus):,}")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 60, int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns())

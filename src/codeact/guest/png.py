"""What a picture on the wire may be: a PNG of bounded bytes and sides. Both ends read its frame; nothing decodes it."""

from __future__ import annotations

import struct

MOST = 8  # pictures of a cell
LARGEST = 4 << 20  # bytes of one
SIDE = 4096  # pixels of its longer side
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHUNK = struct.Struct(">I4s")
_HEADER = struct.Struct(">II")


def size(data: bytes) -> tuple[int, int]:
    """Width and height of a PNG that may cross; raises ValueError for whatever is none, too large, or not whole."""
    if len(data) > LARGEST:
        raise ValueError(f"a picture of {len(data):,} bytes; at most {LARGEST:,}")
    if not data.startswith(_SIGNATURE):
        raise ValueError("a picture that is no PNG")
    at = len(_SIGNATURE)
    kinds: list[bytes] = []
    while at + 12 <= len(data) and kinds[-1:] != [b"IEND"]:
        length, kind = _CHUNK.unpack_from(data, at)
        if not kinds and (kind, length) != (b"IHDR", 13):
            raise ValueError("a PNG without its header")
        kinds.append(kind)
        at += 12 + length
    if at != len(data) or kinds[-1:] != [b"IEND"] or b"IDAT" not in kinds:
        raise ValueError("a PNG that is not whole")
    width, height = _HEADER.unpack_from(data, len(_SIGNATURE) + _CHUNK.size)
    if not (0 < width <= SIDE and 0 < height <= SIDE):
        raise ValueError(f"a picture of {width} x {height} pixels; at most {SIDE} a side")
    return width, height

"""The chain of checksums over a run's rows: each holds the one before it, so none changes, goes or comes unseen."""

from __future__ import annotations

import hashlib

from .codec import Line

DIGEST = 32  # bytes; long enough that nobody finds two contents of one digest


def first_mark(run: str) -> bytes:
    """Where the chain of a run's checksums begins."""
    return hashlib.blake2b(f"codeact {run}".encode(), digest_size=16).digest()


def next_mark(mark: bytes, seq: int, at: float, fence: int, line: Line) -> bytes:
    """The checksum of a row, which holds that of the row before."""
    digest = hashlib.blake2b(mark, digest_size=16)
    digest.update(f"{seq} {at!r} {fence} {len(line.text)} {[len(blob) for blob in line.blobs]} ".encode())
    digest.update(line.text.encode())
    for blob in line.blobs:
        digest.update(blob)
    return digest.digest()


def digest_of(content: bytes) -> bytes:
    """What bytes that lie beside a line are found by: the same bytes are kept once."""
    return hashlib.blake2b(content, digest_size=DIGEST).digest()


def parts(digests: bytes) -> list[bytes]:
    """The digests of a row, each by itself.

    >>> len(parts(bytes(64)))
    2
    """
    return [digests[start : start + DIGEST] for start in range(0, len(digests), DIGEST)]

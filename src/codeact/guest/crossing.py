"""What every part of the table of values stands on: the refusal, the bounds, and the two ends that parts are given."""

from __future__ import annotations

import importlib
import sys
from typing import Any, Protocol

BLOB_FROM = 64 << 10  # bytes or characters
MAX_DEPTH = 64
MAX_NODES = 1_000_000
MAX_INT_BITS = 8 << 20
MAX_BYTES = 64 << 20  # of an array: what fits into a frame of the wire


class Refused(TypeError):
    """A value that does not cross, or a tree that is not of the table; the message starts with the path."""


class Unreadable(Refused):
    """A value that may be of the table, and that the library where it arrived cannot make, or that has none there."""


class Writer(Protocol):
    """What makes a tree and its blobs of a value."""

    def encode(self, value: Any, path: str, depth: int) -> Any:
        """The tree of a value inside this one."""

    def text(self, value: str) -> Any:
        """The tree of a text of any length."""

    def binary(self, value: bytes) -> Any:
        """The tree of bytes of any length."""


class Reader(Protocol):
    """What makes a value of a tree."""

    def decode(self, tree: Any, path: str, depth: int) -> Any:
        """The value of a tree inside this one; raises Refused."""

    def binary(self, tree: Any, path: str) -> bytes:
        """The bytes of a tree that must be bytes; raises Refused."""

    def text(self, tree: Any, path: str) -> str:
        """The text of a tree that must be text; raises Refused."""


def loaded(library: str, name: str) -> Any:
    """A class of a library that this process has imported, else a class that nothing is of.

    Without the library there can be no value of it: so none is imported to find out.
    """
    found = getattr(sys.modules.get(library), name, None)
    return found if isinstance(found, type) else _Nothing


class _Nothing:
    """What is of no library."""


def arriving(library: str, path: str, what: str, instead: str) -> Any:
    """The library that a value needs where it arrives: imported now; an Unreadable when it is not there."""
    try:
        return importlib.import_module(library)
    except Exception as error:  # a library that is broken here may raise anything
        top = library.partition(".")[0]
        raise Unreadable(
            f"{path}: {what} needs {top}, which cannot be imported where it should arrive "
            f"({str(error)[:100]}); give {instead}"
        ) from None


def keys_of(body: Any, *names: str) -> tuple[Any, ...]:
    """The parts of a dict that has exactly these keys; a ValueError for anything else."""
    if type(body) is not dict or body.keys() != set(names):
        raise ValueError(f"not a dict of {', '.join(names)}")
    return tuple(body[name] for name in names)

"""`read_file`: the files below one folder, and nothing else.

A path is walked part by part, and no part may be a link: nothing that is there leads out.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

from ... import below
from ...core.errors import UsageError
from ...ports import Tool
from ..function import as_tool, tool

_LARGEST = 16 << 20
_LISTED = 50


def read_file(folder: str | os.PathLike[str], *, largest: int = _LARGEST) -> Tool:
    """A tool that reads what lies below a folder of yours."""
    root = os.path.abspath(os.path.expanduser(os.fspath(folder)))
    if not os.path.isdir(root):
        raise UsageError(f"read_file: {os.fspath(folder)!r} is no folder that is there")
    if Path(root).parent == Path(root):
        raise UsageError("read_file: all files of this machine are too many: name a folder")

    @tool(idempotent=True)
    def read_file(path: str) -> str | bytes:
        """Read a file: its text, or bytes where it is not UTF-8.

        Args:
            path: relative, with slashes, such as notes/today.txt; of a folder the error lists what is in it
        """
        data = _read(root, _parts(path), path, largest)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return data

    return as_tool(read_file)


def _parts(path: str) -> list[str]:
    parts = path.removesuffix("/").split("/") if path not in ("", ".") else []
    if "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{path[:200]!r} is no path below the folder: write it as notes/today.txt")
    return parts


def _read(root: str, parts: list[str], path: str, largest: int) -> bytes:
    try:
        descriptor = below.opened(root, parts)
    except OSError as error:
        raise _trouble(error, path, lambda: _listed(root, parts)) from None
    with open(descriptor, "rb") as file:
        kind = os.fstat(descriptor)
        if not stat.S_ISREG(kind.st_mode):
            raise PermissionError(f"{path[:200]!r} is no plain file")
        if kind.st_size > largest:
            raise ValueError(f"{path[:200]!r} has {kind.st_size:,} bytes; at most {largest:,} are read")
        return file.read(largest)


def _trouble(error: OSError, path: str, there: Callable[[], str]) -> OSError:
    match error.errno:
        case errno.EISDIR:
            return IsADirectoryError(f"{path[:200]!r} is a folder; in it: {there()}")
        case errno.ENOENT:
            return FileNotFoundError(f"there is no {path[:200]!r}; where it should be: {there()}")
        case errno.ELOOP:
            return PermissionError(f"{path[:200]!r} is or goes through a link, which is not followed")
        case errno.ENOTDIR:
            return NotADirectoryError(f"{path[:200]!r} goes through a file")
        case _:
            return type(error)(f"{path[:200]!r} cannot be read: {error.strerror}")


def _listed(root: str, parts: list[str]) -> str:
    try:
        names = below.listed(root, parts)
    except OSError:
        return "nothing"
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return ascii(", ".join(names[:_LISTED]))[1:-1] + more if names else "nothing"

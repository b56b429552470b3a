"""`read_file`: the files below one folder, and nothing else.

A path is walked part by part from the open folder, and no part may be a link: nothing that is there, and nothing that
is exchanged meanwhile, leads out.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from ...core.errors import UsageError
from ...ports import Tool
from ..function import as_tool, tool

_LARGEST = 16 << 20
_LISTED = 50


def read_file(folder: str | os.PathLike[str], *, largest: int = _LARGEST) -> Tool:
    """A tool that reads what lies below a folder of yours."""
    if os.open not in os.supports_dir_fd or not hasattr(os, "O_NOFOLLOW"):
        raise UsageError("read_file: on this system a path cannot be walked without following links")
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
    place = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts:
            try:
                inner = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=place)
            except OSError as error:
                raise _trouble(error, path, place) from None
            os.close(place)
            place = inner
        kind = os.fstat(place)
        if stat.S_ISDIR(kind.st_mode):
            raise IsADirectoryError(f"{path[:200]!r} is a folder; in it: {_listed(place)}")
        if not stat.S_ISREG(kind.st_mode):
            raise PermissionError(f"{path[:200]!r} is no plain file")
        if kind.st_size > largest:
            raise ValueError(f"{path[:200]!r} has {kind.st_size:,} bytes; at most {largest:,} are read")
        with os.fdopen(os.dup(place), "rb") as file:
            return file.read(largest)
    finally:
        os.close(place)


def _trouble(error: OSError, path: str, place: int) -> OSError:
    match error.errno:
        case errno.ENOENT:
            return FileNotFoundError(f"there is no {path[:200]!r}; where it should be: {_listed(place)}")
        case errno.ELOOP:
            return PermissionError(f"{path[:200]!r} is or goes through a link, which is not followed")
        case errno.ENOTDIR:
            return NotADirectoryError(f"{path[:200]!r} goes through a file")
        case _:
            return type(error)(f"{path[:200]!r} cannot be read: {error.strerror}")


def _listed(place: int) -> str:
    try:
        with os.scandir(place) as entries:
            names = sorted(entry.name + "/" * entry.is_dir(follow_symlinks=False) for entry in entries)
    except OSError:
        return "nothing"
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return ascii(", ".join(names[:_LISTED]))[1:-1] + more if names else "nothing"

"""Files of this machine: those that are given to code are read here, those that it made are saved here.

What is saved has a name that code chose. It never leads out of its folder, also where code can change that folder at
the same time, and nothing that is there is ever overwritten.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from . import below
from .core.errors import UsageError
from .core.files import File, LeftOut, amount
from .guest.names import fits

Given: TypeAlias = "File | str | os.PathLike[str]"
_TRIES = 10_000  # names that are tried for one file


@dataclass(frozen=True, slots=True)
class MadeFile(File):
    """A file that code made."""

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write it into this folder, which is made if need be, and say where; `report-2.csv` where `report.csv` is."""
        return save(self, folder)


class Files(tuple[MadeFile, ...]):
    """The files that code saved under `outputs/`; `left_out` are those not taken, each with its `name` and `why`."""

    left_out: tuple[LeftOut, ...]

    def __new__(cls, files: Iterable[File] = (), left_out: Iterable[LeftOut] = ()) -> Files:
        made = super().__new__(cls, [MadeFile(file.name, file.data, file.media_type) for file in files])
        made.left_out = tuple(left_out)
        return made

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write all of them into this folder, and say where."""
        return [file.save(folder) for file in self]


def read(given: Iterable[Given], most: int) -> tuple[File, ...]:
    """The files that are named, in order, of at most so many bytes in all. Raises UsageError."""
    if isinstance(given, str | bytes | os.PathLike | File):
        raise TypeError(f"files={given!r}: write a list, files=[...]")
    files: dict[str, File] = {}
    room = most
    for one in given:
        file = one if isinstance(one, File) else _read(Path(one), room, most)
        if not fits(file.name) or "/" in file.name:
            raise UsageError(f"not a name for a file in the sandbox: {file.name!r}; name it with File('NAME', data)")
        if file.name in files:
            raise UsageError(f"two files of the name {file.name!r}: name one of them with File('OTHER', data)")
        room -= len(file.data)
        if room < 0:
            raise _too_large(file.name, len(file.data), most)
        files[file.name] = file
    return tuple(files.values())


def _read(path: Path, room: int, most: int) -> File:
    try:
        _check(path, os.stat(path))
        with open(path, "rb", opener=_without_waiting) as file:
            found = os.fstat(file.fileno())
            _check(path, found)  # it may be another one by now
            if found.st_size > room:
                raise _too_large(str(path), found.st_size, most)
            data = file.read(room + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from None
    return File(path.name, data)


def _without_waiting(path: str, flags: int) -> int:
    """Open what may have become a pipe that nobody writes to."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check(path: Path, found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise UsageError(f"{path} is a folder: mount it, or name the files in it")
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"{path} is not a regular file")


def _too_large(name: str, size: int, most: int) -> UsageError:
    return UsageError(
        f"{name} has {amount(size)}, and all files together may have {amount(most)}, the size of the scratch: "
        "mount its folder instead"
    )


def save(file: File, folder: str | os.PathLike[str]) -> Path:
    """Write a file below this folder and say where. Raises OSError; UsageError for a name that leads elsewhere."""
    if not fits(file.name):
        raise UsageError(f"not a name for a file to save: {file.name!r}")
    os.makedirs(folder, exist_ok=True)
    *above, name = file.name.split("/")
    if sys.platform == "win32":  # where `con.txt` is a device, and `a:b` a stream of the file `a`
        above, name = [below.plain(part) for part in above], below.plain(name)
    stem, dot, suffix = name.rpartition(".")
    stem, suffix = (stem, dot + suffix) if stem else (name, "")
    for number in range(1, _TRIES):
        free = name if number == 1 else f"{stem}-{number}{suffix}"
        with suppress(FileExistsError), open(below.created(os.fspath(folder), [*above, free]), "wb") as out:
            out.write(file.data)
            return Path(folder, *above, free)
    raise FileExistsError(17, f"there are {_TRIES:,} files of this name already", name)


def folder_to_save(path: str) -> Path:
    """The folder of this path, made if need be. Raises UsageError where nothing can be saved in it."""
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise UsageError(f"nothing can be saved in {path}: {error.strerror or error}") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise UsageError(f"nothing can be saved in {path}: it cannot be written")
    return Path(path)

"""The scratch folder as it stands: taken into memory, and put back, with the files of it that are open.

What is not the guest's own there (another device, another user) is part of the wall and left as it is. A file that is
still there is written in place, so that whoever looks at its number, as sqlite does, takes it for the same.
"""

from __future__ import annotations

import fcntl
import os
import select
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

_PIECE = 1 << 20
_KEPT = os.O_ACCMODE | os.O_APPEND | os.O_NONBLOCK  # of a descriptor's flags
_LAST = 1024  # the numbers below are the cell's own


class Unfit(Exception):
    """It cannot be taken, in words for whoever asked."""


@dataclass(slots=True)
class _Entry:
    mode: int
    mtime: int
    links: int
    data: bytes = b""  # of a file, or where a link leads


@dataclass(slots=True)
class _Open:
    number: int
    flags: int
    at: int
    inheritable: bool
    path: str | None  # below the folder; None where it has no name any more
    data: bytes


@dataclass(slots=True)
class Taken:
    """What is in a folder, by path below it, the files of it that are open, and where in it the process is."""

    entries: dict[str, _Entry]
    open: list[_Open]
    place: str | None


def take(home: str, spared: Iterable[str], size: int, count: int) -> Taken:
    """All of the folder but what is `spared`, names in it. Raises Unfit beyond so many bytes or files, and OSError."""
    taken = Taken({}, [], None)
    with _opened() as opened:
        paths = _take_all(taken, home, _walk(home, frozenset(spared), opened), size, count)
    taken.open = [_as_open(number, found, paths) for number, found in _files(os.stat(home).st_dev)]
    with suppress(OSError):  # the folder that one is in may be gone
        here = os.getcwd()
        if os.path.commonpath([here, home]) == home:
            taken.place = os.path.relpath(here, home)
    return taken


def _take_all(
    taken: Taken, home: str, found_there: Iterable[tuple[str, os.stat_result]], size: int, count: int
) -> dict[int, str]:
    """The answer is the paths of files by their numbers on the device."""
    paths = {}
    for path, found in found_there:
        entry = taken.entries[path] = _Entry(found.st_mode, found.st_mtime_ns, found.st_nlink)
        place = os.path.join(home, path)
        if stat.S_ISLNK(found.st_mode):
            entry.data = os.fsencode(os.readlink(place))
        elif stat.S_ISREG(found.st_mode):
            size -= found.st_size
            paths[found.st_ino] = path
            if size >= 0:
                with _opened() as opened:
                    if not found.st_mode & 0o400:
                        opened.append((place, stat.S_IMODE(found.st_mode)))
                        os.chmod(place, 0o600)
                    entry.data = _read(os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC))
        if size < 0 or len(taken.entries) > count:
            raise Unfit("the files in the scratch folder are more than fit into a snapshot: delete some first")
    return paths


def put(taken: Taken, home: str, spared: Iterable[str]) -> None:
    """Make the folder hold exactly this, but for what is `spared`, and the open files be its own. Raises OSError."""
    with _opened() as opened:
        there = list(_walk(home, frozenset(spared), opened))
        opened.clear()  # those that stay get their modes below
    for path, found in reversed(there):
        entry = taken.entries.get(path)
        if entry is None or stat.S_IFMT(entry.mode) != stat.S_IFMT(found.st_mode) or found.st_nlink > entry.links > 0:
            remove(os.path.join(home, path))
    for path, entry in taken.entries.items():  # a folder comes before what is in it
        _make(os.path.join(home, path), entry)
    for file in taken.open:
        _open_again(file, home)
    for path, entry in reversed(taken.entries.items()):
        if not stat.S_ISLNK(entry.mode):
            os.chmod(os.path.join(home, path), stat.S_IMODE(entry.mode))
        os.utime(os.path.join(home, path), ns=(entry.mtime, entry.mtime), follow_symlinks=False)
    if taken.place is not None:
        os.chdir(os.path.join(home, taken.place))


def remove(path: str) -> None:
    """Take away a file, or a folder with all that is in it; what cannot be taken away stays."""
    with suppress(OSError):
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            os.unlink(path)
            return
        os.chmod(path, 0o700)
        for name in os.listdir(path):
            remove(os.path.join(path, name))
        os.rmdir(path)


def _walk(home: str, spared: frozenset[str], opened: list[tuple[str, int]]) -> Iterator[tuple[str, os.stat_result]]:
    """What is in the folder: paths below it, those of folders before what is in them.

    Folders that are closed to their own user are `opened`.
    """
    device, user = os.stat(home).st_dev, os.getuid()
    todo = [""]
    while todo:
        folder = todo.pop()
        place = os.path.join(home, folder)
        mode = stat.S_IMODE(os.stat(place).st_mode)
        if mode & 0o700 != 0o700:
            opened.append((place, mode))
            os.chmod(place, mode | 0o700)
        for name in sorted(os.listdir(place)):
            path = os.path.join(folder, name)
            found = os.lstat(os.path.join(home, path))
            if found.st_dev != device or found.st_uid != user or path in spared:
                continue
            if stat.S_ISDIR(found.st_mode):
                todo.append(path)
            yield path, found


@contextmanager
def _opened() -> Iterator[list[tuple[str, int]]]:
    """What is noted here, with its mode, has that mode again in the end."""
    opened: list[tuple[str, int]] = []
    try:
        yield opened
    finally:
        for place, mode in reversed(opened):
            os.chmod(place, mode)


def _read(file: int) -> bytes:
    try:
        parts = []
        at = 0
        while part := os.pread(file, _PIECE, at):
            parts.append(part)
            at += len(part)
        return b"".join(parts)
    finally:
        os.close(file)


def _files(device: int) -> Iterator[tuple[int, os.stat_result]]:
    """The open files of this device."""
    numbers = select.poll()
    for number in range(3, _LAST):
        numbers.register(number, 0)
    absent = {number for number, event in numbers.poll(0) if event & select.POLLNVAL}
    for number in range(3, _LAST):
        if number not in absent:
            found = os.fstat(number)
            if stat.S_ISREG(found.st_mode) and found.st_dev == device:
                yield number, found


def _as_open(number: int, found: os.stat_result, paths: dict[int, str]) -> _Open:
    flags = fcntl.fcntl(number, fcntl.F_GETFL)
    path = paths.get(found.st_ino)
    readable = flags & os.O_ACCMODE != os.O_WRONLY
    if path is None and not readable and found.st_size:
        raise Unfit(f"the file behind descriptor {number} has no name any more and cannot be read: close it first")
    data = _read(os.dup(number)) if path is None and readable else b""
    at = os.lseek(number, 0, os.SEEK_CUR)
    return _Open(number, flags & _KEPT, at, os.get_inheritable(number), path, data)


def _make(place: str, entry: _Entry) -> None:
    if stat.S_ISLNK(entry.mode):
        if os.path.islink(place) and os.fsencode(os.readlink(place)) == entry.data:
            return
        remove(place)
        os.symlink(os.fsdecode(entry.data), place)
    elif stat.S_ISDIR(entry.mode):
        with suppress(FileExistsError):
            os.mkdir(place)
        os.chmod(place, 0o700)
    else:
        with suppress(FileNotFoundError):
            os.chmod(place, 0o600)
        file = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        _write(file, entry.data)


def _write(file: int, data: bytes) -> None:
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(file, rest) :]
    finally:
        os.close(file)


def _open_again(file: _Open, home: str) -> None:
    """Under the same number; it shared its place with the one that it is a copy of."""
    if file.path is None:
        place = os.path.join(home, f".nameless-{os.getpid()}-{file.number}")
        _write(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), file.data)
        again = os.open(place, file.flags | os.O_CLOEXEC)
        os.unlink(place)
    else:
        again = os.open(os.path.join(home, file.path), file.flags | os.O_CLOEXEC)
    os.lseek(again, file.at, os.SEEK_SET)
    if again != file.number:
        os.dup2(again, file.number, inheritable=file.inheritable)
        os.close(again)

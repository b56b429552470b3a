"""Folders of the host that a session sees at their own path: opened without following a link, and known by what was
opened, so that nothing else can be put in their place on the way.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from . import kernel
from .layers import Refused, layer

# What programs of the host look for by themselves, and do what it says: no session changes one that is there.
OBEYED = frozenset((".git", ".envrc", ".vscode", ".idea", ".claude", ".codeact"))
_ENTRIES = 200_000  # that are looked at
_SHUT = 200


class Unfit(Exception):
    """A folder that cannot be given as it was asked for, and why."""


class Shut(NamedTuple):
    """A place in a folder that no session may change, and which it was."""

    name: str
    dev: int
    ino: int


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder as it was found: whether it is open to all users, and, as `shut`, what no session may change in it."""

    path: str
    writable: bool
    dev: int
    ino: int
    to_all: bool
    shut: tuple[Shut, ...] = ()


def walk(path: str, above: int | None = None) -> int:
    """A descriptor of what lies there, only to name it by; raises OSError where a link lies on the way."""
    place = os.open("/", os.O_PATH | os.O_CLOEXEC) if above is None else os.dup(above)
    try:
        for name in filter(None, path.split("/")):
            inner = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)
            os.close(place)
            place = inner
            if stat.S_ISLNK(os.fstat(place).st_mode):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
    except BaseException:
        os.close(place)
        raise
    return place


@contextmanager
def held(folder: Folder) -> Iterator[int]:
    """A descriptor of this very folder. Raises Refused."""
    with layer("folder"):
        place = walk(folder.path)
    try:
        found = os.fstat(place)
        if (found.st_dev, found.st_ino) != (folder.dev, folder.ino):
            raise Refused("folder", "ESTALE", f"{folder.path} is another folder by now")
        yield place
    finally:
        os.close(place)


def show(folder: Folder, root: str) -> None:
    """Show it below this root, which is being put together, at its own path. Raises Refused."""
    attributes = kernel.ATTR_NOSUID | kernel.ATTR_NODEV
    attributes |= kernel.ATTR_NOEXEC if folder.writable else kernel.ATTR_RDONLY
    with held(folder) as source, layer("folder"):
        os.makedirs(root + folder.path, exist_ok=True)
        _graft(source, walk(root + folder.path), attributes)
        top = walk(root + folder.path)
        try:
            for one in folder.shut:
                place = walk(one.name, top)
                found = os.fstat(place)
                if (found.st_dev, found.st_ino) != (one.dev, one.ino):
                    raise Refused("folder", "ESTALE", f"{one.name} in {folder.path} is another one by now")
                _graft(place, place, attributes | kernel.ATTR_RDONLY)
        finally:
            os.close(top)


def _graft(source: int, target: int, attributes: int) -> None:
    try:
        kernel.graft(source, target, attributes)
    finally:
        os.close(target)


def fits(folder: Folder) -> bool:
    """Whether this process may do there, by its user alone, what a session is to do."""
    return os.access(folder.path, os.R_OK | os.X_OK | (os.W_OK if folder.writable else 0))


def obeyed(place: int) -> list[Shut]:
    """What lies in a folder, at any depth, that programs obey. Raises Unfit."""
    found = []
    for looked, (path, entry) in enumerate(_entries(place)):
        if looked > _ENTRIES:
            raise Unfit(f"it holds more than {_ENTRIES:,} files, too many to look through: name a folder in it")
        if entry.name in OBEYED:
            with suppress(FileNotFoundError):  # it has gone
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISLNK(status.st_mode):
                    raise Unfit(f"{path} in it is a link, and cannot be closed")
                found.append(Shut(path, status.st_dev, status.st_ino))
    return sorted(found)


def shut(place: int) -> tuple[Shut, ...]:
    """The same, to be closed. Raises Unfit for what cannot be."""
    found = obeyed(place)
    if len(found) > _SHUT:
        raise Unfit(f"it holds {len(found):,} places such as {found[0].name}, which must be closed one by one")
    return tuple(found)


def _entries(place: int) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """All that lies in a folder, without what lies in a place that is obeyed, or behind a link."""
    todo = [""]
    while todo:
        above = todo.pop()
        try:
            opened = _listed(above, place)
        except OSError:
            continue
        try:
            with os.scandir(opened) as entries:
                for entry in entries:
                    path = f"{above}/{entry.name}" if above else entry.name
                    yield path, entry
                    if entry.name not in OBEYED and entry.is_dir(follow_symlinks=False):
                        todo.append(path)
        finally:
            os.close(opened)


def _listed(name: str, place: int) -> int:
    inner = walk(name, place)
    try:
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=inner)
    except PermissionError:
        if os.fstat(inner).st_uid == os.geteuid():  # code could open it up
            raise Unfit(f"{name} in it cannot be looked through") from None
        raise
    finally:
        os.close(inner)


def from_plan(told: Iterable[Any]) -> tuple[Folder, ...]:
    """As the host sends them."""
    return tuple(Folder(**{**facts, "shut": tuple(Shut(*each) for each in facts["shut"])}) for facts in told)

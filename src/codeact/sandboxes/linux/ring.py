"""The outer ring: a control group round every session, where this machine lets us make one.

It is outside of the wall and of its levels: the limits of a process and the host's watch bound a guest without it. What
it adds is a bound that counts everything, what the kernel holds for a guest and all its threads and copies too, and a
host that stays quick while guests are busy. So it lies above the other bounds, which are met first and keep variables.

A launcher has one group, of less weight than its host's, in which each of its sessions has another. The session enters
its group by its first act. A launcher holds a lock on its group: what is not locked was left by one that was killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from . import cgroups

_NAME = "codeact-"
_MIB = 1 << 20
_FIXED = 64 * _MIB  # what the kernel holds for a guest: stacks, page tables, pipes, sockets
_SHARE = 8  # an eighth of its memory more, since page tables and the like grow with it
_OF_AN_INODE = 2048
_SPARE = 16  # threads above the policy's: that bound is met first
_WEIGHTS = {1: ("cpu.shares", 512), 2: ("cpu.weight", 50)}  # half of what any other group has
_ENTRANCE = {1: "tasks", 2: "cgroup.procs"}  # by the thread, where a group of a thread can be that of its process
_FAREWELL = 0.5  # seconds for the last process of a group to be gone


class Folders(Protocol):
    """Who makes and removes groups: the kernel, by way of `os`; it fills a new folder with the group's files."""

    def mkdir(self, path: str, mode: int = ..., *, dir_fd: int | None = ...) -> None:
        """A new one."""

    def rmdir(self, path: str, *, dir_fd: int | None = ...) -> None:
        """No more. Raises OSError while something is in it."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a group may hold."""

    memory: int
    threads: int


def bounds(*, memory: int, threads: int, scratch: int, inodes: int, shared: int) -> Bounds:
    """Above all that a session is told it may have. `shared` is what it was forked with: written to, it is its own."""
    kernel = _FIXED + memory // _SHARE + inodes * _OF_AN_INODE
    return Bounds(memory + shared + scratch + kernel, threads + _SPARE)


@dataclass(frozen=True, slots=True)
class _Group:
    """A launcher's group in one hierarchy: `folder` is open, and locked, as long as it lives."""

    above: int
    name: str
    folder: int
    version: int
    controllers: tuple[str, ...]
    folders: Folders

    def make(self, name: str, bounds: Bounds) -> None:
        self.folders.mkdir(name, 0o755, dir_fd=self.folder)
        for file, value, needed in self._settings(bounds):
            try:
                self._write(f"{name}/{file}", value)
            except FileNotFoundError:
                if needed:
                    raise

    def _settings(self, bounds: Bounds) -> Iterable[tuple[str, int, bool]]:
        """Files, what to write, and whether the file has to be there: that of swap need not."""
        if "memory" in self.controllers and self.version == 1:
            yield "memory.limit_in_bytes", bounds.memory, True
            yield "memory.memsw.limit_in_bytes", bounds.memory, False
        elif "memory" in self.controllers:
            yield "memory.max", bounds.memory, True
            yield "memory.swap.max", 0, False
        if "pids" in self.controllers:
            yield "pids.max", bounds.threads, True

    def enter(self, name: str) -> None:
        """Move the caller, which has one thread; to move a whole process, the kernel waits until no other one forks."""
        self._write(f"{name}/{_ENTRANCE[self.version]}", 0)  # 0: whoever writes it

    def overran(self, name: str) -> bool:
        """Whether the kernel ended something in it for its memory."""
        if "memory" not in self.controllers:
            return False
        file = "memory.oom_control" if self.version == 1 else "memory.events"
        place = os.open(f"{name}/{file}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.folder)
        try:
            lines = os.read(place, 4096).splitlines()
        finally:
            os.close(place)
        return any(line.startswith(b"oom_kill ") and int(line.split()[1]) > 0 for line in lines)

    def remove(self, name: str) -> bool:
        """False: something in it is not gone yet."""
        try:
            self.folders.rmdir(name, dir_fd=self.folder)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.folders.rmdir(self.name, dir_fd=self.above)
        os.close(self.above)
        os.close(self.folder)

    def _write(self, path: str, value: int) -> None:
        place = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=self.folder)
        try:
            os.write(place, str(value).encode())
        finally:
            os.close(place)


class Ring:
    """The groups of one launcher. They are reached by descriptors, so also when the root is another."""

    def __init__(self, groups: tuple[_Group, ...]) -> None:
        self._groups = groups
        self._made = 0
        self._left: set[str] = set()

    @property
    def left(self) -> bool:
        """Whether something is to be swept."""
        return bool(self._left)

    @property
    def told(self) -> str:
        """What it bounds, in words."""
        versions = sorted({group.version for group in self._groups})
        names = [name for group in self._groups for name in group.controllers]
        return f"{', '.join(names)} (version {' and '.join(map(str, versions))})"

    def make(self, bounds: Bounds) -> str:
        """A group for one session: its name. Raises OSError."""
        self._made += 1
        name = str(self._made)
        try:
            for group in self._groups:
                group.make(name, bounds)
        except OSError:
            self.remove(name)
            raise
        return name

    def enter(self, name: str) -> None:
        """Be in it from here on, with all that is started later. Raises OSError."""
        for group in self._groups:
            group.enter(name)

    def overran(self, name: str) -> bool:
        """Whether the kernel ended something in it because its memory was used up."""
        with contextlib.suppress(OSError, ValueError):
            return any(group.overran(name) for group in self._groups)
        return False

    def remove(self, name: str) -> None:
        """Take it away; while something in it is not gone, it is `left`."""
        self._left.add(name)
        self.sweep()

    def sweep(self) -> None:
        """Try again to take away what is left."""
        for name in list(self._left):
            gone = [group.remove(name) for group in self._groups]
            if all(gone):
                self._left.discard(name)

    def close(self) -> None:
        """Take all of it away; what is not gone in time is left to the next launcher."""
        end = time.monotonic() + _FAREWELL
        while self._left and time.monotonic() < end:
            time.sleep(0.005)
            self.sweep()
        for group in self._groups:
            group.close()
        self._groups = ()

    def holds(self) -> bool:
        """Whether a process that is thrown away can be put into a group of ours."""
        name = None
        try:
            name = self.make(Bounds(_FIXED, _SPARE))
            child = os.fork()
            if child == 0:
                self._throw_away(name)
            return os.waitpid(child, 0)[1] == 0
        except OSError:
            return False
        finally:
            if name is not None:
                self.remove(name)

    def _throw_away(self, name: str) -> None:
        try:
            self.enter(name)
            os._exit(0)
        finally:
            os._exit(1)


def open_ring(found: Iterable[cgroups.Place], folders: Folders = os) -> Ring | None:
    """A ring of one's own, None where none can be made. What launchers left that were killed is cleared on the way."""
    groups: list[_Group] = []
    for place in found:
        with contextlib.suppress(OSError):
            groups.append(_open(place, folders))
    return Ring(tuple(groups)) if groups else None


def _open(place: cgroups.Place, folders: Folders) -> _Group:
    if place.to_enable:
        _hand_on(place.path, place.to_enable)
    above = os.open(place.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for entry in os.listdir(above):
            if entry.startswith(_NAME):
                _clear_if_left(above, entry, folders)
        name, folder = _own_folder(above, folders)
    except OSError:
        os.close(above)
        raise
    group = _Group(above, name, folder, place.version, place.controllers, folders)
    try:
        if place.version == 2:
            _hand_on(f"{place.path}/{name}", place.controllers)
        if "cpu" in place.controllers:
            file, weight = _WEIGHTS[place.version]
            _write(f"{place.path}/{name}/{file}", str(weight))
    except OSError:
        group.close()
        raise
    return group


def _own_folder(above: int, folders: Folders) -> tuple[str, int]:
    while True:
        name = _NAME + secrets.token_hex(6)
        folders.mkdir(name, 0o755, dir_fd=above)
        with contextlib.suppress(FileNotFoundError):  # another launcher took it for a left one before it was locked
            folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=above)
            fcntl.flock(folder, fcntl.LOCK_EX)
            if _is_there(above, name):
                return name, folder
            os.close(folder)


def _is_there(above: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=above)
    except FileNotFoundError:
        return False
    return True


def _clear_if_left(above: int, name: str, folders: Folders) -> None:
    try:
        folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=above)
    except OSError:
        return
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                folders.rmdir(entry.name, dir_fd=folder)
        folders.rmdir(name, dir_fd=above)
    except OSError:
        return  # its launcher lives, or the last of its processes
    finally:
        os.close(folder)


def _hand_on(group: str, controllers: Iterable[str]) -> None:
    _write(f"{group}/cgroup.subtree_control", " ".join(f"+{name}" for name in controllers))


def _write(path: str, text: str) -> None:
    place = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(place, text.encode())
    finally:
        os.close(place)

"""Where this process may have control groups of its own, by the rules of delegation. Nothing is changed here.

version 1   below our own group of every hierarchy that is mounted and that we may write.
version 2   a group holds processes or hands controllers on, never both; the root alone may. So: below our own where it
            hands them on already or is the root, else beside us, below a parent that holds no process and that systemd
            has marked as handed over (`Delegate=` with `DelegateSubgroup=`). No process is moved to make room.

Sources: cgroups(7), the kernel's admin-guide/cgroup-v2.rst, systemd's CGROUP_DELEGATION. Version 1 was tried on a real
machine; version 2 on a tree of files that stands for it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

WANTED = ("memory", "pids", "cpu")
_MARKS = ("user.delegate", "trusted.delegate")


@dataclass(frozen=True, slots=True)
class Place:
    """A group below which we may make others: of these controllers, some of which it does not hand on yet."""

    path: str
    version: int
    controllers: tuple[str, ...]
    to_enable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Mount:
    version: int
    root: str
    point: str
    options: frozenset[str]


def places(proc: str = "/proc/self") -> list[Place]:
    """Where groups can be made, each wanted controller at most once, what the kernel's newer version has first."""
    try:
        mounts, own = _mounts(_text(f"{proc}/mountinfo")), _own(_text(f"{proc}/cgroup"))
    except OSError:
        return []
    found: list[Place] = []
    for mount in sorted(mounts, key=lambda mount: -mount.version):
        path = _inside(mount, own)
        taken = {name for place in found for name in place.controllers}
        wanted = tuple(name for name in WANTED if name not in taken)
        place = None
        if path is not None:
            place = _of_version_1(mount, path, wanted) if mount.version == 1 else _of_version_2(mount, path, wanted)
        if place is not None and place.controllers:
            found.append(place)
    return found


def _of_version_1(mount: _Mount, path: str, wanted: tuple[str, ...]) -> Place | None:
    controllers = tuple(name for name in wanted if name in mount.options)
    return Place(path, 1, controllers) if _writable(path, "cgroup.procs") else None


def _of_version_2(mount: _Mount, path: str, wanted: tuple[str, ...]) -> Place | None:
    """The better of our own group and, where we were told that it is ours, its parent."""
    candidates = [path]
    if path != mount.point and _handed_over(os.path.dirname(path)):
        candidates.append(os.path.dirname(path))
    offers = [offer for candidate in candidates if (offer := _offer(candidate, wanted)) is not None]
    return max(offers, key=lambda offer: len(offer.controllers), default=None)


def _offer(path: str, wanted: tuple[str, ...]) -> Place | None:
    if not _writable(path, "cgroup.procs", "cgroup.subtree_control"):
        return None
    try:
        on = _text(f"{path}/cgroup.subtree_control").split()
        there = _text(f"{path}/cgroup.controllers").split()
        is_root = not os.path.exists(f"{path}/cgroup.type")
        free = is_root or not _text(f"{path}/cgroup.procs").strip()
    except OSError:
        return None
    controllers = tuple(name for name in wanted if name in on or (free and name in there))
    return Place(path, 2, controllers, tuple(name for name in controllers if name not in on))


def _handed_over(path: str) -> bool:
    for mark in _MARKS:
        try:
            if os.getxattr(path, mark) == b"1":
                return True
        except OSError:
            continue
    return False


def _writable(path: str, *files: str) -> bool:
    return all(os.access(os.path.join(path, file), os.W_OK) for file in ("", *files))


def _mounts(text: str) -> Iterator[_Mount]:
    """From proc_pid_mountinfo(5)."""
    for line in text.splitlines():
        fields, _, rest = line.partition(" - ")
        kind, _, options = rest.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            root, point = map(_unescaped, fields.split()[3:5])
            yield _Mount(1 if kind == "cgroup" else 2, root, point, frozenset(options.split(",")))


def _own(text: str) -> dict[str, str]:
    """Our group by controller; that of version 2 by the empty name."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        found |= dict.fromkeys(controllers.split(","), path)
    return found


def _inside(mount: _Mount, own: dict[str, str]) -> str | None:
    """Our group as this mount shows it; None where it does not, or is of no use to us."""
    names = ("",) if mount.version == 2 else tuple(name for name in WANTED if name in mount.options)
    path = next((own[name] for name in names if name in own), None)
    if path is None or f"{path}/".startswith("/../"):
        return None
    if not f"{path}/".startswith(f"{mount.root.rstrip('/')}/"):
        return None
    return os.path.normpath(f"{mount.point}/{path.removeprefix(mount.root.rstrip('/'))}")


def _unescaped(path: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path)


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()

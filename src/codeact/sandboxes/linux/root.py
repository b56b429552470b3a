"""The read-only world of the full level: what is visible at its own path, five devices, and a private scratch.

Every folder on the way to a visible path exists, can be walked through and cannot be listed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from . import folders, kernel
from .folders import Folder
from .layers import layer

SCRATCH = "/tmp"
DEVICES = tuple(f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom"))
CANARY = "/.canary"  # an empty file that the mounts show and that landlock must refuse
_STAGE = "/.scratch"  # where a scratch that has to show folders is put together
_READ_ONLY = kernel.ATTR_RDONLY | kernel.ATTR_NOSUID | kernel.ATTR_NODEV
_ROOT = "/proc"  # where the new root is put together: it is there on every machine, and no file of it is wanted
_MAX_LINKS = 40


def build(visible: Iterable[str], shared: Iterable[Folder] = ()) -> None:
    """Make the root of exactly this, and enter it. Raises Refused."""
    links: dict[str, str] = {}
    real = set()
    for path in visible:
        found, place = follow(path)
        links |= found
        real.add(place)
    mask = os.umask(0o666)  # folders become --x--x--x
    with layer("mount"):
        kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
        kernel.mount("tmpfs", _ROOT, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=0111,size=1m")
        for name in (SCRATCH, _STAGE):
            os.makedirs(_ROOT + name)
        for place in _outermost(real):
            _show(place, _ROOT + place, _READ_ONLY)
        for folder in shared:
            folders.show(folder, _ROOT)
        for device in filter(os.path.exists, DEVICES):
            # Read-only keeps the host's own node as it is, its mode and times too; a device is written all the same.
            _show(device, _ROOT + device, kernel.ATTR_RDONLY | kernel.ATTR_NOSUID | kernel.ATTR_NOEXEC)
        for link, target in links.items():
            _link(_ROOT + link, target)
        os.close(os.open(_ROOT + CANARY, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC))
        os.chmod(_ROOT + CANARY, 0o444)
    with layer("pivot_root"):
        kernel.enter_root(_ROOT)
        kernel.restrain_one("/", kernel.ATTR_RDONLY)
    os.umask(mask)


def mount_scratch(size: int, inodes: int, uid: int, below: Iterable[str]) -> None:
    """A private scratch that forgets. What is visible at a path below the scratch's own is shown in it again."""
    paths = sorted(below)
    options = f"mode=0700,uid={uid},gid={uid},size={size},nr_inodes={inodes + 2 + 8 * len(paths)}"
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    if not paths:
        kernel.mount("tmpfs", SCRATCH, "tmpfs", flags, options)
        return
    kernel.mount("tmpfs", _STAGE, "tmpfs", flags, options)
    for path in paths:
        target = _STAGE + path.removeprefix(SCRATCH)
        if os.path.islink(path):
            _link(target, os.readlink(path))
        else:
            _show(path, target, 0)
    kernel.mount(_STAGE, SCRATCH, flags=kernel.MS_MOVE)


def below_scratch(visible: Iterable[str]) -> list[str]:
    """The mounts and links that a scratch would hide."""
    found = set()
    for path in visible:
        links, place = follow(path)
        found |= {each for each in (*links, place) if each.startswith(SCRATCH + "/")}
    return _outermost(found)


def follow(path: str) -> tuple[dict[str, str], str]:
    """The links on the way to what a path names, and its place without any."""
    links: dict[str, str] = {}
    todo = path.split("/")[::-1]
    place = "/"
    while todo:
        name = todo.pop()
        if name == "..":
            place = os.path.dirname(place)
        elif name not in ("", "."):
            here = os.path.join(place, name)
            try:
                target = os.readlink(here)
            except OSError:
                place = here
                continue
            links[here] = target
            if len(links) > _MAX_LINKS:
                raise OSError(40, f"too many links on the way to {path}")
            place = "/" if target.startswith("/") else place
            todo += target.split("/")[::-1]
    return links, place


def _outermost(paths: Iterable[str]) -> list[str]:
    kept: list[str] = []
    for path in sorted(paths):
        if not any(path.startswith(above + "/") for above in kept):
            kept.append(path)
    return kept


def _show(source: str, target: str, attributes: int) -> None:
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o444))
    kernel.bind(source, target, attributes)


def _link(link: str, target: str) -> None:
    if not os.path.lexists(link):
        os.makedirs(os.path.dirname(link), exist_ok=True)
        os.symlink(target, link)

"""Which folders may be given to code, and how: looked at before every session, by the host."""

from __future__ import annotations

import errno
import os
import pwd
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from ...core.errors import UsageError
from ...core.execution import Mount
from . import folders
from .environment import Environment
from .folders import Folder

_CODEACT = Path(__file__).resolve().parents[2]
_NEVER = ("/proc", "/sys", "/dev", "/run")
_OF_THE_SYSTEM = ("/bin", "/boot", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/sbin", "/usr")
_XDG = {"XDG_CONFIG_HOME": ".config", "XDG_CACHE_HOME": ".cache", "XDG_STATE_HOME": ".local/state"}
_XDG |= {"XDG_DATA_HOME": ".local/share"}


class MountWarning(UserWarning):
    """Something lies in a writable folder, since code could write there, that programs of yours obey."""


def settled(mounts: Iterable[Mount], environment: Environment) -> tuple[Folder, ...]:
    """The folders as they are now, in order of their paths. Raises UsageError for one that is not to be given."""
    found: list[Folder] = []
    for mount in sorted(mounts, key=lambda mount: mount.path):
        folder = _settle(mount, environment)
        for other in found:
            if _related(folder.path, other.path):
                raise UsageError(f"mounts: {folder.path} and {other.path} lie in each other: name one of them")
        found.append(folder)
    return tuple(found)


def warn_of(given: Iterable[Folder]) -> None:
    """Tell of what programs obey that was not there, or was another one, when the folders were settled."""
    for folder in given:
        if not folder.writable:
            continue
        with suppress(OSError, folders.Unfit):
            place = folders.walk(folder.path)
            try:
                known = {(one.dev, one.ino) for one in folder.shut}
                new = [one.name for one in folders.obeyed(place) if (one.dev, one.ino) not in known]
            finally:
                os.close(place)
            for name in new:
                words = "has appeared since code could write there, and programs of yours may do what it says"
                text = f"{os.path.join(folder.path, name)!r} {words}: look at it before you work in that folder"
                warnings.warn_explicit(text, MountWarning, "codeact", 0, registry={})


def _settle(mount: Mount, environment: Environment) -> Folder:
    path = mount.path
    if not os.path.isabs(path) or os.path.normpath(path) != path or path.startswith("//"):
        raise UsageError(f"mounts: {path!r} is not a whole path: write {os.path.abspath(path)!r}")
    _refuse(path, mount.writable, environment)
    try:
        place = folders.walk(path)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UsageError(f"mounts: there is a link on the way of {path}: write {os.path.realpath(path)}") from None
        raise UsageError(f"mounts: {path}: {error.strerror}") from None
    try:
        found = os.fstat(place)
        if not os.path.isdir(f"/proc/self/fd/{place}"):
            raise UsageError(f"mounts: {path} is not a folder: give a file by files=[...], or --file")
        wanted = 0o007 if mount.writable else 0o005
        to_all = found.st_mode & wanted == wanted
        folder = Folder(path, mount.writable, found.st_dev, found.st_ino, to_all, _shut(mount, place))
    finally:
        os.close(place)
    if not folders.fits(folder):
        raise UsageError(f"mounts: {path} cannot be {'written' if mount.writable else 'read'} by you")
    return folder


def _shut(mount: Mount, place: int) -> tuple[folders.Shut, ...]:
    try:
        return folders.shut(place) if mount.writable else ()
    except folders.Unfit as unfit:
        raise UsageError(f"mounts: {mount.path} cannot be given to be written: {unfit}") from None


def _refuse(path: str, writable: bool, environment: Environment) -> None:
    """The reasons that a path alone gives, whatever lies there."""
    if path == "/":
        raise UsageError("mounts: / is everything: name the folder that is meant")
    for never in _NEVER:
        if _within(path, never):
            raise UsageError(f"mounts: {path} lies in {never}, which is the machine's and no folder of files")
    for home in _homes():
        if _within(home, path):
            raise UsageError(f"mounts: {path} holds the home folder {home}, with its keys: name a folder in it")
    for scratch in {"/tmp", tempfile.gettempdir()}:
        if _within(scratch, path):
            raise UsageError(f"mounts: {path} holds {scratch}, where the scratch is: name a folder in it")
    for taken in ("/tmp/inputs", "/tmp/outputs"):
        if _within(path, taken):
            raise UsageError(f"mounts: {path} is where files cross: name another folder")
    for own in _own():
        if _related(path, own):
            raise UsageError(f"mounts: {path} and codeact's own {own} lie in each other")
    if writable:
        for system in _OF_THE_SYSTEM:
            if _within(path, system):
                raise UsageError(f"mounts: {path} is the system's and not to be written")
        for place in (str(_CODEACT), *environment.visible, environment.prefix):
            if _related(path, place) and place not in ("/usr", "/usr/local"):
                raise UsageError(
                    f"mounts: {path} and the Python environment at {place} lie in each other: not writable"
                )


def _homes() -> Iterator[str]:
    yield os.path.expanduser("~")
    for entry in pwd.getpwall():
        of_a_person = entry.pw_uid in (0, os.getuid()) or entry.pw_uid >= 1000
        if of_a_person and len(Path(entry.pw_dir).parts) > 1 and os.path.isdir(entry.pw_dir):
            yield os.path.normpath(entry.pw_dir)
    yield "/home"


def _own() -> Iterator[str]:
    """Where codeact keeps what it knows, also where it keeps nothing yet."""
    home = os.path.expanduser("~")
    for variable, usual in _XDG.items():
        base = os.environ.get(variable, "")
        yield os.path.normpath(os.path.join(base if os.path.isabs(base) else os.path.join(home, usual), "codeact"))


def _within(path: str, above: str) -> bool:
    return path == above or path.startswith(above.rstrip("/") + "/")


def _related(one: str, other: str) -> bool:
    return _within(one, other) or _within(other, one)

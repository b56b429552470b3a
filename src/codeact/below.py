"""Files below a folder that others may write, too: no part of a path may be a link, so that nothing leads out of it.

Where files can be opened from an open folder, each part is opened from the one before it, and what is exchanged
meanwhile changes nothing. Windows has no such call. There no part may be a link or a junction, which is looked at
before the file is opened and again while it is open and nothing above it can be moved; and what is open must be what
lies there.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

_DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"} | {
    f"{kind}{n}" for kind in ("COM", "LPT") for n in "0123456789¹²³"
}
_FORBIDDEN = frozenset('<>:"/\\|?*')
_LEADS_ELSEWHERE = 0x20000000  # of a reparse tag: links and junctions have it, files that a cloud holds have not


def is_plain(name: str) -> bool:
    """Whether Windows takes this for the name of a file, as it is written: no device, no stream, no drive."""
    return bool(name) and plain(name) == name


def plain(name: str) -> str:
    """The name, or where Windows takes it for something else, one like it that is the name of a file."""
    made = "".join("_" if letter in _FORBIDDEN or letter < " " else letter for letter in name)
    if made.endswith((".", " ")):  # which would be left out
        made = f"{made[:-1]}_"
    return f"_{made}" if made.partition(".")[0].rstrip(" ").upper() in _DEVICES else made


def _names(place: str | int) -> list[str]:
    with os.scandir(place) as entries:
        return sorted(entry.name + "/" * entry.is_dir(follow_symlinks=False) for entry in entries)


def _error(number: int, root: str, parts: Sequence[str]) -> OSError:
    return OSError(number, os.strerror(number), os.path.join(root, *parts))


if sys.platform == "win32":

    def opened(root: str, parts: Sequence[str]) -> int:
        """See below."""
        return _opened(root, parts, os.O_RDONLY)

    def created(root: str, parts: Sequence[str]) -> int:
        """See below."""
        for number in range(1, len(parts)):
            with suppress(FileExistsError):
                os.mkdir(_looked_at(root, parts[: number - 1], parts[number - 1]))
        return _opened(root, parts, os.O_WRONLY | os.O_CREAT | os.O_EXCL)

    def listed(root: str, parts: Sequence[str]) -> list[str]:
        """See below."""
        place = root
        with suppress(OSError):
            for number in range(1, len(parts) + 1):
                place = _folder(root, parts[:number])
        return _names(place)

    def _opened(root: str, parts: Sequence[str], flags: int) -> int:
        if not parts:
            raise _error(errno.EISDIR, root, parts)
        path = _looked_at(root, parts[:-1], parts[-1])
        if flags == os.O_RDONLY and stat.S_ISDIR(_look(path).st_mode):
            raise _error(errno.EISDIR, root, parts)
        descriptor = os.open(path, flags | os.O_BINARY)
        try:
            _folder(root, parts[:-1])
            found = os.fstat(descriptor)
            if not found.st_ino or not os.path.samestat(found, _look(path)):  # without numbers all are one
                raise _error(errno.ELOOP, root, parts)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _looked_at(root: str, above: Sequence[str], name: str) -> str:
        if not is_plain(name):
            raise _error(errno.ENOENT, root, [*above, name])
        return os.path.join(_folder(root, above), name)

    def _folder(root: str, parts: Sequence[str]) -> str:
        path = root
        for part in parts:
            if not is_plain(part):
                raise _error(errno.ENOENT, root, parts)
            path = os.path.join(path, part)
            if not stat.S_ISDIR(_look(path).st_mode):
                raise _error(errno.ENOTDIR, root, parts)
        return path

    def _look(path: str) -> os.stat_result:
        found = os.lstat(path)
        if stat.S_ISLNK(found.st_mode) or found.st_reparse_tag & _LEADS_ELSEWHERE:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        return found

else:

    def opened(root: str, parts: Sequence[str]) -> int:
        """A descriptor of the file at this path below a folder, to read. Raises OSError: ELOOP for a link."""
        with _walked(root, parts[:-1]) as place:
            found = os.open(parts[-1], _PLAIN, dir_fd=place) if parts else os.dup(place)
        if stat.S_ISDIR(os.fstat(found).st_mode):
            os.close(found)
            raise _error(errno.EISDIR, root, parts)
        return found

    def created(root: str, parts: Sequence[str]) -> int:
        """A descriptor of a new file at this path below a folder, to write; folders above it are made if need be."""
        with _walked(root, parts[:-1], _FOLDER, make=True) as place:
            return os.open(parts[-1], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=place)

    def listed(root: str, parts: Sequence[str]) -> list[str]:
        """What is in the folder at this path, or in the last one on the way there; a folder in it ends with a slash."""
        with _walked(root, parts, _FOLDER, far=False) as place:
            return _names(place)

    _PLAIN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    _FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY

    @contextmanager
    def _walked(
        root: str, parts: Sequence[str], how: int = _PLAIN, *, make: bool = False, far: bool = True
    ) -> Iterator[int]:
        """A descriptor of this folder; not `far`: of the last one that is there on the way."""
        place = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in parts:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, dir_fd=place)
                try:
                    inner = os.open(part, how, dir_fd=place)
                except OSError:
                    if far:
                        raise
                    break
                os.close(place)
                place = inner
            yield place
        finally:
            os.close(place)

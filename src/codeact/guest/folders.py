"""The two folders of the scratch that files cross by: the host fills `inputs`, and collects what lies in `outputs`.

Code may have put anything in their place, and may change it while we look: no link is followed, nothing but regular
files is read, and a file is what was read of it. The host believes none of it and counts for itself.
"""

from __future__ import annotations

import os
import stat
from _blake2 import blake2b
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from . import values
from .names import MOST, fits
from .wire import PART, Collect, Collected, Part, Put

INPUTS, OUTPUTS = "inputs", "outputs"
_DEEPEST = 16
_ENTRIES = 20_000  # that are looked at
_TOLD = 100  # files left out that are named; the rest is counted
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Folders:
    """Both folders, and what the host has of the second."""

    def __init__(self) -> None:
        self.scratch = os.getcwd()  # where both lie: another place in a copy that has its own
        self._arriving = ("", -1, 0)  # a name, its descriptor, and the bytes that came
        self._collected: dict[str, bytes] = {}
        self._told: set[tuple[str, str, int]] = set()
        with suppress(OSError):  # a scratch without room: whoever saves something there is told
            os.mkdir(os.path.join(self.scratch, OUTPUTS))

    # -- in ------------------------------------------------------------------------------------------------------------

    def put(self, word: Put) -> str | None:
        """Take a part of a file; the answer is why that cannot be."""
        if not fits(word.name) or "/" in word.name:
            return "not a name for a file"
        try:
            data = values.decode(word.data)
            if type(data) is not bytes:
                return "not bytes"
            self._write(word, data)
        except (OSError, values.Refused) as error:
            return (error.strerror if isinstance(error, OSError) else None) or str(error)
        return None

    def _write(self, word: Put, data: bytes) -> None:
        if word.at == 0:
            self._begin(word.name)
        name, file, written = self._arriving
        if (name, written) != (word.name, word.at):
            raise OSError("a part that does not follow the one before")
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(file, rest) :]
        except OSError:
            self._close()
            raise
        self._arriving = (name, file, written + len(data))
        if word.last:
            self._close()

    def _begin(self, name: str) -> None:
        self._close()
        place = os.path.join(self.scratch, INPUTS)
        with suppress(FileExistsError):
            os.mkdir(place)
        folder = os.open(place, _FOLDER)
        try:
            os.fchmod(folder, 0o755)  # read-only in between, where the wall lets modes be changed
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
            made = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444, dir_fd=folder)
            os.fchmod(folder, 0o555)
        finally:
            os.close(folder)
        self._arriving = (name, made, 0)

    def _close(self) -> None:
        _, file, _ = self._arriving
        if file >= 0:
            self._arriving = ("", -1, 0)
            os.close(file)

    # -- out -----------------------------------------------------------------------------------------------------------

    def collect(self, word: Collect) -> Iterator[Part | Collected]:
        """The files in parts, without those that the host has as they are, and at the end what was left out."""
        left: list[list[str]] = []
        more, files, room = 0, 0, word.bytes
        for name, size, found in self._found():
            why = found if isinstance(found, str) else None
            if isinstance(found, int):
                digest = b"" if size > word.bytes else _digest(found, size)
                if digest and not word.all and self._collected.get(name) == digest:
                    continue
                why = "large" if size > room else "many" if files >= word.files else None
                if why is None:
                    files, room = files + 1, room - size
                    yield from self._parts(word.id, name, found, size)
            if why is not None and (word.all or (name, why, size) not in self._told):
                if len(left) < _TOLD:
                    left.append([name[:MOST], why])
                    self._told.add((name, why, size))
                else:
                    more += 1
        yield Collected(word.id, left, more)

    def _parts(self, number: int, name: str, file: int, size: int) -> Iterator[Part]:
        digest, at, last = blake2b(digest_size=16), 0, False
        while not last:
            data = _read(file, at, min(PART, size - at))
            at += len(data)
            digest.update(data)
            last = at >= size or len(data) < PART
            yield Part(number, name, values.encode(data), last)
        self._collected[name] = digest.digest()

    def _found(self) -> Iterator[tuple[str, int, int | str]]:
        """Name, size, and an open descriptor of each file in order; in place of it a word for what is none."""
        self._looked = 0
        with _opened(os.path.join(self.scratch, OUTPUTS), _FOLDER) as folder:
            if folder is None:
                if os.path.lexists(os.path.join(self.scratch, OUTPUTS)):
                    yield OUTPUTS, 0, "folder"
                return
            yield from self._inside(folder, "", 0)

    def _inside(self, folder: int, above: str, depth: int) -> Iterator[tuple[str, int, int | str]]:
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            yield above or OUTPUTS, 0, "closed"
            return
        for name in names:
            self._looked += 1
            if self._looked > _ENTRIES:
                yield above or OUTPUTS, 0, "many"
                return
            try:
                mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            except OSError:
                continue  # it has gone
            path = f"{above}{name}"
            if name.startswith("."):
                yield path, 0, "hidden"
            elif not fits(path):
                yield path, 0, "name"
            elif stat.S_ISDIR(mode):
                yield from self._below(folder, name, path, depth)
            elif stat.S_ISREG(mode):
                yield from _file(folder, name, path)
            else:
                yield path, 0, "link" if stat.S_ISLNK(mode) else "special"

    def _below(self, folder: int, name: str, path: str, depth: int) -> Iterator[tuple[str, int, int | str]]:
        if depth >= _DEEPEST:
            yield path, 0, "deep"
            return
        with _opened(name, _FOLDER, folder) as inner:
            if inner is None:
                yield path, 0, "closed"
            else:
                yield from self._inside(inner, f"{path}/", depth + 1)


def _file(folder: int, name: str, path: str) -> Iterator[tuple[str, int, int | str]]:
    with _opened(name, _FILE, folder) as file:
        if file is None:
            yield path, 0, "closed"
            return
        found = os.fstat(file)
        yield (path, found.st_size, file) if stat.S_ISREG(found.st_mode) else (path, 0, "special")


@contextmanager
def _opened(name: str, flags: int, folder: int | None = None) -> Iterator[int | None]:
    """A descriptor, None where there is none to be had."""
    try:
        file = os.open(name, flags, dir_fd=folder)
    except OSError:
        yield None
        return
    try:
        yield file
    finally:
        os.close(file)


def _read(file: int, at: int, most: int) -> bytes:
    """What stands there, less where the file has become shorter."""
    data = b""
    with suppress(OSError):
        while len(data) < most and (more := os.pread(file, most - len(data), at + len(data))):
            data += more
    return data


def _digest(file: int, size: int) -> bytes:
    digest, at = blake2b(digest_size=16), 0
    while at < size and (data := _read(file, at, min(PART, size - at))):
        digest.update(data)
        at += len(data)
    return digest.digest()

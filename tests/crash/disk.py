"""What is left on a disk when the power goes: what was synced, and of what was not any part, torn at any sector.

A program is watched by strace. What it wrote is played through again, one system call after the other; at each the
disk can be looked at as it would be found by whoever switches the machine on again. A file's name is there when its
folder was synced, as POSIX has it, and a file that was taken away may come back till then. No journal renames one.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

WATCHED = ("openat", "write", "pwrite64", "ftruncate", "fsync", "fdatasync", "unlink")
STRACE = ("strace", "-f", "-y", "-qq", "-xx", "-s", "70000", "-e", f"trace={','.join(WATCHED)}")
_SECTOR = 512
_CALL = re.compile(r"(\d+) +(?:<\.\.\. )?(\w+)(?: resumed>|\()(.*)\) += (-?\d+)")
_BEGUN = re.compile(r"(\d+) +(\w+)\((.*) <unfinished \.\.\.>")
_FILE = re.compile(r"\d+<([^>]*)>")
_TEXT = re.compile(r'"([^"]*)"')


@dataclass(frozen=True, slots=True)
class Done:
    """A system call that succeeded: what was done to which file, by which bytes, or up to where."""

    what: str
    path: str
    data: bytes = b""
    place: int = 0


@dataclass(slots=True)
class _File:
    named: bool = False  # it is found by its name, whatever happens
    whole: bytearray = field(default_factory=bytearray)
    waiting: list[Done] = field(default_factory=list)  # no sync came since


class Disk:
    """The files below a folder. Without `syncs` it is a disk that forgets them, for the test of the test."""

    def __init__(self, folder: Path, *, syncs: bool = True) -> None:
        self._folder = str(folder)
        self._syncs = syncs
        self._files: dict[str, _File] = {}
        self._gone: dict[str, _File] = {}

    def do(self, done: Done) -> None:
        """One system call more."""
        name = done.path.removeprefix(self._folder).lstrip("/")
        match done.what:
            case "fsync" | "fdatasync" if not self._syncs:
                pass
            case "fsync" | "fdatasync" if name in self._files:
                file = self._files[name]
                for one in file.waiting:
                    _write(file.whole, one)
                file.waiting.clear()
            case "fsync" | "fdatasync":  # of the folder
                self._gone.clear()
                for file in self._files.values():
                    file.named = True
            case "unlink":
                self._gone[name] = self._files.pop(name)
            case "openat":
                self._files.setdefault(name, _File())
            case _:
                self._files.setdefault(name, _File()).waiting.append(done)

    def found(self, place: Path, dice: random.Random) -> None:
        """Write down, in this folder, what may be found when the power has gone now."""
        for name, file in (self._gone | self._files).items():
            if not (file.named and name in self._files) and dice.random() < 0.5:
                continue
            held = bytearray(file.whole)
            reached = dice.choice((0.0, 0.5, 0.9, 1.0))
            for one in file.waiting:
                if dice.random() < reached:
                    _write(held, one, dice if dice.random() < 0.3 else None)
            (place / name).write_bytes(held)


def seen(log: Path, folder: Path) -> Iterator[Done]:
    """What a watched program did below a folder, in the order in which it was done."""
    begun: dict[str, str] = {}
    for line in log.read_text().splitlines():
        if start := _BEGUN.match(line):
            begun[start[1]] = start[3]
        elif (call := _CALL.match(line)) and call[2] in WATCHED and int(call[4]) >= 0:
            words = begun.pop(call[1], "") + call[3] if "resumed>" in line[:60] else call[3]
            done = _done(call[2], words, line)
            if done is not None and Path(done.path).is_relative_to(folder):
                yield done


def _done(what: str, words: str, line: str) -> Done | None:
    if what == "openat":
        opened = _FILE.search(line.rpartition("=")[2])
        return Done(what, _plain(opened[1]).decode()) if opened and "O_CREAT" in words else None
    text = _TEXT.search(words)
    data = _plain(text[1]) if text else b""
    if what == "unlink":
        return Done(what, data.decode())
    file = _FILE.match(words)
    if file is None:
        return None
    place = int(words.rpartition(",")[2]) if what in ("pwrite64", "ftruncate") else -1
    return Done(what, _plain(file[1]).decode(), data, place)


def _plain(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", "")) if text.startswith("\\x") else text.encode()


def _write(held: bytearray, done: Done, torn: random.Random | None = None) -> None:
    if done.what == "ftruncate":
        del held[done.place :]
        held.extend(bytes(done.place - len(held)))
        return
    place = len(held) if done.place < 0 else done.place
    held.extend(bytes(max(0, place + len(done.data) - len(held))))
    for start, part in _sectors(place, done.data):
        if torn is None or torn.random() < 0.5:
            held[start : start + len(part)] = part


def _sectors(place: int, data: bytes) -> Iterable[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        size = min(len(data) - at, _SECTOR - (place + at) % _SECTOR)
        yield place + at, data[at : at + size]
        at += size

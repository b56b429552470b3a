"""Who writes a run: a lock on a file that the kernel drops with the process, and in it who that is."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from pathlib import Path

from ..core.errors import RunLocked
from .locked import try_lock

_FLAGS = os.O_CREAT | os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
_TRIES = 20  # to open a file that another process removes just then, where that is an error
_PAUSE = 0.05  # seconds between them


class Hold:
    """The right to write one run, ours from `take` to `drop`."""

    def __init__(self, path: Path, run: str) -> None:
        self._path = path
        self._run = run
        self._descriptor: int | None = None
        self._process = 0

    def take(self) -> None:
        """Have it now, or raise RunLocked with who has it. Safe to repeat."""
        if self._descriptor is not None:
            return
        self._path.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        while True:
            descriptor = _opened(self._path)
            try:
                if not try_lock(descriptor):
                    raise RunLocked(self._run, *_who(descriptor))
                if _same(descriptor, self._path):
                    break
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # its last holder removed it as we opened it
        who = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, json.dumps(who).encode())
        self._descriptor, self._process = descriptor, os.getpid()

    def drop(self) -> None:
        """Give it up. Safe to repeat."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        if sys.platform == "win32":  # what is open cannot be removed: neither by us, nor once it is somebody else's
            os.close(descriptor)
        try:
            if self._process == os.getpid() and _same(descriptor, self._path):  # in a fork it is still the parent's
                self._path.unlink()
        except OSError:
            pass  # the folder is gone: there is nothing to tidy up
        if sys.platform != "win32":
            os.close(descriptor)


def _opened(path: Path) -> int:
    if sys.platform != "win32":
        return os.open(path, _FLAGS, 0o600)
    for _ in range(_TRIES):
        try:
            return os.open(path, _FLAGS)
        except PermissionError:
            time.sleep(_PAUSE)
    return os.open(path, _FLAGS)


def _same(descriptor: int, path: Path) -> bool:
    if sys.platform == "win32":  # nobody can have removed it
        return True
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except OSError:
        return False


def _who(descriptor: int) -> tuple[int, str, float]:
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        held = json.loads(os.read(descriptor, 4096))
        return int(held["pid"]), str(held["host"])[:255], float(held["since"])
    except (ValueError, KeyError, TypeError, OSError):
        return 0, "", 0.0  # it has only just taken it

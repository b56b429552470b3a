"""Who writes a run: a lock on a file that the kernel drops with the process, and in it who that is."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from pathlib import Path

from ..core.errors import RunLocked


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
            descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _same(descriptor, self._path):
                    break
            except OSError as error:
                held = _who(descriptor)
                os.close(descriptor)
                if isinstance(error, BlockingIOError):
                    raise RunLocked(self._run, *held) from None
                raise
            os.close(descriptor)  # its last holder removed it as we opened it
        who = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(who).encode(), 0)
        self._descriptor, self._process = descriptor, os.getpid()

    def drop(self) -> None:
        """Give it up. Safe to repeat."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        try:
            if self._process == os.getpid() and _same(descriptor, self._path):  # in a fork it is still the parent's
                self._path.unlink()
        except OSError:
            pass  # the folder is gone: there is nothing to tidy up
        os.close(descriptor)


def _same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except OSError:
        return False


def _who(descriptor: int) -> tuple[int, str, float]:
    try:
        held = json.loads(os.pread(descriptor, 4096, 0))
        return int(held["pid"]), str(held["host"])[:255], float(held["since"])
    except (ValueError, KeyError, TypeError, OSError):
        return 0, "", 0.0  # it has only just taken it

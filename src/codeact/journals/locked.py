"""A lock on an open file, which the kernel drops with the process that has it."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    _PLACE = 1 << 30  # of the byte that is locked: far behind all that is written, since nobody else reads such a byte

    def try_lock(descriptor: int) -> bool:
        """Have it now, or not; it is let go with the descriptor."""
        os.lseek(descriptor, _PLACE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EDEADLK):
                return False
            raise
        return True

    @contextmanager
    def alone(folder: Path, seconds: float) -> Iterator[None]:
        """Be the only process that is in here for this folder. Raises OSError after so many seconds."""
        descriptor = os.open(folder / "making", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            deadline = time.monotonic() + seconds
            while not try_lock(descriptor):
                if time.monotonic() > deadline:
                    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(folder))
                time.sleep(0.01)
            yield
        finally:
            os.close(descriptor)

else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Have it now, or not; it is let go with the descriptor."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    @contextmanager
    def alone(folder: Path, seconds: float) -> Iterator[None]:
        """Be the only process that is in here for this folder, after however many seconds."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

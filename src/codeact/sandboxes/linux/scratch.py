"""A session's scratch at the level plain: a folder of the host's, private, watched, and taken away at the end.

No tmpfs can be mounted there, so its bounds are kept by looking: between two looks a guest can exceed them by what it
writes in that time. Nothing in a folder is trusted: it is emptied without following a link and at any depth.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import tempfile
import time
from dataclasses import dataclass

_NAME = "codeact-scratch-"
_FAREWELL = 0.5  # seconds for the last process on a ground to be gone


@dataclass(frozen=True, slots=True)
class Ground:
    """Where the folders of one launcher lie. The lock is held while the launcher lives."""

    path: str
    lock: int

    def make(self, uid: int, gid: int) -> str:
        """A new private folder of this user."""
        folder = tempfile.mkdtemp(dir=self.path)
        os.chown(folder, uid, gid)
        return folder

    def close(self) -> None:
        """Take away the ground with all that is on it, and once more what launchers that were killed left beside it."""
        end = time.monotonic() + _FAREWELL
        while not _is_cleared(self.path) and time.monotonic() < end:  # the last who writes there is being ended
            time.sleep(0.005)
        os.close(self.lock)
        _clear_left(os.path.dirname(self.path))


def open_ground(below: str) -> Ground:
    """A ground of one's own. Those of launchers that were killed are cleared on the way."""
    _clear_left(below)
    while True:
        path = tempfile.mkdtemp(prefix=_NAME, dir=below)
        try:
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # another launcher took it for a left one, just before it was locked
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(path):  # else likewise
            os.chmod(path, 0o711)
            return Ground(path, lock)
        os.close(lock)


def _clear_left(below: str) -> None:
    """A session that was just begun may hold its launcher's lock for a moment longer than that lives."""
    for name in os.listdir(below):
        if name.startswith(_NAME):
            _clear_if_left(os.path.join(below, name))


def _clear_if_left(path: str) -> None:
    try:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        if os.fstat(lock).st_uid == os.geteuid():
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            clear(path)
    except OSError:
        return  # its launcher lives
    finally:
        os.close(lock)


def _is_cleared(path: str) -> bool:
    with contextlib.suppress(OSError):
        clear(path)
    return not os.path.lexists(path)


def excess(folder: str, size: int, inodes: int) -> str | None:
    """What of a folder is over its bounds, in words; None when it is within them."""
    used = count = 0
    todo = [folder]
    while todo:
        place = todo.pop()
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    count += 1
                    found = entry.stat(follow_symlinks=False)
                    used += found.st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)
                    if count > inodes:
                        return f"its scratch holds more than {inodes:,} files"
                    if used > size:
                        return f"its scratch holds more than {size:,} bytes"
        except PermissionError:
            todo += _opened_up(place)
        except OSError:
            continue  # the guest changes it while we look
    return None


def _opened_up(place: str) -> list[str]:
    """A folder that was made such that it cannot be listed, to be looked at again."""
    try:
        inner = os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        os.chmod(f"/proc/self/fd/{inner}", 0o700)
    except OSError:
        return []
    finally:
        os.close(inner)
    return [place]


def clear(folder: str) -> None:
    """Remove a folder and what is in it. A folder in it is opened up and its folders are moved up to be next, so that
    neither the length of a path nor the depth of a tree matters."""
    os.chmod(folder, 0o700)
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    moved = 0
    try:
        while names := os.listdir(top):
            for name in names:
                moved = _remove(top, name, moved)
    finally:
        os.close(top)
    os.rmdir(folder)


def _remove(top: int, name: str, moved: int) -> int:
    try:
        os.unlink(name, dir_fd=top)
        return moved
    except IsADirectoryError:
        pass
    os.chmod(name, 0o700, dir_fd=top)
    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=top)
    try:
        for child in os.listdir(inner):
            try:
                os.unlink(child, dir_fd=inner)
            except IsADirectoryError:
                os.chmod(child, 0o700, dir_fd=inner)  # a folder that cannot be written cannot be moved either
                moved = _move_up(inner, child, top, moved)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=top)
    return moved


def _move_up(inner: int, child: str, top: int, moved: int) -> int:
    while True:
        moved += 1
        try:
            os.rename(child, f".moved.{moved}", src_dir_fd=inner, dst_dir_fd=top)
        except (FileExistsError, NotADirectoryError):
            continue  # the guest had used this name
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
        else:
            return moved

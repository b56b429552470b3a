"""A second wall round the file system, one that needs no privilege: landlock, by hand.

Everything that the running ABI can handle is handled, so what no rule grants is refused. A rule on a folder holds for
all that lies below it: name narrow paths, never `/`. What an ABI does not handle at all stays open unless seccomp
closes it (see `seccomp.py`):

ABI 1  reading, writing, making, removing      2  + moving between folders (refused before)
    3  + truncating                            4  + TCP bind and connect
    5  + ioctl on devices                      6  + abstract unix sockets, signals to others
never: stat, chdir, access, chmod, chown, utime, extended attributes, unix sockets with a path (before ABI 9)
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable, Sequence

from . import syscalls

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_MAKE_DEVICES = 1 << 6 | 1 << 11  # MAKE_CHAR, MAKE_BLOCK
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV  # the rights that a file itself can carry

# ABI -> what it knows: file system rights, network rights, scopes; from <linux/landlock.h>
_KNOWN = {
    1: (0x1FFF, 0, 0),
    2: (0x3FFF, 0, 0),
    3: (0x7FFF, 0, 0),
    4: (0x7FFF, 3, 0),
    5: (0xFFFF, 3, 0),
    6: (0xFFFF, 3, 3),
}
_PATH_BENEATH = 1
_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION


class _Ruleset(ctypes.Structure):
    """struct landlock_ruleset_attr, whose size grew with the ABI"""

    _fields_ = [("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _Beneath(ctypes.Structure):
    """struct landlock_path_beneath_attr"""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = [("access", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def abi() -> int:
    """The version that this kernel speaks; 0 where landlock is absent, switched off or forbidden."""
    try:
        return syscalls.call("landlock_create_ruleset", None, 0, _VERSION)
    except OSError:
        return 0


def restrict(
    *,
    read: Sequence[str | int] = (),
    read_files: Sequence[str] = (),
    write: Sequence[str | int] = (),
    abi: int,
    execute: bool = False,
) -> None:
    """Confine this thread, and what it starts from here on, for good. Needs no_new_privs; raises OSError.

    `read` are folders or files that may be read, and folders listed; `read_files` folders whose files may be read by
    name but not listed, and devices, which may be written too; `write` folders where anything but devices may be made.
    A number is a descriptor; a path that is not there is passed over.
    """
    if abi < 1:
        raise ValueError("landlock is not there: nothing can be restricted")
    fs, net, scopes = _KNOWN[min(abi, max(_KNOWN))]
    ruleset = _ruleset(fs, net, scopes, abi)
    try:
        _grant(ruleset, read, fs & (_READ_FILE | _READ_DIR))
        _grant(ruleset, read_files, fs & (_READ_FILE), device=fs & (_READ_FILE | _WRITE_FILE))
        _grant(ruleset, write, fs & ~(_EXECUTE | _MAKE_DEVICES | _IOCTL_DEV))
        syscalls.call("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)


def _ruleset(fs: int, net: int, scopes: int, abi: int) -> int:
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    return syscalls.call("landlock_create_ruleset", _Ruleset(fs, net, scopes), size, 0)


def _grant(ruleset: int, paths: Iterable[str | int], rights: int, device: int = 0) -> None:
    for path in paths:
        try:
            place = os.dup(path) if isinstance(path, int) else os.open(path, os.O_PATH | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            continue
        try:
            mode = os.fstat(place).st_mode
            given = rights if stat.S_ISDIR(mode) else device if device and stat.S_ISCHR(mode) else rights & _OF_FILES
            syscalls.call("landlock_add_rule", ruleset, _PATH_BENEATH, _Beneath(given, place), 0)
        finally:
            os.close(place)

"""The few calls to the kernel that Python has no name for: namespaces, mounts, capabilities. They raise OSError."""

from __future__ import annotations

import contextlib
import ctypes
import os

NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = (
    0x00020000,
    0x02000000,
    0x04000000,
    0x08000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 8192, 16384, 1 << 18
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV, ATTR_NOEXEC = 1, 2, 4, 8
_MNT_DETACH = 2
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR, _CLOSE_RANGE = 428, 429, 442, 436  # the same numbers on every architecture
_AT_FDCWD, _AT_RECURSIVE, _AT_EMPTY_PATH = -100, 0x8000, 0x1000
_TREE_CLONE, _TREE_CLOEXEC = 1, 0o2000000
_FROM_DESCRIPTOR, _TO_DESCRIPTOR = 0x4, 0x40  # MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH
_SET_PDEATHSIG, _SET_DUMPABLE, _CAPBSET_READ, _CAPBSET_DROP, _SET_NO_NEW_PRIVS, _CAP_AMBIENT = 1, 4, 23, 24, 38, 47
_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522
_M_ARENA_MAX = -8

_libc = ctypes.CDLL(None, use_errno=True)


class _Attributes(ctypes.Structure):
    """struct mount_attr"""

    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns")]


def _call(name: str, *arguments: object) -> int:
    result = int(getattr(_libc, name)(*arguments))
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def unshare(flags: int) -> None:
    """Leave the shared namespaces of these kinds for new ones."""
    _call("unshare", flags)


def setns(descriptor: int, kind: int) -> None:
    """Enter the namespace of this kind of the process behind a pidfd."""
    _call("setns", descriptor, kind)


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2)"""
    _call("mount", os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), data.encode())


def bind(source: str, target: str, attributes: int) -> None:
    """Show what is at `source`, with all that is mounted below it, at `target`, with at least these attributes."""
    mount(source, target, flags=MS_BIND | MS_REC)
    restrain(target, attributes)


def restrain(target: str, attributes: int, below: int = _AT_RECURSIVE) -> None:
    """Add attributes to a mount and all below it; those it has, also locked ones, stay."""
    if not attributes:
        return
    change = _Attributes(attributes, 0, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(change))
    path = os.fsencode(target)
    _call("syscall", ctypes.c_long(_MOUNT_SETATTR), _AT_FDCWD, path, below, ctypes.byref(change), size)


def restrain_one(target: str, attributes: int) -> None:
    """The same for this mount alone."""
    restrain(target, attributes, below=0)


def graft(source: int, target: int, attributes: int) -> None:
    """Show what one descriptor names, with all that is mounted below it, at what another names; with these attributes
    from its first moment. No path is walked."""
    flags = _TREE_CLONE | _TREE_CLOEXEC | _AT_RECURSIVE | _AT_EMPTY_PATH
    tree = _call("syscall", ctypes.c_long(_OPEN_TREE), source, b"", flags)
    try:
        change = _Attributes(attributes, 0, 0, 0)
        size = ctypes.c_size_t(ctypes.sizeof(change))
        below = _AT_RECURSIVE | _AT_EMPTY_PATH
        _call("syscall", ctypes.c_long(_MOUNT_SETATTR), tree, b"", below, ctypes.byref(change), size)
        _call("syscall", ctypes.c_long(_MOVE_MOUNT), tree, b"", target, b"", _FROM_DESCRIPTOR | _TO_DESCRIPTOR)
    finally:
        os.close(tree)


def enter_root(path: str) -> None:
    """Make the mount at `path` the root, and let the old one go."""
    os.chdir(path)
    _call("pivot_root", b".", b".")
    _call("umount2", b".", _MNT_DETACH)
    os.chdir("/")


def drop_capabilities() -> None:
    """None held, none to be gained: the bounding set, the ambient set and the three others are empty afterwards."""
    for capability in range(64):
        try:
            held = _prctl(_CAPBSET_READ, capability)
        except OSError:
            break  # EINVAL: the kernel knows no more of them
        if held:
            _drop_from_bounding_set(capability)
    _prctl(_CAP_AMBIENT, _AMBIENT_CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _call("capset", ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)()))


def _drop_from_bounding_set(capability: int) -> None:
    try:
        _prctl(_CAPBSET_DROP, capability)
    except PermissionError:
        # Without CAP_SETPCAP, as an ordinary user at the level plain: what the set still holds could be gained only
        # by executing a file, which no_new_privs makes impossible.
        return


def no_new_privileges() -> None:
    """Executing a file gives nothing from here on."""
    _prctl(_SET_NO_NEW_PRIVS, 1)


def die_with_parent() -> None:
    """SIGKILL when the parent's thread ends. Changing the user undoes this."""
    _prctl(_SET_PDEATHSIG, 9)


def own_proc_files(owned: bool) -> None:
    """Whether this process's files in /proc, and its memory, belong to its user; a change of user takes them away."""
    _prctl(_SET_DUMPABLE, int(owned))


def few_arenas() -> None:
    """Let malloc keep two arenas: each of the usual sixteen takes 64 MiB of the address space that is limited."""
    option = getattr(_libc, "mallopt", None)
    if option is not None:  # musl has none
        option(_M_ARENA_MAX, 2)


def close_from(first: int, proc: int) -> None:
    """Close this descriptor and all above it. Where close_range is hidden, as old filters of containers do, `proc`
    says which there are: to try each number up to the limit can take minutes."""
    try:
        _call("syscall", ctypes.c_long(_CLOSE_RANGE), ctypes.c_uint(first), ctypes.c_uint(0xFFFFFFFF), ctypes.c_uint(0))
        return
    except OSError:
        folder = os.open("self/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=proc)
    there = [int(name) for name in os.listdir(folder)]
    for descriptor in there:
        if descriptor >= first:
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _prctl(option: int, first: int, second: int = 0) -> int:
    return _call("prctl", option, *(ctypes.c_ulong(word) for word in (first, second, 0, 0)))

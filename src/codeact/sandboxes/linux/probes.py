"""What a locked guest tries on itself before it reads a byte of anybody's: every way out must be shut.

Some 10 ms in all. A probe asks so that an open door would show and do no harm: a call that the filter must stop is made
with arguments that the kernel, were it asked, would refuse with another errno than EPERM.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import select
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from . import syscalls

_PR_GET_SECCOMP, _PR_CAPBSET_READ, _PR_GET_NO_NEW_PRIVS = 21, 23, 39
_CAPABILITY_VERSION_3 = 0x20080522
_HIDDEN = ("/", "/home", "/root", "/etc", "/proc", "/sys", "/var", "/run")
_FILES = ("/etc/passwd", "/etc/hostname", "/proc/self/environ", "/proc/1/cmdline", "/proc/version")
_LAST_DESCRIPTOR = 1024
_POLLED = struct.Struct("=ihh")  # struct pollfd: number, what is asked, what is heard, whose low byte is the seventh
_NUMBERS = b"".join(_POLLED.pack(number, 0, 0) for number in range(_LAST_DESCRIPTOR))
_Asked, _Moment = ctypes.c_char * len(_NUMBERS), ctypes.c_char * 16


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing that was tried: whether it was held, by which layer it has to be, and what came of it."""

    name: str
    layer: str
    held: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Targets:
    """What there is to try: the guest's own scratch and channel, and what must be out of its reach."""

    level: Literal["full", "plain"]
    scratch: str
    descriptors: frozenset[int]  # those that may be open; 0, 1 and 2 always may
    others: tuple[int, ...] = ()  # pids of the host, as the host counts them
    files: tuple[str, ...] = _FILES  # of the host
    folders: tuple[str, ...] = _HIDDEN  # not to be listed
    unwritable: tuple[str, ...] = ()  # folders that are visible, and for reading only
    fork: bool = False  # whether the filter lets a plain fork pass


def canaries(targets: Targets) -> list[Probe]:
    """Try everything, in the locked guest. One that is not held must keep the session from starting."""
    full = targets.level == "full"
    files = "mounts and landlock" if full else "landlock"
    outside = (*targets.unwritable, "/", "/var/tmp", "/dev/shm")
    return [
        _scratch(targets.scratch),
        _all("read", files, map(_read, targets.files)),
        _all("list", files, map(_list, targets.folders)),
        _all("write", files, map(_write, outside)),
        _all("signal", "pid namespace" if full else "landlock and seccomp", map(_signal, _pids(targets))),
        _all("calls", "seccomp", (_call(name, arguments) for name, arguments in _CALLS)),
        _fork(targets.fork),
        _equal("filter", "seccomp", "mode", syscalls.call("prctl", _PR_GET_SECCOMP, 0, 0, 0, 0), 2),
        _equal("no_new_privs", "no_new_privs", "flag", syscalls.call("prctl", _PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1),
        _capabilities(full),
        _user(full),
        _descriptors(targets.descriptors),
        _limits(),
    ]


# name, arguments: with these the kernel itself would answer something else than EPERM
_CALLS: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("socket", (1, 1, 0)),
    ("socketpair", (1, 2, 0, 0)),
    ("unshare", (0,)),
    ("setns", (-1, 0)),
    ("execve", (0, 0, 0)),
    ("execveat", (-1, 0, 0, 0, 0)),
    ("ptrace", (-1, 0, 0, 0)),
    ("process_vm_readv", (0, 0, 0, 0, 0, -1)),
    ("pidfd_open", (0, -1)),
    ("memfd_create", (0, -1)),
    ("io_uring_setup", (0, 0)),
    ("open_tree", (-1, 0, -1)),
    ("landlock_create_ruleset", (0, 0, -1)),
    ("seccomp", (-1, 0, 0)),
)


def _all(name: str, layer: str, attempts: Iterable[str | None]) -> Probe:
    """Held when every attempt was; an attempt says what it got, or None when it was held."""
    got = [text for text in attempts if text is not None]
    return Probe(name, layer, not got, "; ".join(got) or "refused")


def _equal(name: str, layer: str, what: str, value: int, expected: int) -> Probe:
    return Probe(name, layer, value == expected, f"{what} {value}")


def _scratch(scratch: str) -> Probe:
    """The witness: something must work, or all that follows proves nothing."""
    path = os.path.join(scratch, ".probe")
    try:
        with open(path, "xb") as file:
            file.write(b"x")
        os.unlink(path)
    except OSError as error:
        return Probe("scratch", "scratch", False, f"cannot be written: {error}")
    return Probe("scratch", "scratch", True, "written")


def _read(path: str) -> str | None:
    try:
        place = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    os.close(place)
    return f"{path} can be read"


def _list(path: str) -> str | None:
    try:
        os.listdir(path)
    except OSError:
        return None
    return f"{path} can be listed"


def _write(folder: str) -> str | None:
    path = os.path.join(folder, f".codeact-probe-{os.getpid()}")
    try:
        place = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    os.close(place)
    os.unlink(path)
    return f"{folder} can be written"


def _signal(pid: int) -> str | None:
    try:
        os.kill(pid, 0)
    except OSError:
        return None
    return f"process {pid} can be signalled"


def _pids(targets: Targets) -> Iterable[int]:
    """At full the numbers are our own, and 1 is our init: whatever else answers is somebody whom we should not see."""
    if targets.level == "full":
        return (pid for pid in (*range(2, 100), *targets.others) if pid not in (1, os.getpid()))
    return (pid for pid in (1, *targets.others) if pid != os.getpid())


def _call(name: str, arguments: tuple[int, ...]) -> str | None:
    try:
        syscalls.call(name, *arguments)
    except OSError as error:
        if error.errno == errno.EPERM:
            return None
        return f"{name} reached the kernel: {errno.errorcode.get(error.errno or 0, '?')}"
    return f"{name} passed"


def _fork(allowed: bool) -> Probe:
    try:
        child = os.fork()
    except OSError as error:
        return Probe("fork", "seccomp", not allowed, f"refused with {errno.errorcode.get(error.errno or 0, '?')}")
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return Probe("fork", "seccomp", allowed, "passed")


def _capabilities(full: bool) -> Probe:
    """None held. The bounding set is empty too at full; elsewhere only a privileged process could have emptied it."""
    sets = ctypes.create_string_buffer(24)
    syscalls.call("capget", struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), sets)
    held = [f"{word:#x}" for word in struct.unpack("=6I", sets.raw) if word]
    if full:
        held += [f"{number} in the bounding set" for number in range(64) if _in_bounding_set(number)]
    return Probe("capabilities", "capabilities", not held, ", ".join(held) or "none")


def _in_bounding_set(number: int) -> bool:
    try:
        return syscalls.call("prctl", _PR_CAPBSET_READ, number, 0, 0, 0) == 1
    except OSError:
        return False  # the kernel does not know so many


def _user(full: bool) -> Probe:
    """Never root at full. At plain a root stays one whose Python nobody else can read; it has no capabilities."""
    roots = 0 in (os.getuid(), os.geteuid(), os.getgid(), os.getegid(), *os.getgroups())
    return Probe("user", "user", not (full and roots), f"uid {os.getuid()}, gid {os.getgid()}, groups {os.getgroups()}")


def _descriptors(expected: frozenset[int]) -> Probe:
    """One poll of all numbers tells which are not open."""
    highest, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(highest, _LAST_DESCRIPTOR)
    asked = _Asked.from_buffer_copy(_NUMBERS)
    passed = {0, 1, 2, *expected}
    for number in passed:
        _POLLED.pack_into(asked, number * _POLLED.size, -1, 0, 0)  # the kernel leaves it out
    syscalls.call("ppoll", asked, count, _Moment(), None, 0)
    heard = asked.raw[6 : count * _POLLED.size : _POLLED.size]
    if heard.count(select.POLLNVAL) == count - len(passed):
        return Probe("descriptors", "descriptors", True, "none but ours")
    open_ones = [number for number, word in enumerate(heard) if word != select.POLLNVAL and number not in passed]
    return Probe("descriptors", "descriptors", not open_ones, f"open: {open_ones}")


def _limits() -> Probe:
    endless = [
        name
        for name in ("AS", "DATA", "NOFILE", "FSIZE")
        if resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[1] == resource.RLIM_INFINITY
    ]
    if resource.getrlimit(resource.RLIMIT_CORE) != (0, 0):
        endless.append("CORE")
    return Probe("limits", "rlimits", not endless, f"not set: {endless}" if endless else "set")

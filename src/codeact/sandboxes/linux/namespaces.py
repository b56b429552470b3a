"""The launcher's own namespaces: users, processes, mounts, network, IPC, host name. Entered while it has one thread."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

from . import kernel
from .layers import layer

SESSION_ID = 1000  # of the user and the group that a session runs as, as it sees them
_NOBODY = 65534
_KINDS = {"user": "user", "mount": "mnt", "pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts"}


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sessions are: their user and group, and whether the launcher has to change to them."""

    uid: int
    gid: int
    changes: bool

    @property
    def is_root(self) -> bool:
        """Where the Python is closed to others: root without any capability."""
        return self.uid == 0


def open_proc() -> int:
    """The host's /proc, by a descriptor that works after the root is changed."""
    return os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def write_proc(proc: int, name: str, text: str) -> None:
    """One write to a file of /proc."""
    file = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=proc)
    try:
        os.write(file, text.encode())
    finally:
        os.close(file)


def read_proc(proc: int, name: str) -> str:
    """The first page of a file of /proc."""
    file = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
    try:
        return os.read(file, 4096).decode("ascii", "replace")
    finally:
        os.close(file)


def own(proc: int) -> dict[str, str]:
    """The namespaces that this process is in, each by its kind."""
    return {kind: os.readlink(f"self/ns/{file}", dir_fd=proc) for kind, file in _KINDS.items()}


def enter(proc: int, without: frozenset[str] = frozenset()) -> Identity:
    """Enter them all and say who sessions can be; the processes' one begins with the next child. Raises Refused.

    `without` may name the network's, for a test of single layers.

    root maps itself, so that a Python below a closed home can be shown, and nobody, who the sessions will be. Anybody
    else maps itself alone.
    """
    root = os.geteuid() == 0
    with layer("user namespace"):
        if root:
            _enter_as_root(proc)
        else:
            uid, gid = os.geteuid(), os.getegid()
            kernel.unshare(kernel.NEWUSER)
            map_oneself(proc, uid, gid)
    for name, kind in (
        ("mount namespace", kernel.NEWNS),
        ("pid namespace", kernel.NEWPID),
        ("network namespace", kernel.NEWNET),
        ("ipc namespace", kernel.NEWIPC),
        ("uts namespace", kernel.NEWUTS),
    ):
        if kind != kernel.NEWNET or "net" not in without:
            with layer(name):
                kernel.unshare(kind)
    with layer("uts namespace"):
        socket.sethostname("sandbox")
    return Identity(SESSION_ID, SESSION_ID, changes=root)


def map_oneself(proc: int, uid: int, gid: int) -> None:
    """In a new user namespace be the session's user and group; outside we were these."""
    write_proc(proc, "self/setgroups", "deny")
    write_proc(proc, "self/uid_map", f"{SESSION_ID} {uid} 1")
    write_proc(proc, "self/gid_map", f"{SESSION_ID} {gid} 1")


def _enter_as_root(proc: int) -> None:
    """Two users need a helper that stays outside to write the map."""
    entered, go = os.pipe()
    pid = os.getpid()
    helper = os.fork()
    if helper == 0:
        _write_maps(proc, pid, entered, go)
    os.close(entered)
    try:
        kernel.unshare(kernel.NEWUSER)
        os.write(go, b"!")
    finally:
        os.close(go)
        code = os.waitstatus_to_exitcode(os.waitpid(helper, 0)[1])
    if code:
        raise OSError(code, os.strerror(code))


def _write_maps(proc: int, pid: int, entered: int, go: int) -> None:
    os.close(go)
    code = 0
    if os.read(entered, 1):
        try:
            for kind in ("uid_map", "gid_map"):
                write_proc(proc, f"{pid}/{kind}", f"0 0 1\n{SESSION_ID} {_NOBODY} 1\n")
        except OSError as error:
            code = error.errno or 1
    os._exit(code)


def threads_of(proc: int, uid: int) -> int:
    """How many threads a user runs on this machine: what RLIMIT_NPROC is compared with."""
    count = 0
    for name in os.listdir(proc):
        if name.isdigit():
            try:
                if os.stat(name, dir_fd=proc).st_uid == uid:
                    count += int(read_proc(proc, f"{name}/stat").rpartition(")")[2].split()[17])
            except OSError:
                continue  # it ended meanwhile
    return count


def leave_root(uid: int, gid: int) -> None:
    """Become this user and no member of any group."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    kernel.own_proc_files(True)

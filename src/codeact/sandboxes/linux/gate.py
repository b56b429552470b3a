"""The gate before every fork of a session that can be copied: shut, but for the one that the host has just ordered.

A first filter asks the zygote whether a fork may go on (seccomp_unotify(2)); the session's own comes after it, and what
that refuses stays refused. The zygote is asked by the kernel, and answers before the call is made, so there is no time
at which a guest may fork by itself. When there is no zygote any more, a fork answers ENOSYS.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import socket
import struct

from . import bpf, seccomp, syscalls

_NOTIFY = 0x7FC00000  # SECCOMP_RET_USER_NOTIF
_NEW_LISTENER = 8
_RECEIVE, _SEND = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_RECV and _SEND
_QUESTION = 80  # bytes of struct seccomp_notif
_ANSWER = struct.Struct("=QqiI")  # struct seccomp_notif_resp: id, value, error, flags
_GO_ON = 1  # SECCOMP_USER_NOTIF_FLAG_CONTINUE
_SINCE = (5, 5)  # kernels that know it


def program() -> bytes:
    """The filter that asks: about a plain fork, in the forms that a session's filter may let pass, and nothing else."""
    numbers = syscalls.numbers(syscalls.MACHINE)
    table: dict[int, bpf.Rule] = {numbers["clone"]: bpf.Check((seccomp.A_FORK,), bpf.ALLOW, _NOTIFY)}
    if "fork" in numbers:
        table[numbers["fork"]] = _NOTIFY
    return bpf.assemble(table, arch=syscalls.MACHINES[syscalls.MACHINE], default=bpf.ALLOW, foreign=bpf.ALLOW)


def put_up(program: bytes, zygote: int) -> str:
    """Put it up for this process and hand the questions to the zygote on this socket, which is closed.

    The answer is why it cannot be had here, in words; empty when it stands.
    """
    with socket.socket(fileno=zygote) as line:
        release = re.match(r"(\d+)\.(\d+)", os.uname().release)
        if release is None or (int(release[1]), int(release[2])) < _SINCE:
            return f"kernel {os.uname().release} is older than 5.5, and cannot let a single fork pass"
        try:
            listener = seccomp.install(program, _NEW_LISTENER)
        except OSError as error:
            code = errno.errorcode.get(error.errno or 0, "?")
            busy = ": another program watches the system calls here" if error.errno == errno.EBUSY else ""
            return f"the kernel does not let forks be watched ({code}){busy}"
        socket.send_fds(line, [b"!"], [listener])
        os.close(listener)
        return ""


def take(line: int) -> int | None:
    """What the session handed over on this descriptor, which is closed; None when it handed over nothing."""
    with socket.socket(fileno=line) as end:
        try:
            _, descriptors, _, _ = socket.recv_fds(end, 1, 1)
        except OSError:
            return None
    return descriptors[0] if descriptors else None


def answer(listener: int, may: bool) -> bool:
    """Let the fork that is asked about go on, or refuse it with EPERM. False: whoever asked does not any more."""
    question = bytearray(_QUESTION)
    try:
        fcntl.ioctl(listener, _RECEIVE, question)
        number = int.from_bytes(question[:8], "little")
        told = _ANSWER.pack(number, 0, 0, _GO_ON) if may else _ANSWER.pack(number, 0, -errno.EPERM, 0)
        fcntl.ioctl(listener, _SEND, told)
    except OSError:
        return False
    return True

"""Makes the first process of each session's pid namespace: a tiny one, forked before anything is imported.

With another process as number 1, the session's main process is number 2 and no OpenSSL takes it for the zygote; and
ending number 1 ends, in one stroke of the kernel, all that the session ever started.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
from contextlib import suppress
from typing import NoReturn

from . import deaths, kernel

_ANSWER = struct.Struct("=i")


def start(proc: int, control: int) -> socket.socket:
    """Start the maker; the answer is its socket. It ends when that is closed. `proc` is the host's /proc.

    It lets go of `control`, or an order could still be sent to a zygote that is dying, and nobody would take it.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        ours.close()
        os.close(control)
        _make(theirs, proc)
    theirs.close()
    return ours


class Gone(Exception):
    """The maker was killed: no session can be made any more."""


def order(maker: socket.socket) -> tuple[int, int]:
    """A new init: its pid, and a descriptor that keeps it alive as long as it is open. Raises OSError, and Gone."""
    leash, hold = os.pipe()
    try:
        pid = _ask(maker, leash)
    except BaseException:
        os.close(hold)
        raise
    finally:
        os.close(leash)
    if pid < 0:
        os.close(hold)
        raise OSError(-pid, os.strerror(-pid))
    return pid, hold


def _ask(maker: socket.socket, leash: int) -> int:
    try:
        socket.send_fds(maker, [b"!"], [leash])
        answer = maker.recv(_ANSWER.size)
    except ConnectionError:
        answer = b""
    if not answer:
        raise Gone
    (pid,) = _ANSWER.unpack(answer)
    return int(pid)


def _make(orders: socket.socket, proc: int) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how an init ended
    home = os.pidfd_open(os.getpid())
    while True:
        word, descriptors, _, _ = socket.recv_fds(orders, 1, 1)
        if not word:
            os._exit(0)
        deaths.point("init ordered")
        leash = descriptors[0]
        try:
            kernel.unshare(kernel.NEWPID)
            try:
                pid = os.fork()
                if pid == 0:
                    _wait(leash, proc)
            finally:
                kernel.setns(home, kernel.NEWPID)
        except OSError as error:
            pid = -(error.errno or 1)
        os.close(leash)
        deaths.point("init made")
        orders.send(_ANSWER.pack(pid))


def _wait(leash: int, proc: int) -> NoReturn:
    """Live until the leash is let go. At each byte on it those are taken away that ended and whose parents had."""
    try:
        os.dup2(leash, 0)
        kernel.close_from(1, proc)
        kernel.no_new_privileges()
        kernel.drop_capabilities()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # how a copy ended is looked at before it is taken away
        while os.read(0, 1):
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG) != (0, 0):
                    pass
    finally:
        os._exit(0)

"""Sockets that connect through the host: what `socket` does in here where some hosts may be reached.

The kernel refuses every socket but pairs. So a socket of the internet is one end of a pair until it connects, and then
the tunnel that the host gave takes its place at the same descriptor: reading, writing, waiting, closing and TLS are the
real thing. What cannot be so (listening, UDP, raw sockets) says so.
"""

from __future__ import annotations

import _socket
import errno
import os
import socket
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Any

if __package__:
    from .interrupts import shut_to_interrupts
    from .line import Line, read_outcome, wait
    from .lookup import Names, literal

_INET = (socket.AF_INET, socket.AF_INET6)
_FLAGS = socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
_AT_ONCE = 64  # buffers of a sendmsg
_family: Any = vars(_socket.socket)["family"].__get__
_timeout: Any = _socket.socket.gettimeout
_plain_init: Any = socket.socket.__init__


class _Way:
    """Where the socket at a descriptor stands: what it was to reach, whether the dial goes on, or went well."""

    __slots__ = ("open", "peer", "waiting")

    def __init__(self) -> None:
        self.peer: tuple[Any, ...] | None = None
        self.waiting = False
        self.open = False


class Network:
    """The sockets of a session. `check` raises an interrupt that waits."""

    def __init__(self, line: Line, names: Names, check: Callable[[], None]) -> None:
        self._line = line
        self._names = names
        self._check = check
        self._ways: dict[int, _Way] = {}
        self._waiting: set[int] = set()  # descriptors whose outcome nobody has read
        self._tunnels: set[int] = set()  # all that the host gave, by their inodes

    def install(self) -> None:
        """Take the place of what `socket` does."""
        kind: Any = socket.socket
        for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo"):
            setattr(socket, name, getattr(self._names, name))
        kind.__init__ = self._of_all(self.begin)
        for name in ("connect", "connect_ex", "getpeername", "getsockname", "getsockopt", "setsockopt", "sendmsg"):
            setattr(kind, name, self._of_sockets(getattr(self, name), getattr(_socket.socket, name)))
        for name in ("bind", "listen", "accept", "sendto"):
            setattr(kind, name, self._of_sockets(self.refuse, getattr(kind, name)))
        for name in ("recv", "recv_into", "recvfrom", "recvfrom_into", "send", "sendall"):
            setattr(kind, name, self._once_connected(getattr(_socket.socket, name)))
        kind.dup = self._of_sockets(self.dup, kind.dup)

    def _of_all(self, ours: Callable[..., Any]) -> Callable[..., Any]:
        def method(sock: Any, *args: Any, **kwargs: Any) -> Any:
            return ours(sock, *args, **kwargs)

        return method

    def _of_sockets(self, ours: Callable[..., Any], real: Callable[..., Any]) -> Callable[..., Any]:
        """A method for sockets of the internet; the others keep theirs."""

        def method(sock: Any, *args: Any, **kwargs: Any) -> Any:
            return ours(sock, *args, **kwargs) if _family(sock) in _INET else real(sock, *args, **kwargs)

        method.__name__ = real.__name__
        return method

    def _once_connected(self, real: Callable[..., Any]) -> Callable[..., Any]:
        waiting = self._waiting

        def method(sock: Any, *args: Any, **kwargs: Any) -> Any:
            if waiting and sock.fileno() in waiting:
                self._settle(sock, time.monotonic())
            return real(sock, *args, **kwargs)

        method.__name__ = real.__name__
        return method

    # -- what a socket does --------------------------------------------------------------------------------------------

    def begin(self, sock: Any, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:
        """See `socket.socket`."""
        family = socket.AF_INET if family == -1 and fileno is None else family
        if fileno is not None or family not in _INET:
            _plain_init(sock, family, type, proto, fileno)
            return
        type = socket.SOCK_STREAM if type == -1 else type
        if type & ~_FLAGS != socket.SOCK_STREAM or proto not in (-1, 0, socket.IPPROTO_TCP):
            raise PermissionError(errno.EPERM, f"only TCP goes out of here, to {self._names.told}")
        ours, theirs = _socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        theirs.close()
        descriptor = ours.detach()
        self._ways[descriptor] = _Way()
        self._waiting.discard(descriptor)
        _plain_init(sock, family, socket.SOCK_STREAM, max(proto, 0), descriptor)
        if type & socket.SOCK_NONBLOCK:
            sock.setblocking(False)

    @shut_to_interrupts
    def connect(self, sock: Any, address: Any) -> None:
        """See `socket.connect`. Of a socket that does not block, what comes of it is told as by the kernel."""
        way = self._ways.setdefault(sock.fileno(), _Way())
        timeout = _timeout(sock)
        deadline = None if timeout is None else time.monotonic() + timeout
        if way.open:
            raise OSError(errno.EISCONN, "Transport endpoint is already connected")
        if not way.waiting:
            host, port = self._place(sock, address)
            # a socket that does not block waits here too: the host answers at once, and dials afterwards
            tunnel = self._line.ask(self._names.name(host), port, deadline if timeout else None)
            try:
                os.set_blocking(tunnel, timeout is None)
                self._tunnels.add(os.fstat(tunnel).st_ino)
                os.dup2(tunnel, sock.fileno(), inheritable=False)
            finally:
                os.close(tunnel)
            way.peer = (host, port) if _family(sock) == socket.AF_INET else (host, port, 0, 0)
            way.waiting = True
            self._waiting.add(sock.fileno())
            if timeout == 0:
                raise BlockingIOError(errno.EINPROGRESS, "Operation now in progress")
        self._settle(sock, deadline)

    def connect_ex(self, sock: Any, address: Any) -> int:
        """See `socket.connect_ex`."""
        try:
            sock.connect(address)
        except TimeoutError as error:
            return error.errno or errno.EAGAIN
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    def _place(self, sock: Any, address: Any) -> tuple[str, int]:
        if not isinstance(address, tuple) or len(address) < 2:
            raise TypeError(f"connect(): AF_INET address must be tuple, not {type(address).__name__}")
        host, port = address[:2]
        if not isinstance(port, int):
            raise TypeError(f"{type(port).__name__!r} object cannot be interpreted as an integer")
        if not 0 <= port <= 65535:
            raise OverflowError("connect(): port must be 0-65535.")
        if isinstance(host, str) and (found := literal(host)):
            if found[0] != _family(sock):
                raise socket.gaierror(socket.EAI_FAMILY, "Address family for hostname not supported")
            return found[1], port
        return str(self._names.getaddrinfo(host, port)[0][4][0]), port

    @shut_to_interrupts
    def _settle(self, sock: Any, deadline: float | None) -> None:
        """Wait until the host has dialled, and raise what came of it; the deadline may be now."""
        descriptor = sock.fileno()
        if not wait(descriptor, deadline, self._check):
            if _timeout(sock) == 0:
                raise BlockingIOError(errno.EALREADY, "Operation already in progress")
            raise TimeoutError("timed out")
        way = self._ways[descriptor]
        way.waiting = False
        self._waiting.discard(descriptor)
        kind, text = read_outcome(descriptor)
        if kind == "connected":
            way.open = True
            return
        raise _error(kind, text)

    def getpeername(self, sock: Any) -> tuple[Any, ...]:
        """See `socket.getpeername`."""
        way = self._ways.get(sock.fileno())
        if way is not None and way.waiting:
            with suppress(BlockingIOError, TimeoutError):
                self._settle(sock, time.monotonic())
        if way is None or not way.open or way.peer is None:
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")
        return way.peer

    def getsockname(self, sock: Any) -> tuple[Any, ...]:
        """See `socket.getsockname`; an end in here has no address."""
        if sock.fileno() < 0:
            raise OSError(errno.EBADF, "Bad file descriptor")
        return ("0.0.0.0", 0) if _family(sock) == socket.AF_INET else ("::", 0, 0, 0)

    def getsockopt(self, sock: Any, level: int, option: int, size: int = 0) -> Any:
        """See `socket.getsockopt`. What came of a dial is raised, with its reason, where the kernel gives a number."""
        if level == socket.SOL_SOCKET and option == socket.SO_ERROR:
            if sock.fileno() in self._waiting:
                with suppress(BlockingIOError, TimeoutError):
                    self._settle(sock, time.monotonic())
            return _socket.socket.getsockopt(sock, level, option)
        if level == socket.SOL_SOCKET and option == socket.SO_TYPE:
            return int(socket.SOCK_STREAM)
        return bytes(size) if size else 0

    def setsockopt(self, sock: Any, *option: Any) -> None:
        """See `socket.setsockopt`; the connection itself is the host's, as it makes all."""

    def sendmsg(self, sock: Any, buffers: Any, ancillary: Any = (), flags: int = 0, address: Any = None) -> Any:
        """See `socket.sendmsg`: the buffers, and nothing beside them."""
        if list(ancillary) or address is not None:
            raise PermissionError(errno.EPERM, "nothing but bytes goes out of here")
        return sock.send(b"".join(islice(buffers, _AT_ONCE)), flags)

    def refuse(self, sock: Any, *_: Any, **__: Any) -> None:
        """Whatever waits for others, or speaks to them without a connection."""
        raise PermissionError(errno.EPERM, f"only TCP connections go out of here, to {self._names.told}; none come in")

    def dup(self, sock: Any) -> Any:
        """See `socket.dup`."""
        copy = sock.__class__(_family(sock), sock.type, sock.proto, fileno=_socket.dup(sock.fileno()))
        copy.settimeout(_timeout(sock))
        self._ways[copy.fileno()] = self._ways[sock.fileno()]
        return copy

    def sever(self) -> None:
        """In a copy of the interpreter: every connection has ended, for it is the other's."""
        dead, other = _socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        other.close()
        if self._tunnels:
            for descriptor in range(3, os.sysconf("SC_OPEN_MAX")):
                with suppress(OSError):
                    found = os.fstat(descriptor)
                    if stat.S_ISSOCK(found.st_mode) and found.st_ino in self._tunnels:
                        os.dup2(dead.fileno(), descriptor, inheritable=False)
        dead.close()
        self._tunnels.clear()
        self._waiting.clear()


def _error(kind: str, text: str) -> OSError:
    match kind:
        case "forbidden":
            return PermissionError(errno.EACCES, text)
        case "unknown":
            return socket.gaierror(socket.EAI_NONAME, text)
        case "refused":
            return ConnectionRefusedError(errno.ECONNREFUSED, text)
        case "timeout":
            return TimeoutError(errno.ETIMEDOUT, text)
        case "busy":
            return OSError(errno.ENOBUFS, text)
        case _:
            return OSError(errno.EHOSTUNREACH, text)

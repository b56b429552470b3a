"""A machine that lacks what Windows lacks: with this folder on PYTHONPATH, a Python on Linux is one to codeact.

What codeact imports is not there, or stands in front of the real thing: `os`, `sys`, `signal`, `socket`, `select` as
they are on Windows, as far as it goes. Everybody else has the real ones, since they run on Windows as they are. The
event loop refuses what that of Windows refuses. A file that is open is neither removed nor replaced, a folder is not
opened, and a file that is opened without an encoding is an error.
"""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import errno
import fcntl
import os
import select
import signal
import socket
import stat
import subprocess
import sys
import types
import warnings
from typing import Any

ABSENT = {"fcntl", "resource", "termios", "tty", "pty", "pwd", "grp", "syslog", "readline", "posix", "curses", "crypt"}
LACKING = {
    "os": """fork forkpty killpg getuid geteuid getgid getegid getgroups setsid setuid setgid getpgid
        setpgid uname register_at_fork set_blocking get_blocking mkfifo mknod fchmod fchown chown lchown chroot
        pidfd_open pread pwrite preadv pwritev sendfile getloadavg sched_getaffinity sysconf ctermid openpty posix_spawn
        wait3 wait4 waitid WNOHANG
        O_NOFOLLOW O_DIRECTORY O_CLOEXEC O_NONBLOCK O_NOCTTY O_PATH O_SYNC memfd_create eventfd initgroups""",
    "signal": """SIGKILL SIGHUP SIGUSR1 SIGUSR2 SIGTSTP SIGSTOP SIGCONT SIGCHLD SIGALRM SIGPIPE SIGQUIT SIGWINCH SIGXFSZ
        pthread_kill pthread_sigmask alarm setitimer sigwait siginterrupt pause SIG_BLOCK SIG_SETMASK""",
    "socket": "AF_UNIX send_fds recv_fds SO_PEERCRED SCM_RIGHTS MSG_DONTWAIT MSG_NOSIGNAL SO_REUSEPORT",
    "select": "poll epoll kqueue POLLIN POLLHUP POLLNVAL",
}
KEYS: list[str] = []  # that are pressed at the console
SCREEN = os.environ.get("EMULATED_CONSOLE", "")  # the file that is it; else there is none


class _Other(types.ModuleType):
    """A module as it is on Windows."""

    def __init__(self, real: types.ModuleType, lacking: str, **own: Any) -> None:
        super().__init__(real.__name__)
        self.__dict__.update(_real=real, _lacking=frozenset(lacking.split()), **own)

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__["_lacking"]:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} on Windows")
        return getattr(self.__dict__["_real"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__dict__["_real"], name, value)


# -- files -------------------------------------------------------------------------------------------------------------

_BINARY = 1 << 30
_unlink, _replace, _rename = os.unlink, os.replace, os.rename


def _console(path: Any) -> Any:
    if path in ("CONIN$", "CONOUT$"):
        if not SCREEN:
            raise FileNotFoundError(errno.ENOENT, "there is no console", path)
        return SCREEN
    return path


def _open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: None = None) -> int:
    if dir_fd is not None:
        raise NotImplementedError("dir_fd unavailable on this platform")
    path = _console(path)
    if os.path.isdir(path):
        raise PermissionError(errno.EACCES, "a folder is not opened", path)
    return os.open(path, flags & ~_BINARY, mode)


def _mkdir(path: Any, mode: int = 0o777, *, dir_fd: None = None) -> None:
    if dir_fd is not None:
        raise NotImplementedError("dir_fd unavailable on this platform")
    os.mkdir(path, mode)


def _lstat(path: Any) -> Any:
    found = os.lstat(path)
    names = [name for name in dir(found) if name.startswith("st_")]
    tag = 0xA000000C if stat.S_ISLNK(found.st_mode) else 0
    return types.SimpleNamespace(**{name: getattr(found, name) for name in names}, st_reparse_tag=tag)


def _held(path: Any) -> bool:
    with contextlib.suppress(OSError):
        wanted = os.stat(path)
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                if os.path.samestat(os.stat(int(name)), wanted) and stat.S_ISREG(wanted.st_mode):
                    return True
    return False


def _refused_when_open(change: Any) -> Any:
    def changed(path: Any, *args: Any, **settings: Any) -> None:
        for one in (path, *args[:1]):
            if _held(one):
                raise PermissionError(errno.EACCES, "it is being used by another process", str(one))
        change(path, *args, **settings)

    return changed


def _opened(file: Any, *args: Any, **settings: Any) -> Any:
    return open(_console(file), *args, **settings)


# -- processes, signals and the keyboard -------------------------------------------------------------------------------


def _locking(descriptor: int, mode: int, size: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise PermissionError(errno.EACCES, "Permission denied") from None


def _refuse(*_args: Any, **_settings: Any) -> Any:
    raise NotImplementedError("not by the event loop of Windows")


def _of_processes_alone(connect: Any) -> Any:
    async def connected(self: Any, *args: Any) -> Any:
        if "base_subprocess" not in sys._getframe(1).f_code.co_filename:
            raise OSError(errno.EINVAL, "not a pipe that was made to be waited for")
        return await connect(self, *args)

    return connected


def _as_there(start: Any) -> Any:
    def started(self: Any, protocol: Any, *argv: Any, **settings: Any) -> Any:
        assert not {"start_new_session", "preexec_fn", "pass_fds"} & set(settings), settings
        if settings.pop("creationflags", 0) & 0x200:
            settings["start_new_session"] = True
        return start(self, protocol, *argv, **settings)

    return started


def _loops() -> None:
    loop: Any = asyncio.SelectorEventLoop
    for name in ("add_reader", "add_writer", "remove_reader", "remove_writer"):
        setattr(loop, name, _refuse)
    for name in ("add_signal_handler", "remove_signal_handler", "create_unix_connection", "create_unix_server"):
        setattr(loop, name, _refuse)
    loop.connect_read_pipe = _of_processes_alone(loop.connect_read_pipe)
    loop.connect_write_pipe = _of_processes_alone(loop.connect_write_pipe)
    loop.subprocess_exec = _as_there(loop.subprocess_exec)


# -- who sees it -------------------------------------------------------------------------------------------------------

_import = builtins.__import__
_OTHERS: dict[str, Any] = {
    "os": _Other(os, LACKING["os"], open=_open, mkdir=_mkdir, lstat=_lstat, O_BINARY=_BINARY, supports_dir_fd=set()),
    "sys": _Other(sys, "getdlopenflags abiflags", platform="win32"),
    "signal": _Other(signal, LACKING["signal"], SIGBREAK=21),
    "socket": _Other(socket, LACKING["socket"], SO_EXCLUSIVEADDRUSE=socket.SO_KEEPALIVE),
    "select": _Other(select, LACKING["select"]),
    "subprocess": _Other(subprocess, "", CREATE_NEW_PROCESS_GROUP=0x200, CREATE_NO_WINDOW=0x08000000),
    "asyncio": _Other(asyncio, "", ProactorEventLoop=asyncio.SelectorEventLoop),
    "msvcrt": types.SimpleNamespace(
        LK_NBLCK=2,
        locking=_locking,
        kbhit=lambda: bool(KEYS),
        getwch=lambda: KEYS.pop(0),
        putwch=lambda letter: None,
    ),
}


def _imported(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
    who = (globals or {}).get("__name__", "")
    if level or who.partition(".")[0] != "codeact":
        return _import(name, globals, locals, fromlist, level)
    if name in ABSENT:
        raise ModuleNotFoundError(f"No module named {name!r} on Windows, which {who} imports", name=name)
    if globals is not None and "open" not in globals:
        globals["open"] = _opened
    return _OTHERS.get(name) or _import(name, globals, locals, fromlist, level)


_loops()
os.unlink = os.remove = _refused_when_open(_unlink)
os.replace, os.rename = _refused_when_open(_replace), _refused_when_open(_rename)
sys.modules["readline"] = None  # type: ignore[assignment]
warnings.filterwarnings("error", category=EncodingWarning, module=r"codeact\b")
builtins.__import__ = _imported

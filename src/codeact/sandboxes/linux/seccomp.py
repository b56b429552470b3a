"""What a guest may ask of the kernel: about 150 calls, some only with certain arguments; the rest answers EPERM.

The list is what CPython, numpy, pandas, asyncio and sqlite were seen to use, and their fallbacks. A new line here is a
new piece of the kernel that hostile code can reach: name who needs it. What the two levels add:

full    The namespaces hold files and processes.
plain   There are none, and landlock neither hides other processes (before ABI 6) nor guards a file's mode, times and
        attributes (at any ABI) nor truncation (before ABI 3). So calls about a process only pass for the guest itself,
        extended attributes are absent, and chmod and utime answer "done" and do nothing: EPERM would break shutil.copy.
"""

from __future__ import annotations

import ctypes
import errno
from typing import Literal, TypeAlias

from . import bpf, syscalls
from .bpf import ALLOW, Check, Is, Rule, refuse

Level: TypeAlias = Literal["full", "plain"]

_EPERM, _ENOSYS, _NOTSUP = refuse(errno.EPERM), refuse(errno.ENOSYS), refuse(errno.ENOTSUP)
_PRETEND = refuse(0)


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_FREE = _names("""
    read write pread64 pwrite64 readv writev preadv pwritev preadv2 pwritev2 lseek close close_range dup dup2 dup3
    pipe pipe2 flock fsync fdatasync ftruncate fallocate fadvise64 sendfile copy_file_range
    creat stat fstat lstat newfstatat statx statfs fstatfs access faccessat faccessat2 readlink readlinkat
    getdents getdents64 getcwd chdir fchdir umask mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2
    link linkat symlink symlinkat mmap mprotect munmap mremap madvise msync brk
    exit exit_group futex set_tid_address set_robust_list rseq wait4 waitid
    gettid getpid getppid getpgrp getuid geteuid getgid getegid getresuid getresgid getgroups capget
    sched_yield sched_get_priority_max sched_get_priority_min getcpu getrlimit getrusage times sysinfo uname
    rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigsuspend sigaltstack pause
    restart_syscall alarm getitimer setitimer nanosleep gettimeofday time
    timerfd_create timerfd_settime timerfd_gettime getrandom
    poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2
    eventfd eventfd2 shutdown getsockname getpeername
""")
_OPEN = _names("open openat")
_MODES_AND_TIMES = _names("chmod fchmod fchmodat fchmodat2 utime utimes futimesat utimensat")
_OWNERS = _names("chown fchown lchown fchownat")
_XATTRS = tuple(f"{prefix}{verb}xattr" for verb in ("get", "list", "set", "remove") for prefix in ("", "l", "f"))
_OPTIONAL = _names("clone3 openat2 mbind get_mempolicy set_mempolicy")  # ENOSYS: libc has another way

_FCNTL = (
    0, 1030,  # F_DUPFD, F_DUPFD_CLOEXEC
    1, 2, 3, 4,  # F_GETFD, F_SETFD, F_GETFL, F_SETFL
    5, 6, 7, 36, 37, 38,  # F_GETLK, F_SETLK, F_SETLKW, and of open file descriptions
    1032, 1034,  # F_GETPIPE_SZ, F_GET_SEALS
)  # fmt: skip  # not F_SETOWN, F_SETSIG, F_SETLEASE, F_NOTIFY: they signal or watch others
_IOCTL = (
    0x541B, 0x5421, 0x5451, 0x5450,  # FIONREAD FIONBIO FIOCLEX FIONCLEX
    0x5401, 0x802C542A, 0x5413,  # TCGETS TCGETS2 TIOCGWINSZ
    0x40049409,  # FICLONE: pathlib's copy asks, and gives up on EPERM
)  # fmt: skip
_PRCTL = (3, 15, 16, 21, 23, 39)  # GET_DUMPABLE SET_NAME GET_NAME GET_SECCOMP CAPBSET_READ GET_NO_NEW_PRIVS
_AF_UNIX, _SOCK_STREAM, _SOCK_FLAGS = 1, 1, 0o2004000  # SOCK_CLOEXEC | SOCK_NONBLOCK
_SOL_SOCKET = 1
_MSG_OOB = 1  # a rich source of kernel bugs (CVE-2025-38236) that nobody here needs
# TYPE ERROR SNDBUF RCVBUF RCVTIMEO SNDTIMEO ACCEPTCONN PROTOCOL DOMAIN; not PEERPIDFD
_GETSOCKOPT = (3, 4, 7, 8, 20, 21, 30, 38, 39)
_MEMBARRIER = (0, 8, 16)  # QUERY, and PRIVATE_EXPEDITED: musl's dlopen
_CLOCKS = tuple(range(12))  # a negative clock is another process's CPU time
_O_TRUNC, _O_ACCMODE, _O_WRONLY, _O_RDWR = 0o1000, 3, 1, 2

_CLONE_THREAD, _CLONE_VM = 0x10000, 0x100
_OF_A_THREAD = 0x7D0F00  # what glibc and musl set for a thread; every CLONE_NEW* lies outside
_OF_A_FORK, _SIGCHLD = 0x01200000, 17  # CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID
A_FORK = (Is(0, (_SIGCHLD,), mask=0xFFFFFFFF & ~_OF_A_FORK),)


def table(
    *, level: Level, fork: bool, network: bool = False, landlock_abi: int, pid: int | None, machine: str
) -> dict[int, Rule]:
    """What is answered to which call: a rule by number; a number that is not there is refused with EPERM."""
    rules: dict[str, Rule] = dict.fromkeys(_FREE, ALLOW)
    rules |= dict.fromkeys(_OPTIONAL, _ENOSYS)
    rules |= _checked(fork)
    if fork or network:  # a copy is handed its own socket, and whoever may reach a host the connection to it
        rules["recvmsg"] = _only((Is(2, (0,), mask=_MSG_OOB),))
    rules |= _about_processes(level, fork, landlock_abi, pid)
    rules |= _about_files(level, landlock_abi)
    numbers = syscalls.numbers(machine)
    return {numbers[name]: rule for name, rule in rules.items() if name in numbers}


def _only(*cases: tuple[Is, ...]) -> Check:
    return Check(cases, _EPERM)


def _checked(fork: bool) -> dict[str, Rule]:
    a_thread = (
        Is(0, (0,), mask=0xFFFFFFFF & ~_OF_A_THREAD),
        Is(0, (_CLONE_THREAD | _CLONE_VM,), mask=_CLONE_THREAD | _CLONE_VM),
    )
    rules: dict[str, Rule] = {
        "clone": _only(a_thread, A_FORK) if fork else _only(a_thread),
        "socketpair": _only((Is(0, (_AF_UNIX,)), Is(1, (_SOCK_STREAM,), mask=0xFFFFFFFF & ~_SOCK_FLAGS))),
        "sendto": _only((Is(3, (0,), mask=_MSG_OOB), Is(4, (0,), wide=True))),
        "recvfrom": _only((Is(3, (0,), mask=_MSG_OOB),)),
        "getsockopt": _only((Is(1, (_SOL_SOCKET,)), Is(2, _GETSOCKOPT))),
        "fcntl": _only((Is(1, _FCNTL),)),
        "ioctl": _only((Is(1, _IOCTL),)),
        "prctl": _only((Is(0, _PRCTL),)),
        "membarrier": _only((Is(0, _MEMBARRIER),)),
        "clock_gettime": _only((Is(0, _CLOCKS),)),
        "clock_getres": _only((Is(0, _CLOCKS),)),
        "clock_nanosleep": _only((Is(0, _CLOCKS),)),
    }
    if fork:
        rules["fork"] = ALLOW
    return rules


def _about_processes(level: Level, fork: bool, landlock_abi: int, pid: int | None) -> dict[str, Rule]:
    """Calls that name a process: 0 is the caller, of whose threads kill(2) must not find the others either.

    With forks, copies may signal each other; then the namespace holds, or landlock from ABI 6 on.
    """
    own = (0,) if pid is None else (0, pid)
    rules: dict[str, Rule] = {
        "prlimit64": _only((Is(0, own), Is(2, (0,), wide=True))),
        "getpriority": _only((Is(0, (0,)), Is(1, own))),
    }
    for name in ("sched_getaffinity", "sched_setaffinity", "sched_getscheduler", "sched_getparam", "getpgid", "getsid"):
        rules[name] = _only((Is(0, own),))
    scoped = level == "full" or landlock_abi >= 6
    if pid is None and not scoped:
        raise ValueError("without a namespace and without landlock's signal scope the filter must know the guest's pid")
    free = scoped and (fork or pid is None)
    signals: Rule = ALLOW if free else _only((Is(0, own[1:]),))
    return rules | dict.fromkeys(("kill", "tkill", "tgkill"), signals)


def _about_files(level: Level, landlock_abi: int) -> dict[str, Rule]:
    if level == "full":
        names = (*_OPEN, "truncate", *_MODES_AND_TIMES, *_OWNERS, *_XATTRS)
        return dict.fromkeys(names, ALLOW)
    rules: dict[str, Rule] = dict.fromkeys(_MODES_AND_TIMES, _PRETEND)
    rules |= dict.fromkeys(_OWNERS, _EPERM)
    rules |= dict.fromkeys(_XATTRS, _NOTSUP)
    if landlock_abi >= 3:
        return rules | dict.fromkeys((*_OPEN, "truncate"), ALLOW)
    # Before ABI 3 landlock looks at reading and writing alone: O_TRUNC would empty a file that was opened to be read.
    for argument, name in ((1, "open"), (2, "openat")):
        keeps = (Is(argument, (0,), mask=_O_TRUNC),)
        writes = (Is(argument, (_O_WRONLY, _O_RDWR), mask=_O_ACCMODE),)
        rules[name] = _only(keeps, writes)
    return rules


def program(
    *, level: Level, fork: bool = False, network: bool = False, landlock_abi: int, pid: int | None = None
) -> bytes:
    """The filter of a guest, as an array of struct sock_filter.

    `pid` is the guest's own, as it sees it: signals to others are then refused here too. It must be given at `plain`
    where landlock's ABI is below 6. Raises OSError on a machine whose calls we do not know.
    """
    if syscalls.MACHINE not in syscalls.MACHINES:
        raise OSError(errno.ENOSYS, f"no filter is written for {syscalls.MACHINE}")
    rules = table(level=level, fork=fork, network=network, landlock_abi=landlock_abi, pid=pid, machine=syscalls.MACHINE)
    return bpf.assemble(rules, arch=syscalls.MACHINES[syscalls.MACHINE], default=_EPERM, foreign=_ENOSYS)


class _Program(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


_SET_MODE_FILTER, _GET_ACTION_AVAIL, _ALL_THREADS = 1, 2, 1


def install(program: bytes, flags: int = _ALL_THREADS) -> int:
    """Put the filter on every thread of this process, for good. Needs no_new_privs; raises OSError.

    With other flags, as the kernel says of them: the answer is a descriptor where it gives one.
    """
    answer = syscalls.call("seccomp", _SET_MODE_FILTER, flags, _Program(len(program) // 8, program))
    if answer and flags == _ALL_THREADS:
        raise OSError(errno.EBUSY, f"thread {answer} did not take the filter")
    return answer


def available() -> bool:
    """Whether this kernel has seccomp filters, and lets us ask."""
    try:
        syscalls.call("seccomp", _GET_ACTION_AVAIL, 0, ctypes.create_string_buffer(refuse(0).to_bytes(4, "little"), 4))
    except OSError:
        return False
    return True


def _allowed() -> frozenset[int]:
    if syscalls.MACHINE not in syscalls.MACHINES:
        return frozenset()
    rules = table(level="full", fork=False, landlock_abi=0, pid=None, machine=syscalls.MACHINE)
    return frozenset(number for number, rule in rules.items() if isinstance(rule, Check) or rule == ALLOW)


ALLOWED = _allowed()  # the numbers that pass on this machine, some only with certain arguments

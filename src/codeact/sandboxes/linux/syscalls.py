"""The numbers of the system calls we speak of, on x86_64 and on aarch64, and a way to make one by its name.

From the kernel's arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h. The aarch64 column was
compared with the header and never run.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from typing import TypeAlias

# name x86_64 aarch64, in groups; - where an architecture has no such call
_TABLE = """
read 0 63 | write 1 64 | pread64 17 67 | pwrite64 18 68 | readv 19 65 | writev 20 66 | preadv 295 69 | pwritev 296 70
preadv2 327 286 | pwritev2 328 287 | lseek 8 62 | close 3 57 | close_range 436 436 | dup 32 23 | dup2 33 - | dup3 292 24
pipe 22 - | pipe2 293 59 | fcntl 72 25 | flock 73 32 | fsync 74 82 | fdatasync 75 83 | ftruncate 77 46
fallocate 285 47 | fadvise64 221 223 | sendfile 40 71 | copy_file_range 326 285 | ioctl 16 29
open 2 - | openat 257 56 | openat2 437 437 | creat 85 - | stat 4 - | fstat 5 80 | lstat 6 - | newfstatat 262 79
statx 332 291 | statfs 137 43 | fstatfs 138 44 | access 21 - | faccessat 269 48 | faccessat2 439 439 | readlink 89 -
readlinkat 267 78 | getdents 78 - | getdents64 217 61 | getcwd 79 17 | chdir 80 49 | fchdir 81 50 | umask 95 166
mkdir 83 - | mkdirat 258 34 | rmdir 84 - | unlink 87 - | unlinkat 263 35 | rename 82 - | renameat 264 38
renameat2 316 276 | link 86 - | linkat 265 37 | symlink 88 - | symlinkat 266 36 | truncate 76 45
chmod 90 - | fchmod 91 52 | fchmodat 268 53 | fchmodat2 452 452 | utime 132 - | utimes 235 - | futimesat 261 -
utimensat 280 88 | chown 92 - | fchown 93 55 | lchown 94 - | fchownat 260 54
getxattr 191 8 | lgetxattr 192 9 | fgetxattr 193 10 | listxattr 194 11 | llistxattr 195 12 | flistxattr 196 13
setxattr 188 5 | lsetxattr 189 6 | fsetxattr 190 7 | removexattr 197 14 | lremovexattr 198 15 | fremovexattr 199 16
mmap 9 222 | mprotect 10 226 | munmap 11 215 | mremap 25 216 | madvise 28 233 | msync 26 227 | brk 12 214
clone 56 220 | clone3 435 435 | fork 57 - | exit 60 93 | exit_group 231 94 | futex 202 98 | set_tid_address 218 96
set_robust_list 273 99 | rseq 334 293 | wait4 61 260 | waitid 247 95
gettid 186 178 | getpid 39 172 | getppid 110 173 | getpgrp 111 - | getpgid 121 155 | getsid 124 156 | getuid 102 174
geteuid 107 175 | getgid 104 176 | getegid 108 177 | getresuid 118 148 | getresgid 120 150 | getgroups 115 158
capget 125 90 | sched_yield 24 124 | sched_getaffinity 204 123 | sched_setaffinity 203 122 | sched_getscheduler 145 120
sched_getparam 143 121 | sched_get_priority_max 146 125 | sched_get_priority_min 147 126 | getpriority 140 141
getcpu 309 168 | prlimit64 302 261 | getrlimit 97 163 | getrusage 98 165 | times 100 153 | sysinfo 99 179 | uname 63 160
prctl 157 167
rt_sigaction 13 134 | rt_sigprocmask 14 135 | rt_sigreturn 15 139 | rt_sigpending 127 136 | rt_sigtimedwait 128 137
rt_sigsuspend 130 133 | sigaltstack 131 132 | pause 34 - | restart_syscall 219 128 | kill 62 129 | tkill 200 130
tgkill 234 131 | alarm 37 - | getitimer 36 102 | setitimer 38 103
nanosleep 35 101 | clock_nanosleep 230 115 | clock_gettime 228 113 | clock_getres 229 114 | gettimeofday 96 169
time 201 - | timerfd_create 283 85 | timerfd_settime 286 86 | timerfd_gettime 287 87 | getrandom 318 278
poll 7 - | ppoll 271 73 | select 23 - | pselect6 270 72 | epoll_create 213 - | epoll_create1 291 20 | epoll_ctl 233 21
epoll_wait 232 - | epoll_pwait 281 22 | epoll_pwait2 441 441 | eventfd 284 - | eventfd2 290 19
socketpair 53 199 | sendto 44 206 | recvfrom 45 207 | recvmsg 47 212 | shutdown 48 210 | getsockopt 55 209
setsockopt 54 208 | getsockname 51 204 | getpeername 52 205
mbind 237 235 | get_mempolicy 239 236 | set_mempolicy 238 237 | membarrier 324 283 | socket 41 198 | execve 59 221
execveat 322 281 | unshare 272 97 | setns 308 268 | mount 165 40 | umount2 166 39 | pivot_root 155 41 | chroot 161 51
open_tree 428 428 | move_mount 429 429 | fsopen 430 430 | fsconfig 431 431 | fsmount 432 432 | mount_setattr 442 442
ptrace 101 117 | pidfd_open 434 434 | memfd_create 319 279 | process_vm_readv 310 270 | io_uring_setup 425 425
capset 126 91 | setresuid 117 147 | setresgid 119 149 | setgroups 116 159
seccomp 317 277 | landlock_create_ruleset 444 444 | landlock_add_rule 445 445 | landlock_restrict_self 446 446
"""

MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # AUDIT_ARCH_* of <linux/audit.h>
MACHINE = platform.machine()


def numbers(machine: str) -> dict[str, int]:
    """Name to number; a call that the architecture does not have is absent."""
    column = list(MACHINES).index(machine) + 1
    entries = (entry.split() for line in _TABLE.strip().splitlines() for entry in line.split("|"))
    return {entry[0]: int(entry[column]) for entry in entries if entry[column] != "-"}


NUMBERS = numbers(MACHINE) if MACHINE in MACHINES else {}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


Word: TypeAlias = int | bytes | ctypes.Array[ctypes.c_char] | ctypes.Structure | None


def call(name: str, *arguments: Word) -> int:
    """Make the call; raises OSError. A structure or buffer goes by reference."""
    if name not in NUMBERS:
        raise OSError(errno.ENOSYS, f"{name} is not known for {MACHINE}")
    return raw(NUMBERS[name], *arguments)


def raw(number: int, *arguments: Word) -> int:
    """Make the call of this number; raises OSError."""
    words = [
        ctypes.byref(word)
        if isinstance(word, ctypes.Structure)
        else ctypes.c_long(word)
        if isinstance(word, int)
        else word
        for word in arguments
    ]
    result = int(_libc.syscall(ctypes.c_long(number), *words))
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result

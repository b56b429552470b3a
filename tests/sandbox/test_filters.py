"""The filter of system calls: what the program answers, call by call, and what the kernel makes of it."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from bpf_machine import answer
from hypothesis import given
from hypothesis import strategies as st
from locked import locked

from codeact.sandboxes.linux import bpf, gate, seccomp, syscalls
from codeact.sandboxes.linux.bpf import ALLOW, Check, Is, refuse

EPERM, ENOSYS, PRETENDED, NOTSUP = refuse(errno.EPERM), refuse(errno.ENOSYS), refuse(0), refuse(errno.ENOTSUP)
ARCH = syscalls.MACHINES["x86_64"]
N = syscalls.numbers("x86_64")
ME, HOST = 4242, 1234


def meets(
    level: str, name: str | int, *arguments: int, fork: bool = False, abi: int = 7, machine: str = "x86_64"
) -> int:
    """What the filter of this level answers to a call."""
    numbers = syscalls.numbers(machine)
    rules = seccomp.table(level=level, fork=fork, landlock_abi=abi, pid=ME, machine=machine)  # type: ignore[arg-type]
    program = bpf.assemble(rules, arch=syscalls.MACHINES[machine], default=EPERM, foreign=ENOSYS)
    number = numbers[name] if isinstance(name, str) else name
    return answer(program, number, arguments, arch=syscalls.MACHINES[machine])


def test_a_program_answers_every_number_as_its_table_says() -> None:
    table = {n: (refuse(n % 7 + 1) if n % 3 else ALLOW) for n in range(1024) if n % 11}
    program = bpf.assemble(table, arch=ARCH, default=refuse(99), foreign=refuse(98))
    assert len(program) // 8 > 600  # long enough that conditional jumps do not reach, and trampolines are needed
    assert len(program) // 8 <= 4096  # the kernel's bound
    for number in range(1024):
        assert answer(program, number, arch=ARCH) == table.get(number, refuse(99)), number
    for number in (1024, 0x3FFFFFFF):
        assert answer(program, number, arch=ARCH) == refuse(99)
    for number in (0x40000000, 0x40000000 | 39, 0x7FFFFFFF, 0xFFFFFFFF):
        assert answer(program, number, arch=ARCH) == refuse(98)
    assert answer(program, 0, arch=0x40000003) == refuse(98)  # AUDIT_ARCH_I386


@given(st.dictionaries(st.integers(0, 600), st.sampled_from([ALLOW, EPERM, ENOSYS]), max_size=300))
def test_any_table_is_answered_as_written(table: dict[int, int]) -> None:
    program = bpf.assemble(table, arch=ARCH, default=refuse(99), foreign=refuse(98))
    near = {number + step for number in table for step in (-1, 0, 1)} - {-1}
    assert all(answer(program, number, arch=ARCH) == table.get(number, refuse(99)) for number in near | {0, 601})


def test_the_smallest_programs_are_right_too() -> None:
    for table, expected in (
        ({}, refuse(9)),
        ({7: Check((), refuse(8))}, refuse(8)),
        ({7: Check(((Is(0, ()),),), refuse(8))}, refuse(8)),
    ):
        program = bpf.assemble(table, arch=ARCH, default=refuse(9), foreign=refuse(9))
        assert answer(program, 7, arch=ARCH) == expected
        assert answer(program, 6, arch=ARCH) == refuse(9)


def test_checks_reach_their_answers_from_anywhere_in_a_long_program() -> None:
    table: dict[int, bpf.Rule] = {
        n: Check(
            ((Is(0, (n, n + 1)), Is(1, (7 << 32 | n,), wide=True)), (Is(2, (n & 0xF0,), mask=0xF0),)),
            refuse(n % 90 + 1),
        )
        for n in range(0, 300, 2)
    }
    program = bpf.assemble(table, arch=ARCH, default=refuse(99), foreign=refuse(98))
    for n in range(0, 300, 2):
        other = ~n & 0xF0
        for arguments, allowed in (
            ((n, 7 << 32 | n, other), True),
            ((n + 1, 7 << 32 | n, other), True),
            ((9 << 32 | n, 7 << 32 | n, other), True),  # an int: what stands above it is not looked at
            ((n, 8 << 32 | n, other), False),  # a long: all of it is
            ((n + 2, 7 << 32 | n, other), False),
            ((n + 2, 0, n), True),
        ):
            expected = ALLOW if allowed else refuse(n % 90 + 1)
            assert answer(program, n, arguments, arch=ARCH) == expected, (n, arguments)


@pytest.mark.parametrize("level", ["full", "plain"])
@pytest.mark.parametrize("fork", [False, True])
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_number_that_is_not_on_the_list_is_refused(level: str, fork: bool, machine: str) -> None:
    rules = seccomp.table(level=level, fork=fork, landlock_abi=7, pid=ME, machine=machine)  # type: ignore[arg-type]
    program = bpf.assemble(rules, arch=syscalls.MACHINES[machine], default=EPERM, foreign=ENOSYS)
    for number in range(1024):
        rule = rules.get(number, EPERM)
        if isinstance(rule, int):
            assert answer(program, number, arch=syscalls.MACHINES[machine]) == rule, number
        if number not in rules:
            assert answer(program, number, (-1,) * 6, arch=syscalls.MACHINES[machine]) == EPERM


THREAD, FORK = 0x3D0F00, 0x01200011
NEW_NAMESPACES = [0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000]
NULL, POINTER = 0, 0x7F00_0000_0000  # a pointer whose low word is zero: both words must be looked at

# (level, call, arguments, answer)
CALLS: list[tuple[str, str, tuple[int, ...], int]] = [
    ("full", "clone", (THREAD,), ALLOW),
    ("full", "clone", (FORK,), EPERM),
    ("full", "clone", (0x4100 | 17,), EPERM),  # CLONE_VM | CLONE_VFORK: posix_spawn
    *[("full", "clone", (THREAD | new,), EPERM) for new in NEW_NAMESPACES],
    *[("full", "clone", (17 | new,), EPERM) for new in NEW_NAMESPACES],
    ("full", "clone3", (POINTER, 88), ENOSYS),
    ("full", "fork", (), EPERM),
    ("full", "execve", (POINTER,), EPERM),
    ("full", "execveat", (POINTER,), EPERM),
    ("full", "socket", (2, 1), EPERM),
    ("full", "socketpair", (1, 1), ALLOW),
    ("full", "socketpair", (1, 1 | 0o2000000 | 0o4000), ALLOW),
    ("full", "socketpair", (1, 2), EPERM),  # SOCK_DGRAM can sendto() any path
    ("full", "socketpair", (1, 5), EPERM),
    ("full", "socketpair", (2, 1), EPERM),
    ("full", "sendto", (3, POINTER, 9, 0, NULL), ALLOW),
    ("full", "sendto", (3, POINTER, 9, 0x4000, NULL), ALLOW),  # MSG_NOSIGNAL
    ("full", "sendto", (3, POINTER, 9, 0, POINTER), EPERM),
    ("full", "sendto", (3, POINTER, 9, 1, NULL), EPERM),  # MSG_OOB
    ("full", "recvfrom", (3, POINTER, 9, 1), EPERM),
    ("full", "recvmsg", (3,), EPERM),
    ("full", "getsockopt", (3, 1, 4), ALLOW),
    ("full", "getsockopt", (3, 1, 77), EPERM),  # SO_PEERPIDFD
    ("full", "setsockopt", (3, 1, 26), EPERM),  # SO_ATTACH_FILTER
    ("full", "ioctl", (0, 0x541B), ALLOW),
    ("full", "ioctl", (0, 0x5412), EPERM),  # TIOCSTI
    ("full", "ioctl", (0, 1 << 32 | 0x5412), EPERM),  # CVE-2019-10063: high bits that the kernel ignores
    ("full", "ioctl", (0, 0x40049409), ALLOW),  # FICLONE
    ("full", "ioctl", (0, 0x4004940D), EPERM),  # FICLONERANGE
    ("full", "membarrier", (8,), ALLOW),
    ("full", "membarrier", (1,), EPERM),  # GLOBAL
    ("full", "prctl", (21,), ALLOW),
    ("full", "prctl", (22,), EPERM),  # PR_SET_SECCOMP
    ("full", "prctl", (4,), EPERM),  # PR_SET_DUMPABLE
    ("full", "prlimit64", (0, 7, NULL, POINTER), ALLOW),
    ("full", "prlimit64", (0, 7, POINTER, NULL), EPERM),
    ("full", "prlimit64", (0, 7, 0x1000, NULL), EPERM),
    ("plain", "prlimit64", (HOST, 7, NULL, POINTER), EPERM),
    ("plain", "sched_setaffinity", (0,), ALLOW),
    ("plain", "sched_setaffinity", (HOST,), EPERM),
    ("plain", "sched_getaffinity", (HOST,), EPERM),
    ("plain", "getpgid", (ME,), ALLOW),
    ("plain", "getpgid", (HOST,), EPERM),
    ("plain", "clock_gettime", (1,), ALLOW),
    ("plain", "clock_gettime", (~HOST << 3 | 2,), EPERM),  # another process's CPU clock
    ("full", "fcntl", (3, 1), ALLOW),
    ("full", "fcntl", (3, 8, HOST), EPERM),  # F_SETOWN
    ("full", "fcntl", (3, 10), EPERM),  # F_SETSIG
    ("full", "fcntl", (3, 15), EPERM),  # F_SETOWN_EX
    ("full", "fcntl", (3, 1024), EPERM),  # F_SETLEASE
    ("full", "fcntl", (3, 1026), EPERM),  # F_NOTIFY
    ("full", "memfd_create", (POINTER,), EPERM),
    ("full", "mbind", (), ENOSYS),
    ("full", "chmod", (POINTER, 0o777), ALLOW),
    ("plain", "chmod", (POINTER, 0o777), PRETENDED),
    ("plain", "utimensat", (3, NULL), PRETENDED),
    ("plain", "fchown", (3, 0, 0), EPERM),
    ("plain", "setxattr", (POINTER,), NOTSUP),
]


@pytest.mark.parametrize("level, name, arguments, expected", CALLS)
def test_what_a_call_with_these_arguments_meets(
    level: str, name: str, arguments: tuple[int, ...], expected: int
) -> None:
    assert meets(level, name, *arguments) == expected
    if name in syscalls.numbers("aarch64"):
        assert meets(level, name, *arguments, machine="aarch64") == expected


def test_with_snapshots_a_plain_fork_passes_and_nothing_more() -> None:
    assert meets("full", "clone", FORK, fork=True) == ALLOW
    assert meets("full", "clone", 17, fork=True) == ALLOW
    assert meets("full", "fork", fork=True) == ALLOW
    for flags in (*(17 | new for new in NEW_NAMESPACES), 0x4100 | 17, 0x11 | 0x200, 0x8000 | 17):
        assert meets("full", "clone", flags, fork=True) == EPERM, hex(flags)
    assert meets("full", "execve", POINTER, fork=True) == EPERM


@pytest.mark.skipif(syscalls.MACHINE != "x86_64", reason="the numbers below are those of x86_64")
def test_the_gate_asks_about_each_fork_that_may_pass_and_about_nothing_else() -> None:
    program, asks = gate.program(), 0x7FC00000
    numbers = syscalls.numbers("x86_64")
    for arguments in ((FORK,), (17,), (FORK | 1 << 40,)):
        assert answer(program, numbers["clone"], arguments, arch=ARCH) == asks
        assert meets("full", "clone", *arguments, fork=True) == ALLOW
    assert answer(program, numbers["fork"], arch=ARCH) == asks
    for name, number in numbers.items():
        if name != "fork":
            assert answer(program, number, (0x3D0F00,), arch=ARCH) == ALLOW, name
    assert (
        answer(program, numbers["fork"], arch=0x40000003) == ALLOW
    )  # another architecture: the next filter refuses it


def test_a_guest_signals_itself_alone_whatever_else_holds() -> None:
    for level, abi, fork in (("full", 7, False), ("plain", 7, False), ("plain", 5, False), ("plain", 5, True)):
        for name in ("kill", "tgkill", "tkill"):
            assert meets(level, name, ME, 10, abi=abi, fork=fork) == ALLOW
            for other in (HOST, 0, -1, -ME):
                assert meets(level, name, other, 9, abi=abi, fork=fork) == EPERM, (level, abi, fork, name, other)


def test_copies_may_signal_each_other_where_a_namespace_or_landlock_keeps_them_in() -> None:
    for level, abi in (("full", 1), ("plain", 6)):
        assert meets(level, "kill", HOST, 9, abi=abi, fork=True) == ALLOW


def test_the_filter_wants_the_guests_pid_where_it_alone_stops_signals() -> None:
    with pytest.raises(ValueError, match="pid"):
        seccomp.table(level="plain", fork=False, landlock_abi=5, pid=None, machine="x86_64")


def test_before_landlock_knows_truncation_no_readable_file_can_be_emptied() -> None:
    truncate, create = 0o1000, 0o100
    for access, allowed in ((0, False), (1, True), (2, True), (3, False)):
        assert meets("plain", "openat", -100, POINTER, access | truncate | create, abi=2) == (
            ALLOW if allowed else EPERM
        )
        assert meets("plain", "open", POINTER, access | truncate | create, abi=2) == (ALLOW if allowed else EPERM)
        assert meets("plain", "openat", -100, POINTER, access | create, abi=2) == ALLOW
    assert meets("plain", "truncate", POINTER, 0, abi=2) == EPERM
    assert meets("plain", "openat", -100, POINTER, truncate, abi=3) == ALLOW


@pytest.mark.parametrize(
    "machine, header, pattern",
    [
        ("x86_64", "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", r"#define __NR_(\w+) (\d+)"),
        ("aarch64", "/usr/include/asm-generic/unistd.h", r"#define __NR(?:3264)?_(\w+) (\d+)"),
    ],
)
def test_the_numbers_are_those_of_the_kernels_headers(machine: str, header: str, pattern: str) -> None:
    if not Path(header).exists():
        pytest.skip(f"{header} is not here: the Debian package linux-libc-dev is absent")
    official = dict(re.findall(pattern, Path(header).read_text()))
    official["newfstatat"] = official.get("newfstatat") or official["fstatat"]
    for name, number in syscalls.numbers(machine).items():
        if name in official:  # an older header misses the newest calls
            assert int(official[name]) == number, name
    assert len(syscalls.numbers(machine).keys() & official.keys()) > 150


def test_the_kernel_takes_the_filter_and_answers_as_the_program_says() -> None:
    """The sweep: every number outside the list, asked with nonsense, must be refused before the kernel looks at it."""
    for level in ("full", "plain"):
        leaks = locked(
            """
            for number in range(1024):
                if number in seccomp.ALLOWED or number in (335, 336):  # uretprobe, uprobe: never filtered, and harmless
                    continue
                try: syscalls.raw(number, -1, -1, -1, -1, -1, -1); leaks.append(number)
                except OSError as error:
                    if error.errno not in (1, 38): leaks.append((number, error.errno))
            try: syscalls.raw(0x40000000 | 39); leaks.append("x32")
            except OSError: pass
            print(leaks)
            """,
            before=f"leaks = []; program = seccomp.program(level={level!r}, landlock_abi=7)",
        )
        assert leaks == "[]"


def test_a_filter_is_refused_without_no_new_privs_or_says_so() -> None:
    if os.geteuid() == 0:
        pytest.skip("root may install a filter without no_new_privs")
    code = "from codeact.sandboxes.linux import seccomp; seccomp.install(seccomp.program(level='full', landlock_abi=7))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "PermissionError" in done.stderr or "Permission denied" in done.stderr


def test_the_filter_covers_threads_that_were_there_before_it() -> None:
    said = locked(
        """
        go.set(); thread.join(); print(said)
        """,
        before="""
import threading
go, said = threading.Event(), []
def late():
    go.wait()
    try: syscalls.call("socket", 1, 1, 0); said.append("open")
    except OSError as error: said.append(error.errno)
thread = threading.Thread(target=late); thread.start()
program = seccomp.program(level="full", landlock_abi=7)
""",
    )
    assert said == "[1]"


ORDINARY = {
    "threads and asyncio": """
        import asyncio, threading, concurrent.futures as futures
        with futures.ThreadPoolExecutor(4) as pool: assert sum(pool.map(abs, range(-9, 0))) == 45
        async def main():
            await asyncio.gather(*(asyncio.to_thread(int, "7") for _ in range(4)))
            reader, writer = await asyncio.open_connection(sock=a)
            writer.write(b"x" * 300000); await asyncio.sleep(0)
            return len(await asyncio.to_thread(b.recv, 10, 0))
        import socket
        a, b = socket.socketpair()
        assert asyncio.run(main()) == 10
        import signal, time
        signal.signal(signal.SIGALRM, lambda *_: said.append("alarm")); signal.setitimer(signal.ITIMER_REAL, 0.01)
        while not said: time.sleep(0.01)
        signal.raise_signal(signal.SIGALRM); assert said == ["alarm", "alarm"], said
    """,
    "files": """
        import mmap, os, pathlib, shutil, sqlite3, tempfile, zipfile, tarfile
        with tempfile.TemporaryDirectory() as place:
            os.chdir(place)
            pathlib.Path("a.txt").write_text("hello"); shutil.copy("a.txt", "b.txt"); shutil.copy2("a.txt", "c.txt")
            os.mkdir("d"); shutil.copytree("d", "e"); shutil.move("b.txt", "d"); shutil.make_archive("z", "zip", "d")
            with tarfile.open("t.tar.gz", "w:gz") as tar: tar.add("d")
            tarfile.open("t.tar.gz").extractall("out"); zipfile.ZipFile("z.zip").extractall("out2")
            shutil.rmtree("out"); assert shutil.disk_usage(".").total
            os.truncate("c.txt", 2); assert os.path.getsize("c.txt") == 2
            with open("a.txt", "r+b") as file, mmap.mmap(file.fileno(), 0) as view: view[:1] = b"J"
            data = sqlite3.connect("x.db"); data.execute("pragma journal_mode=wal"); data.execute("create table t (a)")
            data.executemany("insert into t values (?)", [(1,), (2,)]); data.commit()
            assert data.execute("select sum(a) from t").fetchone() == (3,); data.close()
            os.chdir("/")
    """,
    "numpy and pandas": """
        import numpy as np, pandas as pd, io, tempfile
        a = np.random.default_rng(1).random((200, 200)); np.linalg.svd(a); np.fft.fft2(a); a @ a
        with tempfile.NamedTemporaryFile(suffix=".npy") as file:
            np.save(file.name, a); np.load(file.name, mmap_mode="r").sum()
        left = pd.read_csv(io.StringIO("k,v\\n1,2\\n3,4")); left.merge(left, on="k").groupby("k").sum()
        assert str(pd.Timestamp("2024-07-01", tz="Europe/Oslo").utcoffset()) == "2:00:00"
    """,
    "ctypes, zones, randomness and the platform": """
        import ctypes, datetime, os, platform, random, secrets, time, uuid, zoneinfo, locale, select, faulthandler
        compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
        libc = ctypes.CDLL(None); numbers = (ctypes.c_int * 3)(3, 1, 2)
        libc.qsort(numbers, 3, 4, compare(lambda x, y: x[0] - y[0])); assert list(numbers) == [1, 2, 3]
        assert datetime.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Oslo")).utcoffset().seconds == 7200
        uuid.uuid4(); secrets.token_hex(); platform.platform(); os.cpu_count(); os.sched_getaffinity(0)
        time.thread_time(); time.process_time(); os.urandom(8); select.epoll().close(); os.eventfd(0)
    """,
}


@pytest.mark.parametrize("level", ["full", "plain"])
@pytest.mark.parametrize("what", ORDINARY)
def test_ordinary_python_does_not_notice(what: str, level: str) -> None:
    before = f"said = []; import os; program = seccomp.program(level={level!r}, landlock_abi=5, pid=os.getpid())"
    assert locked(ORDINARY[what] + "\n        print('fine')", before=before) == "fine"

"""Holes that were found once, each shut: found by testing, in what landlock does not cover, and in advisories."""

from __future__ import annotations

import builtins
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from canaries import Canaries
from sessions import FREE, session_at

from codeact.core.execution import Policy

# What is tried, against a host whose file, sockets and process are open to every user of the machine.
# Each must raise OSError, or do nothing at all: the canaries tell.
REFUSED = {
    "a datagram socketpair reaches a socket by its path": """
        import socket
        a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        a.sendto(b'x', UNIX_DATAGRAM_PATH)
    """,
    "the channel's own socket is turned to another peer": """
        import socket
        s = socket.socket(fileno=os.dup(3))
        try: s.connect(UNIX_PATH)
        except OSError: s.sendto(b'x', UNIX_DATAGRAM_PATH)
    """,
    "a descriptor is handed to the host": """
        import array, socket
        a, b = socket.socketpair()
        a.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0]))])
    """,
    "the peer's process by its socket": "import socket; a, b = socket.socketpair(); a.getsockopt(1, 77, 4)",
    "a filter of one's own on a socket": "import socket; a, b = socket.socketpair(); a.setsockopt(1, 26, bytes(16))",
    "limits of a host process": "import resource; resource.prlimit(HOST_PID, resource.RLIMIT_NOFILE, (10, 10))",
    "limits of a host process, only read": "import resource; resource.prlimit(HOST_PID, resource.RLIMIT_NOFILE)",
    "processors of a host process": "os.sched_setaffinity(HOST_PID, {0})",
    "priority of all processes of the user": "os.setpriority(os.PRIO_USER, 0, 19)",
    "a host process is told of input": "import fcntl; fcntl.fcntl(3, fcntl.F_SETOWN, HOST_PID)",
    "a signal by input": "import fcntl; fcntl.fcntl(3, fcntl.F_SETSIG, 9)",
    "a lease on a library": "import fcntl; fcntl.fcntl(os.open(os.__file__, 0), fcntl.F_SETLEASE, fcntl.F_RDLCK)",
    "watching a folder": "import fcntl; fcntl.fcntl(os.open(os.path.dirname(os.__file__), 0), fcntl.F_NOTIFY, 1)",
    "watching by inotify": "sc(254, sc(294, 0), CANARY_DIR.encode(), 0xfff)",
    "a signal to a host process": "os.kill(HOST_PID, 9)",
    "a signal to its group": "os.killpg(HOST_PID, 9)",
    "a signal by its thread": "sc(200, HOST_PID, 9)",
    "a queued signal": "sc(129, HOST_PID, 9, b'x' * 128)",
    "the processor time of a host process": "import time; time.clock_gettime((~HOST_PID << 3) | 2)",
    "its group": "os.getpgid(HOST_PID)",
    "its program": "os.readlink(f'/proc/{HOST_PID}/exe')",
    "its environment": "open(f'/proc/{HOST_PID}/environ', 'rb').read()",
    "its memory": "sc(310, HOST_PID, 0, 0, 0, 0, 0)",
    "memory that no limit counts": "os.memfd_create('x')",
    "input typed for the terminal, in high bits": "sc(16, 0, 0x100005412, b'x')",
    "a file emptied by its path": "os.truncate(CANARY_FILE, 0)",
    "a file emptied by opening it": "os.open(CANARY_FILE, os.O_RDONLY | os.O_TRUNC)",
    "a library emptied by opening it": "os.open(os.__file__, os.O_RDONLY | os.O_TRUNC)",
    "a file given away": "os.chown(CANARY_FILE, 65534, 65534)",
    "a library given away by its descriptor": "os.fchown(os.open(os.__file__, os.O_RDONLY), 65534, 65534)",
    "an attribute on a file": "os.setxattr(CANARY_FILE, 'user.x', b'x')",
    "an attribute on a library": "os.setxattr(os.__file__, 'user.x', b'x')",
    "a file moved": "os.rename(CANARY_FILE, CANARY_DIR + '/moved')",
    "a device in the scratch": "import stat; os.mknod('disk', stat.S_IFBLK | 0o600, os.makedev(8, 0))",
    "a hard link by a handle": "sc(265, os.open(CANARY_FILE, os.O_PATH), b'', -100, b'stolen', 0x1000)",
    "a handle opened again": "open(f'/proc/self/fd/{os.open(CANARY_FILE, os.O_PATH)}').read()",
    "a handle read": "os.read(os.open(CANARY_FILE, os.O_PATH), 1)",
    "a file below a handle": "os.open('secret', os.O_RDONLY, dir_fd=os.open(CANARY_DIR, os.O_PATH))",
    "a file exchanged for one's own": "open('a', 'w').close(); sc(316, -100, b'a', -100, CANARY_FILE.encode(), 2)",
    "a link laid over a file": "os.symlink('x', 'link'); os.replace('link', CANARY_FILE)",
    "attributes of a file": "os.listxattr(CANARY_FILE)",
    "a pipe where the host looks": "os.mkfifo(CANARY_DIR + '/pipe')",
    "another root": "os.chroot('.')",
    "a copy by posix_spawn": "os.posix_spawn(sys.executable, ['x'], {})",
    "landlock once more, to confuse it": "sc(444, b'\\x01' + bytes(7), 8, 0)",
    "seccomp once more": "sc(317, 1, 0, 0)",
}
# What answers as if it were done at plain, where it cannot be told from harmless use: it must change nothing.
WITHOUT_EFFECT = {
    "mode of a file": "os.chmod(CANARY_FILE, 0o4777)",
    "mode of a library by its descriptor": "os.fchmod(os.open(os.__file__, os.O_RDONLY), 0o4777)",
    "times of a file": "os.utime(CANARY_FILE, (1, 1))",
    "mode of a file by a handle": "sc(452, os.open(CANARY_FILE, os.O_PATH), b'', 0o4777, 0x1000)",
    "times of a file by a handle": "sc(280, os.open(CANARY_FILE, os.O_PATH), b'', b'\\1' * 32, 0x1000)",
    "mode of a device": "os.fchmod(0, 0o666)",
    "times of a device": "os.utime(0)",  # anyone who may write to a device may do this
    "times of a device by its path": "os.utime('/dev/zero')",
    "times of a library by its descriptor": "os.utime(os.open(os.__file__, os.O_RDONLY), (1, 1))",
}


@pytest.mark.parametrize("what", [*REFUSED, *WITHOUT_EFFECT])
async def test_hole(what: str, level: str, host: Canaries) -> None:
    before = _metadata()
    code = (REFUSED | WITHOUT_EFFECT)[what].replace("\n        ", "\n").strip()
    async with session_at(level, host) as session:
        await session.prepare()
        error = (await session.run(code)).error
        if what in REFUSED or level == "full":
            assert error is not None and issubclass(_kind(error.type), OSError), error
    assert _metadata() == before


def _metadata() -> list[tuple[int, ...]]:
    """Of files of the host that a guest can open."""
    found = map(os.stat, (os.__file__, "/dev/null", "/dev/zero"))
    return [
        # a container engine gives the devices that it is started with to its container's user, and back
        (now.st_mode, now.st_uid, now.st_size, now.st_mtime_ns, 0 if stat.S_ISCHR(now.st_mode) else now.st_ctime_ns)
        for now in found
    ]


def _kind(name: str) -> type:
    kind = getattr(builtins, name, Exception)
    return kind if isinstance(kind, type) else Exception


async def test_two_sessions_never_share_the_randomness_of_openssl(level: str, host: Canaries) -> None:
    """A fork with the pid of its parent looks to OpenSSL like no fork: a session must be number 2 of its namespace."""
    code = "import os, ssl; (os.getpid(), ssl.RAND_bytes(16).hex())"
    async with session_at(level, host) as one, session_at(level, host) as two:
        (first, mine), (second, yours) = await one.value(code), await two.value(code)
        assert mine != yours
        if level == "full":
            assert first == second == 2


async def test_two_sessions_of_one_user_can_neither_read_nor_signal_each_other(level: str, host: Canaries) -> None:
    async with session_at(level, host) as one, session_at(level, host) as two:
        pid, file = await one.value("import os\nopen('mine', 'w').write('x')\n(os.getpid(), os.path.abspath('mine'))")
        for attack in (f"open({file!r})", f"os.listdir(os.path.dirname({file!r}))", f"os.kill({pid}, 9)"):
            error = (await two.run(f"import os\n{attack}")).error
            if level == "full" and "open" not in attack:
                continue  # the paths and the numbers are its own
            assert error is not None and issubclass(_kind(error.type), OSError), attack
        assert await one.value("open('mine').read()") == "x"


async def test_each_session_has_its_own_count_of_threads(host: Canaries) -> None:
    """RLIMIT_NPROC counts by user and user namespace: three sessions of 40 threads fit into three limits of 64."""
    code = """
import threading
go = threading.Event()
threads = [threading.Thread(target=go.wait, daemon=True) for _ in range(40)]
[thread.start() for thread in threads]
len(threads)
"""
    async with session_at("full", host) as one, session_at("full", host) as two, session_at("full", host) as three:
        assert [await session.value(code) for session in (one, two, three)] == [40, 40, 40]


async def test_nothing_of_a_session_outlives_its_main_process(level: str, host: Canaries) -> None:
    async with session_at(level, host) as session:
        code = "import os, threading, time; threading.Thread(target=time.sleep, args=(60,)).start(); os._exit(0)"
        assert (await session.run(code)).ended == "exit"
        assert await session.value("40 + 2") == 42


@pytest.fixture(scope="module")
def environment_below_tmp() -> Iterator[Path]:
    """A scratch that is mounted on /tmp must not hide it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        yield Path(folder)


async def test_a_python_that_lies_below_tmp_is_still_there_and_its_neighbours_are_not(
    environment_below_tmp: Path, level: str, host: Canaries
) -> None:
    policy = Policy(FREE.limits, python=str(environment_below_tmp), imports=FREE.imports)
    async with session_at(level, host, policy) as session:
        assert await session.value("import sys; sys.prefix") == str(environment_below_tmp)
        error = (await session.run("import os; os.listdir('/tmp/..')")).error
        assert error is not None and error.type == "PermissionError"
        seen = await session.value("import os\ntry: seen = os.listdir('/tmp')\nexcept OSError: seen = []\nseen")
        assert host.folder.name not in seen

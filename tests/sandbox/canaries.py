"""What a host has to lose: a secret in a file, ears on the network, a process. Afterwards nothing may have stirred."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
import platform
import re
import resource
import secrets
import socket
import subprocess
import tempfile
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PATIENCE = 30.0
_OF_MEMORY = 16 << 20  # what an allocator may keep


@dataclass(frozen=True)
class Canaries:
    """Everything is open to every user of the machine, so that only the wall can protect it."""

    folder: Path
    secret: str
    ears: dict[str, socket.socket]
    process: subprocess.Popen[bytes]
    before: os.stat_result

    @property
    def file(self) -> Path:
        return self.folder / "secret"

    def names(self) -> dict[str, Any]:
        """What a cell is told of them; never the secret."""
        return {
            "CANARY_FILE": str(self.file),
            "CANARY_DIR": str(self.folder),
            "CANARY_SHA": hashlib.sha256(self.secret.encode()).hexdigest(),
            "CANARY_LEN": len(self.secret),
            "TCP_PORT": self.ears["tcp"].getsockname()[1],
            "TCP6_PORT": self.ears["tcp6"].getsockname()[1] if "tcp6" in self.ears else 1,
            "UDP_PORT": self.ears["udp"].getsockname()[1],
            "UNIX_PATH": str(self.folder / "stream"),
            "UNIX_DATAGRAM_PATH": str(self.folder / "datagram"),
            "ABSTRACT": self.ears["abstract"].getsockname()[1:].decode(),
            "HOST_PID": self.process.pid,
            "HOST_IP": _address(),
            "HOST_NODE": platform.node(),
        }

    def disturbed(self) -> list[str]:
        """What happened to them; nothing, if the wall held."""
        found = []
        now = self.file.stat()
        for what in ("st_ino", "st_mode", "st_uid", "st_size", "st_mtime_ns", "st_ctime_ns"):
            if getattr(now, what) != getattr(self.before, what):
                found.append(f"{what} of the file changed")
        if self.file.read_text() != self.secret:
            found.append("the file's content changed")
        if sorted(path.name for path in self.folder.iterdir()) != ["datagram", "secret", "stream"]:
            found.append("something was made or removed beside it")
        found += [f"the {name} listener heard something" for name, ear in self.ears.items() if _heard(ear)]
        if self.process.poll() is not None:
            found.append("the process is gone")
        return found


@contextlib.contextmanager
def canaries() -> Iterator[Canaries]:
    with tempfile.TemporaryDirectory(prefix="canary-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o777)
        secret = secrets.token_hex(23)
        (folder / "secret").write_text(secret)
        (folder / "secret").chmod(0o666)
        ears = {kind: stack.enter_context(ear) for kind, ear in _ears(folder)}
        process = stack.enter_context(subprocess.Popen(["sleep", "3600"]))
        stack.callback(process.kill)
        yield Canaries(folder, secret, ears, process, (folder / "secret").stat())


def _ears(folder: Path) -> Iterator[tuple[str, socket.socket]]:
    for kind, family, how, place in (
        ("tcp", socket.AF_INET, socket.SOCK_STREAM, ("0.0.0.0", 0)),
        ("tcp6", socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0)),
        ("udp", socket.AF_INET, socket.SOCK_DGRAM, ("0.0.0.0", 0)),
        ("unix", socket.AF_UNIX, socket.SOCK_STREAM, str(folder / "stream")),
        ("datagram", socket.AF_UNIX, socket.SOCK_DGRAM, str(folder / "datagram")),
        ("abstract", socket.AF_UNIX, socket.SOCK_STREAM, f"\0{folder.name}"),
        ("abstract datagram", socket.AF_UNIX, socket.SOCK_DGRAM, f"\0{folder.name}d"),
    ):
        try:
            ear = socket.socket(family, how)
            ear.bind(place)
        except OSError:
            if kind == "tcp6":
                continue  # a machine without IPv6
            raise
        ear.setblocking(False)
        if how == socket.SOCK_STREAM:
            ear.listen()
        if isinstance(place, str) and place.startswith("/"):
            os.chmod(place, 0o777)
        yield kind, ear


def _heard(ear: socket.socket) -> bool:
    try:
        if ear.type == socket.SOCK_STREAM:
            ear.accept()[0].close()
        else:
            ear.recv(1)
    except BlockingIOError:
        return False
    return True


def _address() -> str:
    """An address of this machine that is not loopback, if it has one; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def belongings() -> dict[str, int]:
    """What this process has, and the processes below it. To be the same before and after."""
    parents, states = {}, {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                with open(f"/proc/{entry}/stat", "rb", buffering=0) as file:  # of all there are, at every session
                    state, parent = file.read().rpartition(b")")[2].split(None, 2)[:2]
                states[int(entry)], parents[int(entry)] = state, int(parent)
    below = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= more
    opened = _opened(below)
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "processes": len(below),
        "zombies": sum(states.get(pid) == b"Z" for pid in below),
        "mounts": len(mounts()),
        "scratch folders": sum(map(_entries, _grounds(opened))),
        "control groups": sum(map(_folders, _groups(opened))),
        "core files": len([*Path.cwd().glob("core"), *Path.cwd().glob("core.[0-9]*")]),
        "memory": int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize(),
    }


def mounts() -> list[str]:
    """What is mounted where, less what a container engine that another test runs may mount at any time."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [line for line in lines if not re.match(r"/(var/lib|run)/(containers|docker|netns|user)\b", line.split()[1])]


def _grounds(opened: set[str]) -> set[str]:
    """The folders in which launchers below this process keep what sessions write: they hold them open."""
    return {path for path in opened if path.startswith(tempfile.gettempdir() + "/") and os.path.isdir(path)}


def _groups(opened: set[str]) -> set[str]:
    """The control groups of launchers below this process, in which each session has its own."""
    return {path for path in opened if os.path.basename(path).startswith("codeact-") and "/cgroup/" in path}


def _opened(below: set[int]) -> set[str]:
    found = set()
    for pid in below - {os.getpid()}:
        with contextlib.suppress(OSError):
            opened = f"/proc/{pid}/fd/"
            found |= {os.readlink(opened + number) for number in os.listdir(opened)}
    return found


def _folders(group: str) -> int:
    with contextlib.suppress(OSError):
        return sum(entry.is_dir() for entry in os.scandir(group))
    return 0


def _entries(folder: str) -> int:
    with contextlib.suppress(OSError):
        return len(os.listdir(folder))
    return 0


def left_over(before: dict[str, int], *, stays: Collection[str] = ()) -> dict[str, int]:
    """What this process has beyond what it had and beside what `stays`, once what was ended had time to go."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        more = {
            what: count - before[what]
            for what, count in belongings().items()
            if what not in stays and count - before[what] > (_OF_MEMORY if what == "memory" else 0)
        }
        if not more or time.monotonic() > deadline:
            return more
        gc.collect()
        time.sleep(0.005)

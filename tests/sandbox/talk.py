"""To talk with the stand-in guest behind a real wall, on this machine or on one that refuses something."""

from __future__ import annotations

import functools
import json
import os
import struct
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from codeact.core.execution import Limits, Policy
from codeact.ports import Pipe
from codeact.sandboxes.linux import LinuxSandbox
from codeact.sandboxes.linux.launchers import SHIPPED, Parts
from codeact.sandboxes.linux.report import inspect

HERE = Path(__file__).resolve().parent
GUEST = HERE / "standin"
_LENGTH = struct.Struct(">I")
_links = tempfile.TemporaryDirectory(prefix="machines-")


def sandbox(machine: str | None = None, require: Literal["plain", "full"] = "plain") -> LinuxSandbox:
    """The sandbox with the stand-in for a guest, as it is on such a machine."""
    entry = SHIPPED.entry
    if machine is not None:
        entry = Path(_links.name, f"{machine}.py")
        if not entry.exists():
            entry.symlink_to(HERE / "machine.py")
    return LinuxSandbox(require, _parts=Parts(entry, GUEST))


def at(level: str) -> LinuxSandbox:
    """The wall at this level. Where the machine does not give it, the test is skipped and says so."""
    if level == "plain":
        return sandbox("no_namespaces")
    if _level_here() != "full":
        pytest.skip(f"this machine gives {_level_here()}, not full")
    return sandbox(require="full")


@functools.cache
def _level_here() -> str | None:
    return inspect().level


@dataclass
class Talk:
    """A session, what it wrote, and the way to ask it."""

    pipe: Pipe
    written: dict[str, bytes] = field(default_factory=lambda: {"stdout": b"", "stderr": b""})

    async def __call__(self, source: str) -> Any:
        """The variable `result` after this source; an exception is {"raised", "message"}."""
        await self.tell(source)
        return await self.answer()

    async def tell(self, source: str) -> None:
        text = source.encode()
        await self.pipe.send(_LENGTH.pack(len(text)) + text)

    async def answer(self) -> Any:
        heard = b""
        while len(heard) < 4 or len(heard) < 4 + _LENGTH.unpack(heard[:4])[0]:
            data = await self.pipe.receive()
            if not data:
                raise EOFError(f"the guest ended: {await self.pipe.ended()}; it wrote {self.written}")
            heard += data
        return json.loads(heard[4:])


@asynccontextmanager
async def session(
    of: LinuxSandbox, *, python: str | None = None, keep: int = 1 << 20, **limits: Any
) -> AsyncIterator[Talk]:
    """A session, with these limits beside the usual ones; of what it writes `keep` bytes are kept."""
    written = {"stdout": b"", "stderr": b""}

    def sink(stream: str, data: bytes) -> None:
        if len(written[stream]) < keep:
            written[stream] += data

    async with of.launch(Policy(Limits(**limits), python), sink) as pipe:
        yield Talk(pipe, written)


def descendants(pid: int | None = None) -> set[int]:
    """All processes that this one, or another, started and that still are, zombies too."""
    parents: dict[int, int] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", "rb", buffering=0) as file:
                parents[int(name)] = int(file.read().rpartition(b")")[2].split(None, 2)[1])
        except OSError:
            continue
    found = {pid or os.getpid()}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid or os.getpid()}


def until(true: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Whether it became true in time."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True

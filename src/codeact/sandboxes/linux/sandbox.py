"""The sandbox of Linux: sessions of a warm CPython behind namespaces, landlock, seccomp and limits."""

from __future__ import annotations

import functools
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Literal

import anyio
import anyio.to_thread

from ...core.errors import SandboxUnavailable
from ...core.execution import Limits, Policy
from ...ports import Pipe, Sink
from .environment import find
from .launchers import SHIPPED, Launcher, Parts, launcher, unavailable
from .layers import Refused
from .pipe import LinuxPipe


class LinuxSandbox:
    """Confines by what the kernel gives: the level `full`, or `plain` where namespaces or mounts are refused.

    With `require="full"` nothing weaker runs; below `plain` nothing ever does.
    """

    def __init__(self, require: Literal["plain", "full"] = "plain", *, _parts: Parts = SHIPPED) -> None:
        if require not in ("plain", "full"):
            raise ValueError(f"require={require!r}: 'plain' or 'full'")
        self._require = require
        self._parts = _parts

    @property
    def name(self) -> str:
        """`linux`, or `linux-full` when nothing weaker is accepted."""
        return "linux" if self._require == "plain" else "linux-full"

    def launch(self, policy: Policy, sink: Sink) -> AbstractAsyncContextManager[Pipe]:
        """See `Sandbox`."""
        return self._launch(policy, sink)

    @asynccontextmanager
    async def _launch(self, policy: Policy, sink: Sink) -> AsyncIterator[Pipe]:
        if sys.platform != "linux":
            raise SandboxUnavailable("kernel", f"this is {sys.platform}, not Linux", "Use another sandbox.")
        environment = await anyio.to_thread.run_sync(find, policy.python)
        pipe = await self._start(launcher(environment, self._parts), policy.limits, sink)
        try:
            yield pipe
        finally:
            with anyio.CancelScope(shield=True):
                await pipe.aclose()

    async def _start(self, from_: Launcher, limits: Limits, sink: Sink) -> LinuxPipe:
        bounds = {
            "memory": limits.memory,
            "threads": limits.threads,
            "scratch": limits.scratch,
            "inodes": limits.inodes,
        }
        for _ in range(2):  # a launcher may have died since its last session; a second time is no chance
            pipe = LinuxPipe(sink)
            try:
                await anyio.to_thread.run_sync(
                    functools.partial(from_.order, bounds, pipe.guest_descriptors, self._require)
                )
                pipe.release_guest_descriptors()
                if await pipe.settle():
                    return pipe
            except Refused as refused:
                pipe.close()
                raise unavailable(refused) from None
            except BaseException:
                pipe.close()
                raise
            pipe.close()
        raise unavailable(Refused("launcher", "?", "it died while a session was made"))

"""The sandbox of Linux: sessions of a warm CPython behind namespaces, landlock, seccomp and limits."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Literal

import anyio
import anyio.to_thread

from ...core.errors import SandboxUnavailable
from ...core.execution import Policy
from ...ports import Pipe, Sink
from . import preload, uninstalled
from .certificates import trusting
from .ends import Ends
from .environment import find, found
from .launchers import SHIPPED, Parts, end_idle, launcher, unavailable
from .layers import Refused
from .mounts import settled, warn_of
from .pipe import LinuxPipe
from .pool import PAUSE, POOL, Kind

_BOUNDS = ("memory", "threads", "scratch", "inodes")


class LinuxSandbox:
    """Confines by what the kernel gives: the level `full`, or `plain` where namespaces or mounts are refused.

    With `require="full"` nothing weaker runs; below `plain` nothing ever does. Of a kind of session that is asked for
    again, `ready` ones are kept waiting.
    """

    def __init__(self, require: Literal["plain", "full"] = "plain", *, ready: int = 0, _parts: Parts = SHIPPED) -> None:
        if require not in ("plain", "full"):
            raise ValueError(f"require={require!r}: 'plain' or 'full'")
        self._require = require
        self._ready = ready
        self._parts = _parts

    @property
    def name(self) -> str:
        """`linux`, or `linux-full` when nothing weaker is accepted."""
        return "linux" if self._require == "plain" else "linux-full"

    def launch(self, policy: Policy, sink: Sink) -> AbstractAsyncContextManager[Pipe]:
        """See `Sandbox`."""
        return self._launch(policy, sink, None)

    def launch_told(self, policy: Policy, sink: Sink, first: bytes) -> AbstractAsyncContextManager[Pipe]:
        """See `Expecting`."""
        return self._launch(policy, sink, first)

    @asynccontextmanager
    async def _launch(self, policy: Policy, sink: Sink, first: bytes | None) -> AsyncIterator[Pipe]:
        if sys.platform != "linux":
            raise SandboxUnavailable("kernel", f"this is {sys.platform}, not Linux", "Use another sandbox.")
        environment = found(policy.python)
        if environment is None:
            environment = await anyio.to_thread.run_sync(find, policy.python)
        uninstalled.warn_of(policy, environment)
        bounds = tuple((name, getattr(policy.limits, name)) for name in _BOUNDS)
        bounds += (("copies", policy.limits.snapshots if policy.snapshots else 0),)
        if policy.network:
            environment = trusting(environment)
        shared = await anyio.to_thread.run_sync(settled, policy.mounts, environment) if policy.mounts else ()
        from_ = launcher(environment, self._parts, preload.profile(policy.imports.names), shared)
        from_.users.add(session := object())
        try:
            pipe = await self._start(Kind(from_, self._require, bounds, bool(policy.network)), sink, first)
            try:
                if first is not None and not pipe.told:
                    with contextlib.suppress(OSError):  # it has ended: who listens to it hears that
                        await pipe.send(first)
                yield pipe
            finally:
                with anyio.CancelScope(shield=True):
                    await pipe.aclose()
        finally:
            from_.users.discard(session)
            if shared:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(end_idle)
                    await anyio.to_thread.run_sync(warn_of, shared)

    async def _start(self, kind: Kind, sink: Sink, first: bytes | None) -> LinuxPipe:
        ahead = self._ready if not kind.launcher.folders else 0  # of these few are asked for a second time
        while ahead and (ends := POOL.take(kind, ahead, first)) is not None:
            try:
                pipe = await _settled(ends, sink)
            except Refused:
                continue  # what the machine refuses now is told of the one that is made now
            if pipe is not None:
                asyncio.get_running_loop().call_later(PAUSE, POOL.refill)
                return pipe
        # it may have died since its last session, or was killed meanwhile; a second time is no chance
        for _ in range(2):
            try:
                pipe = await _settled(await anyio.to_thread.run_sync(kind.order), sink)
            except Refused as refused:
                raise unavailable(refused) from None
            if pipe is not None:
                return pipe
        raise unavailable(Refused("launcher", "?", "it died while a session was made"))


async def _settled(ends: Ends, sink: Sink) -> LinuxPipe | None:
    """The session once it is locked and ready; None when it died before. Raises Refused."""
    pipe = LinuxPipe(ends, sink)
    try:
        if await pipe.settle():
            return pipe
    except BaseException:
        pipe.close()
        raise
    pipe.close()
    return None

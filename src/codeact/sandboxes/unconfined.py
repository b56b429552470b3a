"""No sandbox at all: a plain child process, for debugging the code that you trust. Only by its full name.

The limits of time, output and calls hold; nothing else does. Every launch says so in a warning.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import site
import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from ..core.execution import Death, Policy, Stream
from ..ports import Pipe, Resources, Sink

_GUEST = Path(__file__).parent.parent / "guest"


class UnconfinedWarning(UserWarning):
    """Code runs with all the rights of this process."""


class Unconfined:
    """A `Sandbox` that confines nothing."""

    name = "unconfined"

    @asynccontextmanager
    async def launch(self, policy: Policy, sink: Sink) -> AsyncIterator[Pipe]:
        """A child process of the same user, with the same rights."""
        warnings.warn(
            "the sandbox 'unconfined' confines nothing: code runs with all your rights", UnconfinedWarning, stacklevel=2
        )
        ours, theirs = socket.socketpair()
        python = policy.python or sys.executable
        paths = site.getsitepackages() if policy.python is None else []
        with tempfile.TemporaryDirectory(prefix="codeact-") as scratch:
            process = await asyncio.create_subprocess_exec(
                *(python, "-s", "-P", "-S", str(_GUEST), str(theirs.fileno()), json.dumps(paths)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(theirs.fileno(),),
                cwd=scratch,
                env={"PATH": os.defpath, "HOME": scratch, "TMPDIR": scratch, "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"},
                start_new_session=True,
            )
            theirs.close()
            ours.setblocking(False)
            pipe = _ChildPipe(process, ours, sink)
            try:
                yield pipe
            finally:
                pipe.kill()
                await process.wait()
                await pipe.close()


class _ChildPipe:
    level = "unconfined"

    def __init__(self, process: asyncio.subprocess.Process, channel: socket.socket, sink: Sink) -> None:
        self._process = process
        self._channel = channel
        self._killed = False
        assert process.stdout is not None and process.stderr is not None
        self._pending: dict[Stream, asyncio.StreamReader] = {"stdout": process.stdout, "stderr": process.stderr}
        self._pumps = [asyncio.ensure_future(self._pump(name, sink)) for name in self._pending]

    async def _pump(self, stream: Stream, sink: Sink) -> None:
        while data := await self._pending[stream].read(1 << 16):
            sink(stream, data)

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._channel, data)

    async def receive(self) -> bytes:
        with suppress(ConnectionError):
            data = await asyncio.get_running_loop().sock_recv(self._channel, 1 << 20)
            await asyncio.sleep(0.002)  # no order holds between the channel and these pipes: give the pumps a turn
            return data
        return b""

    def interrupt(self) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        self._killed = self._killed or self._process.returncode is None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def ended(self) -> Death:
        code = await self._process.wait()
        if self._killed:
            return Death("killed")
        return Death("exit", f"exit status {code}") if code >= 0 else Death("signal", signal.Signals(-code).name)

    def usage(self) -> Resources | None:
        return None

    async def close(self) -> None:
        """Wait for the rest of the output and let go of the channel."""
        self._channel.close()
        await asyncio.gather(*self._pumps)

"""A guest behind a command: whatever starts a Python somewhere and carries its standard input and output.

What the walls `command`, `container` and `unconfined` share. On the other side `guest/relay.py` starts the guest and
puts all that there is to see of it into one stream of frames. The stream is as hostile as the guest: what is not a
frame of its kind ends it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import anyio

from ..core.errors import SandboxUnavailable, UsageError
from ..core.execution import Death, Limits, Policy, Stream
from ..guest import relay
from ..ports import Resources, Sink

GUEST = Path(relay.__file__).parent
INTERACTIVE = ("-I", "-q", "-i")  # a Python that takes its program from standard input, without waiting for its end
_NOISE = 1 << 16  # bytes that may come before the relay's mark
_AHEAD = 1 << 21  # bytes of the wire that nobody has received; beyond them the guest waits
_LAST_WORDS = 2000  # characters
_TOLD = 3  # lines of them in an error
_PATIENCE = 1.0  # seconds for a command to end after its standard input has
_FAREWELL = 5.0  # seconds for it to be gone when it was killed
_LOOP = "Run it in a ProactorEventLoop, as `asyncio.run` does, or call codeact without `await`."
_STREAMS: dict[bytes, Stream] = {b"o": "stdout", b"e": "stderr"}


if sys.platform == "win32":
    _APART: dict[str, Any] = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}

    def _end(process: asyncio.SubprocessTransport) -> None:
        process.kill()

else:
    _APART: dict[str, Any] = {"start_new_session": True}  # a Ctrl-C that we hear is not for what we started

    def _end(process: asyncio.SubprocessTransport) -> None:
        os.killpg(process.get_pid(), signal.SIGKILL)


_SOURCE = base64.b64encode(zlib.compress(Path(relay.__file__).read_bytes(), 9))
_OPENING = b'exec(__import__("zlib").decompress(__import__("base64").b64decode("%b")))\n' % _SOURCE


@dataclass(frozen=True, slots=True)
class Command:
    """What to start: `level` names the wall, `mend` says what to do when it does not stand.

    Where `folder` is None, the Python at the command's end is INTERACTIVE and is sent the relay and the guest. Else it
    runs the relay from there, and `folder` is where it finds the guest. `undo` is run when the command had to be
    killed: what it started may have outlived it.
    """

    level: str
    argv: Sequence[str]
    mend: str
    folder: str | None = None
    environ: Mapping[str, str] | None = None
    cwd: str | None = None
    undo: Sequence[str] = ()
    seconds: float = 55.0


def check(name: str, policy: Policy) -> None:
    """Refuse what no wall behind a command can give."""
    if policy.mounts:
        raise UsageError(f"the sandbox {name!r} shows no folders: leave out `mounts`, or use the sandbox 'linux'")
    if policy.network:
        raise UsageError(
            f"the sandbox {name!r} cannot let code reach some hosts and no others: leave out `network`, "
            "or use the sandbox 'linux'"
        )


@asynccontextmanager
async def started(command: Command, limits: Limits, sink: Sink) -> AsyncIterator[Child]:
    """The guest at the other end of this command; leaving the context ends it. Raises SandboxUnavailable."""
    child = Child(command.level, sink)
    try:
        await child.start(command, limits)
        yield child
    finally:
        with anyio.CancelScope(shield=True):
            await child.aclose()
            if child.was_forced and command.undo:
                with anyio.move_on_after(_FAREWELL):
                    await anyio.run_process(command.undo, check=False)


class Child:
    """The host's end: a `Pipe` over the standard input and output of a command."""

    def __init__(self, level: str, sink: Sink) -> None:
        self.level = level
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self._process: asyncio.SubprocessTransport | None = None
        self._attending: asyncio.Task[None] | None = None
        self._way_out: asyncio.WriteTransport | None = None
        self._way_in: asyncio.ReadTransport | None = None
        self._sending = asyncio.Lock()
        self._frames = relay.Frames(relay.TO_HOST)
        self._before = bytearray()  # what came before the mark
        self._last_words = b""
        self._arrived: list[bytes] = []
        self._waiting = 0  # bytes that have arrived and that nobody has received
        self._room = relay.WINDOW
        self._usage: Resources | None = None
        self._obituary = ""  # of the command, or of our talk with it
        self._killed = False
        self.was_forced = False  # the command did not end when its standard input had
        self._stands = asyncio.Event()
        self._heard = asyncio.Event()  # there is something to receive, or never will be
        self._free = asyncio.Event()  # there is room to send, or nobody to send to
        self._read = asyncio.Event()  # the command's output has come to its end
        self._exited = asyncio.Event()  # the command has
        self._over = False  # nothing more will come
        self._death: asyncio.Future[Death] = self._loop.create_future()

    async def start(self, command: Command, limits: Limits) -> None:
        """Start the command and the guest behind it; raises SandboxUnavailable."""
        try:
            await self._spawn(command)
        except OSError as error:
            raise SandboxUnavailable(command.level, f"{command.argv[0]}: {error.strerror}", command.mend) from None
        except NotImplementedError:  # Windows has two, and one of them is for sockets alone
            kind = type(self._loop).__name__
            raise SandboxUnavailable(command.level, f"the event loop {kind} starts no processes", _LOOP) from None
        if command.folder is None:
            self._write(_OPENING)
        with anyio.move_on_after(command.seconds):
            await self._stands.wait()
        if self._over:
            with anyio.move_on_after(_FAREWELL):
                await self.ended()
        if self._over or not self._stands.is_set():
            cause = self._obituary or f"no guest has answered within {command.seconds:g} s"
            raise SandboxUnavailable(command.level, cause, command.mend)
        files = None if command.folder else {file.name: file.read_text("utf-8") for file in GUEST.glob("*.py")}
        settings = {"folder": command.folder, "files": files, "memory": limits.memory}
        self._write(relay.frame(b"s", json.dumps(settings).encode()))

    async def _spawn(self, command: Command) -> None:
        settings = {"env": command.environ, "cwd": command.cwd, **_APART}
        self._process, _ = await self._loop.subprocess_exec(lambda: _Ways(self), *command.argv, **settings)
        self._attending = asyncio.ensure_future(self._attend(self._process, command.argv[0]))

    # -- what `Pipe` promises ----------------------------------------------------------------------------------------

    async def send(self, data: bytes) -> None:
        """See `Pipe`."""
        async with self._sending:
            rest = memoryview(data)
            while rest:
                self._free.clear()
                while not self._room and not self._over:
                    await self._free.wait()
                    self._free.clear()
                if self._over:
                    raise BrokenPipeError("the guest is gone")
                size = min(self._room, relay.CHUNK, len(rest))
                self._room -= size
                self._write(relay.frame(b"w", bytes(rest[:size])))
                rest = rest[size:]

    async def receive(self) -> bytes:
        """See `Pipe`."""
        while not self._arrived:
            if self._over:
                return b""
            self._heard.clear()
            await self._heard.wait()
        data = self._arrived.pop(0)
        self._waiting -= len(data)
        if self._waiting < _AHEAD and self._way_in is not None:
            self._way_in.resume_reading()
        return data

    def interrupt(self) -> None:
        """See `Pipe`."""
        self._write(relay.frame(b"i"))

    def kill(self) -> None:
        """See `Pipe`. The relay ends the guest when it hears no more of us; a command that stays is killed."""
        if not self._killed:
            self._killed = True
            if self._way_out is not None and not self._way_out.is_closing():
                self._way_out.abort()
            self._close()
            self._loop.call_later(_PATIENCE, self._force)

    async def ended(self) -> Death:
        """See `Pipe`."""
        return await asyncio.shield(self._death)

    def usage(self) -> Resources | None:
        """See `Pipe`."""
        return None if self._over else self._usage

    async def aclose(self) -> None:
        """End the guest, wait until the command is gone, and keep no descriptor."""
        self.kill()
        try:
            if self._attending is not None:
                await asyncio.wait([self._attending], timeout=_FAREWELL)
                self._attending.cancel()
        finally:  # also where the loop itself is being ended
            if self._process is not None:
                with suppress(OSError):  # of another user, such as the one of sudo
                    self._process.close()

    # -- what comes --------------------------------------------------------------------------------------------------

    def _begin(self, process: asyncio.SubprocessTransport) -> None:
        self._way_out = cast(asyncio.WriteTransport, process.get_pipe_transport(0))
        self._way_in = cast(asyncio.ReadTransport, process.get_pipe_transport(1))

    def _hear(self, data: bytes) -> None:
        if not self._stands.is_set():
            self._before += data
            _, mark, after = bytes(self._before).partition(relay.MARK)
            if not mark:
                if len(self._before) > _NOISE:
                    self._break("words that are not the guest's")
                return
            self._before.clear()
            self._stands.set()
            data = after
        try:
            for kind, part in self._frames.feed(data):
                self._take(kind, part)
        except relay.Broken as error:
            self._break(str(error))

    def _take(self, kind: bytes, data: bytes) -> None:
        match kind:
            case b"w" if data:
                self._arrived.append(data)
                self._waiting += len(data)
                if self._waiting >= _AHEAD and self._way_in is not None:
                    self._way_in.pause_reading()
                self._heard.set()
            case b"w":
                self._close()
            case b"o" | b"e":
                self._sink(_STREAMS[kind], data)
            case b"t" if len(data) == relay.TAKEN.size:
                self._room += relay.TAKEN.unpack(data)[0]
                if self._room > relay.WINDOW:
                    raise relay.Broken("it has taken more than it was given")
                self._free.set()
            case b"u" if len(data) == relay.USAGE.size:
                memory, cpu, threads = relay.USAGE.unpack(data)
                if not 0 <= cpu < 1e12:
                    raise relay.Broken("a time that is none")
                self._usage = Resources(memory, cpu, threads)
            case b"x":
                self._settle(_death(data))
                self._close()
            case _:
                raise relay.Broken(f"a frame {kind!r} of {len(data)} bytes")

    def _note(self, data: bytes) -> None:
        self._last_words = (self._last_words + data)[-_LAST_WORDS:]

    def _break(self, why: str) -> None:
        self._obituary = f"its output is not that of a guest: {why}"
        self._settle(Death("signal", f"us, for {self._obituary}"))
        self.kill()

    # -- how it ends -------------------------------------------------------------------------------------------------

    def _cut(self) -> None:
        """Nobody reads what we write. What is still to be heard is heard first."""
        self._way_out = None
        self._free.set()

    def _end_of_output(self) -> None:
        self._read.set()
        self._close()

    def _close(self) -> None:
        self._over = True
        for event in (self._heard, self._free, self._stands):
            event.set()

    async def _attend(self, process: asyncio.SubprocessTransport, program: str) -> None:
        await self._exited.wait()
        status = process.get_returncode() or 0
        while not self._read.is_set():
            with anyio.move_on_after(_PATIENCE):
                await self._read.wait()
            if self._killed or self._waiting < _AHEAD:  # nobody reads it, or something else holds it open
                break
        ended = f"status {status}" if status >= 0 else _name(-status)
        self._obituary = self._obituary or ": ".join([f"{program} ended with {ended}", *_told(self._last_words)])
        self._settle(Death("signal", f"the end of its command: {self._obituary}"))
        self._close()

    def _settle(self, death: Death) -> None:
        if not self._death.done():
            self._death.set_result(Death("killed") if self._killed else death)

    def _force(self) -> None:
        if self._process is not None and not self._exited.is_set():
            self.was_forced = True
            with suppress(OSError):  # of another user, such as the one of sudo
                _end(self._process)

    def _write(self, data: bytes) -> None:
        if self._way_out is not None:
            self._way_out.write(data)


class _Ways(asyncio.SubprocessProtocol):
    """What comes by the three ways of the command, and how each of them ends."""

    def __init__(self, child: Child) -> None:
        self._child = child

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._child._begin(cast(asyncio.SubprocessTransport, transport))

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 1:
            self._child._hear(data)
        else:
            self._child._note(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 0:
            self._child._cut()
        elif fd == 1:
            self._child._end_of_output()

    def process_exited(self) -> None:
        self._child._exited.set()


def _death(data: bytes) -> Death:
    match data.split():
        case [b"memory"]:
            return Death("memory", "the kernel ran out of memory")
        case [b"exit", number] if number.isdigit():
            return Death("exit", f"status {int(number)}")
        case [b"signal", number] if number.isdigit():
            return Death("signal", _name(int(number)))
    raise relay.Broken("an end that is none")


def _told(last_words: bytes) -> list[str]:
    """Why it ended, in its own words: what an engine says before its last line is often the cause."""
    lines = last_words.decode("utf-8", "replace").replace(">>> ", "").strip().splitlines()
    last = lines[-1:] if any(line.startswith("Traceback") for line in lines) else lines[-_TOLD:]
    return ["; ".join(line.strip() for line in last if line.strip()).rstrip(".")] if last else []


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

"""The process beside a guest whose way to the host is standard input and output: ssh, `kubectl exec`, a container.

It takes the way off descriptors 0 and 1 before anything else, starts the guest, and tells the host in one stream of
frames all that a host on the same machine would see by itself. This file needs nothing beside it: its source is sent
ahead of the guest's. A frame is its kind (1 byte), the length of its data (4 bytes, big-endian), and the data:

    from the host                           to the host
    s   settings, JSON: the first frame     w    bytes of the wire; without any: the guest has closed it
    w   bytes of the wire                   t    taken: how many of them the guest has read
    i   interrupt the guest                 o, e what the guest wrote to its descriptors 1 and 2
                                            u    usage: memory, CPU seconds, threads
                                            x    how it ended, the last frame: `exit 3`, `signal 9`, `memory`

All output that the guest wrote before bytes of the wire is in frames before theirs. The host has at most WINDOW bytes
of the wire under way, so that an interrupt never waits behind them. The end of standard input ends the guest and its
process group.
"""

from __future__ import annotations  # also read by a Python that is too old, which is to say so

import json
import os
import select
import shutil
import signal
import site
import socket
import struct
import subprocess
import sys
import tempfile
import traceback
from contextlib import suppress

try:
    import fcntl
    import resource
    import termios
except ImportError:  # a host where no guest of this kind is: it reads the frames from here
    pass
try:
    import ctypes
except ImportError:
    ctypes = None  # type: ignore[assignment]

MARK = b"\0codeact\0\n"  # before it the way may carry words of others, such as a login shell's
WINDOW = 1 << 20
CHUNK = 1 << 16  # the most bytes of data in a frame, the settings aside
FROM_HOST = {b"s": 8 << 20, b"w": CHUNK, b"i": 0}
TO_HOST = {b"w": CHUNK, b"t": 4, b"o": CHUNK, b"e": CHUNK, b"u": 24, b"x": 20}
USAGE = struct.Struct(">QdQ")
TAKEN = struct.Struct(">I")
_HEAD = struct.Struct(">cI")
_AT_ONCE = 4096  # what a pipe that is ready takes without waiting (POSIX: PIPE_BUF is 512 or more, on Linux this)
_BEHIND = 1 << 18  # bytes that the host has not read; beyond them the guest waits
_OFTEN, _SELDOM = 0.005, 0.1  # seconds between two looks at a guest that does something, or does nothing
_ROOM = 128 << 20  # bytes above the limit of memory: there a single large request ends as MemoryError
_SET_DUMPABLE = 4


class Broken(Exception):
    """Bytes that are no frames."""


def frame(kind: bytes, data: bytes = b"") -> bytes:
    """The bytes of a frame."""
    return _HEAD.pack(kind, len(data)) + data


class Frames:
    """Bytes in any cut to frames; `kinds` has the most bytes of data of each kind."""

    def __init__(self, kinds: dict[bytes, int]) -> None:
        self._kinds = kinds
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """The frames completed by these bytes; raises Broken."""
        buffer = self._buffer
        buffer += data
        found = []
        start = 0
        while len(buffer) - start >= _HEAD.size:
            kind, size = _HEAD.unpack_from(buffer, start)
            if size > self._kinds.get(kind, -1):
                raise Broken(f"a frame {kind!r} of {size} bytes")
            end = start + _HEAD.size + size
            if len(buffer) < end:
                break
            found.append((kind, bytes(buffer[start + _HEAD.size : end])))
            start = end
        del buffer[:start]
        return found


class Relay:
    """A guest, the way to the host, and what has not been passed on between the two."""

    def __init__(self, way_in: int, way_out: int, process: subprocess.Popen[bytes], channel: socket.socket) -> None:
        assert process.stdout is not None and process.stderr is not None
        self._way_in = way_in
        self._way_out = way_out
        self._process = process
        self._channel: socket.socket | None = channel
        self._outputs = {process.stdout.fileno(): b"o", process.stderr.fileno(): b"e"}
        self._to_host = bytearray()
        self._to_guest = bytearray()
        self._usage = b""
        self._pause = _OFTEN
        self._oom = _oom_kills()

    def run(self, frames: Frames, heard: list[tuple[bytes, bytes]]) -> None:
        """Pass on until the guest has ended and the host knows, or until the host has hung up."""
        while True:
            for kind, data in heard:
                self._do(kind, data)
            heard = []
            if self._process.returncode is not None and not self._to_host:
                return
            ready, open_ways, _ = select.select(self._sources(), self._targets(), [], self._pause)
            if self._way_in in ready:
                data = os.read(self._way_in, CHUNK)
                if not data:
                    return
                heard = frames.feed(data)
                self._pause = _OFTEN
            if self._way_out in open_ways:
                sent = os.write(self._way_out, self._to_host[:_AT_ONCE])
                del self._to_host[:sent]
            if self._process.returncode is None:
                self._serve(ready, open_ways)

    def _sources(self) -> list[int]:
        sources = [self._way_in]
        if len(self._to_host) < _BEHIND and self._process.returncode is None:
            sources += self._outputs
            if self._channel is not None:
                sources.append(self._channel.fileno())
        return sources

    def _targets(self) -> list[int]:
        targets = [self._way_out] if self._to_host else []
        if self._to_guest and self._channel is not None:
            targets.append(self._channel.fileno())
        return targets

    def _serve(self, ready: list[int], open_ways: list[int]) -> None:
        for descriptor in [one for one in self._outputs if one in ready]:
            self._output(descriptor, CHUNK)
        channel = self._channel
        if channel is not None and channel.fileno() in open_ways:
            self._hand_over(channel)
        if channel is not None and channel.fileno() in ready:
            self._listen(channel)
        self._look()

    def _do(self, kind: bytes, data: bytes) -> None:
        if kind == b"w":
            self._to_guest += data
        elif kind == b"i" and self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGINT)

    def _output(self, descriptor: int, most: int) -> int:
        data = os.read(descriptor, most)
        if data:
            self._to_host += frame(self._outputs[descriptor], data)
        else:
            del self._outputs[descriptor]
        return len(data)

    def _drain(self) -> None:
        """Pass on what is in the pipes now; a guest that goes on writing does not keep us here."""
        for descriptor in list(self._outputs):
            (left,) = struct.unpack("=i", fcntl.ioctl(descriptor, termios.FIONREAD, b"\0\0\0\0"))
            while left > 0 and (passed := self._output(descriptor, min(left, CHUNK))):
                left -= passed

    def _listen(self, channel: socket.socket) -> None:
        try:
            data = channel.recv(CHUNK)
        except OSError:  # reset, or held open by something that the guest has left behind
            data = b""
        self._drain()
        self._to_host += frame(b"w", data)
        if not data:
            self._channel = None
            self._to_guest.clear()

    def _hand_over(self, channel: socket.socket) -> None:
        try:
            taken = channel.send(self._to_guest)
        except BlockingIOError:
            return
        except OSError:  # it is gone: its end is seen elsewhere
            taken = len(self._to_guest)
        del self._to_guest[:taken]
        self._to_host += frame(b"t", TAKEN.pack(taken))

    def _look(self) -> None:
        """Is the guest still there, and what does it use?"""
        if self._process.poll() is not None:
            end_group(self._process)
            self._drain()
            while self._channel is not None and len(self._to_host) < 4 * _BEHIND:
                self._listen(self._channel)
            self._to_host += frame(b"x", self._end().encode())
            return
        usage = _usage(self._process.pid)
        changes = usage != self._usage or self._channel is None
        self._pause = _OFTEN if changes else min(1.5 * self._pause, _SELDOM)
        if usage and usage != self._usage:
            self._usage = usage
            self._to_host += frame(b"u", usage)

    def _end(self) -> str:
        code = self._process.returncode
        if code == -signal.SIGKILL and _oom_kills() > self._oom:
            return "memory"
        return f"exit {code}" if code >= 0 else f"signal {-code}"


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End the guest and what it has started, unless that went into a group of its own."""
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _usage(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return b""
    ticks = int(fields[11]) + int(fields[12])
    return USAGE.pack(int(fields[21]) * resource.getpagesize(), ticks / os.sysconf("SC_CLK_TCK"), int(fields[17]))


def _oom_kills() -> int:
    """How many processes the kernel has killed for memory; a parent is not told which."""
    try:
        with open("/proc/vmstat", "rb") as file:
            return next((int(line.split()[1]) for line in file if line.startswith(b"oom_kill ")), 0)
    except OSError:
        return 0


def _start(settings: dict[str, object], place: str) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """A guest in a new process group, with an environment made of nothing and a scratch folder of its own."""
    scratch = os.path.join(place, "scratch")
    os.mkdir(scratch)
    folder = settings["folder"]
    if folder is None:
        folder = os.path.join(place, "guest")
        os.mkdir(folder)
        files = settings["files"]
        assert isinstance(files, dict)
        for name, source in files.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(source)
    memory = settings["memory"]
    assert isinstance(folder, str) and isinstance(memory, int)
    # of both this process needs little; what grows in small steps is stopped by the host before it meets the first
    for kind, bound in ((resource.RLIMIT_DATA, memory + _ROOM), (resource.RLIMIT_CORE, 0)):
        _, highest = resource.getrlimit(kind)
        most = bound if highest == resource.RLIM_INFINITY else min(bound, highest)
        resource.setrlimit(kind, (most, most))
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(
        [sys.executable, "-s", "-P", "-S", folder, str(theirs.fileno()), json.dumps(site.getsitepackages())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        pass_fds=(theirs.fileno(),),
        cwd=scratch,
        env={"PATH": os.defpath, "HOME": scratch, "TMPDIR": scratch, "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"},
        start_new_session=True,
    )
    theirs.close()
    ours.setblocking(False)
    return process, ours


def _hide() -> None:
    """The guest may be of the same user: it is not to read this process's memory, or to trace it."""
    if ctypes is not None and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0)


def main() -> None:
    """The host's words on standard input, the guest's on standard output; does not return."""
    if sys.version_info < (3, 11):  # noqa: UP036  # it is the other machine's
        sys.stderr.write("the guest needs Python 3.11 or later; here is {}.{}\n".format(*sys.version_info))
        os._exit(1)
    try:
        _pass_on(*_take_off())
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)  # an interactive Python would go on with the host's words


def _take_off() -> tuple[int, int]:
    """From here on, whatever is written to descriptors 1 and 2 is words for people."""
    signal.signal(signal.SIGINT, lambda *_: None)
    way_in, way_out = os.dup(0), os.dup(1)
    nobody = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nobody, 0)
    os.dup2(2, 1)
    os.close(nobody)
    os.write(way_out, MARK)
    return way_in, way_out


def _pass_on(way_in: int, way_out: int) -> None:
    frames = Frames(FROM_HOST)
    heard: list[tuple[bytes, bytes]] = []
    while not heard:
        data = os.read(way_in, CHUNK)
        if not data:
            return
        heard = frames.feed(data)
    place = tempfile.mkdtemp(prefix="codeact-")
    try:
        process, channel = _start(json.loads(heard.pop(0)[1]), place)
        try:
            _hide()
            with suppress(BrokenPipeError):
                Relay(way_in, way_out, process, channel).run(frames, heard)
        finally:
            end_group(process)
    finally:
        for folder, inner, _ in os.walk(place):
            for name in inner:  # `inputs` is closed to its owner too, and so may be what the guest has made
                if not os.path.islink(path := os.path.join(folder, name)):
                    with suppress(OSError):
                        os.chmod(path, 0o700)
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()

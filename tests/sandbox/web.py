"""Servers on this machine's loopback: HTTP, HTTPS with a certificate of their own, a silent one, a full one."""

from __future__ import annotations

import contextlib
import http.server
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


class _Pages(http.server.BaseHTTPRequestHandler):
    """`/N` is N times `hello`; `/away` leads to another host; what is posted is counted."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/away":
            self._say(302, b"", Location="http://elsewhere.example.org/")
        else:
            self._say(200, b"hello" * int(self.path[1:] or 1))

    def do_POST(self) -> None:
        left = int(self.headers["Content-Length"])
        got = 0
        while got < left:
            got += len(self.rfile.read(min(1 << 16, left - got)))
        self._say(200, str(got).encode())

    def _say(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True
    secured: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.secured is None:
            super().finish_request(request, client_address)
            return
        with contextlib.suppress(OSError), self.secured.wrap_socket(request, server_side=True) as line:
            super().finish_request(line, client_address)  # type: ignore[arg-type]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away."""


@dataclass(frozen=True)
class Web:
    """A server: its port, and for HTTPS the file that vouches for it."""

    port: int
    trust: Path | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.trust else 'http'}://localhost:{self.port}"

    @property
    def here(self) -> str:
        return f"localhost:{self.port}"


@contextlib.contextmanager
def serving(folder: Path | None = None) -> Iterator[Web]:
    """The pages; with a folder, over TLS by a certificate that is made there."""
    with _Server(("127.0.0.1", 0), _Pages) as server:
        trust = None
        if folder is not None:
            server.secured, trust = _identity(folder)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield Web(server.server_port, trust)
        finally:
            server.shutdown()
            thread.join()


def _identity(folder: Path) -> tuple[ssl.SSLContext, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("Debian package openssl is absent")
    folder.chmod(0o755)

    def openssl(words: str) -> None:
        subprocess.run(["openssl", *words.split()], cwd=folder, check=True, capture_output=True, timeout=60)

    of_server = "subjectAltName=DNS:localhost,IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n"  # as Python 3.13 wants it
    (folder / "names").write_text(of_server)
    key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    openssl(f"req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=ours -addext keyUsage=critical,keyCertSign")
    openssl(f"req {key} -keyout server.key -out server.csr -subj /CN=localhost")
    openssl("x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile names")
    secured = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secured.load_cert_chain(folder / "server.pem", folder / "server.key")
    (folder / "ca.pem").chmod(0o644)
    return secured, folder / "ca.pem"


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """The port of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        yield int(server.getsockname()[1])


@contextlib.contextmanager
def full() -> Iterator[int]:
    """The port of a server whose queue is full: a connection to it is neither taken nor refused."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield int(server.getsockname()[1])

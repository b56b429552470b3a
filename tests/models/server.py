"""A real HTTP server on loopback that says what a test tells it to, byte for byte and at its own pace.

A script is a list of answers, one a question in whatever protocol; an answer is a list of steps: bytes to send, a
`Hold` (say nothing until the test is over), a `Drip` (the same for ever), or a `Cut` (reset the connection). What was
asked is kept.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any


class Hold:
    """Nothing more is sent, and the connection stays open, until the client leaves or the test ends."""


@dataclass
class Drip:
    """This again and again, every few milliseconds, until the client leaves or the test ends."""

    data: bytes


class Cut:
    """The connection is reset."""


Step = bytes | Hold | Drip | Cut
QUESTIONS = ("/v1/chat/completions", "/v1/responses", "/v1/messages", "/api/chat")
OPEN = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
DONE = b"data: [DONE]\n\n"


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Server:
    """Where it listens, and what it was asked so far.

    `models` is what /models tells, None for 404; one that is `silent` never answers. `tells` are values by path.
    """

    port: int = 0
    script: list[Sequence[Step]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    models: Sequence[str] | None = None
    silent: bool = False
    tells: dict[str, Any] = field(default_factory=dict)
    left: threading.Event = field(default_factory=threading.Event)  # a client went away while it was held
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def questions(self) -> list[Any]:
        """The bodies of what was asked of a model."""
        return [asked.body for asked in self.asked if asked.path in QUESTIONS]


def event(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def chunk(text: str | None = None, finish: str | None = None, **delta: Any) -> bytes:
    """An event with a piece of the reply."""
    if text is not None:
        delta["content"] = text
    return event({"id": "c1", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def usage(**counts: Any) -> bytes:
    return event({"id": "c1", "model": "m", "choices": [], "usage": counts})


def says(*texts: str, finish: str = "stop") -> list[Step]:
    """A good reply, token by token, with its usage."""
    counts = usage(prompt_tokens=11, completion_tokens=len(texts), prompt_tokens_details={"cached_tokens": 4})
    return [OPEN, chunk(role="assistant", text=""), *map(chunk, texts), chunk(finish=finish), counts, DONE]


def status(code: int, body: Any = "", **headers: str) -> list[Step]:
    """A refusal; the body is JSON unless it is bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {code} X", f"Content-Length: {len(data)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ["\r\n".join(lines).encode() + b"\r\n\r\n" + data]


def error(message: str, **more: Any) -> dict[str, Any]:
    """The body of a refusal as OpenAI writes it."""
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None, **more}}


@contextlib.contextmanager
def serving(*script: Sequence[Step], models: Sequence[str] | None = None, silent: bool = False) -> Iterator[Server]:
    """A server with this script; leaving ends it and all its threads."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(listener.getsockname()[1], list(script), models=models, silent=silent)
    threads: list[threading.Thread] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=_serve, args=(connection, server))
            threads.append(thread)
            thread.start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield server
    finally:
        server.over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in [accepting, *threads]:
            thread.join(10)
            assert not thread.is_alive(), "a connection was left open"


def _serve(connection: socket.socket, server: Server) -> None:
    with connection:
        try:
            asked = _read(connection)
            if asked is None:
                server.left.set()
                return
            server.asked.append(asked)
            if asked.path in server.tells:
                _play(connection, status(200, server.tells[asked.path]), server)
            elif server.silent:
                _play(connection, [Hold()], server)
            elif asked.path == "/v1/models":
                listed = {"data": [{"id": name} for name in server.models or ()]}
                _play(connection, status(404) if server.models is None else status(200, listed), server)
            elif asked.path not in QUESTIONS:
                _play(connection, status(404, b"404 page not found"), server)
            else:
                _play(connection, server.script.pop(0) if server.script else status(500, error("no script")), server)
        except OSError:
            server.left.set()  # the client went before it had heard all


def _play(connection: socket.socket, steps: Iterable[Step], server: Server) -> None:
    for step in steps:
        match step:
            case bytes():
                connection.sendall(step)
            case Hold():
                connection.settimeout(0.02)
                while not server.over.is_set():
                    try:
                        if not connection.recv(1024):
                            server.left.set()
                            return
                    except TimeoutError:
                        continue
            case Drip(data):
                while not server.over.wait(0.005):
                    connection.sendall(data)
            case Cut():
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(5)
    while connection.recv(65536):  # the client takes all of it before the socket goes
        pass


def _read(connection: socket.socket) -> Asked | None:
    """What is asked; None where the client went before it had asked."""
    stream = connection.makefile("rb")
    first = stream.readline().decode("latin-1").split()
    if len(first) != 3:
        return None
    headers = {}
    while (line := stream.readline()) != b"\r\n":
        if not line:
            return None
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    length = int(headers.get("content-length", 0))
    body = stream.read(length)
    if len(body) < length:
        return None
    return Asked(first[0], first[1], headers, json.loads(body) if body else None)

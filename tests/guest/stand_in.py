"""A host of the fewest lines: a guest in a plain subprocess, its output, and words on a socket."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import codeact.guest
from codeact.guest import values, wire

GUEST = Path(codeact.guest.__file__).parent
SITE = sysconfig.get_path("purelib")
SEED = "00112233445566778899aabbccddeeff"
PATIENCE = 30  # seconds in which a guest says something
SILENCE = 3  # seconds after which an interrupt is sent again
INTERRUPTS = 3  # at most, as a host does


def tool(name: str, signature: str = "()", *parameters: Sequence[Any], doc: str = "") -> dict[str, Any]:
    return {"name": name, "signature": signature, "doc": doc, "parameters": [list(each) for each in parameters]}


def word(name: str = "value") -> Sequence[Any]:
    return (name, "POSITIONAL_OR_KEYWORD", None)


class Guest:
    """A guest; `answers` are the host's functions. Use as a context."""

    def __init__(
        self,
        tools: Sequence[dict[str, Any]] = (),
        answers: dict[str, Callable[..., Any]] | None = None,
        *,
        names: Sequence[str] = (),
        base: bool = True,
        everything: bool = False,
        python: str = sys.executable,
        open_it: bool = True,
    ) -> None:
        self.answers = answers or {}
        self.calls: list[tuple[str, list[Any], dict[str, Any]]] = []
        self.cell = 0
        self.open: list[wire.Call] = []
        self.strikes = 0
        self.reads: list[Any] = []
        self.folder = tempfile.TemporaryDirectory()
        mine, theirs = socket.socketpair()
        self.socket = mine
        self.streams = {"stdout": os.pipe(), "stderr": os.pipe()}
        self.process = subprocess.Popen(
            [
                python,
                "-s",
                "-P",
                "-S",
                str(GUEST),
                str(theirs.fileno()),
                json.dumps([SITE] if python == sys.executable else []),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self.streams["stdout"][1],
            stderr=self.streams["stderr"][1],
            pass_fds=[theirs.fileno()],
            cwd=self.folder.name,
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": self.folder.name,
                "TMPDIR": self.folder.name,
                "PYTHONHASHSEED": "0",
                "LANG": "C.UTF-8",
            },
        )
        theirs.close()
        for _, write in self.streams.values():
            os.close(write)
        self.decoder = wire.Decoder(wire.GUEST_WORDS)
        self.words: list[Any] = []
        self.output = {"stdout": b"", "stderr": b""}
        if open_it:
            self.send(wire.Open({"names": list(names), "base": base, "everything": everything}, list(tools), {}, []))
            self.ready = self.next()
            assert type(self.ready) is wire.Ready

    def __enter__(self) -> Guest:
        return self

    def __exit__(self, *exception: object) -> None:
        self.socket.close()
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
            for read, _ in self.streams.values():
                os.close(read)
            self.folder.cleanup()

    def send(self, word: wire.Word) -> None:
        self.socket.sendall(wire.encode(word))

    def next(self) -> Any:
        """The next word; output that comes meanwhile is kept, and what was read of the clock."""
        while type(said := self._next()) is wire.Looked:
            self.reads += said.reads
        return said

    def _next(self) -> Any:
        while not self.words:
            ends = {read: stream for stream, (read, _) in self.streams.items()}
            again = 0 < self.strikes < INTERRUPTS
            ready, _, _ = select.select([self.socket, *ends], [], [], SILENCE if again else PATIENCE)
            assert ready or again, "the guest says nothing"
            if not ready:
                self.interrupt()
            for end in ready:
                if end is not self.socket:
                    data = os.read(end, 1 << 20)
                    self.output[ends[end]] += data
            if self.socket in ready:
                data = self.socket.recv(1 << 20)
                assert data, self.output
                self.words += self.decoder.feed(data)
        return self.words.pop(0)

    def drain(self) -> None:
        for stream, (read, _) in self.streams.items():
            while select.select([read], [], [], 0)[0]:
                data = os.read(read, 1 << 20)
                if not data:
                    break
                self.output[stream] += data

    def start(self, source: str, seed: str = SEED) -> None:
        self.cell += 1
        self.strikes = 0
        self.output = {"stdout": b"", "stderr": b""}
        self.send(wire.Run(self.cell, f"nonce{self.cell}", seed, values.encode(source)))

    def finish(self) -> wire.Done:
        """Answer calls until the cell is over."""
        while type(said := self.next()) is wire.Call:
            self.answer(said)
        assert type(said) is wire.Done and said.nonce == f"nonce{self.cell}", said
        if self.strikes > 1:
            self._settle()
        self.drain()
        return said

    def _settle(self) -> None:
        """What was sent a second time may still be on its way: it must not hit the next cell."""
        self.strikes = 0
        self.send(wire.Fetch(0, "__name__"))
        while type(said := self._next()) is not wire.Fetched:
            assert type(said) is wire.Looked, said

    def answer(self, call: wire.Call) -> None:
        args, kwargs = values.decode(call.arguments)
        self.calls.append((call.tool, args, kwargs))
        if call.tool not in self.answers:
            self.open.append(call)  # answered when the test says so
            return
        try:
            self.returned(call, self.answers[call.tool](*args, **kwargs))
        except Exception as error:
            self.failed(call, type(error).__name__, str(error))

    def returned(self, call: wire.Call, value: Any) -> None:
        self.send(wire.Returned(call.id, values.encode(value), None))

    def failed(self, call: wire.Call, kind: str, message: str) -> None:
        self.send(wire.Returned(call.id, None, [kind, message]))

    def run(self, source: str, seed: str = SEED) -> wire.Done:
        self.start(source, seed)
        return self.finish()

    def value(self, source: str) -> str | None:
        """The repr of the last expression of a cell that must not fail."""
        done = self.run(source)
        assert done.error is None, done.error[2]
        return None if done.value is None else values.decode(done.value)

    def error(self, source: str) -> list[str]:
        done = self.run(source)
        assert done.error is not None, "no error"
        return done.error

    @property
    def stdout(self) -> str:
        return self.output["stdout"].decode("utf-8", "backslashreplace")

    @property
    def stderr(self) -> str:
        return self.output["stderr"].decode("utf-8", "backslashreplace")

    def interrupt(self) -> None:
        """Sent again where nothing comes of it, as a host does: CPython misses one that comes just before it blocks."""
        self.strikes += 1
        self.process.send_signal(signal.SIGINT)

"""What keeping a run adds to a step of one real model call: the same run kept and not, by turns.

The model is a server on loopback that takes its second, asked over HTTP; each step has a cell in the real sandbox with
one tool call. `waited` is the time for which the step waited for its journal, `ratio` its whole time beside the same
without one. The machine's own share stands below: what a bare fsync takes in the same folder, and what it takes to have
a thread do nothing, in the same minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kept import Timed

from codeact import CodeAgent, tool
from codeact.core.events import ModelAsked

SHARE = 0.05  # of a step that the journal may take
CODE = "I look at number {0}.\n```python\nseen_{0} = look({0})\nprint(seen_{0}['text'])\n```"


@tool
def look(number: int) -> dict[str, Any]:
    """What there is to be seen."""
    return {"number": number, "text": "what there is to be seen " * 8}


@contextlib.contextmanager
def model(seconds: float) -> Iterator[str]:
    """A server that takes so long for a reply, by its address."""

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            time.sleep(seconds)
            step = sum(message["role"] == "assistant" for message in asked["messages"])
            said = [{"delta": {"content": CODE.format(step)}}, {"delta": {}, "finish_reason": "stop"}]
            lines = [json.dumps({"choices": [{"index": 0, **one}]}) for one in said]
            body = "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode()
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing is said of it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1#slow"
    finally:
        server.shutdown()
        server.server_close()


def steps(kept: Any, spec: str, count: int, sandbox: str) -> list[tuple[float, float]]:
    """The seconds of each step, from one question to the next, and those of them in which it waited for its journal."""
    timed, asked = Timed(kept), []

    def note(event: Any) -> None:
        if isinstance(event, ModelAsked):
            asked.append((time.perf_counter(), timed.seconds))

    agent = CodeAgent(model=spec, tools=[look], sandbox=sandbox, max_steps=count + 2, journal=timed, listeners=[note])
    result = agent.run("Look at all of them.")
    assert result.stop_reason == "max_steps", result.error
    return [(b[0] - a[0], b[1] - a[1]) for a, b in itertools.pairwise(asked[1:])]  # the first step makes what lasts


def fsyncs(folder: str | None, count: int = 20) -> list[float]:
    """The seconds of so many commits of 8 KiB to a file in this folder."""
    taken = []
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        for _ in range(count):
            file.write(bytes(8192))
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - began)
    return taken


async def handed(count: int = 20) -> list[float]:
    """The seconds until a thread has done nothing, for an event loop that waits for it."""
    taken = []
    for _ in range(count):
        await asyncio.sleep(0.02)  # as between two events
        began = time.perf_counter()
        await asyncio.to_thread(int)
        taken.append(time.perf_counter() - began)
    return taken


def table(found: Mapping[str, Callable[[], Any]], rounds: int, scale: float, sandbox: str, folder: str | None) -> str:
    """The journals side by side, as a table for people; the model takes a second, or `scale` of it."""
    seconds, count = min(1.0, scale), max(2, round(5 * min(1.0, scale)))
    took: dict[str, list[tuple[float, float]]] = defaultdict(list)
    disk: list[float] = []
    thread: list[float] = []
    with model(seconds) as spec:
        for _ in range(rounds):
            for name, made in found.items():
                took[name] += steps(made(), spec, count, sandbox)
            disk += fsyncs(folder)
            thread += asyncio.run(handed())
    plain = statistics.median(step for step, _ in took["memory"])
    lines = [f"| journal | a step whose model takes {seconds:g} s | ratio | of it waited | at worst, of ten |"]
    lines += ["| --- | ---: | ---: | ---: | ---: |"]
    for name, taken in took.items():
        whole = statistics.median(step for step, _ in taken)
        waited = [wait / step for step, wait in taken]
        usual, worst = statistics.median(waited), _worst(waited)
        lines += [f"| {name} | {whole:.3f} s | {whole / plain:.3f} | {usual:.2%} | {worst:.2%} |"]
    lines += ["", *(f"{what}: {_said(times)}" for what, times in (("a bare fsync", disk), ("a bare thread", thread)))]
    lines += [f"the goal is {SHARE:.0%} of a step"]
    return "\n".join(lines)


def _said(times: list[float]) -> str:
    return f"{statistics.median(times) * 1e3:.2f} ms, at worst, of ten, {_worst(times) * 1e3:.2f} ms"


def _worst(values: list[float]) -> float:
    """What one in ten is above."""
    return sorted(values)[int(len(values) * 0.9)]

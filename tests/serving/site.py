"""A real server on loopback, in a thread of its own, and a visitor who has its token, or has not."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import anyio.from_thread
import httpx

from codeact.faces.web.runs import Runs
from codeact.faces.web.serving import serving
from codeact.session.agent import Agent

PATIENCE = 20.0  # seconds that nothing here takes


@dataclass(frozen=True)
class Site:
    """A server that is up, and who asks it."""

    url: str
    port: int
    token: str
    visitor: httpx.Client
    runs: Runs

    def get(self, path: str, **more: Any) -> Any:
        """What is there, which has to be."""
        answer = self.visitor.get(path, **more)
        assert answer.status_code == 200, (answer.status_code, answer.text)
        return answer.json()

    def post(self, path: str, body: object, status: int | tuple[int, ...] = (200, 201)) -> Any:
        """What came of it."""
        answer = self.visitor.post(path, json=body)
        assert answer.status_code in (status if isinstance(status, tuple) else (status,)), (
            answer.status_code,
            answer.text,
        )
        return answer.json()

    def begin(self, task: str = "Do it.", agent: str = "agent", **more: Any) -> str:
        """A new run."""
        return str(self.post("/api/runs", {"agent": agent, "task": task, **more}, 201)["run"])

    @contextmanager
    def stream(self, run: str, after: int = -1) -> Iterator[Iterator[dict[str, Any]]]:
        """What happens in a run, as it is told: objects with `kind`, `id` and the data."""
        with self.visitor.stream("GET", f"/api/runs/{run}/events", params={"after": after}) as answer:
            assert answer.status_code == 200, answer.read()
            yield told(answer.iter_lines())

    def until(self, run: str, after: int = -1, *, state: str = "ended") -> list[dict[str, Any]]:
        """All that is told of a run until it stands so."""
        found = []
        with self.stream(run, after) as news:
            for one in news:
                found.append(one)
                if one["kind"] in ("state", "end") and one["state"] == state:
                    return found
        raise AssertionError(f"the run {run} is not {state}: {found[-1:]}")

    def raw(self, data: bytes, *, wait: bool = True) -> bytes:
        """What a connection answers to these bytes, to its end."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as line:
            line.sendall(data)
            said = b""
            while wait and (piece := line.recv(1 << 16)):
                said += piece
            return said


def told(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    kind, mark = "", None
    for line in lines:
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "id":
            mark = int(value)
        elif name == "data":
            yield {"kind": kind, "id": mark, **json.loads(value)}


def entries(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in told if one["kind"] == "entry"]


@contextmanager
def site(*agents: Agent, **settings: Any) -> Iterator[Site]:
    """A server of these agents."""
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serving(agents, **settings)) as served,
    ):
        place = served.address
        headers = {"authorization": f"Bearer {place.token}"}
        with httpx.Client(base_url=place.url, headers=headers, timeout=PATIENCE, trust_env=False) as visitor:
            yield Site(place.url, place.port, place.token, visitor, served.runs)

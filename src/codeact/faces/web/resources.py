"""The API: agents, runs and what can be done with them, each under a path of its own."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, Literal

import anyio.to_thread
from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from codeact.core.approvals import Allow, Decision, Deny, Edit
from codeact.core.events import Event, RunStarted, StopReason
from codeact.core.execution import ToolCall
from codeact.core.recovery import Failed, Happened, Recovery, Retry
from codeact.guest import values
from codeact.journals.summary import stopped

from . import streams, summaries
from .bodies import Body, Given, M, Patience, files_of, read
from .conversation import Conversation, Missing, state_of
from .entries import Entries, run_of
from .offer import Choice, limits_of
from .refusals import Refused
from .runs import Runs, task_of

STREAMS = 64  # at once
_SMALL = 1 << 20

Serve = Callable[[Request], Awaitable[Response]]


class Begin(Body):
    """A task for an agent."""

    agent: str
    task: str
    files: list[Given] = Field(default_factory=list)
    max_steps: int | None = Field(None, ge=1, le=1_000_000)
    model: str | None = None
    tools: list[str] | None = None
    limits: dict[str, Any] = Field(default_factory=dict)


class Continue(Body):
    """Another task in the same conversation."""

    task: str
    files: list[Given] = Field(default_factory=list)
    max_steps: int | None = Field(None, ge=1, le=1_000_000)


class Say(Body):
    """Something for the model to read in the middle."""

    text: str


class Nothing(Body):
    """An empty object."""


class Approve(Body):
    """An answer to a question."""

    key: str
    decision: Literal["allow", "session", "deny", "edit"]
    reason: str = ""
    arguments: dict[str, Any] | None = None


class Fork(Body):
    """From which step a new run goes on, and what its model is told there."""

    at: int = Field(ge=0, le=1_000_000_000)
    say: str | None = None
    max_steps: int | None = Field(None, ge=1, le=1_000_000)


class TakeUp(Body):
    """How a task that was cut off goes on. `calls` are those of which nobody knows what became, by key."""

    fresh: bool = False
    calls: dict[str, Literal["retry", "failed"] | dict[Literal["done"], Any]] = Field(default_factory=dict)


class Api:
    """The paths below `/api`."""

    def __init__(self, runs: Runs, patience: Patience) -> None:
        self._runs = runs
        self._patience = patience
        self._small = Patience(min(_SMALL, patience.bytes), patience.seconds, patience.pause)
        self._streams = 0

    def routes(self) -> list[Route]:
        """All of them."""
        one = "/api/runs/{run}"
        return [
            Route("/api/agents", self.agents, methods=["GET"]),
            Route("/api/runs", self.list, methods=["GET"]),
            Route("/api/runs", self.begin, methods=["POST"]),
            Route(one, self.one, methods=["GET"]),
            Route(f"{one}/events", self.events, methods=["GET"]),
            *Entries(self._runs).routes(),
            Route(f"{one}/say", self.say, methods=["POST"]),
            Route(f"{one}/stop", self.stop, methods=["POST"]),
            Route(f"{one}/approve", self.approve, methods=["POST"]),
            Route(f"{one}/continue", self.go_on, methods=["POST"]),
            Route(f"{one}/fork", self.fork, methods=["POST"]),
            Route(f"{one}/resume", self.take_up, methods=["POST"]),
        ]

    # -- to look at ---------------------------------------------------------------------------------------------------

    async def agents(self, request: Request) -> Response:
        """Who can be given a task."""
        return JSONResponse(await anyio.to_thread.run_sync(self._runs.offer.told))

    async def list(self, request: Request) -> Response:
        """The last runs, newest first."""
        limit = _number(request, "limit", 50, 1, 500)
        before = _seconds(request, "before")
        found = await anyio.to_thread.run_sync(self._runs.shelf.runs, limit, before)
        return JSONResponse([summaries.line(one, self._runs.live(one.run)) for one in found])

    async def one(self, request: Request) -> Response:
        """A run by itself."""
        return JSONResponse(await self._told(run_of(request)))

    async def events(self, request: Request) -> Response:
        """What happens in a run, as server-sent events."""
        run, after = run_of(request), _number(request, "after", -1, -1, 1 << 53)
        if self._streams >= STREAMS:
            raise Refused(429, "streams", f"{STREAMS} streams are open, and no more may be", {"retry-after": "5"})
        live = self._runs.live(run)
        if live is not None and live.run == run:
            leave = request.query_params.get("until") == "ended"
            frames = streams.live(live.feed, after, lambda: _state(live), leave)
        else:
            await self._runs.check_there(run)
            standing = _Standing()
            frames = streams.kept(self._runs.shelf.family(run, after, standing.see), standing.told)
        return streams.answering(self._counted(frames))

    async def _counted(self, frames: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        self._streams += 1
        try:
            async for data in frames:
                yield data
        finally:
            self._streams -= 1
            with suppress(RuntimeError):
                await frames.aclose()  # type: ignore[attr-defined]

    # -- to act -------------------------------------------------------------------------------------------------------

    async def begin(self, request: Request) -> Response:
        """A task in a conversation of its own."""
        asked = await self._asked(request, Begin, self._patience)
        choice = Choice(asked.model, asked.tools, limits_of(asked.limits))
        work = task_of(asked.task, files_of(asked.files), asked.max_steps, self._runs.secrets)
        return _begun(await self._runs.begin(asked.agent, work, asked.task, choice))

    async def go_on(self, request: Request) -> Response:
        """Another task in the same conversation."""
        run, asked = run_of(request), await self._asked(request, Continue, self._patience)
        work = task_of(asked.task, files_of(asked.files), asked.max_steps, self._runs.secrets)
        return _begun(await self._runs.go_on(run, work))

    async def take_up(self, request: Request) -> Response:
        """Go on with a task that was cut off."""
        run, asked = run_of(request), await self._asked(request, TakeUp)
        known = {key: _recovery(said) for key, said in asked.calls.items()}

        async def knows(call: ToolCall) -> Recovery | None:
            return known.get(call.key)

        return _begun(await self._runs.take_up(run, fresh=asked.fresh, knows=knows))

    async def fork(self, request: Request) -> Response:
        """A new run from a step of this one."""
        run, asked = run_of(request), await self._asked(request, Fork)
        return _begun(await self._runs.fork(run, asked.at, asked.say, asked.max_steps))

    async def say(self, request: Request) -> Response:
        """Tell the model something."""
        run, asked = run_of(request), await self._asked(request, Say)
        await self._runs.say(run, asked.text)
        return JSONResponse({"run": run})

    async def stop(self, request: Request) -> Response:
        """Cancel the task of a run."""
        run = run_of(request)
        await self._asked(request, Nothing)
        await self._runs.stop(run)
        return JSONResponse({"run": run})

    async def approve(self, request: Request) -> Response:
        """Answer a question of a run."""
        run, asked = run_of(request), await self._asked(request, Approve)
        await self._runs.decide(run, asked.key, _decision(asked))
        return JSONResponse({"run": run})

    # -- within -------------------------------------------------------------------------------------------------------

    async def _asked(self, request: Request, kind: type[M], patience: Patience | None = None) -> M:
        return await read(request, kind, patience or self._small)

    async def _told(self, run: str) -> dict[str, Any]:
        def tell() -> dict[str, Any]:
            if not self._runs.shelf.has(run):
                raise Missing(f"there is no run {run!r}")
            found = summaries.whole(run, self._runs.shelf.family(run))
            live = self._runs.live(run)
            here = live is not None and live.run == run
            agent = live.agent if live is not None and here else _whose(self._runs, found.started)
            asked = tuple(live.waiting.values()) if live is not None and here and live.busy else found.asked
            return summaries.page(found, live, agent, asked)

        return await anyio.to_thread.run_sync(tell)


class _Standing:
    """How a run that is read from its beginning stands at its end."""

    def __init__(self) -> None:
        self._reason: StopReason | None = None

    def see(self, event: Event) -> None:
        self._reason = stopped(self._reason, event)

    def told(self) -> dict[str, Any]:
        return {"state": state_of(self._reason), "stop_reason": self._reason}


def _whose(runs: Runs, started: RunStarted | None) -> str | None:
    return None if started is None else runs.offer.whose(started)


def _begun(found: Conversation) -> Response:
    return JSONResponse({"run": found.run}, 201)


def _state(live: Conversation) -> dict[str, Any]:
    return {"state": live.state, "stop_reason": live.stop_reason}


def _number(request: Request, name: str, default: int, low: int, high: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"-?[0-9]{1,16}", text) or not low <= int(text) <= high:
        raise Refused(400, "invalid", f"{name}: a whole number from {low} to {high}")
    return int(text)


def _seconds(request: Request, name: str) -> float | None:
    text = request.query_params.get(name)
    if text is not None and not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", text):
        raise Refused(400, "invalid", f"{name}: a number of seconds since 1970")
    return None if text is None else float(text)


def _decision(asked: Approve) -> Decision:
    match asked.decision:
        case "allow" | "session":
            return Allow(session=asked.decision == "session")
        case "deny":
            return Deny(asked.reason)
        case "edit":
            if asked.arguments is None:
                raise Refused(400, "invalid", "arguments: an edited call needs all of its arguments")
            return Edit({name: _value(value) for name, value in asked.arguments.items()})


def _recovery(said: Any) -> Recovery:
    match said:
        case "retry":
            return Retry()
        case {"done": value}:
            return Happened(_value(value))
        case _:
            return Failed()


def _value(tree: Any) -> Any:
    """A value by the table of values, as the entries show them."""
    try:
        return values.decode(values.Packed(tree))
    except values.Refused as error:
        raise Refused(400, "invalid", f"not a value: {error}") from None

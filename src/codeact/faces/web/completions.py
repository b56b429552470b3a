"""OpenAI's chat completions: each agent is a model. Its thoughts are reasoning, and its answer is the content."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from codeact.core.events import Delta, Discarded, Event, ModelReplied, ReasoningDelta, TextDelta
from codeact.secrets import Secret
from codeact.session.result import RunResult
from codeact.session.session import Session

from . import refusals
from .bodies import Patience, read
from .conversation import Conversation
from .dialect import Asked, Completion, Words, asked, conversation_of, finish_of, text_of
from .offer import Choice
from .refusals import Refused, refused
from .runs import Runs
from .streams import BEAT, answering

_WAITING = 10_000  # pieces of thought for a slow client; what comes beyond is dropped, the answer never is


class Answer:
    """The work of one request, and what is heard of it."""

    def __init__(self, request: Asked, max_steps: int | None, secrets: Mapping[str, Secret]) -> None:
        self.request = request
        self._beside: dict[str, Any] = {"max_steps": max_steps, "additional_args": secrets}
        self._said, self.thoughts = anyio.create_memory_object_stream[str](_WAITING)
        self.result: RunResult | None = None
        self.error: Exception | None = None
        self.over = asyncio.Event()
        self.text: list[str] = []

    async def __call__(self, session: Session) -> RunResult:
        """Do it."""
        session.join([self._hear])
        try:
            asked = self.request
            self.result = await session.run(asked.task, files=asked.files, **self._beside)
            return self.result
        except Exception as error:
            self.error = error
            raise
        finally:
            session.leave([self._hear])
            self.close()

    def close(self) -> None:
        """Nothing more will be heard."""
        self.over.set()
        self._said.close()

    def known(self) -> RunResult:
        """The result. Raises Refused where there is none."""
        if self.result is None:
            raise refused(self.error or Refused(409, "cancelled", "the task was stopped"))
        return self.result

    def _hear(self, item: Event | Delta) -> None:
        match item:
            case TextDelta(text) | ReasoningDelta(text):
                self._put(text)
            case ModelReplied():
                self._put("\n\n")
            case Discarded(why):
                self._put(f"\n\n({why}: it is asked again)\n\n")

    def _put(self, text: str) -> None:
        try:
            self._said.send_nowait(text)
        except anyio.WouldBlock:
            return
        self.text.append(text)


class Completions:
    """The paths below `/v1`."""

    def __init__(self, runs: Runs, patience: Patience) -> None:
        self._runs = runs
        self._patience = patience
        self._since = int(time.time())

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/v1/models", self.models, methods=["GET"]),
            Route("/v1/models/{name}", self.model, methods=["GET"]),
            Route("/v1/chat/completions", self.complete, methods=["POST"]),
        ]

    async def models(self, request: Request) -> Response:
        """Every agent."""
        return JSONResponse({"object": "list", "data": [self._model(name) for name in self._runs.offer.agents]})

    async def model(self, request: Request) -> Response:
        """One of them."""
        return JSONResponse(self._model(self._known(request.path_params["name"])))

    async def complete(self, request: Request) -> Response:
        """Have an agent answer."""
        body = await read(request, Completion, self._patience)
        name = self._known(body.model)
        answer = Answer(asked(body), body.max_steps, self._runs.secrets)
        try:
            found = await self._begun(name, body, answer)
        except BaseException:
            answer.close()
            raise
        words = Words.of(found.run, name)
        if not body.stream:
            return await self._whole(request, found, answer, words)
        usage = body.stream_options is not None and bool(body.stream_options.include_usage)
        return answering(_pieces(found, answer, words, usage))

    async def _begun(self, name: str, body: Completion, answer: Answer) -> Conversation:
        if body.conversation is not None:
            return await self._runs.go_on(conversation_of(body.conversation), answer)
        choice = Choice(instructions=answer.request.instructions)
        return await self._runs.begin(name, answer, answer.request.task, choice)

    async def _whole(self, request: Request, found: Conversation, answer: Answer, words: Words) -> Response:
        async with anyio.create_task_group() as group:
            group.start_soon(_stop_with_client, request, found)
            await answer.over.wait()
            group.cancel_scope.cancel()
        result = answer.known()
        return JSONResponse(words.whole(result, finish_of(result), "".join(answer.text).strip()))

    def _known(self, name: str) -> str:
        if name not in self._runs.offer.agents:
            known = ", ".join(self._runs.offer.agents)
            raise Refused(404, "model_not_found", f"there is no model {name!r}: {known}", param="model")
        return name

    def _model(self, name: str) -> dict[str, object]:
        return {"id": name, "object": "model", "created": self._since, "owned_by": "codeact"}


async def _stop_with_client(request: Request, found: Conversation) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    await found.stop()  # nobody will read the answer


async def _pieces(found: Conversation, answer: Answer, words: Words, usage: bool) -> AsyncIterator[bytes]:
    """The answer as it comes. Where the client leaves, the task is stopped."""
    try:
        yield _data(words.piece({"role": "assistant", "content": ""}))
        while True:
            said = b": still there\n\n"
            with anyio.move_on_after(BEAT):
                try:
                    said = _data(words.piece({"reasoning_content": await answer.thoughts.receive()}))
                except anyio.EndOfStream:
                    break
            yield said
        try:
            result = answer.known()
            finish = finish_of(result)
        except Refused as refusal:
            yield b"data: " + refusals.body(refusal) + b"\n\n"
            return
        yield _data(words.piece({"content": text_of(result)}))
        yield _data(words.piece({}, finish))
        if usage:
            yield _data(words.cost(result.usage))
        yield b"data: [DONE]\n\n"
    finally:
        if not answer.over.is_set():
            _stopping.add(stop := asyncio.create_task(found.stop()))
            stop.add_done_callback(_stopping.discard)


_stopping: set[asyncio.Task[None]] = set()


def _data(value: object) -> bytes:
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"

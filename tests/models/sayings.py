"""What a server says in each of the protocols, for tests that hold all of them to the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from codeact.models.ollama import OllamaModel
from codeact.ports import Model

from . import server as s
from .asking import claude_at, model_at


def named(kind: str, **more: Any) -> bytes:
    """An event as Anthropic and the responses write it: its name twice."""
    return f"event: {kind}\n".encode() + s.event({"type": kind, **more})


# -- messages ----------------------------------------------------------------------------------------------------------


def started(**usage: Any) -> bytes:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage}
    return named("message_start", message=message)


def block(index: int, kind: str, **more: Any) -> bytes:
    return named("content_block_start", index=index, content_block={"type": kind, **more})


def grows(index: int, kind: str, **more: Any) -> bytes:
    return named("content_block_delta", index=index, delta={"type": kind, **more})


def wrote(text: str, index: int = 0) -> bytes:
    return grows(index, "text_delta", text=text)


def stopped(reason: str | None = "end_turn", usage: Any = None, **more: Any) -> bytes:
    return named("message_delta", delta={"stop_reason": reason, "stop_sequence": None, **more}, usage=usage or {})


STOP = named("message_stop")
OPENED = s.OPEN + started(input_tokens=11, output_tokens=1) + block(0, "text", text="") + named("ping")


# -- responses ---------------------------------------------------------------------------------------------------------


def created() -> bytes:
    return named("response.created", response={"id": "r", "object": "response", "model": "m", "status": "in_progress"})


def out(text: str) -> bytes:
    return named("response.output_text.delta", output_index=0, content_index=0, item_id="i", delta=text)


def completed(status: str = "completed", **more: Any) -> bytes:
    usage = {"input_tokens": 11, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 4}}
    response = {"id": "r", "object": "response", "model": "m", "status": status, "usage": usage, **more}
    return named(f"response.{status}", response=response)


# -- Ollama's own ------------------------------------------------------------------------------------------------------

LINES = s.OPEN.replace(b"text/event-stream", b"application/x-ndjson")


def line(text: str = "", done: str | None = None, **message: Any) -> bytes:
    value: dict[str, Any] = {"model": "m", "message": {"role": "assistant", "content": text, **message}, "done": False}
    if done:
        value |= {"done": True, "done_reason": done, "prompt_eval_count": 11, "eval_count": 2}
    return json.dumps(value).encode() + b"\n"


@dataclass(frozen=True)
class Saying:
    """A protocol: who asks in it, how a stream opens, how text comes, and how it ends well."""

    model: Callable[..., Model]
    open: bytes
    text: Callable[[str], bytes]
    end: bytes
    garbage: bytes

    @property
    def good(self) -> list[s.Step]:
        return [self.open, self.text("Os"), self.text("lo"), self.end]


def _responses_at(server: s.Server, name: str = "m", **settings: Any) -> Model:
    return model_at(server, name, api="responses", **settings)


def _ollama_at(server: s.Server, name: str = "m", **settings: Any) -> Model:
    return OllamaModel(name, base_url=server.url, parameters={"num_ctx": 32_768}, **settings)


PROTOCOLS = {
    "chat": Saying(model_at, s.OPEN, s.chunk, s.chunk(finish="stop") + s.DONE, b"data: {bad json\n\n"),
    "messages": Saying(claude_at, OPENED, wrote, stopped(usage={"output_tokens": 2}) + STOP, b"data: {bad json\n\n"),
    "responses": Saying(_responses_at, s.OPEN + created(), out, completed(), b"data: {bad json\n\n"),
    "ollama": Saying(_ollama_at, LINES, line, line(done="stop"), b"{bad json\n"),
}

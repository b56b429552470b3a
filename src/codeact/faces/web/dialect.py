"""The words of OpenAI's chat completions: what a list of messages asks of an agent, and what came of it in theirs."""

from __future__ import annotations

import base64
import binascii
import json
import mimetypes
import re
import time
from dataclasses import dataclass
from typing import Any, Literal

import pydantic

from codeact.core.files import File
from codeact.core.messages import Usage
from codeact.faces.cli.lines import by_the_table
from codeact.guest import values
from codeact.session.result import RunResult

from .refusals import Refused

Finish = Literal["stop", "length", "content_filter"]
_DATA = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(?:;[\w.+-]+=[^;,]*)*;base64,(?P<data>.*)", re.DOTALL)
_PREFIX = "chatcmpl-"


class Said(pydantic.BaseModel):
    """A message."""

    model_config = pydantic.ConfigDict(strict=True)
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[dict[str, Any]] | None = None


class StreamOptions(pydantic.BaseModel):
    """What a stream shall hold beside."""

    model_config = pydantic.ConfigDict(strict=True)
    include_usage: bool | None = None


class Completion(pydantic.BaseModel):
    """A request. How a model is sampled is the agent's own affair: such keys are taken, and change nothing."""

    model_config = pydantic.ConfigDict(strict=True)
    model: str
    messages: list[Said]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = None
    tools: list[Any] | None = None
    functions: list[Any] | None = None
    response_format: dict[str, Any] | None = None
    logprobs: bool | None = None
    modalities: list[Any] | None = None
    conversation: str | None = None
    max_steps: int | None = pydantic.Field(None, ge=1, le=1_000_000)


@dataclass(frozen=True, slots=True)
class Asked:
    """What an agent is to do: a task, with files; `instructions` are what the system said."""

    task: str
    files: tuple[File, ...] = ()
    instructions: str = ""


def asked(request: Completion) -> Asked:
    """What a list of messages asks for: the last one is the task, and those before it are told with it. Raises Refused.

    In a `conversation` the agent knows what was said before: then only the last one counts.
    """
    _check(request)
    *before, last = request.messages or [Said(role="assistant")]
    if last.role != "user":
        raise _unfit("messages", "the last message is what is to be done: it has to be the user's")
    files: list[File] = []
    task = _text(last, files)
    if request.conversation is not None:
        return Asked(task, tuple(files))
    system = [_text(one, files) for one in before if one.role in ("system", "developer")]
    told = [
        f"{one.role}: {_text(one, files)}" for one in before if one.role not in ("system", "developer") and one.content
    ]
    if told:
        task = "\n\n".join((task, "What was said before that:", *told))  # its first words are what a list of runs shows
    return Asked(task, tuple(files), "\n\n".join(filter(None, system)))


def _check(request: Completion) -> None:
    if request.n not in (None, 1):
        raise _unfit("n", "an agent gives one answer: n=1")
    if request.tools or request.functions:
        raise _unfit("tools", "an agent has tools of its own, and calls none of the client's")
    if request.response_format is not None and request.response_format.get("type") != "text":
        raise _unfit("response_format", "the form of an answer is the agent's: give it an output_type where it is made")
    if request.logprobs:
        raise _unfit("logprobs", "an agent has none")
    if (request.modalities or ["text"]) != ["text"]:
        raise _unfit("modalities", "an agent answers in text")


def _unfit(name: str, why: str) -> Refused:
    return Refused(400, "unsupported", f"{name}: {why}", param=name)


def _text(said: Said, files: list[File]) -> str:
    """The text of a message; what else is in it goes to the files, under names that the text says."""
    if not isinstance(said.content, list):
        return said.content or ""
    parts = []
    for part in said.content:
        match part:
            case {"type": "text", "text": str(text)}:
                parts.append(text)
            case {"type": "image_url", "image_url": {"url": str(url)}}:
                parts.append(_put(files, url, f"image-{len(files) + 1}"))
            case {"type": "file", "file": {"file_data": str(url), **more}}:
                named = str(more.get("filename", ""))
                parts.append(
                    _put(files, url, re.sub(r"[^\w.-]", "_", named)[:100].lstrip(".") or f"file-{len(files) + 1}")
                )
            case _:
                raise _unfit("messages", f"a part of the type {str(part.get('type'))[:40]!r} is not read here")
    return "\n".join(parts)


def _put(files: list[File], url: str, name: str) -> str:
    found = _DATA.fullmatch(url)
    try:
        data = base64.b64decode(found["data"], validate=True) if found else None
    except (binascii.Error, ValueError):
        data = None
    if found is None or data is None:
        raise _unfit("messages", "pictures and files are given as data: URLs in base64; nothing is fetched for them")
    if "." not in name:
        name += mimetypes.guess_extension(found["type"] or "") or ".bin"
    if name in (file.name for file in files):
        name = f"{len(files) + 1}-{name}"
    files.append(File(name, data))
    return f"(see inputs/{name})"


def conversation_of(given: str) -> str:
    """The run that a request names: its id, or that of a completion that was its answer."""
    return given.removeprefix(_PREFIX)


@dataclass(frozen=True, slots=True)
class Words:
    """How the answer of one run is written."""

    run: str
    model: str
    created: int

    @classmethod
    def of(cls, run: str, model: str) -> Words:
        """Those of a run that begins now."""
        return cls(run, model, int(time.time()))

    def whole(self, result: RunResult, finish: Finish, thoughts: str) -> dict[str, Any]:
        """The answer in one piece."""
        message = {
            "role": "assistant",
            "content": text_of(result),
            "reasoning_content": thoughts or None,
            "refusal": None,
        }
        choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
        return {**self._head("chat.completion"), "choices": [choice], "usage": usage_of(result.usage)}

    def piece(self, delta: dict[str, Any], finish: Finish | None = None) -> dict[str, Any]:
        """More of it."""
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def cost(self, usage: Usage) -> dict[str, Any]:
        """The last piece, where it was asked for."""
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": usage_of(usage)}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": _PREFIX + self.run, "object": kind, "created": self.created, "model": self.model}


def finish_of(result: RunResult) -> Finish:
    """Why it ended. Raises Refused where there is no answer and nothing that a client knows says so."""
    if result.answered:
        return "stop"
    match result.stop_reason:
        case "max_steps" | "budget":
            return "length"
        case "refused":
            return "content_filter"
        case "cancelled":
            raise Refused(409, "cancelled", "the task was stopped")
        case other:
            raise Refused(502, other, result.error or f"the agent ended without an answer: {other}")


def text_of(result: RunResult) -> str:
    """An answer as text: a str as it is, what JSON has as JSON, else by `str`."""
    if not result.answered or isinstance(result.answer, str):
        return str(result)
    try:
        return json.dumps(by_the_table(result.answer), ensure_ascii=False)
    except (values.Refused, ValueError):
        return str(result)


def usage_of(usage: Usage) -> dict[str, Any] | None:
    """Tokens in their words; None where they are not known."""
    read, written = usage.input_tokens, usage.output_tokens
    if read is None or written is None:
        return None
    details = {"cached_tokens": usage.cached_tokens or 0}
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": details,
    }

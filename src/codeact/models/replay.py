"""A model that answers from a file of recorded replies: for demonstrations, tests, and seeing a run once more.

The n-th reply answers the n-th question of a run. The object holds no counter: the prompt knows how many questions
were answered before, over all the tasks of a session.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import anyio
import anyio.lowlevel

from codeact.core.errors import (
    ContextOverflow,
    ModelError,
    ModelProtocolError,
    ModelRejected,
    ModelUnavailable,
    UsageError,
    nearest,
)
from codeact.core.events import ReasoningDelta, TextDelta
from codeact.core.messages import Finish, NativeCall, Prompt, Reply, Usage
from codeact.ports import Emit

_KEYS = ("text", "reasoning", "tool_calls", "finish", "usage", "error")
_FINISHES = get_args(Finish)
_TOKENS = ("input_tokens", "output_tokens", "cached_tokens")
_WRITTEN = "cache_write_tokens"
_ERRORS: dict[str, type[ModelError]] = {
    error.__name__: error
    for error in (ModelError, ModelUnavailable, ModelRejected, ContextOverflow, ModelProtocolError)
}
_PIECE = 4  # characters that stream at once: about a token


@dataclass(frozen=True, slots=True)
class _Failure:
    type: str
    message: str
    text: str = ""  # what streamed before it


class ReplayModel:
    """The replies of a JSON Lines file, read at once. `rate` is tokens per second; without it nothing waits."""

    def __init__(self, path: str | Path, rate: float = math.inf) -> None:
        self._path = Path(path)
        self._rate = rate
        self._replies = _read(self._path)

    @property
    def name(self) -> str:
        """`replay:FILE`."""
        return f"replay:{self._path}"

    async def ask(self, prompt: Prompt, emit: Emit) -> Reply:
        """The reply to this question; raises the recorded error, or ModelError when there is no reply left."""
        await anyio.lowlevel.checkpoint()
        answered = prompt.answered
        if answered >= len(self._replies):
            count = f"{len(self._replies)} {'reply' if len(self._replies) == 1 else 'replies'}"
            raise ModelError(f"{self.name} has {count}; question {answered + 1} has none")
        reply = self._replies[answered]
        if isinstance(reply, _Failure):
            await self._stream(TextDelta, reply.text, emit)
            raise _ERRORS[reply.type](reply.message)
        await self._stream(ReasoningDelta, reply.reasoning, emit)
        await self._stream(TextDelta, reply.text, emit)
        return reply

    async def _stream(self, kind: type[ReasoningDelta] | type[TextDelta], text: str, emit: Emit) -> None:
        for start in range(0, len(text), _PIECE):
            emit(kind(text[start : start + _PIECE]))
            if self._rate < math.inf:
                await anyio.sleep(1 / self._rate)


def _read(path: Path) -> tuple[Reply | _Failure, ...]:
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except OSError as error:
        raise UsageError(f"cannot read the replies in {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"the replies in {path} are not UTF-8 text (byte {error.start})") from None
    replies = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                replies.append(_reply(json.loads(line)))
            except ValueError as error:
                raise UsageError(f"{path}, line {number}: {error}") from None
            except RecursionError:
                raise UsageError(f"{path}, line {number}: nested too deeply") from None
    return tuple(replies)


def _reply(line: Any) -> Reply | _Failure:
    _check_keys(line, _KEYS, "a reply")
    if "error" in line:
        if line.keys() - {"error", "text"}:
            raise ValueError("a line with 'error' holds nothing else but the 'text' before it")
        return replace(_failure(line["error"]), text=_text(line, "text"))
    if "text" not in line and "tool_calls" not in line:
        raise ValueError("a reply needs 'text', 'tool_calls' or 'error'")
    calls = tuple(_calls(line.get("tool_calls", [])))
    finish = line.get("finish", "tool_calls" if calls else "stop")
    if finish not in _FINISHES:
        raise ValueError(f"'finish' is one of {', '.join(_FINISHES)}, not {finish!r}")
    text, reasoning = (_text(line, key) for key in ("text", "reasoning"))
    return Reply(text, reasoning, calls, finish, _usage(line.get("usage")))


def _failure(error: Any) -> _Failure:
    if isinstance(error, str):
        return _Failure("ModelError", error)
    _check_keys(error, ("type", "message"), "an error")
    type = _text(error, "type") or "ModelError"
    if type not in _ERRORS:
        raise ValueError(f"unknown error {type!r}{nearest(type, _ERRORS)}; there are {', '.join(_ERRORS)}")
    return _Failure(type, _text(error, "message"))


def _calls(calls: Any) -> Iterator[NativeCall]:
    if not isinstance(calls, list):
        raise ValueError("'tool_calls' is a list")
    for number, call in enumerate(calls, 1):
        _check_keys(call, ("id", "name", "arguments"), "a tool call")
        if not _text(call, "name") or "arguments" not in call:
            raise ValueError("a tool call needs 'name' and 'arguments'")
        arguments = call["arguments"]
        written = arguments if isinstance(arguments, str) else json.dumps(arguments)
        yield NativeCall(_text(call, "id") or f"call_{number}", call["name"], written)


def _usage(usage: Any) -> Usage:
    if usage is None:
        return Usage()
    _check_keys(usage, (*_TOKENS, _WRITTEN, "requests"), "a usage")
    for key, value in usage.items():
        if not (value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)):
            raise ValueError(f"{key!r} is a count, not {value!r}")
    input_tokens, output_tokens, cached_tokens = (usage.get(key) for key in _TOKENS)
    requests = usage.get("requests")
    return Usage(input_tokens, output_tokens, cached_tokens, 1 if requests is None else requests, usage.get(_WRITTEN))


def _text(line: dict[str, Any], key: str) -> str:
    value = line.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{key!r} is text, not {value!r:.40}")
    return value


def _check_keys(value: Any, known: tuple[str, ...], what: str) -> None:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is a JSON object, not {value!r:.40}")
    for key in value:
        if key not in known:
            raise ValueError(f"unknown key {key!r} in {what}{nearest(key, known)}; there are {', '.join(known)}")

"""The chunks of a streamed completion, put together into a Reply. What the server sends is checked field by field."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from codeact.core.errors import ModelProtocolError
from codeact.core.events import ReasoningDelta, TextDelta
from codeact.core.messages import Finish, NativeCall, Reply, Usage

from .question import mended
from .refusal import Refused

LIMIT = 8 << 20  # characters of a whole reply: text, reasoning and arguments together

_FINISH: dict[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


class _Call:
    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []


class Answer:
    """An answer as it grows. `done` is set by whoever reads `[DONE]`; `stopped` says that a stop sequence came by."""

    def __init__(self, model: str, stop: tuple[str, ...]) -> None:
        self._model = model
        self._stop = tuple(filter(None, stop))
        self._reach = max(map(len, self._stop), default=1) - 1
        self._tail = ""
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._calls: list[_Call] = []
        self._at: dict[int, _Call] = {}
        self._finish: str | None = None
        self._usage = Usage()
        self._notes: dict[str, None] = {}  # ordered, each once
        self._choices = False
        self.size = 0
        self.done = False
        self.stopped = False

    @property
    def ended(self) -> bool:
        """Whether the server said that the reply is whole; only what does not matter to it may still come."""
        return self._finish is not None or self.done

    def take(self, payload: str) -> Iterator[TextDelta | ReasoningDelta]:
        """Take one event. Raises ModelProtocolError, or Refused when the server reports an error in its place."""
        try:
            chunk = json.loads(payload)
        except (ValueError, RecursionError):
            raise ModelProtocolError(f"the server sent something that is not JSON: {payload[:80]!r}") from None
        if not isinstance(chunk, dict):
            raise ModelProtocolError(f"the server sent something that is not a completion: {payload[:80]!r}")
        if chunk.get("error") or chunk.get("object") == "error":
            raise Refused.within(chunk)
        self._take_usage(chunk.get("usage"))
        self._take_model(chunk.get("model"))
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and choice.get("index") in (0, None):
                self._choices = True
                yield from self._take_choice(choice)

    def reply(self) -> Reply:
        """All that came, as one value. Raises ModelProtocolError when no answer was in it."""
        if not self._choices:
            raise ModelProtocolError("the server's answer has no choices in it")
        text = mended("".join(self._text))
        for stop in self._stop:
            text = text.partition(stop)[0]
        finish: Finish
        if self._refusal:
            text, finish = mended("".join(self._refusal)), "content_filter"
        elif self.stopped:
            self._note("the server went on after a stop sequence; the reply was cut there")
            finish = "stop"
        elif self._finish is None:
            self._note("the server gave no reason why the reply ended")
            finish = "unknown"
        elif self._finish in _FINISH:
            finish = _FINISH[self._finish]
        else:
            self._note(f"the server ended the reply for a reason that is not known here: {self._finish[:40]!r}")
            finish = "unknown"
        if self._calls and finish == "stop":
            finish = "tool_calls"  # not every server says so
        calls = as_calls((call.id, call.name, "".join(call.arguments)) for call in self._calls)
        return Reply(text, mended("".join(self._reasoning)), calls, finish, self._usage, tuple(self._notes))

    def _take_choice(self, choice: dict[str, Any]) -> Iterator[TextDelta | ReasoningDelta]:
        delta = choice.get("delta") or choice.get("message")
        if isinstance(delta, dict):
            thought = _words(delta.get("reasoning_content")) or _words(delta.get("reasoning")) or _thoughts(delta)
            if thought:
                self._grow(self._reasoning, thought)
                yield ReasoningDelta(mended(thought))
            text = _words(delta.get("content"))
            if text:
                self._grow(self._text, text)
                self._watch(text)
                yield TextDelta(mended(text))
            self._grow(self._refusal, _words(delta.get("refusal")))
            calls = delta.get("tool_calls")
            for position, call in enumerate(calls if isinstance(calls, list) else ()):
                if isinstance(call, dict):
                    self._take_call(call, position)
        finish = choice.get("finish_reason")
        if isinstance(finish, str) and finish:
            self._finish = finish

    def _take_call(self, piece: dict[str, Any], position: int) -> None:
        index, name, arguments = piece.get("index"), None, None
        id = piece.get("id") if isinstance(piece.get("id"), str) else ""
        function = piece.get("function")
        if isinstance(function, dict):
            name, arguments = function.get("name"), function.get("arguments")
        place = index if isinstance(index, int) else position
        call = self._at.get(place)
        if call is None or (id and call.id and id != call.id):  # some servers number all their calls 0
            call = self._at[place] = _Call()
            self._calls.append(call)
            self.size += 1
        call.id = call.id or id or ""
        if isinstance(name, str) and not call.name:
            call.name = name
        if arguments is not None:
            self._grow(call.arguments, arguments if isinstance(arguments, str) else json.dumps(arguments))

    def _take_usage(self, usage: object) -> None:
        if not isinstance(usage, dict):
            return
        details = usage.get("prompt_tokens_details")
        cached = details.get("cached_tokens") if isinstance(details, dict) else usage.get("prompt_cache_hit_tokens")
        self._usage = Usage(
            self._count(usage.get("prompt_tokens")), self._count(usage.get("completion_tokens")), self._count(cached)
        )

    def _take_model(self, model: object) -> None:
        if not isinstance(model, str) or not model or self._choices:
            return
        asked, answered = (name.rpartition("/")[2].casefold() for name in (self._model, model))
        if not (answered.startswith(asked) or asked.startswith(answered)):  # gpt-5 answers as gpt-5-2025-08-07
            self._note(f"the server says that {model[:80]!r} answered")

    def _count(self, value: object) -> int | None:
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            self._note("the server's count of tokens makes no sense and is taken as unknown")
            return None
        return value

    def _watch(self, text: str) -> None:
        window = self._tail + text
        self.stopped = self.stopped or any(stop in window for stop in self._stop)
        self._tail = window[-self._reach :] if self._reach else ""

    def _grow(self, into: list[str], text: str) -> None:
        if text:
            into.append(text)
            self.size += len(text)
            if self.size > LIMIT:
                raise ModelProtocolError(f"the reply is longer than {LIMIT >> 20} MiB")

    def _note(self, note: str) -> None:
        self._notes[note] = None


def as_calls(pieces: Iterable[tuple[str, str, str]]) -> tuple[NativeCall, ...]:
    """Calls of id, name and arguments. One without an id of its own gets one: an answer must find its call."""
    calls: dict[str, NativeCall] = {}
    for given, name, arguments in pieces:
        id, n = mended(given), len(calls)
        while not id or id in calls:
            n += 1
            id = f"call_{n}"
        calls[id] = NativeCall(id, mended(name), mended(arguments))
    return tuple(calls.values())


def _words(content: object) -> str:
    """Text as a string, or as a list of parts as some servers send it."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(_words(part.get("text")) for part in content if isinstance(part, dict))
    return ""


def _thoughts(delta: dict[str, Any]) -> str:
    content = delta.get("content")
    parts = content if isinstance(content, list) else []
    return "".join(_words(part.get("thinking")) for part in parts if isinstance(part, dict))

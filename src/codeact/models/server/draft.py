"""A reply as it grows, in whatever protocol: bounded, watched for stop sequences, and what is odd about it noted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from codeact.core.errors import ModelProtocolError
from codeact.core.events import ReasoningDelta, TextDelta
from codeact.core.messages import Finish, NativeCall, Reply, Usage

LIMIT = 8 << 20  # characters of a whole reply: text, reasoning and arguments together


class _Call:
    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []


class Draft:
    """The parts of a reply. `stopped` says that a stop sequence came by; `size` grows with each part of it."""

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
        self._notes: dict[str, None] = {}  # ordered, each once
        self.size = 0
        self.stopped = False

    def say(self, text: str) -> Iterator[TextDelta]:
        """More text."""
        if text:
            self._grow(self._text, text)
            window = self._tail + text
            self.stopped = self.stopped or any(stop in window for stop in self._stop)
            self._tail = window[-self._reach :] if self._reach else ""
            yield TextDelta(mended(text))

    def think(self, text: str) -> Iterator[ReasoningDelta]:
        """More reasoning."""
        if text:
            self._grow(self._reasoning, text)
            yield ReasoningDelta(mended(text))

    def refuse(self, text: str) -> None:
        """More of the words with which the model refuses."""
        self._grow(self._refusal, text)

    def call(self, place: int, id: object = None, name: object = None, arguments: object = None) -> None:
        """More of the call at this place: its arguments grow, its id and name are the first that came."""
        given = id if isinstance(id, str) else ""
        call = self._at.get(place)
        if call is None or (given and call.id and given != call.id):  # some servers number all their calls 0
            call = self._at[place] = _Call()
            self._calls.append(call)
            self.size += 1
        call.id = call.id or given
        if isinstance(name, str) and not call.name:
            call.name = name
        if arguments is not None:
            self._grow(call.arguments, arguments if isinstance(arguments, str) else json.dumps(arguments))

    def note(self, note: str) -> None:
        """Something odd, said once."""
        self._notes[note] = None

    def answered_by(self, model: object) -> None:
        """The model that the server names: gpt-5 answers as gpt-5-2025-08-07."""
        if isinstance(model, str) and model:
            asked, answered = (name.rpartition("/")[2].casefold() for name in (self._model, model))
            if not (answered.startswith(asked) or asked.startswith(answered)):
                self.note(f"the server says that {model[:80]!r} answered")

    def count(self, value: object) -> int | None:
        """A count of tokens, None where it is none."""
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            self.note("the server's count of tokens makes no sense and is taken as unknown")
            return None
        return value

    def reply(self, ended: object, reasons: dict[str, Finish], usage: Usage) -> Reply:
        """The reply, which the server ended for a reason of its own, None where it gave none."""
        text = mended("".join(self._text))
        for stop in self._stop:
            text = text.partition(stop)[0]
        finish: Finish = "unknown"
        if self._refusal:
            text, finish = mended("".join(self._refusal)), "content_filter"
        elif self.stopped:
            self.note("the server went on after a stop sequence; the reply was cut there")
            finish = "stop"
        elif not isinstance(ended, str) or not ended:
            self.note("the server gave no reason why the reply ended")
        elif ended in reasons:
            finish = reasons[ended]
        else:
            self.note(f"the server ended the reply for a reason that is not known here: {ended[:40]!r}")
        if self._calls and finish == "stop":
            finish = "tool_calls"  # not every server says so
        return Reply(text, mended("".join(self._reasoning)), self._all_calls(), finish, usage, tuple(self._notes))

    def _all_calls(self) -> tuple[NativeCall, ...]:
        """One without an id of its own gets one: an answer must find its call."""
        calls: dict[str, NativeCall] = {}
        for call in self._calls:
            id, n = mended(call.id), len(calls)
            while not id or id in calls:
                n += 1
                id = f"call_{n}"
            calls[id] = NativeCall(id, mended(call.name), mended("".join(call.arguments)))
        return tuple(calls.values())

    def _grow(self, into: list[str], text: str) -> None:
        if text:
            into.append(text)
            self.size += len(text)
            if self.size > LIMIT:
                raise ModelProtocolError(f"the reply is longer than {LIMIT >> 20} MiB")


def read(payload: str) -> dict[str, Any]:
    """The JSON object of an event. Raises ModelProtocolError."""
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError):
        raise ModelProtocolError(f"the server sent something that is not JSON: {payload[:80]!r}") from None
    if not isinstance(value, dict):
        raise ModelProtocolError(f"the server sent something that is not a completion: {payload[:80]!r}")
    return value


def record(value: object) -> dict[str, Any]:
    """The value, if it is an object: what a server sends is checked field by field."""
    return value if isinstance(value, dict) else {}


def records(value: object) -> list[dict[str, Any]]:
    """The objects of a list, if it is one."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def words(value: object) -> str:
    """The value, if it is text."""
    return value if isinstance(value, str) else ""


def mended(text: str) -> str:
    """The text without lone surrogates, which no encoding can carry: pairs are joined, single ones become U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

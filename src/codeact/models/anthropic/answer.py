"""The events of a streamed message, put together into a Reply. What the server sends is checked field by field.

https://docs.anthropic.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from codeact.core.errors import ModelProtocolError
from codeact.core.events import ReasoningDelta, TextDelta
from codeact.core.messages import Finish, Reply, Usage
from codeact.models.server.draft import Draft, read, record, records, words
from codeact.models.server.refusal import Refused

_FINISH: dict[str, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


class Told:
    """A message as it grows."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.done = False
        self._finish: str | None = None
        self._explanation = ""  # of a refusal
        self._said = False  # whether there was any text
        self._begun = False
        self._counts: dict[str, int] = {}
        self._calls: set[int] = set()  # places of blocks that are calls of ours

    @property
    def ended(self) -> bool:
        """Whether a reason to stop has come."""
        return self._finish is not None or self.done

    def take(self, payload: str) -> Iterator[TextDelta | ReasoningDelta]:
        """Take one event, or a whole message."""
        event = read(payload)
        kind, place = words(event.get("type")), event.get("index")
        at = place if isinstance(place, int) else 0
        match kind:
            case "message_start":
                message = record(event.get("message"))
                self._begin(message)
                for number, block in enumerate(records(message.get("content"))):
                    yield from self._open(number, block)
            case "content_block_start":
                self._begun = True
                yield from self._open(at, record(event.get("content_block")))
            case "content_block_delta":
                yield from self._grow(at, record(event.get("delta")))
            case "message_delta":
                self._end(record(event.get("delta")), event.get("usage"))
            case "message_stop":
                self.done = True
            case "message":  # all at once, from a server that does not stream
                self._begin(event)
                for number, block in enumerate(records(event.get("content"))):
                    yield from self._open(number, block)
                self._end(event, None)
            case "error":
                raise Refused.within(event)

    def reply(self) -> Reply:
        """All that came, as one value."""
        if not self._begun:
            raise ModelProtocolError("the server's answer has no message in it")
        if self._finish == "refusal" and not self._said:
            self.draft.refuse(self._explanation)
        return self.draft.reply(self._finish, _FINISH, self._usage())

    def _begin(self, message: dict[str, Any]) -> None:
        self._begun = True
        self.draft.answered_by(message.get("model"))
        self._count(message.get("usage"))

    def _open(self, place: int, block: dict[str, Any]) -> Iterator[TextDelta | ReasoningDelta]:
        """A block begins; mostly it is still empty. Of tools that the server runs by itself nothing is wanted here."""
        match block.get("type"):
            case "text":
                yield from self._say(words(block.get("text")))
            case "thinking":
                yield from self.draft.think(words(block.get("thinking")))
            case "tool_use":
                self._calls.add(place)
                self.draft.call(place, block.get("id"), block.get("name"), block.get("input") or None)

    def _grow(self, place: int, delta: dict[str, Any]) -> Iterator[TextDelta | ReasoningDelta]:
        match delta.get("type"):
            case "text_delta":
                yield from self._say(words(delta.get("text")))
            case "thinking_delta":
                yield from self.draft.think(words(delta.get("thinking")))
            case "input_json_delta" if place in self._calls:
                self.draft.call(place, arguments=words(delta.get("partial_json")))

    def _say(self, text: str) -> Iterator[TextDelta]:
        self._said = self._said or bool(text)
        return self.draft.say(text)

    def _end(self, delta: dict[str, Any], usage: object) -> None:
        self._finish = words(delta.get("stop_reason")) or self._finish
        self._explanation = words(record(delta.get("stop_details")).get("explanation"))
        self._count(usage)

    def _count(self, usage: object) -> None:
        """The counts are of all so far: the last that is told holds."""
        for name in _COUNTS:
            count = self.draft.count(record(usage).get(name))
            if count is not None:
                self._counts[name] = count

    def _usage(self) -> Usage:
        """What the protocol calls input is only what came by no cache; with us, as with others, it is all."""
        fresh, out, read, written = (self._counts.get(name) for name in _COUNTS)
        whole = None if fresh is None else fresh + (read or 0) + (written or 0)
        return Usage(whole, out, read, cache_write_tokens=written)

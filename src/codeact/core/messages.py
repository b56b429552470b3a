"""What is said between us and a model: plain values, no provider's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Role: TypeAlias = Literal["system", "user", "assistant"]
Finish: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "unknown"]


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of text."""

    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """An encoded picture; `size` is its width and height in pixels, where they are known."""

    data: bytes
    media_type: str = "image/png"
    size: tuple[int, int] | None = None


Part: TypeAlias = Text | Image


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of the conversation."""

    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


def say(role: Role, text: str) -> Message:
    """A message of one text part."""
    return Message(role, (Text(text),))


@dataclass(frozen=True, slots=True)
class Prompt:
    """All that the model sees: `messages` starts with the system message; generation ends before any of `stop`."""

    messages: tuple[Message, ...]
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and requests; None where the server did not tell, never 0 in its place. `cached` is part of `input`."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    requests: int = 1

    def __add__(self, other: Usage) -> Usage:
        def total(a: int | None, b: int | None) -> int | None:
            return None if a is None or b is None else a + b

        return Usage(
            total(self.input_tokens, other.input_tokens),
            total(self.output_tokens, other.output_tokens),
            total(self.cached_tokens, other.cached_tokens),
            self.requests + other.requests,
        )


NO_USAGE = Usage(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class NativeCall:
    """A tool call in the provider's own form; `arguments` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model said. `reasoning` is kept apart and never executed; `notes` say what was odd about the answer."""

    text: str
    reasoning: str = ""
    tool_calls: tuple[NativeCall, ...] = ()
    finish: Finish = "stop"
    usage: Usage = Usage()
    notes: tuple[str, ...] = ()

"""What is said between us and a model: plain values, no provider's words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeAlias

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
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
class NativeCall:
    """A tool call in the provider's own form; `arguments` is the JSON text as the model wrote it, also when it is none.

    `id` is the provider's, or one made up here; it is unique within a reply, not within a conversation.
    """

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of the conversation.

    `tool_calls` are an assistant's, in the provider's own form. Each is answered by one message of the role `tool`
    whose `answers` is the call's id; these stand right behind the assistant's message, in any order, before all else.
    """

    role: Role
    parts: tuple[Part, ...]
    tool_calls: tuple[NativeCall, ...] = ()
    answers: str = ""

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


def say(role: Role, text: str) -> Message:
    """A message of one text part."""
    return Message(role, (Text(text),))


def answered(call: NativeCall, text: str, *images: Image) -> Message:
    """What came of a call in the provider's own form, for the model to read."""
    return Message("tool", (Text(text), *images), answers=call.id)


def arguments_of(call: NativeCall) -> dict[str, Any]:
    """The arguments by name; no text at all is none. Raises ValueError with words that a model can mend them by.

    >>> arguments_of(NativeCall("c", "weather", '{"city": "Oslo"}'))
    {'city': 'Oslo'}
    """
    try:
        value = json.loads(call.arguments, parse_constant=_no_constant) if call.arguments.strip() else {}
    except RecursionError:
        raise ValueError("the arguments are nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"the arguments are not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"the arguments are a JSON object with a key for each, not {call.arguments.strip()[:40]!r}")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


@dataclass(frozen=True, slots=True)
class ToolDeclaration:
    """A tool that may be called in the provider's own form; `parameters` is the JSON Schema of an object."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Prompt:
    """All that the model sees: `messages` starts with the system message; generation ends before any of `stop`.

    With `tools` the model may reply with calls in the provider's own form; a model that cannot raises ModelRejected.
    `gone` is how many questions were answered before that are not shown; `beside` says that a tool asks, not the agent.
    """

    messages: tuple[Message, ...]
    stop: tuple[str, ...] = ()
    tools: tuple[ToolDeclaration, ...] = ()
    gone: int = 0
    beside: bool = False

    @property
    def answered(self) -> int:
        """How many questions of this run were put before this one."""
        return self.gone + sum(message.role == "assistant" for message in self.messages)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and requests; None where the server did not tell, never 0 in its place.

    `cached_tokens` were read from the provider's cache, `cache_write_tokens` put into it: both are part of the input.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    requests: int = 1
    cache_write_tokens: int | None = None

    def __add__(self, other: Usage) -> Usage:
        def total(a: int | None, b: int | None) -> int | None:
            return None if a is None or b is None else a + b

        return Usage(
            total(self.input_tokens, other.input_tokens),
            total(self.output_tokens, other.output_tokens),
            total(self.cached_tokens, other.cached_tokens),
            self.requests + other.requests,
            total(self.cache_write_tokens, other.cache_write_tokens),
        )


NO_USAGE = Usage(0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model said. `reasoning` is kept apart and never executed; `notes` say what was odd about the answer.

    A reply that ended by itself, with calls in it, has the finish `tool_calls`, whatever the server named it. `context`
    is how many tokens the model can see, prompt and reply together, where its server tells.
    """

    text: str
    reasoning: str = ""
    tool_calls: tuple[NativeCall, ...] = ()
    finish: Finish = "stop"
    usage: Usage = Usage()
    notes: tuple[str, ...] = ()
    context: int | None = None

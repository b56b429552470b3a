"""A prompt in the words of the Messages API.

Marks for the cache stand behind the system prompt, which the tools come before, and behind the last two turns of the
user: a conversation only grows at its end, so what was marked last is found again, and read at a tenth of the price.

https://docs.anthropic.com/en/api/messages
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, assert_never

from codeact.core.messages import Image, Message, Prompt, Text
from codeact.models.server.draft import Draft, mended, record
from codeact.models.server.turns import sent_arguments, sent_id, sent_name, turns

from .answer import Told

VERSION = "2023-06-01"
MAX_TOKENS = 16_000  # the protocol wants a number: a long cell with its thinking, and no more than all models can
_MARK = {"type": "ephemeral"}
_MARKED_TURNS = 2  # of at most four marks


class Messages:
    """The dialect."""

    path = "/v1/messages"
    names = "/v1/models"
    lines = False

    def headers(self, key: str | None) -> Mapping[str, str]:
        """The version of the protocol, and the key."""
        return {"anthropic-version": VERSION, **({"x-api-key": key} if key else {})}

    def question(self, model: str, prompt: Prompt, *, pictures: bool) -> dict[str, Any]:
        """Model, system prompt, messages and tools."""
        told = turns(prompt, pictures=pictures)
        body: dict[str, Any] = {"model": model, "messages": _marked(list(_alternating(told))), "stream": True}
        system = "\n\n".join(message.text for message in told if message.role == "system")
        if system.strip():
            body["system"] = [{"type": "text", "text": mended(system), "cache_control": _MARK}]
        if prompt.tools:
            body["tools"] = [
                {"name": tool.name, "description": mended(tool.description), "input_schema": tool.parameters}
                for tool in prompt.tools
            ]
        return body

    def options(self, parameters: Mapping[str, Any], stop: tuple[str, ...]) -> dict[str, Any]:
        """The parameters of chat completions in the words of this protocol, the others as they are."""
        options: dict[str, Any] = {"max_tokens": MAX_TOKENS}
        for name, value in parameters.items():
            match name:
                case "max_completion_tokens":
                    options["max_tokens"] = value
                case "reasoning_effort":
                    options["output_config"] = {**record(options.get("output_config")), "effort": value}
                case _:
                    options[name] = value
        if any(text.strip() for text in stop):
            options["stop_sequences"] = [mended(text) for text in stop if text.strip()]
        return options

    def answer(self, model: str, stop: tuple[str, ...]) -> Told:
        """One that has heard nothing yet."""
        return Told(Draft(model, stop))


def _alternating(messages: list[Message]) -> Iterator[dict[str, Any]]:
    """The turns of user and assistant; what tools gave is the user's, and comes before what the user says."""
    role, content = "user", list[dict[str, Any]]()
    for message in messages:
        if message.role == "system":
            continue
        whose = "assistant" if message.role == "assistant" else "user"
        if whose != role:
            if content or role == "assistant":
                yield {"role": role, "content": content or [_text("(nothing)")]}
            role, content = whose, []
        content += _blocks(message)
    if content:
        yield {"role": role, "content": content}


def _blocks(message: Message) -> Iterator[dict[str, Any]]:
    parts = [_part(part) for part in message.parts if not isinstance(part, Text) or part.text.strip()]
    if message.role == "tool":
        yield {"type": "tool_result", "tool_use_id": sent_id(message.answers), "content": parts or [_text("(nothing)")]}
        return
    yield from parts  # no block may be blank
    for call in message.tool_calls:
        yield {"type": "tool_use", "id": sent_id(call.id), "name": sent_name(call), "input": sent_arguments(call)}


def _part(part: Text | Image) -> dict[str, Any]:
    match part:
        case Text(text):
            return _text(text)
        case Image(data, media_type):
            encoded = base64.b64encode(data).decode("ascii")
            return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": encoded}}
        case _:
            assert_never(part)


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": mended(text)}


def _marked(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    of_the_user = [message for message in messages if message["role"] == "user" and message["content"]]
    for message in of_the_user[-_MARKED_TURNS:]:
        message["content"][-1] = {**message["content"][-1], "cache_control": _MARK}
    return messages
